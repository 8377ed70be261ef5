// The tasks of a lane that are not of the normal level, and the rule by which levels go before each other.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>

#include "leat_locks/mutex.h"
#include "queued_task.h"

namespace leat {

/// The smaller goes first: a level is worth `aging_ns` of waiting. So whoever has waited that much longer
/// than a task of the level above goes before it, and nobody waits for ever.
inline std::int64_t rank_of(std::int64_t admitted_ns, Priority level, std::int64_t aging_ns) noexcept {
  return admitted_ns + aging_ns * (static_cast<std::int64_t>(level) - 1);
}
inline std::int64_t rank_of(const QueuedTask& task, std::int64_t aging_ns) noexcept {
  return rank_of(task.admitted_ns, task.event.priority, aging_ns);
}

/// Thread-safety: any number of threads; a mutex, since the normal level never comes here.
/// Invariant: count() rises after its task is in a line, and falls once it is out.
class RankedQueue {
 public:
  void push(const QueuedTask& task) {
    MutexLock lock(mutex_);
    lines_[line_of(task)].push_back(task);
    // (1) seq_cst: the task is visible before its producer looks for sleepers; pairs with (2).
    count_.fetch_add(1, std::memory_order_seq_cst);
  }

  /// Takes the first task in rank, where it ranks below `limit`.
  bool pop(std::int64_t limit, std::int64_t aging_ns, QueuedTask& task) {
    MutexLock lock(mutex_);
    std::deque<QueuedTask>* first = nullptr;
    for (std::deque<QueuedTask>& line : lines_) {
      if (line.empty() || rank_of(line.front(), aging_ns) >= limit) continue;
      limit = rank_of(line.front(), aging_ns);
      first = &line;
    }
    if (first == nullptr) return false;
    task = first->front();
    first->pop_front();
    count_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: under the mutex
    return true;
  }

  /// For the last look of a worker that goes to sleep.
  bool any() const noexcept {
    return count_.load(std::memory_order_seq_cst) > 0;  // (2) seq_cst: pairs with (1)
  }
  std::size_t count() const noexcept {
    return count_.load(
        std::memory_order_relaxed);  // relaxed: who was woken for a task, or saw any(), sees it
  }

 private:
  static std::size_t line_of(const QueuedTask& task) noexcept {
    return task.event.priority == Priority::High ? 0 : 1;
  }

  alignas(64) std::atomic<std::size_t> count_{
      0};  // looked at for each task, written for those that come here
  Mutex mutex_;
  std::array<std::deque<QueuedTask>, 2> lines_ LEAT_GUARDED_BY(mutex_);  // High and Low
};

}  // namespace leat
