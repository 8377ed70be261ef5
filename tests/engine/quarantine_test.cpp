// Tasks that were given up because their process died with them: they stay on a list, over restarts, until
// somebody redrives or forgets them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "behaviours.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// a -> poison, which runs until the test ends it; its process may die with it once less than `rescues_max`
/// says.
class Quarantined : public testing::Test {
 protected:
  void open(Retention events = {}) {
    auto runner = Runner::builder()
                      .state_store(make_memory_store(medium_))
                      .lent_threads()
                      .checkpoint_after(2000)
                      .retain_events(events)
                      .register_executor("outside", outside_, {.max_concurrent = 4})
                      .build();
    ASSERT_TRUE(runner) << runner.error().message;
    runner_ = std::make_unique<Runner>(std::move(*runner));
    ASSERT_TRUE(runner_->register_workflow(workflow_));
    ASSERT_TRUE(runner_->start());
    run_all();
  }
  void close() {
    outside_->running.clear();
    ASSERT_TRUE(runner_->stop(kLong));
    runner_.reset();
  }
  void crash() {
    const MemoryMedium left = *medium_;
    close();
    *medium_ = left;
    medium_->open = false;
  }
  void TearDown() override {
    if (runner_ != nullptr) close();
  }
  void run_all() {
    while (runner_->run_some(16).value_or(0) > 0) {
    }
  }
  /// Of pipelines that die with their processes as often as may be, and once more.
  std::vector<Uuid> make_some(int pipelines) {
    open();
    std::vector<Uuid> ids;
    for (int i = 0; i < pipelines; ++i) ids.push_back(runner_->submit_async(workflow_)->id());
    run_all();
    for (int deaths = 0; deaths < 2; ++deaths) {
      EXPECT_FALSE(outside_->running.empty());
      crash();
      open();
    }
    return ids;
  }
  /// So that rounds of the checkpoint are written, and the events before them may go.
  void run_others() {
    const auto other = *Workflow::builder("other").task("t", nothing).build();
    for (int i = 0; i < 200; ++i) ASSERT_TRUE(runner_->submit(other)->wait(kLong));
    run_all();
  }

  class Outside final : public TaskExecutor {
   public:
    void start(const TaskReadyEvent& event, CompletionToken token) override {
      context = services().load_context(event).value();
      running.push_back(std::move(token));
    }
    std::vector<CompletionToken> running;
    std::string context;
  };

  const std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  const std::shared_ptr<Outside> outside_ = std::make_shared<Outside>();
  const Workflow workflow_ =
      *Workflow::builder("w")
           .task("a", [](TaskContext& task) { task.set("a", std::int64_t{41}); })
           .task("poison", nothing, {.after = {"a"}, .rescues_max = 1, .executor = "outside"})
           .build();
  std::unique_ptr<Runner> runner_;
};

TEST_F(Quarantined, TaskIsListedWithHowItCameThere) {
  const Uuid id = make_some(1).front();
  const auto tasks = runner_->quarantined();
  ASSERT_THAT(tasks, SizeIs(1));
  EXPECT_EQ(tasks[0].pipeline, id);
  EXPECT_EQ(tasks[0].task, "public::embedded::w::poison");
  EXPECT_EQ(tasks[0].attempt, 1U);
  EXPECT_EQ(tasks[0].rescues, 1U);
  EXPECT_GT(tasks[0].since_ns, 0);
  EXPECT_EQ(tasks[0].error, "ABANDONED: the process died during each of 2 runs of this task");
}

TEST_F(Quarantined, TaskIsListedAfterFurtherRestarts) {
  make_some(1);
  close();
  open();
  EXPECT_THAT(runner_->quarantined(), SizeIs(1));
  crash();
  open();
  EXPECT_THAT(runner_->quarantined(), SizeIs(1));
}

TEST_F(Quarantined, TaskOutlivesItsEvents) {
  const Uuid id = make_some(1).front();
  close();
  open({.age_ns = 0});
  run_others();
  EXPECT_EQ(runner_->redrive(id, "poison").error().code, ErrorCode::NotFound) << "its events are gone";
  close();
  open({.age_ns = 0});
  EXPECT_THAT(runner_->quarantined(), SizeIs(1));
}

TEST_F(Quarantined, TaskThatIsRedrivenRunsAgainOnceWithItsContext) {
  const Uuid id = make_some(1).front();
  close();
  open();
  const auto again = runner_->redrive(id, "poison");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_THAT(runner_->quarantined(), IsEmpty());
  EXPECT_EQ(runner_->redrive(id, "poison").error().code, ErrorCode::NotFound);
  run_all();
  ASSERT_THAT(outside_->running, SizeIs(1));
  EXPECT_EQ(outside_->context, "{\"a\":41}");
  crash();
  open();
  EXPECT_THAT(runner_->quarantined(), IsEmpty()) << "its rescues are counted anew";
  ASSERT_THAT(runner_->resumed(), SizeIs(1));
  EXPECT_EQ(runner_->resumed()[0].id(), again->id());
  ASSERT_THAT(outside_->running, SizeIs(1));
  outside_->running[0].complete(ExecutionResult::success({}));
  run_all();
  EXPECT_EQ(runner_->resumed()[0].state(), PipelineState::Completed);
}

TEST_F(Quarantined, TaskThatIsForgottenStaysSo) {
  const Uuid id = make_some(1).front();
  EXPECT_EQ(runner_->forget_quarantined(id, "a").error().code, ErrorCode::NotFound);
  EXPECT_TRUE(runner_->forget_quarantined(id, "poison"));
  EXPECT_EQ(runner_->forget_quarantined(id, "poison").error().code, ErrorCode::NotFound);
  EXPECT_THAT(runner_->quarantined(), IsEmpty());
  crash();
  open();
  EXPECT_THAT(runner_->quarantined(), IsEmpty());
}

TEST_F(Quarantined, TasksComeInPages) {
  const std::vector<Uuid> ids = make_some(3);
  const auto first = runner_->quarantined({}, 2);
  ASSERT_THAT(first, SizeIs(2));
  const auto second = runner_->quarantined(first.back().pipeline, 2);
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_THAT((std::vector{first[0].pipeline, first[1].pipeline, second[0].pipeline}),
              ElementsAre(ids[0], ids[1], ids[2]));
  EXPECT_THAT(runner_->quarantined(second.back().pipeline, 2), IsEmpty());
}

TEST(QuarantineLimits, AreRefusedAboveAThousand) {
  const auto workflow = Workflow::builder("w").task("t", nothing, {.rescues_max = 1001}).build();
  ASSERT_FALSE(workflow);
  EXPECT_THAT(workflow.error().message, HasSubstr("rescues_max: 1001 (accepted: at most 1000)"));
}

}  // namespace
}  // namespace leat::behaviours
