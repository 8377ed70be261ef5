// The seam between the journal and whatever keeps its bytes. The engine's core is given one; the simulator
// gives it one that loses power. A store knows bytes and sequence numbers, never tasks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "leat/caller_writes.h"
#include "leat/checkpoint.h"
#include "leat/context_image.h"
#include "leat/in_flight_board.h"
#include "leat/store_error.h"
#include "leat/store_health.h"
#include "leat/store_image.h"
#include "leat/uuid.h"
#include "leat/waiting.h"

namespace leat {

class Mutex;

/// What a group commit brings besides its value in the journal: remembered with it or not at all.
struct CommitRows {
  std::span<const std::byte> slice = {};    ///< rows of a round of the checkpoint; empty: none
  std::uint64_t generation = 0;             ///< of that round
  std::optional<RoundBegun> begun = {};     ///< the round begins with them
  std::optional<RoundEnded> ended = {};     ///< the round is complete with them
  std::span<const std::byte> history = {};  ///< summaries of the pipelines that it finishes; empty: none
  const CallerWrites* caller = nullptr;     ///< that the store takes(); null: none
  std::span<const ContextApart> contexts = {};  ///< that lie apart from their records in the journal
  std::span<const WaitingChange> waiting = {};  ///< to the rows of pipelines that wait in the store alone
};

/// A pipeline as a store remembers it.
struct RememberedPipeline {
  PipelineImage pipeline;  ///< its tasks with their contexts, outputs perhaps not
  WorkflowImage workflow;
};

/// How long a store's history is.
struct HistoryTail {
  std::uint64_t count = 0;   ///< summaries ever written
  std::uint64_t bytes = 0;   ///< of them
  std::int64_t high_ns = 0;  ///< the latest time of one: it never goes back
};

/// What it means that a context which a record has a mark of cannot be found.
StoreError missing_context(const ContextPlace& place);
/// What it means that another text lies there than the mark stands for.
StoreError other_context(const ContextPlace& place);

/// Keeps packed group commits in the order in which they were appended.
///
/// Thread-safety: one thread at a time; the journal's committer is the only writer.
/// Invariant: after an error of append() or sync() its outcome is unknown and every later write fails.
class StateStore {
 public:
  /// @param first_sequence  the number of the commit's first transition
  /// @param commit          the packed bytes, valid during the call
  using Visitor = std::function<std::expected<void, StoreError>(std::uint64_t first_sequence,
                                                                std::span<const std::byte> commit)>;

  virtual ~StateStore() = default;

  /// The number of this opening, from 1: each opening for writing raises it, durably, before it returns.
  virtual std::uint64_t epoch() const noexcept = 0;

  /// The lowest sequence number that no opening of this store has ever used.
  virtual std::uint64_t next_sequence() const noexcept = 0;

  /// The number after the last one that the store holds. Below next_sequence() where an opening did not end
  /// with close(): numbers that it may have used are skipped.
  virtual std::uint64_t journal_end() const noexcept = 0;

  /// The hash of the last commit as of the opening, to which the next one is linked; 0: there is none.
  virtual std::uint64_t journal_hash() const noexcept = 0;

  /// Whether the previous opening ended with close().
  virtual bool closed_cleanly() const noexcept = 0;

  /// What runs, for who opens the store after this process was killed. Null: the store keeps none, so only
  /// starts that are in the journal are known then.
  virtual InFlightBoard* board() noexcept { return nullptr; }

  /// How well it can serve now. Failures of append() and sync() are theirs to tell.
  ///
  /// Thread-safety: any number of threads, beside the others.
  virtual StoreCondition condition() noexcept { return {}; }

  /// Visits every commit that the store holds, in order. Ends early with the visitor's error.
  virtual std::expected<void, StoreError> replay(const Visitor& visit) = 0;
  /// The same from the first commit on that begins at `sequence` or later.
  virtual std::expected<void, StoreError> replay_from(std::uint64_t sequence, const Visitor& visit);

  /// Whether append_rows() keeps rows; without, everything is folded from the journal, which grows for ever.
  virtual bool keeps_checkpoints() const noexcept { return false; }
  /// The complete rounds, as of the opening.
  virtual CheckpointMarks checkpoints() const { return {}; }
  /// A number for the next round: above that of any row that the store holds.
  virtual std::uint64_t next_generation() const noexcept { return 1; }
  /// Visits every slice of a round, in order.
  virtual std::expected<void, StoreError> replay_rows(std::uint64_t generation, const Visitor& visit);
  /// How long events stay; the journal below them goes when a round is complete. Without: 7 days.
  virtual void retain_events(const Retention&) {}
  /// Below this number the store holds no event any more.
  ///
  /// Thread-safety: any thread.
  virtual std::uint64_t events_begin() const noexcept { return 0; }

  /// The history as of the opening. Null: none is kept.
  virtual const HistoryTail* history() const noexcept { return nullptr; }
  /// Below this number the store holds no summary.
  ///
  /// Thread-safety: any thread.
  virtual std::uint64_t history_begin() const noexcept { return ~std::uint64_t{0}; }
  /// How long summaries of finished pipelines stay; what is older goes with tidy(). Without: for ever.
  virtual void retain_history(const Retention&) {}

  /// Looks for a pipeline, ended or not, as of what is written. Reads from the newest round of the checkpoint
  /// on, and where it ended before that, from ever older ones: what ended lately is found soon.
  ///
  /// @return  nothing: it is unknown, or ended before the events begin that the store keeps
  /// Thread-safety: beside the committer's calls and tidy(); not beside close().
  virtual std::expected<std::optional<RememberedPipeline>, StoreError> find_pipeline(const Uuid& id);

