#include "isolation.h"

#include <utility>

namespace leat {

void Isolation::hold() noexcept {
  holding_.store(true, std::memory_order_relaxed);  // relaxed: before anything is released
}

bool Isolation::expect() noexcept {
  const MutexLock lock(mutex_);
  if (all_expected_ || !holding()) return false;
  ++expected_;
  return true;
}

void Isolation::all_expected() noexcept {
  std::vector<Ready> free;
  {
    const MutexLock lock(mutex_);
    all_expected_ = true;
    free = next();
  }
  send(std::move(free));
}

void Isolation::release(Ready&& task, bool suspect) noexcept {
  Slots unused;  // goes outside of the mutex
  std::vector<Ready> free;
  {
    const MutexLock lock(mutex_);
    if (!holding()) {
      free.push_back(std::move(task));
    } else if (!suspect) {
      unused = std::exchange(task.slot, Slots());
      held_.push_back(std::move(task));
    } else {
      suspects_.push_back(std::move(task));
      free = next();
    }
  }
  send(std::move(free));
}

void Isolation::suspect_ended() noexcept {
  std::vector<Ready> free;
  {
    const MutexLock lock(mutex_);
    one_runs_ = false;
    --expected_;
    awaited_groups_ = journal_->published();
    free = next();
  }
  send(std::move(free));
}

void Isolation::after_commit(std::uint64_t groups) noexcept {
  if (!holding()) return;  // what a suspect waits for is published, and so committed, behind hold()
  std::vector<Ready> free;
  {
    const MutexLock lock(mutex_);
    groups_ = groups;
    free = next();
  }
  send(std::move(free));
}

/// Who may run now: the next suspect, or, behind the last one, everybody.
std::vector<Isolation::Ready> Isolation::next() noexcept {
  std::vector<Ready> free;
  if (!all_expected_ || one_runs_ || groups_ < awaited_groups_ || !holding()) return free;
  if (!suspects_.empty()) {
    free.push_back(std::move(suspects_.front()));
    suspects_.pop_front();
    one_runs_ = true;
  } else if (expected_ == 0) {
    free.swap(held_);
    holding_.store(false, std::memory_order_release);  // (2) release: pairs with (1)
  }
  return free;
}

void Isolation::send(std::vector<Ready>&& free) noexcept {
  for (Ready& task : free) lanes_.release(task.event, task.executor, std::move(task.slot));
}

void Isolation::clear() noexcept {
  std::vector<Ready> held;
  std::deque<Ready> suspects;
  const MutexLock lock(mutex_);
  held.swap(held_);
  suspects.swap(suspects_);
}

}  // namespace leat
