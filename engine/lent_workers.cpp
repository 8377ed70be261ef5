#include "lent_workers.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "lane.h"

namespace leat {
namespace {

/// Thread-safety: as Workers and LentWork.
/// Invariant: worker number i is used by the thread that set busy_[i], and by no other.
class LentWorkers final : public Workers, public LentWork {
 public:
  LentWorkers(Lane& lane, std::uint32_t count, LentThreads& lent)
      : LentWork(Kind::Tasks, lane.key()),
        lane_(lane),
        lent_(lent),
        count_(count),
        busy_(std::make_unique<std::atomic<bool>[]>(count)) {
    lent.add(*this);
  }

  ~LentWorkers() override { stop(); }

  void notify() noexcept override { lent_.ring(); }

  void stop() noexcept override {
    // (1) seq_cst: before the looks at busy_; pairs with (2): a number that is taken later is given back.
    stopped_.store(true, std::memory_order_seq_cst);
    while (!std::all_of(busy_.get(), busy_.get() + count_, is_free)) std::this_thread::yield();
  }

  bool has_work() noexcept override {
    // relaxed: a stop only ends work.
    return !stopped_.load(std::memory_order_relaxed) && lane_.has_work() &&
           std::any_of(busy_.get(), busy_.get() + count_, is_free);
  }

  std::size_t run(std::size_t budget) noexcept override {
    for (std::uint32_t i = 0; i < count_; ++i) {
      // (2) seq_cst: takes over the worker's state from who had the number before (3), then looks at (1).
      if (busy_[i].exchange(true, std::memory_order_seq_cst)) continue;
      const std::size_t begun = stopped_.load(std::memory_order_seq_cst) ? 0 : lane_.run_some(i, budget);
      // (3) seq_cst: hands the number to (2); before the look for work, as P1 of LentThreads: who slept
      // because no number was free is woken.
      busy_[i].exchange(false, std::memory_order_seq_cst);
      if (lane_.has_work()) lent_.ring();
      return begun;
    }
    return 0;
  }

 private:
  // (4) seq_cst: pairs with (3); for stop() the last touch of the lane by that number.
  static bool is_free(const std::atomic<bool>& busy) noexcept {
    return !busy.load(std::memory_order_seq_cst);
  }

  Lane& lane_;
  LentThreads& lent_;
  const std::uint32_t count_;
  std::unique_ptr<std::atomic<bool>[]> busy_;
  std::atomic<bool> stopped_{false};
};

}  // namespace

std::unique_ptr<Workers> make_lent_workers(Lane& lane, std::uint32_t count, LentThreads& lent) {
  return std::make_unique<LentWorkers>(lane, count, lent);
}

void LentCommitter::lend(Journal& journal) {
  journal_ = &journal;
  lent_.add(*this);
}

void LentCommitter::finish() noexcept {
  std::lock_guard lock(mutex_);
  while (journal_ != nullptr && journal_->wait_for_work())
    journal_->commit_some();  // stopped: it does not sleep
  finished_ = true;
}

bool LentCommitter::has_work() noexcept {
  // Who holds the mutex commits, and looks once more afterwards.
  std::unique_lock lock(mutex_, std::try_to_lock);
  return lock.owns_lock() && !finished_ && !journal_->try_doze();
}

std::size_t LentCommitter::run(std::size_t) noexcept {
  std::size_t committed = 0;
  bool more = false;
  {
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock() || finished_) return 0;
    committed = journal_->commit_some();
    more = committed > 0 && !journal_->try_doze();
  }
  if (more) lent_.ring();
  return committed;
}

bool LentCommitter::help() noexcept {
  // Bounded, because a flush that somebody else commits ends without a bell. No task: it might need the very
  // thread that waits here, such as an executor's own.
  constexpr std::int64_t kLookNs = 1'000'000;
  lent_.help(clock_.steady_ns(), kLookNs, 0);
  std::unique_lock lock(mutex_, std::try_to_lock);
  return !lock.owns_lock() || !finished_;
}

bool LentTimers::has_work() noexcept {
  const auto due = timers_.due_ns();
  return due && *due <= clock_.steady_ns();
}

std::size_t LentTimers::run(std::size_t) noexcept {
  if (!has_work()) return 0;
  timers_.fire(clock_.steady_ns());
  return 1;
}

std::size_t LentWatch::run(std::size_t) noexcept {
  if (!has_work()) return 0;
  look_at_ns_.store(watchdog_.look(clock_.steady_ns()),
                    std::memory_order_relaxed);  // relaxed: as in due_ns()
  return 0;                                      // nothing comes of it that anybody waits for
}

}  // namespace leat
