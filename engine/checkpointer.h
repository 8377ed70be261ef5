// Decides when a round of the checkpoint begins, and carries it on step by step. Owns no thread: the
// committer says when enough was written, the timers lend the steps.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>

#include "leat/clock.h"
#include "leat/journal.h"
#include "leat/runner.h"
#include "leat/state_store.h"
#include "scheduler.h"
#include "timer_queue.h"

namespace leat {

/// Thread-safety: after_commit(): the committer; the rest: who fires the timers.
class Checkpointer final : public CommitListener, public TimerListener {
 public:
  struct Options {
    /// A round begins once the journal has grown by so many bytes, or by the last round's, if that is more.
    std::uint64_t journal_bytes = std::uint64_t{64} << 20;
    std::size_t rows_per_step = 64;  ///< of pipelines, of idempotency keys: so that nobody waits long
  };

  /// @param journal  null: nothing is remembered, and nothing is done
  Checkpointer(Clock& clock, TimerQueue& timers, StateStore* store, Journal* journal, Scheduler& scheduler,
               Options options, std::function<void(Severity, std::string_view)> log);

  /// @param folded_bytes  of the journal that recovery had to read
  void remember(std::uint64_t folded_bytes) noexcept { folded_bytes_ = folded_bytes; }

  /// Looks whether a round is due. Costs two loads where none is.
  void after_commit() noexcept;

  /// One bounded step of a round: begins one where it is due, has some rows published, ends it.
  ///
  /// @return  false: there is nothing to do now; what is under way waits for others
  bool checkpoint_some() noexcept;
  /// Whether a round has begun and its end is not yet in the store.
  bool under_way() const noexcept;
  /// Rounds that were completed.
  std::uint64_t rounds() const noexcept;

  void on_timer(std::uint64_t token) noexcept override;
  void on_commit(std::uint64_t token, std::uint64_t sequence, bool reached) noexcept override;

 private:
  enum class Phase : std::uint8_t { Idle, Scheduled, Keeping, Ending, Tidying, Failed };

  bool is_due() const noexcept;
  bool begin() noexcept;
  bool end() noexcept;
  bool tidy() noexcept;
  void step_at(std::int64_t delay_ns) noexcept;
  Phase phase() const noexcept { return phase_.load(std::memory_order_acquire); }  // pairs with (1)

  Clock& clock_;
  TimerQueue& timers_;
  StateStore* const store_;
  Journal* const journal_;
  Scheduler& scheduler_;
  const Options options_;
  const std::function<void(Severity, std::string_view)> log_;
  std::uint64_t folded_bytes_ = 0;
  std::uint64_t generation_ = 0;  // of the next round
  // The committer moves Idle to Scheduled and Ending on; whoever steps moves the rest.
  std::atomic<Phase> phase_{Phase::Idle};
  std::atomic<std::uint64_t> due_at_{0};  // the journal's bytes at which the next round begins
  std::atomic<std::uint64_t> rounds_{0};
};

}  // namespace leat
