// The inside of a Journal: the ring's cells and what its two sides share. journal.cpp is the producers' side,
// with the protocols by which each side sleeps; journal_commit.cpp is the committer's step.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "checkpoint_slice.h"
#include "commit.h"
#include "history_pack.h"
#include "leat/journal.h"
#include "leat_locks/mutex.h"
#include "waiting_rows.h"

namespace leat {

// Two cache lines: x86 fetches them in pairs, some aarch64 lines are that long.
inline constexpr std::size_t kLine = 128;

/// One place of the ring. `turn` is t while it is free for ticket t, t + 1 once t's group is published.
struct alignas(kLine) Cell {
  std::atomic<std::uint64_t> turn{0};
  TransitionGroup group;
  CommitListener* listener = nullptr;
  std::uint64_t token = 0;
  std::atomic<std::uint64_t>* committed = nullptr;
  Durability level = Durability::Memory;
  bool brings_writes = false;  // the listener is a WritesListener
};
static_assert(sizeof(Cell) == kLine, "a publish touches one pair of lines, shared with no other cell");
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

/// A number that only the committer writes.
class Count {
 public:
  void add(std::uint64_t n) noexcept {
    // relaxed: one writer, and readers want a recent value, not an order
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  // relaxed: as above
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct Journal::State {
  State(StateStore& the_store, Options the_options)
      : store(the_store), options(std::move(the_options)), mask(options.cells - 1), cells(options.cells) {
    for (std::size_t index = 0; index < cells.size(); ++index) {
      cells[index].turn.store(index, std::memory_order_relaxed);  // relaxed: nobody else knows the ring yet
    }
  }

  Cell& cell(std::uint64_t ticket) noexcept { return cells[ticket & mask]; }
  bool take_credits(std::uint64_t count) noexcept;
  void publish(TransitionGroup&& group, Durability level, CommitListener* listener, std::uint64_t token,
               std::atomic<std::uint64_t>* committed, bool brings_writes) noexcept;
  void give_credits(std::uint64_t count) noexcept;
  void wake_committer() noexcept;
  bool helps() const noexcept { return options.waits_commit || options.helper != nullptr; }
  bool head_published(std::memory_order order) noexcept { return cell(head).turn.load(order) == head + 1; }
  std::uint64_t pack() noexcept;
  void append() noexcept;
  void acknowledge() noexcept;
  void sync() noexcept;
  void tell(std::uint64_t end, bool disk, bool reached) noexcept;
  void free_cells(std::uint64_t end) noexcept;
  void fail(StoreError&& what) noexcept;
  // relaxed: the committer wrote it
  bool healthy() const noexcept { return !failed.load(std::memory_order_relaxed); }

  StateStore& store;
  const Options options;
  const std::uint64_t mask;
  std::vector<Cell> cells;

  alignas(kLine) std::atomic<std::uint64_t> credits{options.cells};
  alignas(kLine) std::atomic<std::uint64_t> tickets{0};
  // Read by every publish, written only at the edges of idleness.
  alignas(kLine) std::atomic<std::uint32_t> asleep{0};
  std::atomic<bool> admitting{true};      // a hint: read by who begins something
  std::atomic<std::uint32_t> waiting{0};  // threads inside reserve()
  std::atomic<std::uint32_t> freed{0};    // bumped when credits came back while somebody waited
  std::atomic<bool> stopped{false};

  // The committer's.
  alignas(kLine) std::uint64_t head = 0;  // the ticket that is committed next
  std::span<const std::byte> commit;      // the last one, in the writer
  CommitWriter writer{store.journal_hash()};
  CheckpointSliceWriter rows;
  WaitingChanges waiting_changes;
  const bool keeps_history = store.history() != nullptr;
  std::vector<ContextApart> contexts;  // of the packed commit
  std::size_t context_bytes = 0;       // of them
  HistoryPackWriter history{keeps_history ? *store.history() : HistoryTail()};
  std::uint64_t next_sequence = store.next_sequence();
  std::uint64_t journal_end = store.journal_end();
  const CallerWrites* caller = nullptr;  // of the packed commit
  bool process_waits = false;            // the packed commit has a listener below Disk
  bool disk_waits = false;               // ... at Disk
  Count groups, transitions, ends, commits, syncs, sync_ns, bytes, stalls;
  std::int64_t synced_at_ns = 0;   // Unix time of the last sync; 0: there was none
  StoreError error{};              // written before `failed`
  std::size_t unlooked_bytes = 0;  // written since the store's condition was looked at

  alignas(kLine) std::atomic<std::uint64_t> written{journal_end};
  std::atomic<std::uint64_t> synced{journal_end};
  std::atomic<bool> failed{false};

  Mutex flush_mutex;
  std::condition_variable flushed;
};

}  // namespace leat
