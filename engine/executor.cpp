#include "leat/executor.h"

#include <utility>

namespace leat {

std::expected<ExecutionResult, DispatchError> TaskExecutor::execute(const TaskReadyEvent&) {
  return std::unexpected(DispatchError{DispatchErrorCode::ExecutionFailed, name()});
}

bool TaskExecutor::adopt(const TaskReadyEvent&, std::string_view, CompletionToken&) {
  return false;
}

bool TaskExecutor::has_capacity() const {
  return services_ == nullptr || services_->has_slots();
}

ExecutorMetrics TaskExecutor::metrics() const {
  return services_ == nullptr ? ExecutorMetrics() : services_->metrics();
}

void TaskExecutor::start(const TaskReadyEvent& event, CompletionToken token) {
  auto result = execute(event);
  token.and_return().complete(std::move(result));
}

}  // namespace leat
