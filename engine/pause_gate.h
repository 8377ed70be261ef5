// Where tasks wait whose namespaces an operator has paused. A worker that has taken such a task off its queue
// leaves it here, so that tasks behind it run; it knows nothing of lanes and pipelines.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "leat/namespace.h"
#include "leat/route_error.h"
#include "leat/router.h"
#include "leat_locks/mutex.h"
#include "parking_lot.h"
#include "queued_task.h"

namespace leat {

/// Thread-safety: any number of threads; a mutex, taken only while something is paused.
class PauseGate {
 public:
  /// @param listener  knows pipelines
  explicit PauseGate(const AttemptListener& listener);
  ~PauseGate();

  /// Tasks whose names match are held from here on.
  ///
  /// @param pattern  as a routing rule's
  /// @return         whether it was not paused yet; or what is wrong with the pattern
  std::expected<bool, RouteError> pause(std::string_view pattern);
  /// @param free  set to the held tasks that no other pattern holds, in the order in which they came
  /// @return      false: the pattern was not paused
  bool resume(std::string_view pattern, std::vector<QueuedTask>& free);

  /// Whether anything is paused.
  // relaxed: a worker that does not see it yet took its task before; hold() looks again under the mutex.
  bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  bool matches(Namespace task) const;
  /// A pattern that holds the task; empty: none does.
  std::string pattern_of(Namespace task) const;
  /// @param alone  of the task's lane: how many tasks are held that belong to no pipeline; outlives the hold
  /// @return       false: the task's name is not paused, or the task runs elsewhere already
  bool hold(const QueuedTask& task, std::atomic<std::uint32_t>& alone);
  /// Forgets the tasks that are held: nothing runs any more.
  void clear();
  /// Tasks that are held.
  std::size_t held() const;

 private:
  struct Held {
    ParkedTask task;
    std::atomic<std::uint32_t>* alone;  // null: of a pipeline, which bounds itself
  };

  std::expected<void, RouteError> install() LEAT_REQUIRES(mutex_);
  bool is_paused(Namespace task) const LEAT_REQUIRES(mutex_);

  const AttemptListener& listener_;
  std::atomic<bool> closed_{false};
  NamespaceTable names_;  // of none; the router wants one
  std::unique_ptr<Router> router_;
  mutable Mutex mutex_;
  std::vector<std::string> patterns_ LEAT_GUARDED_BY(mutex_);
  std::vector<Held> held_ LEAT_GUARDED_BY(mutex_);
};

}  // namespace leat
