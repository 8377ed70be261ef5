// Time-outs that race with the attempt's own end: the task ends once, by
// the time-out, and the attempt comes back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::StartsWith;

/// Completes each attempt only when it is told to end: from within the cancel callback itself, before anybody
/// else can hear of the time-out.
class EndsWhenTold final : public TaskExecutor {
 public:
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    const auto owned = std::make_shared<CompletionToken>(std::move(token));
    owned->on_cancel([this, owned, task = event.task_execution_id] {
      told.fetch_add(1);
      owned->append_output("told to end");
      owned->complete(ExecutionResult::success(task));
    });
    const std::scoped_lock lock(mutex_);
    tokens_.push_back(owned);  // an attempt that is never told would fail when the executor goes
  }
  std::atomic<int> told = 0;

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<CompletionToken>> tokens_;
};

/// Completes from its own thread at about the time when the limit is reached.
class EndsAtTheLimit final : public TaskExecutor {
 public:
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    const std::scoped_lock lock(mutex_);
    threads_.emplace_back([task = event.task_execution_id, owned = std::move(token),
                           due = std::chrono::steady_clock::now() + 1ms]() mutable {
      while (std::chrono::steady_clock::now() < due) {
      }
      owned.complete(ExecutionResult::success(task));
    });
  }

 private:
  std::mutex mutex_;
  std::vector<std::jthread> threads_;
};

Runner started(std::shared_ptr<TaskExecutor> executor, std::uint32_t max_concurrent) {
  auto runner = Runner::builder()
                    .state_store(make_memory_store())
                    .register_executor("limited", std::move(executor), {.max_concurrent = max_concurrent})
                    .routing_config(RoutingConfig("limited"))
                    .build();
  if (!runner || !runner->start()) throw std::runtime_error("no runner");
  return std::move(*runner);
}

TEST(Overdue, AnAttemptThatEndsInsideItsCancelCallbackStillTimedOut) {
  const auto executor = std::make_shared<EndsWhenTold>();
  Runner runner = started(executor, 1);
  const auto workflow = Workflow::builder("w")
                            .task("slow", {.retry = {.max_attempts = 2, .initial = 1ms}, .timeout = 1ms})
                            .build();
  ASSERT_TRUE(workflow.has_value());
  for (int round = 0; round < 20; ++round) {
    const auto pipeline = runner.submit(*workflow, {.durability = Durability::Process});
    ASSERT_TRUE(pipeline.has_value()) << pipeline.error().message;
    const auto result = pipeline->wait(30s);
    ASSERT_TRUE(result.has_value()) << result.error().message;
    EXPECT_EQ(result->state, PipelineState::Failed);
    EXPECT_EQ(result->failed, 1);
  }
  ASSERT_TRUE(runner.wait_idle(30s).has_value());
  EXPECT_EQ(executor->told.load(), 40) << "two attempts each";
  const ExecutorMetrics metrics = runner.metrics("limited");
  EXPECT_EQ(metrics.total_executed, 40);
  EXPECT_EQ(metrics.total_retried, 20);
  EXPECT_EQ(metrics.total_failed, 20);
  EXPECT_EQ(metrics.total_late, 40) << "each completion came after its time-out";
  EXPECT_EQ(metrics.active_tasks, 0) << "the permit is back";
}

TEST(Overdue, EndAndTimeOutAtTheSameMomentEndTheTaskOnce) {  // row 30
  constexpr std::uint32_t kTasks = 200;
  Runner runner = started(std::make_shared<EndsAtTheLimit>(), 4);
  Workflow::Builder builder("w");
  for (std::uint32_t i = 0; i < kTasks; ++i) {
    builder.task("t" + std::to_string(i), {.retry = {.max_attempts = 1}, .timeout = 1ms});
  }
  const auto workflow = builder.build();
  ASSERT_TRUE(workflow.has_value());
  const auto pipeline = runner.submit(*workflow, {.durability = Durability::Process});
  ASSERT_TRUE(pipeline.has_value()) << pipeline.error().message;
  const auto result = pipeline->wait(60s);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->completed + result->failed, kTasks);
  ASSERT_TRUE(runner.wait_idle(30s).has_value());
  const ExecutorMetrics metrics = runner.metrics("limited");
  EXPECT_EQ(metrics.total_executed, kTasks);
  EXPECT_EQ(metrics.total_failed, result->failed);
  EXPECT_EQ(metrics.total_late, result->failed);
}

}  // namespace
}  // namespace leat
