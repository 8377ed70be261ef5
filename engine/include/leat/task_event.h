// The message that a task is ready: what the scheduler emits, the dispatcher routes and an executor receives.
#pragma once

#include <cstdint>
#include <type_traits>

#include "leat/namespace.h"
#include "leat/priority.h"
#include "leat/uuid.h"

namespace leat {

/// One ready task. It carries no context: `execute` loads it, fresh, when it runs.
struct TaskReadyEvent {
  Uuid pipeline_execution_id;     ///< the pipeline that this task belongs to
  Uuid task_execution_id;         ///< this task within that pipeline, the same for all its attempts
  Namespace task_namespace;       ///< tenant::package::workflow::task
  std::int32_t attempt = 1;       ///< from 1
  std::int32_t max_attempts = 1;  ///< counts the first try
  /// The engine's own: the pipeline's block. Null only for a task dispatched alone at level Memory; above
  /// it the task is a pipeline of its own.
  void* origin = nullptr;
  std::uint32_t task_number = 0;         ///< the engine's own: the task's index within its workflow
  Priority priority = Priority::Normal;  ///< remembered above level Memory
  bool adopts = false;  ///< the engine's own: the attempt runs elsewhere already, see adopt()
};

static_assert(sizeof(TaskReadyEvent) <= 64,
              "an event fills one cache line at most, so a queue moves it in one");
static_assert(std::is_trivially_copyable_v<TaskReadyEvent>, "a lane moves events as bytes");

}  // namespace leat
