// Coroutine tasks in a simulated run: the engine's own CoroutineRun drives them, and the simulator stands
// between the two, so that it hears how each ends, and a dead process runs none of it any more.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>

#include "leat/executor.h"
#include "leat/task_context.h"
#include "leat/task_error.h"

namespace leat::sim {

/// What the simulator sees of one.
///
/// Thread-safety: one thread.
class CoroutineWatch {
 public:
  /// @return false: the process is dead
  virtual bool alive() const = 0;
  /// Some of it has run, up to its next wait or its end.
  virtual void stepped() = 0;
  /// It has ended, in a process that lives.
  virtual void ended(TaskContext& context, const std::expected<void, TaskError>& outcome) = 0;
  /// Its attempt is over, and nothing of it is left. The last call.
  virtual void gone() noexcept = 0;

 protected:
  ~CoroutineWatch() = default;
};

/// Begins it. What making the coroutine throws goes through.
///
/// @param watch  outlives the coroutine
/// @pre          called on a worker, inside the attempt
void begin_coroutine(const CoroutineFunction& function, const TaskReadyEvent& event,
                     ExecutorServices& services, CompletionToken token, CoroutineWatch& watch);

}  // namespace leat::sim
