// The dispatcher as the engine implements it: tasks that a caller dispatches alone.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "executor_binding.h"
#include "lane_table.h"
#include "leat/dispatcher.h"
#include "leat/router.h"
#include "leat_locks/mutex.h"
#include "scheduler.h"

namespace leat {

/// At level Memory an event goes straight to its lane. Above it the task is a pipeline of its own, which
/// the journal remembers before it starts.
///
/// Thread-safety: any number of threads.
class DefaultDispatcher final : public Dispatcher {
 public:
  DefaultDispatcher(Router& router, LaneTable& lanes, Scheduler& scheduler) noexcept
      : router_(router), lanes_(lanes), scheduler_(scheduler) {}

  std::expected<void, DispatchError> dispatch(const TaskReadyEvent& event, DispatchOptions options) override;
  BulkResult dispatch_bulk(std::span<const TaskReadyEvent> events, DispatchOptions options) override;
  std::expected<PipelineHandle, DispatchError> dispatch_async(const TaskReadyEvent& event,
                                                              DispatchOptions options) override;
  std::expected<void, Error> register_executor(std::string_view key, std::shared_ptr<TaskExecutor> executor,
                                               ExecutorLimits limits) override;
  std::expected<void, Error> unregister_executor(std::string_view key) override;
  bool has_capacity() const override;
  std::string_view resolve_executor_key(std::string_view task_namespace) const override;

 private:
  std::expected<Lane*, DispatchError> lane_of(const TaskReadyEvent& event, bool& split) const noexcept;

  std::expected<ExecutorBinding*, Error> binding_of(const std::shared_ptr<TaskExecutor>& executor);

  Router& router_;
  LaneTable& lanes_;
  Scheduler& scheduler_;
  Mutex mutex_;
  std::vector<std::unique_ptr<ExecutorBinding>> bindings_ LEAT_GUARDED_BY(mutex_);
};

}  // namespace leat
