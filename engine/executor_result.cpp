// The makers of ExecutionResult, and the names of the codes that executors and callers exchange.
#include <utility>

#include "leat/error.h"
#include "leat/executor.h"

namespace leat {

std::string_view to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::InvalidArgument:
      return "InvalidArgument";
    case ErrorCode::InvalidState:
      return "InvalidState";
    case ErrorCode::NotFound:
      return "NotFound";
    case ErrorCode::AlreadyExists:
      return "AlreadyExists";
    case ErrorCode::Timeout:
      return "Timeout";
    case ErrorCode::WouldDeadlock:
      return "WouldDeadlock";
    case ErrorCode::Stopped:
      return "Stopped";
    case ErrorCode::Storage:
      return "Storage";
    case ErrorCode::Locked:
      return "Locked";
    case ErrorCode::Damaged:
      return "Damaged";
    case ErrorCode::Cancelled:
      return "Cancelled";
    case ErrorCode::WrongType:
      return "WrongType";
  }
  return "unknown";
}

std::string_view to_string(DispatchErrorCode code) noexcept {
  switch (code) {
    case DispatchErrorCode::NoExecutor:
      return "NoExecutor";
    case DispatchErrorCode::NoCapacity:
      return "NoCapacity";
    case DispatchErrorCode::ExecutionFailed:
      return "ExecutionFailed";
    case DispatchErrorCode::Stopped:
      return "Stopped";
    case DispatchErrorCode::InvalidEvent:
      return "InvalidEvent";
    case DispatchErrorCode::Storage:
      return "Storage";
  }
  return "unknown";
}

std::string_view to_string(ExecutionStatus status) noexcept {
  switch (status) {
    case ExecutionStatus::Completed:
      return "Completed";
    case ExecutionStatus::Failed:
      return "Failed";
    case ExecutionStatus::Retry:
      return "Retry";
  }
  return "unknown";
}

ExecutionResult ExecutionResult::success(const Uuid& task, std::chrono::nanoseconds duration) {
  return {.task_execution_id = task,
          .status = ExecutionStatus::Completed,
          .error_message = {},
          .duration = duration,
          .retry_after = {},
          .error_class = TaskError::Class::Task};
}

ExecutionResult ExecutionResult::failed(const Uuid& task, std::string message, bool should_retry,
                                        std::chrono::nanoseconds duration) {
  return {.task_execution_id = task,
          .status = should_retry ? ExecutionStatus::Retry : ExecutionStatus::Failed,
          .error_message = std::move(message),
          .duration = duration,
          .retry_after = {},
          .error_class = TaskError::Class::Task};
}

ExecutionResult ExecutionResult::retry(const Uuid& task, std::string message,
                                       std::chrono::nanoseconds duration) {
  return failed(task, std::move(message), true, duration);
}

}  // namespace leat
