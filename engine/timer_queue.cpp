#include "timer_queue.h"

#include <algorithm>
#include <chrono>

namespace leat {

void TimerQueue::schedule(std::int64_t due_ns, TimerListener& listener, std::uint64_t token) {
  bool earliest = false;
  {
    std::lock_guard lock(mutex_);
    earliest = timers_.empty() || due_ns < timers_.top().due_ns;
    timers_.push({due_ns, scheduled_++, &listener, token});
  }
  if (!earliest) return;
  changed_.notify_one();
  lent_.ring();
}

std::optional<std::int64_t> TimerQueue::fire(std::int64_t now_ns) {
  std::unique_lock lock(mutex_);
  while (!timers_.empty() && timers_.top().due_ns <= now_ns && !stopped_) {
    const Timer timer = timers_.top();
    timers_.pop();
    lock.unlock();
    timer.listener->on_timer(timer.token);
    lock.lock();
  }
  if (timers_.empty()) return std::nullopt;
  return timers_.top().due_ns;
}

std::optional<std::int64_t> TimerQueue::due_ns() {
  std::lock_guard lock(mutex_);
  if (timers_.empty() || stopped_) return std::nullopt;
  return timers_.top().due_ns;
}

bool TimerQueue::wait(std::optional<std::int64_t> due_ns, std::int64_t now_ns) {
  std::unique_lock lock(mutex_);
  const auto changed = [&] {
    return stopped_ || (!timers_.empty() && (!due_ns || timers_.top().due_ns < *due_ns));
  };
  if (due_ns) {
    // Far times are waited for in pieces: a clock's own sum must not overflow.
    const auto left = std::chrono::nanoseconds(*due_ns - now_ns);
    changed_.wait_for(lock, std::min<std::chrono::nanoseconds>(left, std::chrono::hours(24)), changed);
  } else {
    changed_.wait(lock, changed);
  }
  return !stopped_;
}

void TimerQueue::stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

}  // namespace leat
