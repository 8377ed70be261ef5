// The state store in RocksDB: one writer, one WAL record per group commit, synced by SyncWAL() alone.
// Private: includes RocksDB.
#pragma once

#include <fmt/format.h>
#include <rocksdb/status.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "carried_events.h"
#include "checkpoint_round.h"
#include "contexts_family.h"
#include "file_board.h"
#include "journal_family.h"
#include "journal_fold.h"
#include "leat/history.h"
#include "leat/state_store.h"
#include "leat_locks/mutex.h"
#include "rocksdb_embedding.h"
#include "rocksdb_store.h"
#include "store_directory.h"
#include "surroundings.h"

namespace leat {

class RocksdbStateStore final : public StateStore {
 public:
  RocksdbStateStore(const StoreEnvironment& environment, Surroundings&& surroundings,
                    StoreDirectory&& directory, JournalDb&& journal, const JournalEnd& journal_end,
                    CallerFamilies&& callers = {})
      : env_(environment.env),
        files_(*environment.files),
        reserved_numbers_(environment.reserved_numbers),
        surroundings_(std::move(surroundings)),
        directory_(std::move(directory)),
        journal_(std::move(journal)),
        callers_(std::move(callers)),
        closed_cleanly_(directory_.superblock().clean),
        journal_end_(journal_end),
        next_sequence_(directory_.superblock().reserved_end),
        written_(journal_end.sequence),
        synced_(journal_end.sequence),
        hash_(journal_end.hash) {}

  ~RocksdbStateStore() override = default;  // without close(): as a crash leaves it

  /// Bumps the epoch, durably, and takes over the board.
  std::expected<void, StoreError> begin(std::uint64_t boot);

  std::uint64_t epoch() const noexcept override { return directory_.superblock().epoch; }
  std::uint64_t next_sequence() const noexcept override { return next_sequence_; }
  std::uint64_t journal_end() const noexcept override { return journal_end_.sequence; }
  std::uint64_t journal_hash() const noexcept override { return journal_end_.hash; }
  bool closed_cleanly() const noexcept override { return closed_cleanly_; }
  InFlightBoard* board() noexcept override { return board_.get(); }
  std::expected<void, StoreError> replay(const Visitor& visit) override { return replay_from(0, visit); }
  std::expected<void, StoreError> replay_from(std::uint64_t sequence, const Visitor& visit) override;
  bool keeps_checkpoints() const noexcept override { return true; }
  CheckpointMarks checkpoints() const override { return marks_; }
  std::uint64_t next_generation() const noexcept override { return next_generation_; }
  std::expected<void, StoreError> replay_rows(std::uint64_t generation, const Visitor& visit) override;
  void retain_events(const Retention& events) override { events_ = events; }
  std::uint64_t events_begin() const noexcept override {
    return events_begin_.load(std::memory_order_relaxed);  // relaxed: any recent value
  }
  StoreCondition condition() noexcept override;
  std::expected<void, StoreError> append(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                         std::span<const std::byte> commit) override {
    return append_rows(first_sequence, end_sequence, commit, {});
  }
  std::expected<void, StoreError> append_rows(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override;
  std::expected<std::string, StoreError> read_context(const ContextPlace& place) override;
  std::expected<bool, StoreError> tidy() override;
  bool keeps_waiting() const noexcept override { return journal_.waiting() != nullptr; }
  std::expected<std::vector<WaitingBounds>, StoreError> waiting_lines() override {
    return journal_.waiting_lines();
  }
  std::expected<void, StoreError> replay_waiting(const WaitingLine& line, std::uint64_t from,
                                                 const WaitingVisitor& visit) override {
    return journal_.replay_waiting(line, from, visit);
  }
  std::expected<void, StoreError> takes(const CallerWrites& writes) const override;
  const HistoryTail* history() const noexcept override { return &history_; }
  std::uint64_t history_begin() const noexcept override {
    return history_begin_.load(std::memory_order_relaxed);  // relaxed: any recent value
  }
  void retain_history(const Retention& limits) override { history_limits_ = limits; }
  std::expected<std::optional<RememberedPipeline>, StoreError> find_pipeline(const Uuid& id) override {
    return leat::find_pipeline(journal_, id);
  }
  std::expected<void, StoreError> acknowledge(std::uint64_t end_sequence) override;
  std::expected<void, StoreError> sync() override;
  std::expected<void, StoreError> close() override;

 private:
  /// Remembers the first error: RocksDB's state is unknown from then on, so nothing more is written.
  std::unexpected<StoreError> fail(StoreError&& what) {
    failure_ = std::move(what);
    return std::unexpected(*failure_);
  }
  std::expected<void, StoreError> usable() const;
  std::expected<void, StoreError> drop_events();
  std::expected<void, StoreError> tidy_history();
  rocksdb::Status put_rows(const CommitRows& rows, std::uint64_t first_sequence, std::uint64_t end_sequence);
  std::string deed(std::string_view verb) const { return fmt::format("{} {}", verb, directory_.path()); }

  rocksdb::Env* const env_;
  OwnFiles& files_;
  const std::uint64_t reserved_numbers_;
  const Surroundings surroundings_;
  StoreDirectory directory_;
  JournalDb journal_;
  const CallerFamilies callers_;  // of a caller's database
  std::unique_ptr<FileBoard> board_;
  rocksdb::WriteBatch batch_;
  const bool closed_cleanly_;
  const JournalEnd journal_end_;       // at opening
  const std::uint64_t next_sequence_;  // at opening
  std::uint64_t written_;
  std::uint64_t synced_;
  std::uint64_t hash_;  // of what is written
  std::uint64_t synced_hash_ = hash_;
  CheckpointMarks marks_;  // the committer's at the end of a round, tidy()'s until the next one begins
  std::optional<EventCarrier> carrier_;
  std::optional<ContextSweeper> sweeper_;
  std::uint64_t swept_generation_ = 0;  // of the round before which all contexts of what ended are freed
  CheckpointRound round_;
  Retention events_ = kRetainEvents;
  HistoryTail history_;  // at opening
  std::atomic<std::uint64_t> history_begin_{~std::uint64_t{0}};
  Retention history_limits_;
  std::uint64_t next_generation_ = 1;
  std::uint64_t journal_bytes_ = 0;             // of the store's life, as far as rounds wrote it down
  std::atomic<std::int64_t> tidy_ns_{0};        // when the latest round ended
  std::atomic<std::uint64_t> events_begin_{0};  // the journal's beginning
  std::optional<StoreError> failure_;
  bool is_closed_ = false;
  Mutex reading_;  // who reads a context is beside close()
  bool closed_to_readers_ LEAT_GUARDED_BY(reading_) = false;
};

}  // namespace leat
