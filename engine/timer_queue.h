// What shall happen later: retries and run-time limits. Owns no thread and no clock: somebody calls fire().
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <queue>
#include <vector>

#include "lent_threads.h"

namespace leat {

/// Told that a timer is due, on the thread that calls TimerQueue::fire().
class TimerListener {
 public:
  virtual void on_timer(std::uint64_t token) noexcept = 0;

 protected:
  ~TimerListener() = default;
};

/// A heap of due times. Timers are not cancelled: a listener that is told too late does nothing (its token
/// carries a generation), which costs 32 bytes until the time is up.
///
/// Thread-safety: any number of threads; a mutex, since only tasks that wait for time come here.
class TimerQueue {
 public:
  /// @param lent  rung when something is due earlier than anything before; outlives the queue
  explicit TimerQueue(LentThreads& lent) noexcept : lent_(lent) {}

  /// @param due_ns    steady clock
  /// @param listener  outlives the queue's last fire()
  void schedule(std::int64_t due_ns, TimerListener& listener, std::uint64_t token);

  /// Tells the listeners of all timers due by `now_ns`, in order of due time, then of scheduling.
  /// @return when the next one is due; nothing: none is left
  std::optional<std::int64_t> fire(std::int64_t now_ns);

  /// Blocks until something is scheduled earlier than `due_ns`, until `due_ns` itself has come (nothing: no
  /// limit), or until stop(). @return false after stop()
  bool wait(std::optional<std::int64_t> due_ns, std::int64_t now_ns);
  /// When the next one is due; nothing: none is left, or after stop().
  std::optional<std::int64_t> due_ns();
  void stop();

 private:
  struct Timer {
    std::int64_t due_ns;
    std::uint64_t order;
    TimerListener* listener;
    std::uint64_t token;
    friend bool operator>(const Timer& a, const Timer& b) noexcept {
      return a.due_ns != b.due_ns ? a.due_ns > b.due_ns : a.order > b.order;
    }
  };

  LentThreads& lent_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  std::uint64_t scheduled_ = 0;
  bool stopped_ = false;
};

}  // namespace leat
