#include "checkpointer.h"

#include <algorithm>
#include <string>
#include <utility>

namespace leat {
namespace {

// How long a step waits for credits, or for pipelines that are busy.
constexpr std::int64_t kPauseNs = 1'000'000;

}  // namespace

Checkpointer::Checkpointer(Clock& clock, TimerQueue& timers, StateStore* store, Journal* journal,
                           Scheduler& scheduler, Options options,
                           std::function<void(Severity, std::string_view)> log)
    : clock_(clock),
      timers_(timers),
      store_(store),
      journal_(store != nullptr && store->keeps_checkpoints() ? journal : nullptr),
      scheduler_(scheduler),
      options_(options),
      log_(std::move(log)),
      generation_(store == nullptr ? 1 : store->next_generation()),
      due_at_(options.journal_bytes) {}

bool Checkpointer::is_due() const noexcept {
  // relaxed: a commit later is early enough
  return journal_->counters().bytes + folded_bytes_ >= due_at_.load(std::memory_order_relaxed);
}

void Checkpointer::after_commit() noexcept {
  // relaxed: the committer itself leaves Idle; who comes back to it is seen at some later commit
  if (journal_ == nullptr || phase_.load(std::memory_order_relaxed) != Phase::Idle || !is_due()) return;
  phase_.store(Phase::Scheduled, std::memory_order_release);  // (1) pairs with phase()
  step_at(0);
}

void Checkpointer::step_at(std::int64_t delay_ns) noexcept {
  timers_.schedule(clock_.steady_ns() + delay_ns, *this, 0);
}

void Checkpointer::on_timer(std::uint64_t) noexcept {
  const bool did_something = checkpoint_some();
  if (under_way() && phase() != Phase::Ending) step_at(did_something ? 0 : kPauseNs);
}

bool Checkpointer::checkpoint_some() noexcept {
  if (journal_ == nullptr) return false;
  if (journal_->failure() != nullptr) {
    phase_.store(Phase::Failed, std::memory_order_release);  // (1) for good: nobody looks again
    return false;
  }
  switch (phase()) {
    case Phase::Idle:
      return is_due() && begin();
    case Phase::Scheduled:
      return begin();
    case Phase::Keeping:
      return scheduler_.keep_some(std::min(store_->events_begin(), store_->history_begin())) || end();
    case Phase::Ending:  // on_commit() goes on
    case Phase::Failed:
      return false;
    case Phase::Tidying:
      return tidy();
  }
  return false;
}

bool Checkpointer::begin() noexcept {
  if (!journal_->try_reserve(1)) return false;
  const RoundBegun begun = scheduler_.begin_round(generation_++, options_.rows_per_step);
  journal_->publish(make_row(begun), Durability::Process, nullptr, 0);
  phase_.store(Phase::Keeping, std::memory_order_release);  // (1)
  return true;
}

bool Checkpointer::end() noexcept {
  std::uint64_t bytes = 0;
  if (!scheduler_.all_kept(bytes) || !journal_->try_reserve(1)) return false;
  const std::uint64_t next = journal_->counters().bytes + std::max(options_.journal_bytes, bytes);
  due_at_.store(next, std::memory_order_relaxed);  // relaxed: see is_due()
  folded_bytes_ = 0;
  phase_.store(Phase::Ending, std::memory_order_release);  // (1)
  journal_->publish(make_row(RoundEnded{generation_ - 1, clock_.unix_ns()}), Durability::Disk, this, 0);
  return true;
}

/// The round's end is on the disk, so what it replaces may go.
void Checkpointer::on_commit(std::uint64_t, std::uint64_t, bool reached) noexcept {
  phase_.store(reached ? Phase::Tidying : Phase::Failed, std::memory_order_release);  // (1)
  if (reached) step_at(0);
}

bool Checkpointer::tidy() noexcept {
  const auto more = store_->tidy();
  if (!more) log_(Severity::Warning, more.error().message);
  if (more && *more) return true;
  rounds_.fetch_add(1, std::memory_order_relaxed);       // relaxed: only counted
  phase_.store(Phase::Idle, std::memory_order_release);  // (1)
  return true;
}

bool Checkpointer::under_way() const noexcept {
  const Phase now = phase();
  return now != Phase::Idle && now != Phase::Failed;
}

std::uint64_t Checkpointer::rounds() const noexcept {
  return rounds_.load(std::memory_order_relaxed);  // relaxed: only counted
}

}  // namespace leat
