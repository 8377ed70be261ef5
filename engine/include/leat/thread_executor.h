// The executor that runs task functions on the lane's own workers.
#pragma once

#include <string_view>

#include "leat/executor.h"

namespace leat {

/// Runs the function registered for each task, with a context loaded fresh, and saves what the function
/// changed. A coroutine, see <leat/task.h>, it begins, and carries on after each wait. It has no state of its
/// own: one object may serve several keys, each with its lane's limits.
///
/// Thread-safety: any number of threads.
class ThreadTaskExecutor final : public TaskExecutor {
 public:
  /// Without a token, so not for coroutines: they fail.
  std::expected<ExecutionResult, DispatchError> execute(const TaskReadyEvent& event) override;
  void start(const TaskReadyEvent& event, CompletionToken token) override;
  bool brakes() const noexcept override { return false; }
  std::string_view name() const override { return "ThreadTaskExecutor"; }
};

}  // namespace leat
