#include "lent_threads.h"

#include <algorithm>

#include "attempt.h"
#include "futex.h"

namespace leat {

void LentThreads::add(LentWork& work) {
  {
    MutexLock lock(mutex_);
    works_.push_back(&work);
    any_.store(true, std::memory_order_relaxed);  // relaxed: the list has its mutex
  }
  ring();
}

std::vector<LentWork*> LentThreads::works() const {
  MutexLock lock(mutex_);
  return works_;
}

std::size_t LentThreads::run_some(std::size_t budget) noexcept {
  const bool may_begin = running_attempt() == nullptr;
  std::size_t begun = 0;
  std::size_t done = 0;
  for (LentWork* const work : works()) {
    const bool tasks = work->kind() == LentWork::Kind::Tasks;
    if (tasks && (!may_begin || begun >= budget)) continue;
    const std::size_t count = work->run(tasks ? budget - begun : kTimersPerTurn);
    if (tasks) begun += count;
    done += count;
  }
  return done;
}

bool LentThreads::help(std::int64_t now_ns, std::int64_t timeout_ns, std::size_t budget) noexcept {
  const bool may_begin = budget > 0 && running_attempt() == nullptr;
  if (order_ != nullptr) {
    order_->help(works(), may_begin);
    return true;
  }
  if (run_some(budget) > 0) return true;
  sleepers_.fetch_add(1, std::memory_order_seq_cst);  // (1) seq_cst: W1; pairs with (3)
  // (2) acquire: W2; pairs with (4). The looks for work that follow are seq_cst, or under a mutex.
  const std::uint32_t rung = rung_.load(std::memory_order_acquire);
  bool found = false;
  for (LentWork* const work : works()) {
    found = found || ((may_begin || work->kind() != LentWork::Kind::Tasks) && work->has_work());
    if (const auto due = work->due_ns()) timeout_ns = std::min(timeout_ns, *due - now_ns);
  }
  if (!found && timeout_ns > 0) futex_wait(rung_, rung, timeout_ns);
  sleepers_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: at worst one bell for nobody
  return false;
}

void LentThreads::ring() noexcept {
  // (3) seq_cst: P2; pairs with (1).
  if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
  rung_.fetch_add(1, std::memory_order_release);  // (4) release: pairs with (2)
  futex_wake(rung_);
}

}  // namespace leat
