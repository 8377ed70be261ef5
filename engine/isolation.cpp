#include "isolation.h"

#include <utility>

namespace leat {

void Isolation::hold() noexcept {
  holding_.store(true, std::memory_order_relaxed);  // relaxed: before anything is released
}

bool Isolation::expect() noexcept {
  const std::lock_guard lock(mutex_);
  if (all_expected_ || !holding()) return false;
  ++expected_;
  return true;
}

void Isolation::all_expected() noexcept {
  std::unique_lock lock(mutex_);
  all_expected_ = true;
  go_on(std::move(lock));
}

void Isolation::release(Ready&& task, bool suspect) noexcept {
  std::unique_lock lock(mutex_);
  if (!holding()) {
    lock.unlock();
    return lanes_.release(task.event, task.executor, std::move(task.slot));
  }
  if (!suspect) return held_.push_back(std::move(task));
  suspects_.push_back(std::move(task));
  go_on(std::move(lock));
}

void Isolation::suspect_ended() noexcept {
  std::unique_lock lock(mutex_);
  one_runs_ = false;
  --expected_;
  go_on(std::move(lock));
}

/// Lets the next suspect run, or, behind the last one, everybody.
void Isolation::go_on(std::unique_lock<std::mutex> lock) noexcept {
  if (!all_expected_ || one_runs_ || !holding()) return;
  std::vector<Ready> free;
  if (!suspects_.empty()) {
    free.push_back(std::move(suspects_.front()));
    suspects_.pop_front();
    one_runs_ = true;
  } else if (expected_ == 0) {
    free.swap(held_);
    holding_.store(false, std::memory_order_release);  // (2) release: pairs with (1)
  }
  lock.unlock();
  for (Ready& task : free) lanes_.release(task.event, task.executor, std::move(task.slot));
}

void Isolation::clear() noexcept {
  std::vector<Ready> held;
  std::deque<Ready> suspects;
  const std::lock_guard lock(mutex_);
  held.swap(held_);
  suspects.swap(suspects_);
}

}  // namespace leat
