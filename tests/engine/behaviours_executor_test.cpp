// Behaviours of dispatcher and executors, from end to end; see behaviours_scheduler_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "behaviours.h"
#include "capacity.h"
#include "eventually.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;

TEST(BehavioursDispatcher, RoutesByDefaultToTheKeyDefault) {  // row 9
  EXPECT_EQ(RoutingConfig().default_key(), "default");
  EXPECT_TRUE(RoutingConfig().rules().empty());
  EXPECT_EQ(make_runner().dispatcher().resolve_executor_key("a::b::c::d"), "default");
}

TEST(BehavioursDispatcher, AFullExecutorIsNotReplacedByAnIdleOne) {  // rows 11, 12
  auto built = Runner::builder()
                   .database_url("memory:")
                   .default_limits({.max_concurrent = 1, .max_queued = 0})
                   .register_executor("idle", std::make_shared<ThreadTaskExecutor>(), {.max_concurrent = 1})
                   .build();
  Runner runner = std::move(*built);
  std::atomic<bool> open = false;
  const Namespace task = *runner.register_task("t::p::w::hold", [&](TaskContext&) { open.wait(false); });
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(task), kMemory));
  const auto refused = runner.dispatcher().dispatch(runner.make_event(task), kMemory);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, DispatchErrorCode::NoCapacity);
  EXPECT_EQ(refused.error().key, "default");
  EXPECT_TRUE(runner.dispatcher().has_capacity());  // the idle one has
  open = true;
  open.notify_all();
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(runner.metrics("idle").total_executed, 0U);
}

TEST(BehavioursDispatcher, WithoutAnExecutorHasNoCapacity) {  // row 13
  Runner runner = make_started_runner();
  EXPECT_TRUE(runner.dispatcher().has_capacity());
  ASSERT_TRUE(runner.unregister_executor("default"));
  EXPECT_FALSE(runner.dispatcher().has_capacity());
  ASSERT_TRUE(runner.register_executor("other", std::make_shared<ThreadTaskExecutor>()));
  EXPECT_TRUE(runner.dispatcher().has_capacity());
}

TEST(BehavioursDispatcher, EachEndIsWrittenOnce) {  // row 16
  const auto medium = std::make_shared<MemoryMedium>();
  const auto workflow =
      Workflow::builder("w").task("a", nothing).task("b", nothing, {.after = {"a"}}).build();
  {
    Runner runner = make_started_runner(medium);
    EXPECT_EQ(run(runner, *workflow).state, PipelineState::Completed);
  }
  const Seen seen = read(medium);
  EXPECT_THAT(seen.transitions,
              ElementsAre("a ->NotStarted 1", "b ->NotStarted 1", "a NotStarted->Ready 1",
                          "a Ready->Running 1", "a Running->Completed 1", "b NotStarted->Ready 1",
                          "b Ready->Running 1", "b Running->Completed 1"));
  std::vector<PipelineState> ends;
  StoreImage image(StoreImage::Keep::Unfinished);
  image.on_finish([&](const PipelineImage& pipeline) { ends.push_back(pipeline.state); });
  for (const auto& commit : medium->commits) ASSERT_TRUE(image.apply(commit.first_sequence, commit.bytes));
  EXPECT_THAT(ends, ElementsAre(PipelineState::Completed));
}

// --- executor ---

TEST(BehavioursExecutor, HasAsManyFreePlacesAsItMayRunAtOnce) {  // row 20
  auto runner = Runner::builder().database_url("memory:").default_limits({.max_concurrent = 8}).build();
  const ExecutorMetrics metrics = runner->metrics("default");
  EXPECT_EQ(metrics.max_concurrent, 8U);
  EXPECT_EQ(metrics.available_capacity(), 8U);
  EXPECT_EQ(metrics.active_tasks + metrics.total_executed + metrics.total_failed, 0U);  // row 17
}

TEST(BehavioursExecutor, LimitsThatCannotBeAreRefusedWithTheAcceptedOnes) {  // row 62
  const auto refused =
      Runner::builder().database_url("memory:").default_limits({.max_concurrent = 1'000'001}).build();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::InvalidArgument);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("accepted: up to 1000000"));
}

TEST(BehavioursExecutor, ATaskRunsAsLongAsItLikesUnlessItHasATimeout) {  // row 18
  const auto workflow = Workflow::builder("w").task("t", nothing).build();
  EXPECT_EQ(workflow->tasks()[0].timeout, std::chrono::nanoseconds(0));
}

TEST(BehavioursExecutor, ATaskOverItsTimeFailsAndSoDoesItsWorkflow) {  // rows 21, 146
  const auto medium = std::make_shared<MemoryMedium>();
  const auto workflow = Workflow::builder("w")
                            .task("slow",
                                  [](TaskContext& context) {
                                    while (!context.stop_requested()) std::this_thread::yield();
                                  },
                                  {.retry = kOnce, .timeout = 2ms})
                            .build();
  {
    Runner runner = make_started_runner(medium);
    EXPECT_EQ(run(runner, *workflow).state, PipelineState::Failed);
  }
  EXPECT_EQ(read(medium).only().tasks[0].error, "timeout: the attempt ran longer than 2 ms");
}

