// The store in RocksDB: one writer, one WAL record per group commit, synced by SyncWAL() alone.
#include "rocksdb_store.h"

#include <fmt/format.h>
#include <rocksdb/convenience.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "carried_events.h"
#include "check.h"
#include "checkpoint_round.h"
#include "commit.h"
#include "contexts_family.h"
#include "file_board.h"
#include "history_retention.h"
#include "journal_family.h"
#include "journal_fold.h"
#include "journal_recovery.h"
#include "leat/rocksdb.h"
#include "leat_locks/mutex.h"
#include "rocksdb_embedding.h"
#include "surroundings.h"

namespace leat {
namespace {

// Numbers reserved by one superblock: a crash skips at most so many; one file is synced for each so many.
constexpr std::uint64_t kReservedNumbers = std::uint64_t{1} << 24;

StoreError at_place(const std::string& directory, const StoreError& what) {
  return {what.code, fmt::format("{}: {}", directory, what.message)};
}

class RocksdbStateStore final : public StateStore {
 public:
  RocksdbStateStore(rocksdb::Env* env, Surroundings&& surroundings, StoreDirectory&& directory,
                    JournalDb&& journal, const JournalEnd& journal_end)
      : env_(env),
        surroundings_(std::move(surroundings)),
        directory_(std::move(directory)),
        journal_(std::move(journal)),
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
  const Surroundings surroundings_;
  StoreDirectory directory_;
  JournalDb journal_;
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

std::expected<void, StoreError> RocksdbStateStore::begin(std::uint64_t boot) {
  auto marks = journal_.marks();
  if (!marks) return std::unexpected(std::move(marks.error()));
  const auto generation = journal_.next_generation();
  if (!generation) return std::unexpected(generation.error());
  const auto tail = journal_.history_tail();
  if (!tail) return std::unexpected(tail.error());
  history_ = *tail;
  const auto begun = journal_.replay_history(
      0, [this](std::uint64_t first, std::span<const std::byte>) -> std::expected<bool, StoreError> {
        history_begin_.store(first, std::memory_order_relaxed);  // relaxed: nobody else knows the store yet
        return false;
      });
  if (!begun) return begun;
  marks_ = std::move(*marks);
  next_generation_ = *generation;
  journal_bytes_ = marks_.newest().journal_bytes;
  // relaxed: nobody else knows the store yet
  events_begin_.store(marks_.oldest().minimum, std::memory_order_relaxed);
  Superblock block = directory_.superblock();
  block.epoch += 1;
  block.created = true;
  block.clean = false;
  block.manifest = 0;
  block.journal_end = journal_end_.sequence;
  block.journal_hash = journal_end_.hash;
  block.reserved_end += kReservedNumbers;
  if (!journal_.is_borrowed()) surroundings_.guard->take_reserve(0);
  // A store that was created has a floor, so a death between the two must find the floor first.
  if (!directory_.superblock().created) {
    if (auto done = directory_.begin_floor(block.epoch, journal_end_.sequence, journal_end_.hash, boot);
        !done)
      return done;
  }
  if (auto done = directory_.replace(block); !done) return done;
  if (auto done = directory_.begin_floor(block.epoch, journal_end_.sequence, journal_end_.hash, boot); !done)
    return done;
  auto board = FileBoard::open(directory_.path());
  if (!board) return std::unexpected(std::move(board.error()));
  board_ = std::move(*board);
  return {};
}

StoreCondition RocksdbStateStore::condition() noexcept {
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
  using rocksdb::WriteStallCondition;
  const WriteStallCondition stall = surroundings_.stalls->condition();
  if (stall == WriteStallCondition::kStopped) {
    return {StoreHealth::ReadOnly, deed("the device does not keep up, writes are held up:")};
  }
  SpaceGuard& guard = *surroundings_.guard;
  // A caller's database does not write through the guard, which could not give a reserve back.
  const SpaceGuard::Space space = journal_.is_borrowed() ? guard.space() : guard.look();
  if (space.free_bytes / 2 < space.gate_bytes) {
    const bool closed = space.free_bytes < space.gate_bytes;
    return {closed ? StoreHealth::ReadOnly : StoreHealth::Degraded,
            fmt::format("{}: {:.1f} MiB are free, below {:.1f} nothing new is admitted; make room",
                        directory_.path(), static_cast<double>(space.free_bytes) / kMiB,
                        static_cast<double>(space.gate_bytes) / kMiB)};
  }
  if (stall == WriteStallCondition::kDelayed) {
    return {StoreHealth::Degraded, deed("the device does not keep up, writes are slowed down:")};
  }
  return {};
}

std::expected<void, StoreError> RocksdbStateStore::usable() const {
  if (is_closed_) return std::unexpected(StoreError{StoreErrorCode::Closed, deed("closed:")});
  if (failure_) return std::unexpected(*failure_);
  return {};
}

std::expected<void, StoreError> RocksdbStateStore::replay_from(std::uint64_t sequence, const Visitor& visit) {
  if (auto ready = usable(); !ready) return ready;
  return journal_.replay(visit, sequence);
}

std::expected<void, StoreError> RocksdbStateStore::replay_rows(std::uint64_t generation,
                                                               const Visitor& visit) {
  if (auto ready = usable(); !ready) return ready;
  return journal_.replay_rows(generation, visit);
}

/// Adds rows to the batch; where they complete a round, also the round's mark. What it replaces goes with
/// tidy().
rocksdb::Status RocksdbStateStore::put_rows(const CommitRows& rows, std::uint64_t first_sequence,
                                            std::uint64_t end_sequence) {
  rocksdb::ColumnFamilyHandle* const family = journal_.checkpoint();
  rocksdb::Status status =
      batch_.Put(family, row_key(rows.generation, first_sequence),
                 rocksdb::Slice(reinterpret_cast<const char*>(rows.slice.data()), rows.slice.size()));
  const auto mark = round_.add(rows, end_sequence, hash_, journal_bytes_);
  if (!mark) return status;
  // The rows of rounds that a crash cut short lie between the newest one's and this one's.
  tidy_ns_.store(mark->ended_ns, std::memory_order_relaxed);  // relaxed: any recent value
  const std::uint64_t leftovers = marks_.newest().generation + 1;
  const std::uint64_t between = marks_.add(*mark, events_);
  const std::string marks = marks_.encode();
  if (status.ok()) status = batch_.Put(family, rocksdb::Slice(kMarksKey.data(), kMarksKey.size()), marks);
  const auto drop = [&](std::uint64_t first, std::uint64_t end) {
    if (status.ok() && first < end) status = batch_.DeleteRange(family, row_key(first, 0), row_key(end, 0));
  };
  drop(leftovers, mark->generation);
  if (between != 0) drop(between, between + 1);
  return status;
}

std::expected<bool, StoreError> RocksdbStateStore::tidy() {
  if (auto ready = usable(); !ready) return std::unexpected(std::move(ready.error()));
  const CheckpointMark& horizon = marks_.horizon(events_);
  if (horizon != marks_.oldest()) {
    if (!carrier_) carrier_.emplace(journal_, marks_.oldest(), horizon);
    const auto more = carrier_->step();
    if (more && *more) return true;
    carrier_.reset();
    if (!more) return std::unexpected(more.error());
    if (auto done = drop_events(); !done) return std::unexpected(std::move(done.error()));
  }
  // The first time of an opening it finds what a crash left.
  if (swept_generation_ != marks_.oldest().generation) {
    if (!sweeper_) sweeper_.emplace(journal_, marks_.oldest());
    const auto more = sweeper_->step();
    if (more && *more) return true;
    sweeper_.reset();
    if (!more) return std::unexpected(more.error());
    swept_generation_ = marks_.oldest().generation;
  }
  if (auto done = tidy_history(); !done) return std::unexpected(std::move(done.error()));
  return false;
}

/// What still lives before the new beginning is carried.
std::expected<void, StoreError> RocksdbStateStore::drop_events() {
  rocksdb::ColumnFamilyHandle* const family = journal_.checkpoint();
  CheckpointMarks marks = marks_;
  const CheckpointMarks::Dropped dropped = marks.advance(events_);
  const std::string first = journal_key(0);
  const std::string last = journal_key(dropped.journal_below);
  rocksdb::WriteBatch batch;
  rocksdb::Status status =
      batch.Put(family, rocksdb::Slice(kMarksKey.data(), kMarksKey.size()), marks.encode());
  for (const std::uint64_t generation : dropped.generations) {
    if (status.ok()) status = batch.DeleteRange(family, row_key(generation, 0), row_key(generation + 1, 0));
  }
  if (status.ok()) {
    status = batch.DeleteRange(family, carried_key(0, 0), carried_key(marks.oldest().generation, 0));
  }
  if (status.ok()) status = batch.DeleteRange(journal_.family(), first, last);
  rocksdb::WriteOptions options;
  options.sync = false;  // as append_rows() does
  if (status.ok()) status = journal_.db().Write(options, &batch);
  // Files go for good: not before what says so is on the device.
  if (status.ok()) status = journal_.db().SyncWAL();
  // Whole files at once, so that no compaction has to read what is gone. The end is not included.
  const rocksdb::Slice begin(first), end(last);
  if (status.ok()) {
    status = rocksdb::DeleteFilesInRange(&journal_.db(), journal_.family(), &begin, &end, false);
  }
  if (!status.ok()) return std::unexpected(to_store_error(status, deed("dropping old events of")));
  marks_ = std::move(marks);
  events_begin_.store(dropped.journal_below, std::memory_order_relaxed);  // relaxed: any recent value
  return {};
}

std::expected<void, StoreError> RocksdbStateStore::tidy_history() {
  // relaxed: any recent value
  const auto begin = drop_old_history(journal_, history_limits_, tidy_ns_.load(std::memory_order_relaxed));
  if (!begin) return std::unexpected(begin.error());
  if (*begin != 0) history_begin_.store(*begin, std::memory_order_relaxed);  // relaxed: any recent value
  return {};
}

std::expected<void, StoreError> RocksdbStateStore::append_rows(std::uint64_t first_sequence,
                                                               std::uint64_t end_sequence,
                                                               std::span<const std::byte> commit,
                                                               const CommitRows& rows) {
  if (auto ready = usable(); !ready) return ready;
  LEAT_CHECK(first_sequence >= next_sequence_ && first_sequence >= written_ && end_sequence > first_sequence);
  if (end_sequence > directory_.superblock().reserved_end) {
    Superblock block = directory_.superblock();
    block.reserved_end = end_sequence + kReservedNumbers;
    if (auto done = directory_.replace(block); !done) return fail(std::move(done.error()));
  }
  std::size_t context_bytes = 0;
  for (const ContextApart& context : rows.contexts) context_bytes += context.text.size();
  if (!journal_.is_borrowed())
    surroundings_.guard->take_reserve(commit.size() + rows.slice.size() + rows.history.size() +
                                      context_bytes);
  if (rows.caller == nullptr) {
    batch_.Clear();
  } else {
    batch_ = static_cast<const RocksdbWrites*>(rows.caller)->batch;  // takes() has said so
  }
  rocksdb::Status status =
      batch_.Put(journal_.family(), journal_key(first_sequence),
                 rocksdb::Slice(reinterpret_cast<const char*>(commit.data()), commit.size()));
  journal_bytes_ += commit.size() + context_bytes;
  hash_ = hash_of_commit(commit);
  if (status.ok() && !rows.history.empty()) {
    // relaxed: only raised elsewhere, and only from a number that is not this
    if (history_begin() == ~std::uint64_t{0}) history_begin_.store(first_sequence, std::memory_order_relaxed);
    status =
        batch_.Put(journal_.history(), history_key(first_sequence),
                   rocksdb::Slice(reinterpret_cast<const char*>(rows.history.data()), rows.history.size()));
  }
  if (status.ok()) status = put_contexts(journal_, first_sequence, rows.contexts, batch_);
  if (status.ok() && !rows.slice.empty()) status = put_rows(rows, first_sequence, end_sequence);
  if (status.ok() && !rows.waiting.empty())
    status = put_waiting(batch_, journal_.waiting(), rows.waiting);
  rocksdb::WriteOptions options;
  options.sync = false;  // sync() alone syncs: the two ways are never mixed
  options.disableWAL = false;
  if (status.ok()) status = journal_.db().Write(options, &batch_);
  if (!status.ok()) return fail(to_store_error(status, deed("writing to")));
  written_ = end_sequence;
  return {};
}

std::expected<void, StoreError> RocksdbStateStore::takes(const CallerWrites& writes) const {
  const auto* const known = dynamic_cast<const RocksdbWrites*>(&writes);
  if (!journal_.is_borrowed() || known == nullptr) return StateStore::takes(writes);
  return check_writes(known->batch, journal_.families());
}

std::expected<std::string, StoreError> RocksdbStateStore::read_context(const ContextPlace& place) {
  const MutexLock lock(reading_);
  if (closed_to_readers_) return std::unexpected(StoreError{StoreErrorCode::Closed, deed("closed:")});
  return leat::read_context(journal_, place);
}

std::expected<void, StoreError> RocksdbStateStore::acknowledge(std::uint64_t end_sequence) {
  if (auto ready = usable(); !ready) return ready;
  LEAT_CHECK(end_sequence <= written_);
  if (auto done = directory_.raise_floor({synced_, synced_hash_},
                                         {end_sequence, end_sequence == written_ ? hash_ : 0});
      !done)
    return fail(std::move(done.error()));
  return {};
}

std::expected<void, StoreError> RocksdbStateStore::sync() {
  if (auto ready = usable(); !ready) return ready;
  if (synced_ == written_) return {};
  const rocksdb::Status status = journal_.db().SyncWAL();
  if (!status.ok()) return fail(to_store_error(status, deed("syncing")));
  synced_ = written_;
  synced_hash_ = hash_;
  if (auto done = directory_.raise_floor({synced_, synced_hash_}, {written_, hash_}); !done)
    return fail(std::move(done.error()));
  return {};
}

std::expected<void, StoreError> RocksdbStateStore::close() {
  if (is_closed_) return {};
  std::expected<void, StoreError> result = sync();
  is_closed_ = true;
  // Into tables, so that the next opening finds no write-ahead log to replay, or to miss.
  if (result) {
    const rocksdb::Status status = journal_.db().Flush(
        rocksdb::FlushOptions(), {journal_.families().begin(), journal_.families().end()});
    if (!status.ok()) result = fail(to_store_error(status, deed("closing")));
  }
  carrier_.reset();
  sweeper_.reset();
  {
    const MutexLock lock(reading_);
    closed_to_readers_ = true;
  }
  const rocksdb::Status status = journal_.close();
  if (result && !status.ok()) result = fail(to_store_error(status, deed("closing")));
  if (result) {
    Superblock block = directory_.superblock();
    block.clean = true;
    block.journal_end = written_;
    block.journal_hash = hash_;
    block.reserved_end = std::max(written_, next_sequence_);
    block.manifest = manifest_digest(directory_.path(), *env_);
    result = directory_.replace(block);
  }
  surroundings_.guard->drop_reserve();
  if (result) board_->close();
  const StoreDirectory released = std::move(directory_);
  return result;
}

}  // namespace

std::expected<std::unique_ptr<StateStore>, StoreError> open_rocksdb_store(
    const std::string& directory, const StoreEnvironment& environment) {
  if (auto can = check_options(environment.options); !can) return std::unexpected(std::move(can.error()));
  auto place = StoreDirectory::open(directory);
  if (!place) return std::unexpected(std::move(place.error()));
  const Superblock block = place->superblock();
  if (block.repairing != 0) return std::unexpected(repair_was_cut_short(directory));
  rocksdb::DBOptions options = journal_db_options(environment.env);
  if (block.created) {
    const auto mode = recovery_mode(directory, block, environment);
    if (!mode) return std::unexpected(mode.error());
    options.wal_recovery_mode = *mode;
  }
  const auto promise = read_promise(directory, block, environment.boot);
  if (!promise) return std::unexpected(promise.error());
  if (block.manifest != 0) {
    // Its list of files is about to change; a death before the epoch counts leaves the store closed.
    Superblock opening = block;
    opening.manifest = 0;
    if (auto done = place->replace(opening); !done) return std::unexpected(std::move(done.error()));
  }
  Surroundings surroundings(*environment.env, directory);
  options.env = surroundings.env.get();
  options.listeners.push_back(surroundings.stalls);
  auto journal =
      JournalDb::open(directory, block.created ? JournalDb::Access::Write : JournalDb::Access::Create,
                      options, environment.options);
  if (!journal) return std::unexpected(to_store_error(journal.error(), fmt::format("opening {}", directory)));
  const auto end = journal->end(JournalEnd::of(block));
  if (!end) return std::unexpected(at_place(directory, end.error()));
  if (auto kept = check_promise(directory, *promise, end->sequence); !kept) {
    return std::unexpected(std::move(kept.error()));
  }
  auto store = std::make_unique<RocksdbStateStore>(environment.env, std::move(surroundings),
                                                   std::move(*place), std::move(*journal), *end);
  if (auto begun = store->begin(environment.boot); !begun) return std::unexpected(std::move(begun.error()));
  return store;
}

std::expected<std::unique_ptr<StateStore>, StoreError> open_borrowed_store(
    rocksdb::DB& db, const std::vector<rocksdb::ColumnFamilyHandle*>& families, const std::string& directory,
    const StoreEnvironment& environment) {
  auto place = StoreDirectory::open(directory);
  if (!place) return std::unexpected(std::move(place.error()));
  const Superblock block = place->superblock();
  const auto promise = read_promise(directory, block, environment.boot);
  if (!promise) return std::unexpected(promise.error());
  JournalDb journal = JournalDb::borrow(db, families);
  // The caller has recovered the database; what leat acknowledged in it is to be there.
  const auto end = journal.check(JournalEnd::of(block), promise->last);
  if (!end) return std::unexpected(at_place(directory, end.error()));
  if (auto kept = check_promise(directory, *promise, end->sequence); !kept) {
    return std::unexpected(std::move(kept.error()));
  }
  Surroundings surroundings(*environment.env, directory);
  if (environment.stalls != nullptr) surroundings.stalls = environment.stalls;
  auto store = std::make_unique<RocksdbStateStore>(environment.env, std::move(surroundings),
                                                   std::move(*place), std::move(journal), *end);
  if (auto begun = store->begin(environment.boot); !begun) return std::unexpected(std::move(begun.error()));
  return store;
}

std::expected<std::unique_ptr<StateStore>, StoreError> open_rocksdb_store(const std::string& directory,
                                                                          const StoreOptions& options) {
  return open_rocksdb_store(directory, StoreEnvironment{.options = options});
}

}  // namespace leat
