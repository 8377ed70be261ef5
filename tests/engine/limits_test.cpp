// Limits on waiting and on the whole of a task, and attempts that heed nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"
#include "virtual_clock.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// A gate that tasks wait at.
class Gate {
 public:
  void wait() { open_.wait(false); }
  void open() {
    open_ = true;
    open_.notify_all();
  }

 private:
  std::atomic<bool> open_ = false;
};

class Limits : public testing::TestWithParam<Durability> {
 protected:
  Runner make_runner(std::uint32_t max_concurrent, std::chrono::nanoseconds stuck_after = 5s) {
    auto runner = Runner::builder()
                      .state_store(make_memory_store())
                      .default_limits({.max_concurrent = max_concurrent, .max_queued = 1})
                      .stuck_warning(stuck_after)
                      .log_sink([this](Severity, std::string_view line) {
                        const std::lock_guard lock(mutex_);
                        said_.emplace_back(line);
                      })
                      .build();
    EXPECT_TRUE(runner && runner->start());
    return std::move(*runner);
  }
  PipelineHandle submit(Runner& runner, const Workflow& workflow) const {
    return *runner.submit(workflow, {.durability = GetParam()});
  }
  std::vector<std::string> said() {
    const std::lock_guard lock(mutex_);
    return said_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> said_;
};

INSTANTIATE_TEST_SUITE_P(Levels, Limits, testing::Values(Durability::Memory, Durability::Disk),
                         [](const auto& param) {
                           return param.param == Durability::Memory ? "Memory" : "Disk";
                         });

TEST_P(Limits, ATaskThatWaitsTooLongForAWorkerFailsWithoutHavingRun) {
  Runner runner = make_runner(1);
  Gate gate;
  std::atomic<int> ran = 0;
  const auto busy = Workflow::builder("busy").task("hold", [&](TaskContext&) { gate.wait(); }).build();
  auto holder = submit(runner, *busy);
  ASSERT_TRUE(eventually([&] { return runner.metrics("default").active_tasks == 1; }));
  // One finds a place in the queue, one is parked, one waits for another.
  const auto waiting = Workflow::builder("waiting")
                           .task("queued", [&](TaskContext&) { ++ran; }, {.queue_timeout = 1ms})
                           .task("parked", [&](TaskContext&) { ++ran; }, {.queue_timeout = 1ms})
                           .task("after", [&](TaskContext&) { ++ran; },
                                 {.after = {"queued", "parked"}, .trigger = TriggerRule::all_done()})
                           .build();
  auto waiter = submit(runner, *waiting);
  ASSERT_TRUE(eventually([&] {
    return waiter.task_states()[0] == TaskState::Failed && waiter.task_states()[1] == TaskState::Failed;
  }));
  EXPECT_EQ(ran, 0);
  gate.open();
  const auto result = waiter.wait(30s);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->failed, 2U);
  EXPECT_EQ(result->completed, 1U);
  EXPECT_EQ(ran, 1);
  ASSERT_TRUE(holder.wait(30s));
  ASSERT_TRUE(runner.wait_idle(30s));
  EXPECT_EQ(runner.metrics("default").total_dropped, 2U);
}

TEST_P(Limits, ATaskThatBeginsInTimeIsNotHeldToItsQueueTimeout) {
  Runner runner = make_runner(1);
  Gate gate;
  const auto slow = Workflow::builder("s")
                        .task("slow", [&](TaskContext&) { gate.wait(); }, {.queue_timeout = 500ms})
                        .build();
  // What is due later than the limit shows that the limit's time has come.
  const auto later = Workflow::builder("l")
                         .task("t",
                               [](TaskContext& task) -> std::expected<void, TaskError> {
                                 if (task.attempt() == 1)
                                   return std::unexpected(TaskError("again").after(700ms));
                                 return {};
                               },
                               {.retry = {.max_attempts = 2}, .executor = "other"})
                         .build();
  ASSERT_TRUE(
      runner.register_executor("other", std::make_shared<ThreadTaskExecutor>(), {.max_concurrent = 1}));
  auto pipeline = submit(runner, *slow);
  ASSERT_TRUE(eventually([&] { return runner.metrics("default").active_tasks == 1; }));
  ASSERT_EQ(submit(runner, *later).wait(30s)->state, PipelineState::Completed);
  EXPECT_EQ(pipeline.task_states()[0], TaskState::Running);
  gate.open();
  EXPECT_EQ(pipeline.wait(30s)->state, PipelineState::Completed);
}

TEST_P(Limits, ATaskThatTakesTooLongInAllIsToldToStopAndNotRetried) {
  Runner runner = make_runner(1);
  const auto workflow =
      Workflow::builder("w")
          .task("t",
                [](TaskContext& task) -> std::expected<void, TaskError> {
                  while (!task.stop_requested()) std::this_thread::yield();
                  return std::unexpected(TaskError("told", TaskError::Class::Transient));
                },
                {.retry = {.max_attempts = 1000, .initial = 1ms}, .timeout = 5ms, .total_timeout = 40ms})
          .build();
  const auto result = submit(runner, *workflow).wait(30s);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, PipelineState::Failed);
  ASSERT_TRUE(runner.wait_idle(30s));
  const ExecutorMetrics metrics = runner.metrics("default");
  EXPECT_GE(metrics.total_executed, 1U);
  EXPECT_LT(metrics.total_executed, 1000U);
  EXPECT_EQ(metrics.active_tasks, 0U);
}