TEST(BehavioursExecutor, ANameThatIsNotOfFourSegmentsRunsNowhere) {  // rows 22, 191
  Runner runner = make_started_runner();
  EXPECT_FALSE(runner.register_task("a::b::c", nothing));
  EXPECT_FALSE(runner.register_task("a::b::c::d::e", nothing));
  const auto refused = runner.dispatcher().dispatch(TaskReadyEvent{}, kMemory);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, DispatchErrorCode::InvalidEvent);
}

TEST(BehavioursExecutor, ATaskWithoutFunctionFailsWithoutRetry) {  // row 23
  const auto medium = std::make_shared<MemoryMedium>();
  const auto workflow =
      Workflow::builder("w").task("unknown", TaskOptions{.retry = {.max_attempts = 3}}).build();
  {
    Runner runner = make_started_runner(medium);
    EXPECT_EQ(run(runner, *workflow).state, PipelineState::Failed);
    ASSERT_TRUE(runner.wait_idle(kLong));
    EXPECT_EQ(runner.metrics("default").total_failed, 1U);
    EXPECT_EQ(runner.metrics("default").total_executed, 1U);
  }
  EXPECT_EQ(read(medium).only().tasks[0].error, "Task not found: public::embedded::w::unknown");
}

class Released final : public SlotListener {
 public:
  void slots_released() noexcept override { ++times; }
  int times = 0;
};

TEST(BehavioursSlots, AReleasedSlotIsFreeAtOnceAndReleasedOnce) {  // row 26
  Released listener;
  Capacity capacity(1, listener);
  Slots slot(capacity, 1);
  ASSERT_EQ(slot.count(), 1U);
  slot.release();
  EXPECT_EQ(capacity.admitted(), 0U);
  slot.release();
  EXPECT_EQ(capacity.admitted(), 0U);
  EXPECT_EQ(listener.times, 1);
}

TEST(BehavioursSlots, AHeldSlotIsNotHadTwice) {  // row 28
  Released listener;
  Capacity capacity(1, listener);
  const Slots held(capacity, 1);
  EXPECT_EQ(Slots(capacity, 1).count(), 0U);
  EXPECT_EQ(capacity.admitted(), 1U);
}

TEST(BehavioursSlots, ADroppedTokenGivesItsSlotBack) {  // row 29
  Released listener;
  Capacity capacity(2, listener);
  { const Slots both(capacity, 2); }
  EXPECT_EQ(capacity.admitted(), 0U);
  EXPECT_EQ(listener.times, 1);
}

TEST(BehavioursSlots, WhoFindsNoneWaitsUntilOneIsFreed) {  // row 27
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .default_limits({.max_concurrent = 1, .max_queued = 0})
                    .build();
  std::atomic<bool> open = false;
  std::atomic<int> ran = 0;
  ASSERT_TRUE(runner->start());
  const auto hold = [&](TaskContext&) { open.wait(false), ++ran; };
  const auto workflow = Workflow::builder("w").task("first", hold).task("second", hold).build();
  const auto handle = runner->submit(*workflow);
  ASSERT_TRUE(eventually([&] { return runner->metrics("default").parked_tasks == 1; }));
  EXPECT_EQ(ran, 0);
  open = true;
  open.notify_all();
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_EQ(ran, 2);
}

TEST(BehavioursExecutor, ACancelledTaskMayEndCleanly) {  // row 31
  Runner runner = make_started_runner();
  std::atomic<bool> began = false;
  const auto workflow = Workflow::builder("w")
                            .task("watches",
                                  [&](TaskContext& context) {
                                    began = true;
                                    while (!context.stop_requested()) std::this_thread::yield();
                                  })
                            .build();
  auto handle = runner.submit(*workflow);
  ASSERT_TRUE(eventually([&] { return began.load(); }));
  ASSERT_TRUE(handle->cancel());
  const auto result = handle->wait(kLong);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->state, PipelineState::Cancelled);
  EXPECT_THAT(handle->task_states(), ElementsAre(TaskState::Completed));
}

TEST(BehavioursExecutor, AStopTokenThatNobodyUsedStaysSilent) {  // row 32
  std::stop_token token;
  {
    Runner runner = make_started_runner();
    const auto workflow =
        Workflow::builder("w").task("a", [&](TaskContext& context) { token = context.stop_token(); }).build();
    run(runner, *workflow);
  }
  EXPECT_FALSE(token.stop_requested());
}

TEST(BehavioursExecutor, ARetriedRunCountsAsExecutedNotAsFailed) {  // row 35
  Runner runner = make_started_runner();
  const auto workflow = Workflow::builder("w")
                            .task("flaky",
                                  [](TaskContext& context) -> std::expected<void, TaskError> {
                                    if (context.attempt() == 1)
                                      return std::unexpected(TaskError("busy").after(0ns));
                                    return {};
                                  })
                            .build();
  EXPECT_EQ(run(runner, *workflow).state, PipelineState::Completed);
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(runner.metrics("default").total_executed, 2U);
  EXPECT_EQ(runner.metrics("default").total_failed, 0U);
}

}  // namespace
}  // namespace leat::behaviours
