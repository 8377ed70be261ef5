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

  Backend backend() const noexcept override { return Backend::Lent; }

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

/// @return false: the seat is taken; who has it rings when it leaves
bool LentCommitter::try_sit() noexcept {
  Seat seat = Seat::Free;
  // (7) acquire: takes over the committer's state; pairs with (9).
  if (seat_.compare_exchange_strong(seat, Seat::Taken, std::memory_order_acquire, std::memory_order_relaxed))
    return true;
  // (8) acq_rel: as (7), and pairs with (9): who is to ring sees that we said "asleep" before we came by.
  return seat_.exchange(Seat::Asked, std::memory_order_acq_rel) == Seat::Free;
}

void LentCommitter::stand_up() noexcept {
  // (9) acq_rel: pairs with (7) and (8). Who came by may sleep now, though there is work that nobody rang
  // for.
  if (seat_.exchange(Seat::Free, std::memory_order_acq_rel) == Seat::Asked) lent_.ring();
}

void LentCommitter::finish() noexcept {
  while (!try_sit()) std::this_thread::yield();
  // It is stopped: this does not sleep.
  while (journal_ != nullptr && journal_->wait_for_work()) journal_->commit_some();
  finished_.store(true, std::memory_order_release);  // (5) all is committed; pairs with (6)
  stand_up();
}

bool LentCommitter::has_work() noexcept {
  if (!try_sit()) return false;
  const bool found = !finished() && !journal_->try_doze();
  stand_up();
  return found;
}

std::size_t LentCommitter::run(std::size_t) noexcept {
  if (!try_sit()) return 0;
  const std::size_t committed = finished() ? 0 : journal_->commit_some();
  stand_up();
  return committed;
}

bool LentCommitter::help() noexcept {
  // Bounded, because a flush that somebody else commits ends without a bell. No task: it might need the very
  // thread that waits here, such as an executor's own.
  constexpr std::int64_t kLookNs = 1'000'000;
  lent_.help(clock_.steady_ns(), kLookNs, 0);
  return !finished();
}

bool LentTimers::has_work() noexcept {
  const auto due = timers_.due_ns();
  return due && *due <= clock_.steady_ns();
}

std::size_t LentTimers::run(std::size_t budget) noexcept {
  if (!has_work()) return 0;
  timers_.fire(clock_.steady_ns(), budget);
  return 1;
}

std::size_t LentWatch::run(std::size_t) noexcept {
  if (!has_work()) return 0;
  // relaxed: as in due_ns()
  look_at_ns_.store(watchdog_.look(), std::memory_order_relaxed);
  return 0;  // nothing comes of it that anybody waits for
}

}  // namespace leat
