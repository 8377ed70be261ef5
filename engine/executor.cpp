#include "leat/executor.h"

#include <utility>

namespace leat {

std::expected<ExecutionResult, DispatchError> TaskExecutor::execute(const TaskReadyEvent&) {
  return std::unexpected(DispatchError{DispatchErrorCode::ExecutionFailed, name()});
}

void TaskExecutor::start(const TaskReadyEvent& event, CompletionToken token) {
  token.complete(execute(event));
}

}  // namespace leat
