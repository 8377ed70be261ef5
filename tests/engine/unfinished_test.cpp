// Pipelines whose version of the workflow is gone: they end by their deadlines, by a cancel or because they are
// given up, and leave nothing behind that others wait for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "behaviours.h"
#include "jumping_clock.h"
#include "leat/history.h"
#include "leat/store_verifier.h"
#include "temporary_directory.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Cause = TaskExplanation::Cause;

constexpr std::string_view kName = "public::embedded::w";

/// Its tasks run until they are told to stop.
class Outside final : public TaskExecutor {
 public:
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    const auto held = std::make_shared<CompletionToken>(std::move(token));
    held_.push_back(held);
    held->on_cancel([id = event.task_execution_id, weak = std::weak_ptr(held)] {
      if (const auto told = weak.lock()) told->complete(ExecutionResult::failed(id, "told to stop"));
    });
  }
  std::size_t count() const { return held_.size(); }

 private:
  std::deque<std::shared_ptr<CompletionToken>> held_;
};

/// A Runner that does all it can do now in run_some(), by a clock of the test's.
class Unfinished : public testing::Test {
 protected:
  static Workflow version(const std::string& tag) {
    return *Workflow::builder("w")
                .version_tag(tag)
                .task("a", {.executor = "outside"})
                .task("b", nothing, {.after = {"a"}})
                .task("c", nothing, {.after = {"a"}})
                .build();
  }
  static SubmitOptions with_key(SubmitOptions options = {}) {
    options.durability = Durability::Process;
    options.concurrency_key = "customer 7";
    return options;
  }
  void open(std::unique_ptr<StateStore> store, const std::vector<Workflow>& workflows) {
    auto builder = Runner::builder();
    if (store == nullptr) {
      builder.database_url(directory_.url());
    } else {
      builder.state_store(std::move(store));
    }
    outside_ = std::make_shared<Outside>();
    auto runner = builder.clock(clock_)
                      .lent_threads()
                      .register_executor("outside", outside_)
                      .log_sink([](Severity, std::string_view) {})
                      .build();
    ASSERT_TRUE(runner) << runner.error().message;
    runner_ = std::make_unique<Runner>(std::move(*runner));
    for (const Workflow& workflow : workflows) ASSERT_TRUE(runner_->register_workflow(workflow));
    ASSERT_TRUE(runner_->start());
  }
  void open(const std::vector<Workflow>& workflows) { open(make_memory_store(medium_), workflows); }
  /// The medium is from here on as a crash leaves it.
  void crash() {
    const auto left = crash_now(*runner_, *medium_);
    close();
    medium_ = left;
  }
  void close() {
    ASSERT_TRUE(runner_->stop(0s));
    runner_.reset();
  }
  void run_all() {
    while (runner_->run_some(16).value_or(0) > 0) {
    }
  }
  /// @return  the states that the journal knows of its first pipeline, with the reasons of its last events
  std::pair<PipelineState, std::map<TransitionReason, int>> journal_says() {
    close();
    std::map<TransitionReason, int> reasons;
    StoreImage image(StoreImage::Keep::Everything);
    const auto read = make_memory_store(medium_)->replay([&](auto first, auto commit) {
      return image.apply(first, commit, [&](const TransitionEvent& event) {
        if (is_terminal(event.to)) ++reasons[event.reason];
      });
    });
    EXPECT_TRUE(read) << read.error().message;
    tasks_.clear();
    const PipelineImage& pipeline = image.pipelines().begin()->second;
    for (const TaskImage& task : pipeline.tasks) tasks_.push_back(task.state);
    error_ = pipeline.tasks[0].error;
    return {pipeline.state, reasons};
  }

  const TemporaryDirectory directory_;
  std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  const std::shared_ptr<JumpingClock> clock_ = std::make_shared<JumpingClock>();
  std::shared_ptr<Outside> outside_;
  std::unique_ptr<Runner> runner_;
  std::vector<TaskState> tasks_;
  std::string error_;
};

