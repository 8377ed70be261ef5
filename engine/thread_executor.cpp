#include "leat/thread_executor.h"

#include <string>
#include <utility>

#include "attempt.h"
#include "leat/task_context.h"

namespace leat {

std::expected<ExecutionResult, DispatchError> ThreadTaskExecutor::execute(const TaskReadyEvent& event) {
  const TaskFunction* const function = services().find_task(event);
  if (function == nullptr || !*function) {
    return ExecutionResult::failed(event.task_execution_id,
                                   "Task not found: " + std::string(event.task_namespace));
  }
  TaskContext context(event, services(), running_attempt());
  std::expected<void, TaskError> done = (*function)(context);
  // Outweighs what the function made of a context that was not there.
  if (const auto& error = context.load_error()) {
    return ExecutionResult::failed(event.task_execution_id, "Context build failed: " + error->message);
  }
  if (!done) {
    TaskError& error = done.error();
    ExecutionResult result =
        ExecutionResult::failed(event.task_execution_id, std::move(error.message), !error.permanent);
    result.error_class = error.error_class;
    result.retry_after = error.retry_after;
    return result;
  }
  if (auto saved = context.save(); !saved) {
    return ExecutionResult::failed(event.task_execution_id, "Context not saved: " + saved.error().message);
  }
  return ExecutionResult::success(event.task_execution_id);
}

}  // namespace leat