TEST_P(Limits, ATaskWhoseTimeIsUpWhileItWaitsForItsRetryFailsAtOnce) {
  Runner runner = make_runner(1);
  const auto workflow = Workflow::builder("w")
                            .task("t",
                                  [](TaskContext&) -> std::expected<void, TaskError> {
                                    return std::unexpected(TaskError("later").after(1h));
                                  },
                                  {.retry = {.max_attempts = 2}, .total_timeout = 5ms})
                            .build();
  const auto result = submit(runner, *workflow).wait(30s);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, PipelineState::Failed);
}

TEST_P(Limits, NoTimerIsLeftOfTasksThatEndedInTime) {
  Runner runner = make_runner(2);
  Workflow::Builder builder("w");
  for (int i = 0; i < 100; ++i) {
    builder.task("t" + std::to_string(i), [](TaskContext&) {},
                 {.timeout = 1h, .queue_timeout = 1h, .total_timeout = 1h});
  }
  const auto workflow = builder.build();
  ASSERT_EQ(submit(runner, *workflow).wait(30s)->state, PipelineState::Completed);
  ASSERT_TRUE(runner.wait_idle(30s));
  EXPECT_THAT(runner.metrics_text(), HasSubstr("\nleat_timers 0\n"));
}

TEST_P(Limits, AnAttemptThatHeedsNothingIsSaidToBeStuckOnceWithItsThread) {
  Runner runner = make_runner(1, 1ms);
  Gate gate;
  const auto workflow =
      Workflow::builder("w")
          .task("deaf", [&](TaskContext&) { gate.wait(); }, {.retry = {.max_attempts = 1}, .timeout = 1ms})
          .build();
  ASSERT_EQ(submit(runner, *workflow).wait(30s)->state, PipelineState::Failed);
  ASSERT_TRUE(eventually([&] { return runner.metrics("default").stuck_tasks == 1; }));
  ASSERT_TRUE(eventually([&] { return !said().empty(); }));
  EXPECT_THAT(said(), ElementsAre(AllOf(HasSubstr("task 'public::embedded::w::deaf', attempt 1, begun "),
                                        HasSubstr("by thread 'leat-defaul-0'"), HasSubstr("is stuck"))));
  gate.open();
  ASSERT_TRUE(runner.wait_idle(30s));
  EXPECT_EQ(runner.metrics("default").stuck_tasks, 0U);
  ASSERT_TRUE(eventually([&] { return said().size() == 2; }));
  EXPECT_THAT(said()[1], HasSubstr("has come back"));
}

/// Stands still, and calls back where the next duration is measured: by who handles an attempt's end.
class ToldClock final : public Clock {
 public:
  std::int64_t steady_ns() noexcept override { return clock_.steady_ns(); }
  std::int64_t unix_ns() noexcept override { return clock_.unix_ns(); }
  std::int64_t stopwatch_ns() noexcept override {
    std::exchange(told, [] {})();
    return clock_.steady_ns();
  }
  void advance(std::chrono::nanoseconds time) { clock_.advance(time); }
  std::function<void()> told = [] {};

 private:
  VirtualClock clock_;
};

TEST(QueueTimeout, OfAnEarlierAttemptDoesNotEndTheNextOne) {
  const auto clock = std::make_shared<ToldClock>();
  auto runner = Runner::builder().database_url("memory:").clock(clock).lent_threads().build();
  ASSERT_TRUE(runner);
  const auto fails_once = [&](TaskContext& task) -> std::expected<void, TaskError> {
    if (task.attempt() > 1) return {};
    clock->told = [&] {  // its timer is told while its end is handled, which then comes first
      clock->advance(1s);
      std::jthread([&] { EXPECT_TRUE(runner->run_some(0)); });
    };
    return std::unexpected(TaskError("again").after(1min));
  };
  const auto workflow = *Workflow::builder("w")
                             .task("t", fails_once,
                                   {.retry = {.max_attempts = 2, .jitter = false}, .queue_timeout = 1s})
                             .build();
  ASSERT_TRUE(runner->start());
  const auto handle = runner->submit_async(workflow, {.durability = Durability::Memory});
  ASSERT_TRUE(handle);
  const auto run_all = [&] {
    while (runner->run_some(1).value_or(0) > 0) {
    }
  };
  run_all();
  EXPECT_EQ(handle->task_states()[0], TaskState::Ready);
  clock->advance(1min - 1s);
  run_all();
  EXPECT_EQ(handle->state(), PipelineState::Completed);
}

}  // namespace
}  // namespace leat