TEST_F(Unfinished, OnesThatAreGivenUpFreeTheirKeyAndLeaveTheStoreWhole) {
  const Workflow first = version("1"), second = version("2");
  open(nullptr, {first});
  const Uuid id = runner_->submit(first, with_key())->id();
  run_all();
  ASSERT_EQ(outside_->count(), 1U);
  close();
  open(nullptr, {second});
  const PipelineHandle next = *runner_->submit(second, with_key());
  run_all();
  ASSERT_EQ(runner_->explain(next, "a")->cause, Cause::ConcurrencyKey);
  EXPECT_EQ(runner_->fail_unfinished(kName, first.version(), "withdrawn"), 1U);
  run_all();
  EXPECT_EQ(outside_->count(), 1U) << "the next one of its key begins";
  EXPECT_THAT(runner_->unfinished(), IsEmpty());
  close();
  std::vector<std::pair<PipelineState, std::string>> ended;
  ASSERT_TRUE(read_rocksdb_history(directory_.path(), {.id = id},
                                   [&](const PipelineSummary& summary, std::string_view) {
                                     ended.emplace_back(summary.state, summary.error);
                                   }));
  EXPECT_THAT(ended, ElementsAre(std::pair(PipelineState::Failed, std::string("withdrawn"))));
  const auto findings = verify_rocksdb_store(directory_.path());
  ASSERT_TRUE(findings) << findings.error().message;
  for (const StoreError& finding : *findings) ADD_FAILURE() << finding.message;
  open(nullptr, {first});
  EXPECT_THAT(runner_->resumed(), IsEmpty()) << "an end is never taken back";
  close();
}

TEST_F(Unfinished, OnesThatAreGivenUpSayWhyInTheirEvents) {
  const Workflow first = version("1");
  open({first});
  ASSERT_TRUE(runner_->submit(first, with_key()));
  run_all();
  crash();
  open({});
  EXPECT_EQ(runner_->fail_unfinished(kName, first.version(), "withdrawn"), 1U);
  EXPECT_EQ(runner_->fail_unfinished(kName, first.version(), "withdrawn"), 0U) << "they have ended";
  const auto [state, reasons] = journal_says();
  EXPECT_EQ(state, PipelineState::Failed);
  EXPECT_THAT(tasks_, ElementsAre(TaskState::Failed, TaskState::Cancelled, TaskState::Cancelled));
  EXPECT_EQ(error_, "withdrawn");
  EXPECT_THAT(reasons, ElementsAre(std::pair(TransitionReason::GivenUp, 3)));
}

TEST_F(Unfinished, OneEndsAtItsDeadlineWithoutItsVersion) {
  const Workflow first = version("1"), second = version("2");
  open({first});
  ASSERT_TRUE(runner_->submit(first, with_key({.deadline = clock_->after(1h)})));
  run_all();
  crash();
  open({second});
  const PipelineHandle next = *runner_->submit(second, with_key());
  clock_->pass(59min);
  run_all();
  EXPECT_EQ(runner_->unfinished().size(), 1U);
  EXPECT_EQ(next.task_states()[0], TaskState::Ready);
  clock_->pass(2min);
  run_all();
  EXPECT_THAT(runner_->unfinished(), IsEmpty());
  EXPECT_EQ(next.task_states()[0], TaskState::Running) << "the key is free";
  const auto [state, reasons] = journal_says();
  EXPECT_EQ(state, PipelineState::Failed);
  EXPECT_THAT(reasons, testing::Contains(std::pair(TransitionReason::Deadline, 3)));
}

TEST_F(Unfinished, OneWhoseDeadlinePassedWhileNobodyWasThereEndsAtTheStart) {
  const Workflow first = version("1");
  open({first});
  ASSERT_TRUE(runner_->submit(first, with_key({.deadline = clock_->after(1h)})));
  crash();
  clock_->pass(2h);
  open({});
  run_all();
  EXPECT_THAT(runner_->unfinished(), IsEmpty());
  EXPECT_EQ(journal_says().first, PipelineState::Failed);
}

