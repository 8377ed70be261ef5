// Runner::explain(): a task that does not run is told why, with who or what it waits for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "eventually.h"
#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;  // in tests alone
using testing::AllOf;
using testing::HasSubstr;
using Cause = TaskExplanation::Cause;

/// A lane for one task at a time, which runs until the test lets it go.
class Explanation : public testing::Test {
 protected:
  void SetUp() override {
    auto built = Runner::builder()
                     .state_store(make_memory_store())
                     .default_limits({.max_concurrent = 1, .max_queued = 1})
                     .register_executor("other", std::make_shared<ThreadTaskExecutor>())
                     .build();
    ASSERT_TRUE(built) << built.error().message;
    runner_ = std::make_unique<Runner>(std::move(*built));
    ASSERT_TRUE(runner_->start());
  }
  void TearDown() override {
    let_go();
    EXPECT_TRUE(runner_->stop(30s));
  }
  void let_go() {
    open_ = true;
    open_.notify_all();
  }
  Workflow holding(const std::string& name) {
    return *Workflow::builder(name)
                .task("first",
                      [this](TaskContext&) {
                        ++held_;
                        open_.wait(false);
                      })
                .task("second", [](TaskContext&) {}, {.after = {"first"}})
                .build();
  }
  PipelineHandle submit(const Workflow& workflow, SubmitOptions options = {}) {
    auto handle = runner_->submit(workflow, std::move(options));
    EXPECT_TRUE(handle) << handle.error().message;
    return *handle;
  }
  /// A pipeline whose first task holds the lane.
  PipelineHandle occupy() {
    const PipelineHandle pipeline = submit(holding("holds"));
    EXPECT_TRUE(eventually([this] { return held_ == 1; }));
    return pipeline;
  }
  TaskExplanation explain(const PipelineHandle& pipeline, std::string_view task) {
    const auto explained = runner_->explain(pipeline, task);
    EXPECT_TRUE(explained) << explained.error().message;
    return *explained;
  }

  std::atomic<bool> open_ = false;
  std::atomic<int> held_ = 0;
  std::unique_ptr<Runner> runner_;
};

TEST_F(Explanation, OfARunningTaskNamesItsThreadAndAge) {
  const PipelineHandle pipeline = occupy();
  const TaskExplanation why = explain(pipeline, "first");
  EXPECT_EQ(why.state, TaskState::Running);
  EXPECT_EQ(why.cause, Cause::Running);
  EXPECT_THAT(why.text, AllOf(HasSubstr("public::embedded::holds::first"), HasSubstr("s ago by thread '"),
                              HasSubstr("executor 'default'")));
}

TEST_F(Explanation, OfADependentNamesWhatHasNotEnded) {
  const PipelineHandle pipeline = occupy();
  const TaskExplanation why = explain(pipeline, "public::embedded::holds::second");
  EXPECT_EQ(why.state, TaskState::NotStarted);
  EXPECT_EQ(why.cause, Cause::Dependencies);
  EXPECT_EQ(why.text, "waits for first (Running)");
  let_go();
  ASSERT_TRUE(pipeline.wait(30s));
  EXPECT_EQ(explain(pipeline, "second").cause, Cause::Ended);
}

TEST_F(Explanation, OfReadyTasksTellsTheQueuedFromTheParked) {
  occupy();
  const PipelineHandle queued = submit(holding("queued"));
  const PipelineHandle parked = submit(holding("parked"));
  const PipelineHandle behind = submit(holding("behind"));
  ASSERT_TRUE(eventually([this] { return runner_->metrics("default").parked_tasks == 2; }));
  EXPECT_EQ(explain(queued, "first").cause, Cause::Queued);
  const TaskExplanation why = explain(parked, "first");
  EXPECT_EQ(why.state, TaskState::Ready);
  EXPECT_EQ(why.cause, Cause::LaneFull);
  EXPECT_EQ(why.text,
            "parked behind 0 of its tenant at 'default': 1 of 1 attempts run, 1 of 1 wait, 2 are parked");
  EXPECT_THAT(explain(behind, "first").text, HasSubstr("parked behind 1 of its tenant"));
}

