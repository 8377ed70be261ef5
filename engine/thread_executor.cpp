#include "leat/thread_executor.h"

#include <string>
#include <utility>

#include "attempt.h"
#include "coroutine_run.h"
#include "leat/task_context.h"
#include "task_result.h"

namespace leat {
namespace {

ExecutionResult not_found(const TaskReadyEvent& event) {
  return ExecutionResult::failed(event.task_execution_id,
                                 "Task not found: " + std::string(event.task_namespace))
      .as(TaskError::Class::TaskNotFound);
}

}  // namespace

ExecutionResult task_result(TaskContext& context, std::expected<void, TaskError> outcome) {
  const Uuid& id = context.event().task_execution_id;
  // Outweighs what the function made of a context that was not there.
  if (const auto& error = context.load_error()) {
    return ExecutionResult::failed(id, "Context build failed: " + error->message)
        .as(TaskError::Class::Validation);
  }
  if (!outcome) {
    TaskError& error = outcome.error();
    ExecutionResult result = ExecutionResult::failed(id, std::move(error.message), !error.permanent);
    result.error_class = error.error_class;
    result.retry_after = error.retry_after;
    return result;
  }
  if (auto saved = context.save(); !saved) {
    return ExecutionResult::failed(id, "Context not saved: " + saved.error().message)
        .as(TaskError::Class::Validation);
  }
  return ExecutionResult::success(id);
}

std::expected<ExecutionResult, DispatchError> ThreadTaskExecutor::execute(const TaskReadyEvent& event) {
  const TaskFunction* const function = services().find_task(event);
  if (function == nullptr || !*function) return not_found(event);
  TaskContext context(event, services(), running_attempt());
  std::expected<void, TaskError> done = (*function)(context);
  return task_result(context, std::move(done));
}

void ThreadTaskExecutor::start(const TaskReadyEvent& event, CompletionToken token) {
  const TaskFunction* const function = services().find_task(event);
  if (function == nullptr || !*function) return token.complete(not_found(event));
  TaskContext context(event, services(), running_attempt());
  std::expected<void, TaskError> done = (*function)(context);
  if (const CoroutineFunction* const coroutine = context.coroutine()) [[unlikely]]
    return CoroutineRun::start(*coroutine, event, services(), std::move(token));
  if (done && !context.looked_at()) [[likely]]
    return token.and_return().complete();  // nothing to save, and no error of a load
  token.and_return().complete(task_result(context, std::move(done)));
}

}  // namespace leat
