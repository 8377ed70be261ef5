// The dispatcher: routes a ready task and hands it to its executor's lane.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

#include "leat/durability.h"
#include "leat/executor.h"
#include "leat/pipeline_handle.h"
#include "leat/task_event.h"

namespace leat {

struct DispatchOptions {
  Durability durability = Durability::Disk;
};

/// How a bulk dispatch went: the first `taken` events are admitted; the rest were not touched.
struct BulkResult {
  std::size_t taken = 0;
  std::expected<void, DispatchError> end;  ///< why the next one was refused; a value: all were taken
};

/// Thread-safety: any number of threads.
class Dispatcher {
 public:
  virtual ~Dispatcher() = default;

  /// Routes one ready task and hands it to its executor's lane; never waits for it to run.
  ///
  /// @return  nothing, or NoExecutor, NoCapacity, Stopped, InvalidEvent, Storage: the event was not taken
  /// @pre     Runner::start() returned
  /// Progress: lock-free at level Memory and Priority::Normal (another level's queue has a mutex); above it,
  /// bounded by the journal's ring.  Complexity: O(1).
  /// Ordering: what the caller did before dispatch() is visible to TaskExecutor::execute().
  virtual std::expected<void, DispatchError> dispatch(const TaskReadyEvent& event,
                                                      DispatchOptions options = {}) = 0;

  /// The same for many, in order, up to the first that is refused; the way to go for throughput.
  virtual BulkResult dispatch_bulk(std::span<const TaskReadyEvent> events, DispatchOptions options = {}) = 0;

  /// The same as dispatch(), with a handle that tells when the admission has reached its level, and how the
  /// task ended. The task is a pipeline of its own, at any level.
  virtual std::expected<PipelineHandle, DispatchError> dispatch_async(const TaskReadyEvent& event,
                                                                      DispatchOptions options = {}) = 0;

  /// @param key  refused where it is empty or taken
  virtual std::expected<void, Error> register_executor(std::string_view key,
                                                       std::shared_ptr<TaskExecutor> executor,
                                                       ExecutorLimits limits = {}) = 0;

  /// Takes a key's executor away. From here on a dispatch to the key is refused with NoExecutor, and its
  /// tasks stay Ready: those of pipelines are parked under the key, queued ones wait where they are. The next
  /// register_executor() with the key, and the same limits, releases them. What runs goes on to its end; an
  /// attempt that is being begun at this moment may still begin.
  ///
  /// @return NotFound: no executor is registered under the key
  virtual std::expected<void, Error> unregister_executor(std::string_view key) = 0;

  /// @return whether any registered executor has a free slot
  /// Progress: lock-free, but for overrides of TaskExecutor::has_capacity().  Complexity: linear in the keys.
  virtual bool has_capacity() const = 0;

  /// @return the executor key for a namespace of 1 to 64 segments; empty where the name is not valid
  virtual std::string_view resolve_executor_key(std::string_view task_namespace) const = 0;
};

}  // namespace leat