TEST_F(Explanation, OfARetryTellsWhenItIsDue) {
  const auto workflow = Workflow::builder("w")
                            .task("t", [](TaskContext&) { throw std::runtime_error("no"); },
                                  {.retry = RetryPolicy{.initial = 1h, .cap = 2h}})
                            .build();
  PipelineHandle pipeline = submit(*workflow);
  ASSERT_TRUE(eventually([&] { return explain(pipeline, "t").cause == Cause::RetryTime; }));
  EXPECT_THAT(explain(pipeline, "t").text, HasSubstr("attempt 2 is due in "));
  EXPECT_TRUE(pipeline.cancel());
}

TEST_F(Explanation, TellsEachPauseFromTheOthers) {
  occupy();
  PipelineHandle pipeline = submit(holding("waits"));
  ASSERT_TRUE(runner_->pause_executor("default"));
  EXPECT_EQ(explain(pipeline, "first").cause, Cause::PausedExecutor);
  ASSERT_TRUE(runner_->pause_namespaces("public::embedded::waits::**"));
  EXPECT_EQ(explain(pipeline, "first").cause, Cause::PausedName);
  ASSERT_TRUE(pipeline.pause("the audit"));
  EXPECT_EQ(explain(pipeline, "first").text, "its pipeline is paused: the audit");
}

TEST_F(Explanation, OfAPauseNamesThePatternOrKeyAndTheReason) {
  occupy();
  const PipelineHandle pipeline = submit(holding("waits"));
  ASSERT_TRUE(runner_->pause_executor("default", "new disks"));
  EXPECT_EQ(explain(pipeline, "first").text, "executor 'default' is paused: new disks");
  ASSERT_TRUE(runner_->pause_namespaces("public::*::waits::**", "the audit"));
  ASSERT_TRUE(runner_->pause_namespaces("other::**"));
  EXPECT_EQ(explain(pipeline, "first").text, "its namespace is paused by 'public::*::waits::**': the audit");
}

TEST_F(Explanation, OfASkippedTaskNamesItsRuleAndWhatMadeItFalse) {
  const auto workflow =
      Workflow::builder("w")
          .task("a", [](TaskContext&) { throw std::runtime_error("no"); }, {.retry = {.max_attempts = 1}})
          .task("b", [](TaskContext&) {}, {.after = {"a"}})
          .build();
  const PipelineHandle pipeline = submit(*workflow);
  ASSERT_TRUE(pipeline.wait(30s));
  const TaskExplanation why = explain(pipeline, "b");
  EXPECT_EQ(why.cause, Cause::Ended);
  EXPECT_EQ(why.text, R"(its trigger rule {"type":"AllSuccess"} was false: a is Failed)");
}

TEST_F(Explanation, OfAConcurrencyKeyNamesTheKey) {
  submit(holding("first"), {.concurrency_key = "customer 7"});
  const TaskExplanation why = explain(submit(holding("next"), {.concurrency_key = "customer 7"}), "first");
  EXPECT_EQ(why.cause, Cause::ConcurrencyKey);
  EXPECT_EQ(why.text, "waits for other pipelines of the key 'customer 7'");
}

TEST_F(Explanation, OfAKeyWithoutExecutorNamesTheKey) {
  const auto workflow = Workflow::builder("w").task("t", [](TaskContext&) {}, {.executor = "other"}).build();
  ASSERT_TRUE(runner_->register_workflow(*workflow));
  ASSERT_TRUE(runner_->unregister_executor("other"));
  const PipelineHandle pipeline = submit(*workflow);
  const TaskExplanation why = explain(pipeline, "t");
  EXPECT_EQ(why.cause, Cause::NoExecutor);
  EXPECT_EQ(why.text, "no executor is registered as 'other' now");
  ASSERT_TRUE(runner_->register_executor("other", std::make_shared<ThreadTaskExecutor>()));
}

TEST_F(Explanation, OfAnUnknownTaskIsRefused) {
  const auto refused = runner_->explain(occupy(), "third");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::NotFound);
  EXPECT_EQ(refused.error().message, "workflow 'public::embedded::holds' has no task 'third'");
}

}  // namespace
}  // namespace leat
