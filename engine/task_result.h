// What a task function's outcome amounts to.
#pragma once

#include <expected>

#include "leat/executor.h"
#include "leat/task_context.h"
#include "leat/task_error.h"

namespace leat {

/// Saves the context where the task succeeded.
ExecutionResult task_result(TaskContext& context, std::expected<void, TaskError> outcome);

}  // namespace leat
