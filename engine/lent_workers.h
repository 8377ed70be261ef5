// What lent threads do for a Runner: a lane's tasks, the journal's commits, due timers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "leat/clock.h"
#include "leat/journal.h"
#include "lent_threads.h"
#include "timer_queue.h"
#include "watchdog.h"
#include "workers.h"

namespace leat {

/// Commits for everybody: whoever has a thread to lend, one at a time. Until lend() is called the journal
/// has no helper yet: who registers something commits himself.
///
/// Thread-safety: any number of threads.
class LentCommitter final : public LentWork, public JournalHelper {
 public:
  LentCommitter(LentThreads& lent, Clock& clock)
      : LentWork(Kind::Commits, "committer"), lent_(lent), clock_(clock) {}

  void lend(Journal& journal);
  /// Commits what is published, where there was a lend(); nobody waits any more. @pre Journal::stop() was
  /// called
  void finish() noexcept;

  bool has_work() noexcept override;
  std::size_t run(std::size_t budget) noexcept override;

  bool help() noexcept override;
  void wake() noexcept override { lent_.ring(); }

 private:
  /// The committer's seat: for commit_some() and try_doze().
  enum class Seat : std::uint8_t { Free, Taken, Asked };

  bool try_sit() noexcept;
  void stand_up() noexcept;
  // (6) acquire: who learns it sees what was committed; pairs with (5).
  bool finished() const noexcept { return finished_.load(std::memory_order_acquire); }

  LentThreads& lent_;
  Clock& clock_;
  Journal* journal_ = nullptr;
  std::atomic<Seat> seat_{Seat::Free};
  std::atomic<bool> finished_{false};
};

/// Fires timers for everybody.
///
/// Thread-safety: any number of threads.
class LentTimers final : public LentWork {
 public:
  LentTimers(TimerQueue& timers, Clock& clock)
      : LentWork(Kind::Timers, "timers"), timers_(timers), clock_(clock) {}

  bool has_work() noexcept override;
  std::size_t run(std::size_t budget) noexcept override;
  std::optional<std::int64_t> due_ns() override { return timers_.due_ns(); }

 private:
  TimerQueue& timers_;
  Clock& clock_;
};

/// Looks at the lanes for everybody, when it is time.
///
/// Thread-safety: any number of threads.
class LentWatch final : public LentWork {
 public:
  LentWatch(Watchdog& watchdog, Clock& clock)
      : LentWork(Kind::Watch, "watchdog"), watchdog_(watchdog), clock_(clock) {}

  bool has_work() noexcept override { return clock_.steady_ns() >= *due_ns(); }
  std::size_t run(std::size_t budget) noexcept override;
  // relaxed: at worst two look.
  std::optional<std::int64_t> due_ns() override { return look_at_ns_.load(std::memory_order_relaxed); }

 private:
  Watchdog& watchdog_;
  Clock& clock_;
  std::atomic<std::int64_t> look_at_ns_{0};
};

/// The third backend: a lane without threads of its own, served by those that are lent.
///
/// @param count  how many may serve it at once
std::unique_ptr<Workers> make_lent_workers(Lane& lane, std::uint32_t count, LentThreads& lent);

}  // namespace leat
