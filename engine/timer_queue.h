// What shall happen later: retries and time limits. Owns no thread and no clock: somebody calls fire().
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "leat_locks/mutex.h"
#include "lent_threads.h"

namespace leat {

/// Told that a timer is due, on the thread that calls TimerQueue::fire().
class TimerListener {
 public:
  virtual void on_timer(std::uint64_t token) noexcept = 0;

 protected:
  ~TimerListener() = default;
};

/// Names one scheduled timer, also after it is gone; a default one names none.
struct TimerId {
  std::uint32_t place = ~std::uint32_t{0};
  std::uint32_t use = 0;
};

/// A heap of due times, each of which knows its place, so that a timer that is no longer needed is gone at
/// once: limits of an hour on tasks of a millisecond do not pile up.
///
/// Thread-safety: any number of threads; a mutex, since only tasks that wait for time come here.
/// Complexity: schedule, cancel: O(log n). No allocation once it has been as large.
class TimerQueue {
 public:
  /// @param lent  rung when something is due earlier than anything before; outlives the queue
  explicit TimerQueue(LentThreads& lent) noexcept : lent_(lent) {}

  /// @param due_ns    steady clock
  /// @param listener  outlives the timer
  TimerId schedule(std::int64_t due_ns, TimerListener& listener, std::uint64_t token);

  /// Takes a timer back. @return false: it was told, is being told at this moment, or never was
  bool cancel(TimerId id) noexcept;

  /// Tells the listeners of all timers due by `now_ns`, in order of due time, then of scheduling.
  /// @param most  timers at most
  /// @return      when the next one is due; nothing: none is left
  std::optional<std::int64_t> fire(std::int64_t now_ns, std::size_t most = SIZE_MAX);

  /// Blocks until something is scheduled earlier than `due_ns`, until `due_ns` itself has come (nothing: no
  /// limit), or until stop(). @return false after stop()
  bool wait(std::optional<std::int64_t> due_ns, std::int64_t now_ns);
  /// When the next one is due; nothing: none is left, or after stop().
  std::optional<std::int64_t> due_ns();
  void stop();

  /// Timers that are scheduled.
  std::size_t size() const;

 private:
  struct Timer {
    std::int64_t due_ns;
    std::uint64_t order;
    TimerListener* listener;
    std::uint64_t token;
    std::uint32_t use;   // rises when the place is given up
    std::uint32_t rank;  // where heap_ has it
  };

  bool before(std::uint32_t a, std::uint32_t b) const noexcept LEAT_REQUIRES(mutex_);
  void put(std::size_t rank, std::uint32_t place) noexcept LEAT_REQUIRES(mutex_);
  void rise(std::size_t rank) noexcept LEAT_REQUIRES(mutex_);
  void sink(std::size_t rank) noexcept LEAT_REQUIRES(mutex_);
  void remove(std::size_t rank) noexcept LEAT_REQUIRES(mutex_);

  LentThreads& lent_;
  mutable Mutex mutex_;
  std::condition_variable changed_;
  std::vector<Timer> timers_ LEAT_GUARDED_BY(mutex_);        // by place; some are free
  std::vector<std::uint32_t> free_ LEAT_GUARDED_BY(mutex_);  // places
  // Places; each due no earlier than its parent at (rank - 1) / 2.
  std::vector<std::uint32_t> heap_ LEAT_GUARDED_BY(mutex_);
  std::uint64_t scheduled_ LEAT_GUARDED_BY(mutex_) = 0;
  bool stopped_ LEAT_GUARDED_BY(mutex_) = false;
};

}  // namespace leat
