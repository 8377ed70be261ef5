// The committer's step: packs what is published, writes it, syncs it where somebody waits for that, and
// tells.
#include <utility>

#include "journal_state.h"

namespace leat {

/// Packs the published prefix.
///
/// @return  the ticket after it
std::uint64_t Journal::State::pack() noexcept {
  // relaxed: the committer itself wrote it
  writer.begin(next_sequence, journal_end, store.epoch(), synced.load(std::memory_order_relaxed),
               synced_at_ns);
  rows.begin(next_sequence);
  history.begin(next_sequence);
  waiting_changes.clear();
  contexts.clear();
  context_bytes = 0;
  process_waits = disk_waits = false;
  caller = nullptr;
  std::uint64_t end = head;
  const auto packed_bytes = [this] { return writer.size_bytes() + rows.size_bytes() + context_bytes; };
  while (end - head < cells.size() && (end == head || packed_bytes() < options.commit_bytes_max)) {
    const Cell& cell = this->cell(end);
    if (cell.turn.load(std::memory_order_acquire) != end + 1) break;      // (14) pairs with (3) in publish()
    if (caller != nullptr || (cell.brings_writes && end != head)) break;  // a commit of its own
    if (cell.brings_writes) caller = &static_cast<WritesListener*>(cell.listener)->writes();
    if (cell.group.is_row()) [[unlikely]] {
      rows.add(cell.group, next_sequence + writer.transitions());
    } else if (!cell.group.bytes().empty()) {
      writer.add(cell.group);
      if (cell.group.changes_waiting()) [[unlikely]]
        waiting_changes.add(cell.group);
      if (keeps_history && !cell.group.summary().empty()) history.add(cell.group);
      if (cell.group.apart_bytes() > 0) [[unlikely]] {
        cell.group.list_apart(contexts);
        context_bytes += cell.group.apart_bytes();
      }
    }
    if (cell.listener != nullptr) (cell.level == Durability::Disk ? disk_waits : process_waits) = true;
    ++end;
  }
  return end;
}

void Journal::State::append() noexcept {
  commit = writer.finish();
  const std::uint64_t end = writer.end_sequence();
  std::expected<void, StoreError> done;
  if (caller == nullptr && rows.rows() == 0 && history.count() == 0 && contexts.empty() &&
      waiting_changes.all().empty()) {
    done = store.append(next_sequence, end, commit);
  } else {
    CommitRows extra;
    if (rows.rows() > 0)
      extra = {.slice = rows.finish(),
               .generation = rows.generation(),
               .begun = rows.begun(),
               .ended = rows.ended()};
    if (history.count() > 0) extra.history = history.finish();
    extra.caller = caller;
    extra.contexts = contexts;
    extra.waiting = waiting_changes.all();
    done = store.append_rows(next_sequence, end, commit, extra);
  }
  if (!done) return fail(std::move(done.error()));
  next_sequence = journal_end = end;
  written.store(end, std::memory_order_release);  // (17) pairs with written()
  groups.add(writer.groups());
  transitions.add(writer.transitions());
  commits.add(1);
  bytes.add(commit.size() + context_bytes);
  constexpr std::size_t kLookBytes = std::size_t{256} << 10;
  constexpr std::size_t kCommitBytes = 1024;  // what a commit costs besides its bytes
  if ((unlooked_bytes += commit.size() + context_bytes + kCommitBytes) < kLookBytes) return;
  unlooked_bytes = 0;
  // relaxed: a hint
  admitting.store(store.condition().health < StoreHealth::ReadOnly, std::memory_order_relaxed);
}

void Journal::State::acknowledge() noexcept {
  // relaxed: the committer itself wrote it
  const std::uint64_t end = written.load(std::memory_order_relaxed);
  if (end == 0) return;  // nothing was written by this opening
  if (auto done = store.acknowledge(end); !done) fail(std::move(done.error()));
}

void Journal::State::sync() noexcept {
  const std::int64_t before = options.steady_ns ? options.steady_ns() : 0;
  if (auto done = store.sync(); !done) return fail(std::move(done.error()));
  if (options.steady_ns) sync_ns.add(static_cast<std::uint64_t>(options.steady_ns() - before));
  if (options.unix_ns) synced_at_ns = options.unix_ns();
  synced.store(next_sequence, std::memory_order_release);  // (18) pairs with synced()
  syncs.add(1);
}

void Journal::State::fail(StoreError&& what) noexcept {
  error = std::move(what);
  failed.store(true, std::memory_order_release);  // (19) publishes `error`; pairs with failure()
}

/// Tells the listeners of one level about the tickets from head to `end`.
void Journal::State::tell(std::uint64_t end, bool disk, bool reached) noexcept {
  std::uint64_t sequence = writer.first_sequence();
  for (std::uint64_t ticket = head; ticket < end; ++ticket) {
    const Cell& cell = this->cell(ticket);
    if (cell.listener != nullptr && (cell.level == Durability::Disk) == disk) {
      cell.listener->on_commit(cell.token, sequence, reached);
    }
    sequence += cell.group.transitions();
  }
}

void Journal::State::free_cells(std::uint64_t end) noexcept {
  const std::uint64_t count = end - head;
  for (; head < end; ++head) {
    Cell& cell = this->cell(head);
    cell.group.reset();
    if (cell.committed != nullptr) {
      ends.add(1);
      // relaxed: a count for metrics with one writer, as Count.
      cell.committed->store(cell.committed->load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    // relaxed: handed over by (7), (9) and (13)
    cell.turn.store(head + cells.size(), std::memory_order_relaxed);
  }
  give_credits(count);
}

std::size_t Journal::commit_some() noexcept {
  State& state = *state_;
  const std::uint64_t end = state.pack();
  const std::size_t count = end - state.head;
  if (count == 0) {
    if (state.tickets.load(std::memory_order_relaxed) != end) state.stalls.add(1);  // relaxed: only counted
    return 0;
  }
  if (state.healthy() && state.writer.groups() + state.rows.rows() > 0) state.append();
  if (state.healthy() && state.process_waits) state.acknowledge();
  if (state.process_waits) state.tell(end, false, state.healthy());
  const auto order = std::memory_order_relaxed;  // relaxed: the committer itself wrote both
  const bool unsynced = state.synced.load(order) < state.written.load(order);
  if (state.healthy() && state.disk_waits && unsynced) state.sync();
  if (state.disk_waits) state.tell(end, true, state.healthy());
  if (state.options.tap && state.healthy() && state.writer.groups() > 0)
    state.options.tap(state.writer.first_sequence(), state.commit);
  state.free_cells(end);
  if (state.options.committed) state.options.committed(end);
  return count;
}

}  // namespace leat
