// The ring between many producers and one committer, and the committer's step.
//
// Two protocols keep everybody awake who must be. Each is a pair of short programs; both are the store-load
// pattern that only sequential consistency settles, so all four accesses of a pair are seq_cst.
//
//   Committer falls asleep               Producer publishes
//   (1) asleep = 1                       (3) turn = published
//   (2) head published? then awake       (4) asleep? then wake it
//       else sleep while asleep == 1
//
// If (2) does not see (3), it precedes it in the single total order: 1 < 2 < 3 < 4, so (4) sees the 1
// (or a 0 by which another producer woke it). Woken, the committer starts at (1) again.
//
//   Producer waits for credits           Credits come back
//   (5) ++waiting                        (7) credits += n
//   (6) enough credits? then done        (8) waiting? then ++freed and wake all
//       else sleep while freed is same
//
// The same argument: if (6) misses (7), then 5 < 6 < 7 < 8, and (8) sees the waiter. The waiter read
// `freed` before (6), so it does not sleep on the new value.
#include "leat/journal.h"

#include <thread>
#include <utility>

#include "check.h"
#include "journal_state.h"

namespace leat {

bool Journal::State::take_credits(std::uint64_t count) noexcept {
  LEAT_CHECK(count <= options.cells);
  // (6) seq_cst: pairs with (7) in give_credits(), see the top.
  std::uint64_t free = credits.load(std::memory_order_seq_cst);
  while (free >= count) {
    // (9) acquire: the cells that these credits stand for were left before; pairs with the release in (7).
    if (credits.compare_exchange_weak(free, free - count, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void Journal::State::give_credits(std::uint64_t count) noexcept {
  // (7) seq_cst: before (8) for every waiter, see the top; as a release it hands the freed cells to (9).
  credits.fetch_add(count, std::memory_order_seq_cst);
  // (8) seq_cst: pairs with (5) in reserve().
  if (waiting.load(std::memory_order_seq_cst) == 0) return;
  freed.fetch_add(1, std::memory_order_release);  // (10) pairs with the acquire-load in reserve()
  freed.notify_all();
  if (options.helper != nullptr) options.helper->wake();
}

void Journal::State::wake_committer() noexcept {
  // (4) seq_cst: pairs with (1) in wait_for_work(), see the top. The exchange lets one of many producers
  // wake it; relaxed: it carries nothing, the committer reads the cell's turn again.
  if (asleep.load(std::memory_order_seq_cst) == 1 && asleep.exchange(0, std::memory_order_relaxed) == 1) {
    if (options.helper != nullptr) return options.helper->wake();
    asleep.notify_one();
  }
}

Journal::Journal(StateStore& store, Options options) {
  LEAT_CHECK(options.cells >= 2 && (options.cells & (options.cells - 1)) == 0);
  state_ = std::make_unique<State>(store, std::move(options));
}

Journal::~Journal() = default;

bool Journal::try_reserve(std::size_t count) noexcept {
  return state_->take_credits(count);
}

bool Journal::reserve(std::size_t count) noexcept {
  State& state = *state_;
  if (state.take_credits(count)) return true;
  state.waiting.fetch_add(1, std::memory_order_seq_cst);  // (5) pairs with (8) in give_credits()
  bool taken = false;
  if (state.helps()) {
    while (!taken && help()) taken = state.take_credits(count);
  }
  while (!state.helps()) {
    const std::uint32_t seen = state.freed.load(std::memory_order_acquire);  // (11) pairs with (10)
    taken = state.take_credits(count);
    // (12) acquire: stop() sets it before it bumps `freed`, so a waiter that misses it here does not sleep.
    if (taken || state.stopped.load(std::memory_order_acquire)) break;
    state.freed.wait(seen, std::memory_order_relaxed);  // relaxed: (11) reads again
  }
  state.waiting.fetch_sub(1, std::memory_order_relaxed);  // relaxed: a wake too many is harmless
  return taken;
}

/// Does the waiting thread's share. @return false: nothing can come of it
bool Journal::help() noexcept {
  return state_->options.helper != nullptr ? state_->options.helper->help() : commit_some() > 0;
}

void Journal::release(std::size_t count) noexcept {
  state_->give_credits(count);
}

bool Journal::half_free() const noexcept {
  return state_->credits.load(std::memory_order_relaxed) >= state_->cells.size() / 2;  // relaxed: a figure
}

void Journal::publish(TransitionGroup&& group, Durability level, CommitListener* listener,
                      std::uint64_t token, std::atomic<std::uint64_t>* committed) noexcept {
  state_->publish(std::move(group), level, listener, token, committed, false);
}

void Journal::publish_with(TransitionGroup&& group, Durability level, WritesListener& listener,
                           std::uint64_t token) noexcept {
  state_->publish(std::move(group), level, &listener, token, nullptr, true);
}

std::expected<void, StoreError> Journal::takes(const CallerWrites& writes) const {
  return state_->store.takes(writes);
}

inline void Journal::State::publish(TransitionGroup&& group, Durability level, CommitListener* listener,
                                    std::uint64_t token, std::atomic<std::uint64_t>* committed,
                                    bool brings_writes) noexcept {
  State& state = *this;
  // (13) acq_rel: the ticket may need a credit that another thread took; through the chain of tickets its
  // (9) happens before the stores below.
  const std::uint64_t ticket = state.tickets.fetch_add(1, std::memory_order_acq_rel);
  Cell& cell = state.cell(ticket);
  cell.group = std::move(group);
  cell.listener = listener;
  cell.token = token;
  cell.committed = committed;
  cell.level = level;
  cell.brings_writes = brings_writes;
  // (3) seq_cst: before (4), pairs with (2), see the top; as a release it hands the cell to (14) in pack().
  const std::uint64_t before = cell.turn.exchange(ticket + 1, std::memory_order_seq_cst);
  LEAT_CHECK(before == ticket);  // else somebody published without a credit
  state.wake_committer();
}

bool Journal::wait_for_work() noexcept {
  State& state = *state_;
  for (;;) {
    // relaxed: pack() reads it again with (14)
    if (state.head_published(std::memory_order_relaxed)) return true;
    if (state.stopped.load(std::memory_order_acquire)) {
      // (15) relaxed: who took a ticket before stop(), and the load above sees it, publishes in a moment.
      if (state.tickets.load(std::memory_order_relaxed) == state.head) return false;
      std::this_thread::yield();
      continue;
    }
    state.asleep.exchange(1, std::memory_order_seq_cst);  // (1) pairs with (4) in wake_committer()
    // (2) seq_cst: pairs with (3) in publish(), and with (16) in stop() in the same way.
    if (state.head_published(std::memory_order_seq_cst) || state.stopped.load(std::memory_order_seq_cst)) {
      state.asleep.store(0, std::memory_order_relaxed);  // relaxed: a wake too many is harmless
      continue;
    }
    state.asleep.wait(1, std::memory_order_relaxed);  // relaxed: the loop reads again
  }
}

bool Journal::try_doze() noexcept {
  state_->asleep.exchange(1, std::memory_order_seq_cst);      // (1), as in wait_for_work()
  return !state_->head_published(std::memory_order_seq_cst);  // (2), likewise
}

void Journal::stop() noexcept {
  State& state = *state_;
  {
    const MutexLock lock(state.flush_mutex);                  // a flush has published by now, or is refused
    state.stopped.exchange(true, std::memory_order_seq_cst);  // (16) pairs with (2) and (12), as (3) does
  }
  state.wake_committer();
  state.freed.fetch_add(1, std::memory_order_release);  // pairs with (11)
  state.freed.notify_all();
}

namespace {

/// Waits for one group on behalf of flush(). Its mutex and condition variable are the journal's, so that
/// the committer touches nothing of a flush that has returned.
class FlushListener final : public CommitListener {
 public:
  FlushListener(Mutex& mutex, std::condition_variable& flushed) noexcept : mutex_(mutex), flushed_(flushed) {}

  void on_commit(std::uint64_t, std::uint64_t, bool reached) noexcept override {
    std::condition_variable& flushed = flushed_;
    {
      const MutexLock lock(mutex_);
      done_ = true;
      reached_ = reached;
    }
    flushed.notify_all();
  }

  /// @pre  the mutex is held
  bool done() const noexcept { return done_; }
  bool reached() const noexcept { return reached_; }

 private:
  Mutex& mutex_;
  std::condition_variable& flushed_;
  bool done_ = false;
  bool reached_ = false;
};

}  // namespace

std::expected<void, StoreError> Journal::flush(Durability level) {
  State& state = *state_;
  if (level == Durability::Memory) return {};
  FlushListener listener(state.flush_mutex, state.flushed);
  const bool reserved = reserve(1);
  MutexLock lock(state.flush_mutex);
  // (20) relaxed: (16) is under the mutex. Nobody promises to commit what is published after it.
  if (!reserved || state.stopped.load(std::memory_order_relaxed)) {
    if (reserved) release(1);
    return std::unexpected(StoreError{StoreErrorCode::Closed, "flush: the journal is stopped"});
  }
  publish(TransitionGroup(), level, &listener, 0);
  while (!listener.done()) {
    if (!state.helps()) {
      state.flushed.wait(lock);
      continue;
    }
    lock.unlock();
    const bool helped = help();
    lock.lock();
    LEAT_CHECK(helped || listener.done());  // else this very thread took a ticket before ours
  }
  if (!listener.reached()) return std::unexpected(*failure());
  return {};
}

std::uint64_t Journal::published() const noexcept {
  return state_->tickets.load(std::memory_order_relaxed);  // relaxed: what the caller knows of is in its past
}

std::expected<std::string, StoreError> Journal::read_context(const ContextPlace& place,
                                                             ContextMark mark) const {
  auto text = state_->store.read_context(place);
  if (text && mark_of(*text, place) != mark) return std::unexpected(other_context(place));
  return text;
}

std::uint64_t Journal::written() const noexcept {
  return state_->written.load(std::memory_order_acquire);  // pairs with (17)
}

std::uint64_t Journal::synced() const noexcept {
  return state_->synced.load(std::memory_order_acquire);  // pairs with (18)
}

const StoreError* Journal::failure() const noexcept {
  return state_->failed.load(std::memory_order_acquire) ? &state_->error : nullptr;  // pairs with (19)
}

bool Journal::admits() noexcept {
  State& state = *state_;
  // relaxed: hints
  if (state.admitting.load(std::memory_order_relaxed) && state.healthy()) return true;
  const bool admitting = condition().health < StoreHealth::ReadOnly;
  state.admitting.store(admitting, std::memory_order_relaxed);  // relaxed: as above
  return admitting;
}

StoreCondition Journal::condition() noexcept {
  if (const StoreError* const error = failure()) return {StoreHealth::Failed, error->message};
  return state_->store.condition();
}

Journal::Counters Journal::counters() const noexcept {
  const State& state = *state_;
  return {.groups = state.groups.get(),
          .transitions = state.transitions.get(),
          .ends = state.ends.get(),
          .commits = state.commits.get(),
          .syncs = state.syncs.get(),
          .bytes = state.bytes.get(),
          .sync_ns = state.sync_ns.get(),
          .stalls = state.stalls.get()};
}

}  // namespace leat