TEST_F(Unfinished, OneIsCancelledByItsIdentifier) {
  const Workflow first = version("1");
  open({first});
  const Uuid id = runner_->submit(first, with_key())->id();
  run_all();
  crash();
  open({});
  ASSERT_TRUE(runner_->cancel(id));
  EXPECT_EQ(runner_->cancel(Uuid()).error().code, ErrorCode::NotFound);
  const auto [state, reasons] = journal_says();
  EXPECT_EQ(state, PipelineState::Cancelled);
  EXPECT_THAT(tasks_, ElementsAre(TaskState::Cancelled, TaskState::Cancelled, TaskState::Cancelled));
  EXPECT_THAT(reasons, ElementsAre(std::pair(TransitionReason::Cancel, 3)));
}

TEST_F(Unfinished, OneThatLivesIsCancelledByItsIdentifierToo) {
  const Workflow first = version("1");
  open({first});
  const PipelineHandle pipeline = *runner_->submit(first, with_key());
  run_all();
  ASSERT_TRUE(runner_->cancel(pipeline.id()));
  run_all();
  EXPECT_EQ(pipeline.wait(kLong)->state, PipelineState::Cancelled);
}

TEST_F(Unfinished, OnesOfARegisteredVersionOrOfNoneAreLeftAlone) {
  const Workflow first = version("1");
  open({first});
  EXPECT_EQ(runner_->fail_unfinished(kName, first.version(), "why").error().code, ErrorCode::InvalidState);
  EXPECT_EQ(runner_->fail_unfinished(kName, 7, "why").error().code, ErrorCode::NotFound);
  EXPECT_EQ(runner_->fail_unfinished(kName, 7, "").error().code, ErrorCode::InvalidArgument);
}

/// A parent that goes on with its child's end, and a child.
class UnfinishedChild : public Unfinished {
 protected:
  void begin_and_crash() {
    open({parent_, child_});
    id_ = runner_->submit(parent_, {.durability = Durability::Process})->id();
    run_all();
    ASSERT_EQ(outside_->count(), 1U);
    crash();
  }
  const PipelineHandle resumed() {
    const auto resumed = runner_->resumed();
    EXPECT_THAT(resumed, testing::SizeIs(1));
    return resumed.at(0);
  }

  const Workflow child_ = Unfinished::version("1");
  std::string word_;
  Workflow parent_ =
      *Workflow::builder("parent")
           .task("begin", [this](TaskContext& task) { EXPECT_TRUE(task.start_child("child", child_)); },
                 {.children = {"child"}})
           .task("go on", [this](TaskContext& task) { word_ = task.context().to_json(); },
                 {.after = {"begin"}, .signal = "child"})
           .build();
  Uuid id_;
};

TEST_F(UnfinishedChild, ThatIsGivenUpTellsItsParent) {
  begin_and_crash();
  open({parent_});
  EXPECT_EQ(runner_->fail_unfinished(kName, child_.version(), "withdrawn"), 1U);
  run_all();
  EXPECT_EQ(resumed().wait(kLong)->state, PipelineState::Completed);
  EXPECT_THAT(word_, HasSubstr("withdrawn"));
}

TEST_F(UnfinishedChild, ThatIsGivenUpTellsAParentThatWaitsForItsVersionToo) {
  begin_and_crash();
  open({});
  EXPECT_EQ(runner_->fail_unfinished(kName, child_.version(), "withdrawn"), 1U);
  run_all();
  ASSERT_TRUE(runner_->register_workflow(parent_));
  run_all();
  EXPECT_EQ(resumed().wait(kLong)->state, PipelineState::Completed);
  EXPECT_THAT(word_, HasSubstr("withdrawn"));
}

TEST_F(UnfinishedChild, OfAParentThatIsGivenUpIsCancelled) {
  begin_and_crash();
  open({child_});
  EXPECT_THAT(runner_->resumed(), IsEmpty()) << "it waits for its parent";
  EXPECT_EQ(runner_->fail_unfinished("public::embedded::parent", parent_.version(), "withdrawn"), 1U);
  run_all();
  EXPECT_EQ(resumed().wait(kLong)->state, PipelineState::Cancelled);
}

}  // namespace
}  // namespace leat::behaviours
