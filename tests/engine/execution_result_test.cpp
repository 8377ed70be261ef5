// Results of attempts, and the names of the codes.
#include <gtest/gtest.h>

#include "leat/error.h"
#include "leat/executor.h"

namespace leat {
namespace {

using namespace std::chrono_literals;

const Uuid kTask{{1, 2, 3}};

TEST(ExecutionResult, SuccessIsCompletedWithoutError) {  // row 2
  const auto result = ExecutionResult::success(kTask, 1s);
  EXPECT_EQ(result.task_execution_id, kTask);
  EXPECT_EQ(result.status, ExecutionStatus::Completed);
  EXPECT_EQ(result.error_message, "");
  EXPECT_EQ(result.duration, 1s);
  EXPECT_FALSE(result.should_retry());
}

TEST(ExecutionResult, FailedKeepsItsErrorAndIsFinal) {  // row 3
  const auto result = ExecutionResult::failed(kTask, "boom", false, 50ms);
  EXPECT_EQ(result.status, ExecutionStatus::Failed);
  EXPECT_EQ(result.error_message, "boom");
  EXPECT_EQ(result.duration, 50ms);
  EXPECT_FALSE(result.should_retry());
}

TEST(ExecutionResult, RetryKeepsItsErrorAndAsksForAnotherAttempt) {  // row 4
  const auto result = ExecutionResult::retry(kTask, "transient", 10ms);
  EXPECT_EQ(result.task_execution_id, kTask);
  EXPECT_EQ(result.status, ExecutionStatus::Retry);
  EXPECT_EQ(result.error_message, "transient");
  EXPECT_EQ(result.duration, 10ms);
  EXPECT_TRUE(result.should_retry());
}

TEST(ExecutionResult, FailedThatShouldRetryIsRetry) {
  EXPECT_EQ(ExecutionResult::failed(kTask, "boom", true).status, ExecutionStatus::Retry);
}

std::uint64_t available(std::uint64_t active, std::uint64_t most) {
  ExecutorMetrics metrics;
  metrics.active_tasks = active;
  metrics.max_concurrent = most;
  return metrics.available_capacity();
}

TEST(ExecutorMetrics, AvailableCapacityIsWhatIsLeftAndNeverNegative) {  // rows 6, 7, 8
  EXPECT_EQ(available(2, 8), 6u);
  EXPECT_EQ(available(4, 4), 0u);
  EXPECT_EQ(available(9, 4), 0u);
}

TEST(ErrorNames, AreTheEnumeratorsAsSpelled) {
  EXPECT_EQ(to_string(ErrorCode::WouldDeadlock), "WouldDeadlock");
  EXPECT_EQ(to_string(ErrorCode::Damaged), "Damaged");
  EXPECT_EQ(to_string(DispatchErrorCode::NoExecutor), "NoExecutor");
  EXPECT_EQ(to_string(DispatchErrorCode::Storage), "Storage");
  EXPECT_EQ(to_string(ExecutionStatus::Completed), "Completed");
  EXPECT_EQ(to_string(ExecutionStatus::Retry), "Retry");
}

}  // namespace
}  // namespace leat
