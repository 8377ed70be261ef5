#include "timer_queue.h"

#include <algorithm>
#include <chrono>

namespace leat {

bool TimerQueue::before(std::uint32_t a, std::uint32_t b) const noexcept {
  return timers_[a].due_ns != timers_[b].due_ns ? timers_[a].due_ns < timers_[b].due_ns
                                                : timers_[a].order < timers_[b].order;
}

void TimerQueue::put(std::size_t rank, std::uint32_t place) noexcept {
  heap_[rank] = place;
  timers_[place].rank = static_cast<std::uint32_t>(rank);
}

void TimerQueue::rise(std::size_t rank) noexcept {
  const std::uint32_t place = heap_[rank];
  for (; rank > 0 && before(place, heap_[(rank - 1) / 2]); rank = (rank - 1) / 2)
    put(rank, heap_[(rank - 1) / 2]);
  put(rank, place);
}

void TimerQueue::sink(std::size_t rank) noexcept {
  const std::uint32_t place = heap_[rank];
  for (std::size_t child; (child = 2 * rank + 1) < heap_.size(); rank = child) {
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], place)) break;
    put(rank, heap_[child]);
  }
  put(rank, place);
}

void TimerQueue::remove(std::size_t rank) noexcept {
  const std::uint32_t place = heap_[rank];
  ++timers_[place].use;
  free_.push_back(place);  // has room: schedule() saw to that
  const std::uint32_t last = heap_.back();
  heap_.pop_back();
  if (place == last) return;
  put(rank, last);
  rise(rank);
  sink(timers_[last].rank);
}

TimerId TimerQueue::schedule(std::int64_t due_ns, TimerListener& listener, std::uint64_t token) {
  bool earliest = false;
  TimerId id;
  {
    MutexLock lock(mutex_);
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(timers_.size()));
      timers_.push_back({});
      free_.reserve(timers_.capacity());
    }
    id.place = free_.back();
    free_.pop_back();
    Timer& timer = timers_[id.place];
    id.use = timer.use;
    timer = {due_ns, scheduled_++, &listener, token, timer.use, 0};
    heap_.push_back(id.place);
    rise(heap_.size() - 1);
    earliest = timer.rank == 0;
  }
  if (!earliest) return id;
  changed_.notify_one();
  lent_.ring();
  return id;
}

bool TimerQueue::cancel(TimerId id) noexcept {
  MutexLock lock(mutex_);
  if (id.place >= timers_.size() || timers_[id.place].use != id.use) return false;
  remove(timers_[id.place].rank);
  return true;
}

std::optional<std::int64_t> TimerQueue::fire(std::int64_t now_ns, std::size_t most) {
  MutexLock lock(mutex_);
  for (; most > 0 && !heap_.empty() && timers_[heap_.front()].due_ns <= now_ns && !stopped_; --most) {
    const Timer timer = timers_[heap_.front()];
    remove(0);
    lock.unlock();
    timer.listener->on_timer(timer.token);
    lock.lock();
  }
  if (heap_.empty()) return std::nullopt;
  return timers_[heap_.front()].due_ns;
}

std::optional<std::int64_t> TimerQueue::due_ns() {
  MutexLock lock(mutex_);
  if (heap_.empty() || stopped_) return std::nullopt;
  return timers_[heap_.front()].due_ns;
}

bool TimerQueue::wait(std::optional<std::int64_t> due_ns, std::int64_t now_ns) {
  MutexLock lock(mutex_);
  const auto changed = [&]() LEAT_REQUIRES(mutex_) {
    return stopped_ || (!heap_.empty() && (!due_ns || timers_[heap_.front()].due_ns < *due_ns));
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
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

std::size_t TimerQueue::size() const {
  MutexLock lock(mutex_);
  return heap_.size();
}

}  // namespace leat