  /// Hands one commit over. When it returns, the commit survives the death of the process.
  ///
  /// @param first_sequence  >= next_sequence() at opening, and rising from call to call
  virtual std::expected<void, StoreError> append(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                                 std::span<const std::byte> commit) = 0;

  /// append() with rows.
  virtual std::expected<void, StoreError> append_rows(std::uint64_t first_sequence,
                                                      std::uint64_t end_sequence,
                                                      std::span<const std::byte> commit,
                                                      const CommitRows& rows);
  /// Drops what a complete round lets go, in small steps: events and summaries beyond their retention. Events
  /// of pipelines that live stay readable.
  ///
  /// @pre     the round is synced, and the next one has not begun
  /// @return  whether there is more to do
  /// Thread-safety: beside the committer's calls; not beside close().
  virtual std::expected<bool, StoreError> tidy() { return false; }

  /// Whether append_rows() keeps rows of pipelines that wait in the store alone.
  virtual bool keeps_waiting() const noexcept { return false; }
  /// The lines of such pipelines, as of the opening, empty ones included.
  virtual std::expected<std::vector<WaitingBounds>, StoreError> waiting_lines();
  /// @return  whether to go on
  using WaitingVisitor =
      std::function<std::expected<bool, StoreError>(std::uint64_t place, std::span<const std::byte> row)>;
  /// Visits the rows of a line in order from a place on, where one lies: what was appended before the call.
  ///
  /// Thread-safety: beside the committer's calls; not beside close().
  virtual std::expected<void, StoreError> replay_waiting(const WaitingLine& line, std::uint64_t from,
                                                         const WaitingVisitor& visit);

  /// Whether append_rows() can bring a caller's writes. Any thread.
  ///
  /// @return  Refused, with what it takes
  virtual std::expected<void, StoreError> takes(const CallerWrites& writes) const;

  /// Reads a context that lies apart. It is there as long as the record that brought it, or, where the
  /// pipeline lives, its row.
  ///
  /// @return  the text as it is there, or Damaged: there is none
  /// Thread-safety: any number of threads, beside the others; after close(): Closed.
  virtual std::expected<std::string, StoreError> read_context(const ContextPlace& place);

  /// Called before anybody hears that everything below `end_sequence` survives the death of the process, so
  /// that the store can tell later whether that is still true.
  virtual std::expected<void, StoreError> acknowledge(std::uint64_t end_sequence) = 0;

  /// When it returns, everything appended before survives a power cut.
  virtual std::expected<void, StoreError> sync() = 0;

  /// Syncs, marks the store as cleanly closed and releases it. A second call does nothing.
  virtual std::expected<void, StoreError> close() = 0;
};

/// What a memory store writes to, for tests and simulation. Outlives the store as a disk does a process.
///
/// Thread-safety: that of the store which uses it, but for after_kill().
struct MemoryMedium {
  MemoryMedium();

  struct Commit {
    std::uint64_t first_sequence;
    std::uint64_t end_sequence;
    std::vector<std::byte> bytes;
    std::vector<std::byte> slice = {};  ///< of the checkpoint
    std::uint64_t generation = 0;       ///< the slice's
    std::string marks = {};             ///< CheckpointMarks as of this commit, where it completed a round
    std::map<ContextPlace, std::string> contexts = {};  ///< that lie apart
    /// Changes, and the row of each that puts one.
    std::vector<std::pair<WaitingChange, std::vector<std::byte>>> waiting = {};
  };
  /// Rows of pipelines that wait in the store alone.
  struct Waiting {
    std::map<WaitingLine, WaitingBounds> lines;
    std::map<std::pair<WaitingLine, std::uint64_t>, std::vector<std::byte>> rows;  ///< by place
    void apply(const WaitingChange& change, std::span<const std::byte> row);
  };
  std::vector<Commit> commits;
  std::string marks;             ///< as of the commits that are gone
  std::map<ContextPlace, std::string> contexts;  ///< of those commits, of pipelines that live
  Waiting waiting;               ///< likewise
  std::size_t synced = 0;        ///< how many of them a power cut leaves
  std::uint64_t used_below = 1;  ///< no number from here on was ever used
  std::uint64_t epoch = 0;
  bool clean = true;
  bool open = false;
  /// As claimed; what it says survives a store, not a power cut. Copies of the medium share it.
  std::vector<std::shared_ptr<std::vector<BoardLine>>> board;

  /// What a process leaves that is killed now; not open.
  ///
  /// Thread-safety: any number of threads, beside the store.
  std::shared_ptr<MemoryMedium> after_kill() const;

  /// What a power cut does: drops the commits that were not synced, ends the store's life.
  void cut_power();

  std::shared_ptr<Mutex> mutex;  ///< held while the store changes the medium; copies share it
};

/// A store in memory: survives what its medium survives.
///
/// @param medium  not open; null: one of its own, gone with the store
std::unique_ptr<StateStore> make_memory_store(std::shared_ptr<MemoryMedium> medium = nullptr);

struct StoreOptions {
  /// Large contexts are compressed (zstd) on their way into tables, by RocksDB's own threads. What is there
  /// stays as it is and is read either way.
  bool compress_contexts = false;
};

/// Opens, or makes, a store in RocksDB.
///
/// @param directory  made where absent (its parent must exist); refused where it holds anything but a leat
///                   store
/// @return           the store, or Locked, NewerFormat, NotWritable, NotAStore, Damaged, Io, Refused (options
///                   that this RocksDB cannot serve): nothing was changed
std::expected<std::unique_ptr<StateStore>, StoreError> open_rocksdb_store(const std::string& directory,
                                                                          const StoreOptions& options = {});

}  // namespace leat
