// The store in RocksDB: one writer, one WAL record per group commit, synced by SyncWAL() alone.
#include "rocksdb_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "check.h"
#include "commit.h"
#include "journal_recovery.h"
#include "leat/rocksdb.h"
#include "leat/store_recovery.h"
#include "rocksdb_state_store.h"

namespace leat {
namespace {

StoreError at_place(const std::string& directory, const StoreError& what) {
  return {what.code, fmt::format("{}: {}", directory, what.message)};
}

}  // namespace

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
  block.reserved_end += reserved_numbers_;
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
  auto board = FileBoard::open(directory_.path(), files_);
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

std::expected<void, StoreError> RocksdbStateStore::append_rows(std::uint64_t first_sequence,
                                                               std::uint64_t end_sequence,
                                                               std::span<const std::byte> commit,
                                                               const CommitRows& rows) {
  if (auto ready = usable(); !ready) return ready;
  LEAT_CHECK(first_sequence >= next_sequence_ && first_sequence >= written_ && end_sequence > first_sequence);
  if (end_sequence > directory_.superblock().reserved_end) {
    Superblock block = directory_.superblock();
    block.reserved_end = end_sequence + reserved_numbers_;
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
    // Its records alone: neither a limit of its size nor a mark up to where it is logged counts for ours.
    batch_ = rocksdb::WriteBatch(static_cast<const RocksdbWrites*>(rows.caller)->batch.Data());
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
  if (status.ok() && !rows.waiting.empty()) status = put_waiting(batch_, journal_.waiting(), rows.waiting);
  rocksdb::WriteOptions options;
  options.sync = false;  // sync() alone syncs: the two ways are never mixed
  options.disableWAL = false;
  // A family that its owner drops meanwhile takes the writes to it along. Found in the log, they would end
  // all.
  options.ignore_missing_column_families = rows.caller != nullptr;
  if (status.ok()) status = journal_.db().Write(options, &batch_);
  if (!status.ok()) return fail(to_store_error(status, deed("writing to")));
  written_ = end_sequence;
  return {};
}

std::expected<void, StoreError> RocksdbStateStore::takes(const CallerWrites& writes) const {
  const auto* const known = dynamic_cast<const RocksdbWrites*>(&writes);
  if (!journal_.is_borrowed() || known == nullptr) return StateStore::takes(writes);
  return check_writes(known->batch, callers_);
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

std::expected<std::unique_ptr<StateStore>, StoreError> open_rocksdb_store(
    const std::string& directory, const StoreEnvironment& environment) {
  if (auto can = check_options(environment.options); !can) return std::unexpected(std::move(can.error()));
  auto place = StoreDirectory::open(directory, *environment.files);
  if (!place) return std::unexpected(std::move(place.error()));
  const Superblock block = place->superblock();
  if (block.repairing != 0) return std::unexpected(repair_was_cut_short(directory));
  rocksdb::DBOptions options = journal_db_options(environment.env);
  if (block.created) {
    const auto mode = recovery_mode(directory, block, environment);
    if (!mode) return std::unexpected(mode.error());
    options.wal_recovery_mode = *mode;
    if (*mode == rocksdb::WALRecoveryMode::kPointInTimeRecovery && environment.torn) {
      environment.torn(fmt::format(
          "{}: the log ends in a torn record, as a crash leaves it; nothing that was acknowledged is missing",
          directory));
    }
  }
  const auto promise = read_promise(directory, block, environment.boot);
  if (!promise) return std::unexpected(promise.error());
  if (block.manifest != 0) {
    // Its list of files is about to change; a death before the epoch counts leaves the store closed.
    Superblock opening = block;
    opening.manifest = 0;
    if (auto done = place->replace(opening); !done) return std::unexpected(std::move(done.error()));
  }
  Surroundings surroundings(*environment.env, directory, *environment.files);
  surroundings.guard->drop_reserve();  // of a crash: what is recovered is about to be written once more
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
  auto store = std::make_unique<RocksdbStateStore>(environment, std::move(surroundings), std::move(*place),
                                                   std::move(*journal), *end);
  if (auto begun = store->begin(environment.boot); !begun) return std::unexpected(std::move(begun.error()));
  return store;
}

namespace {

/// Commits in a caller's database without leat's directory beside it: nobody knows what is missing of them.
/// Asked before the directory is made.
std::expected<void, StoreError> check_vouched(const JournalDb& journal, const std::string& directory) {
  const auto block = read_superblock(directory);
  if (block || block.error().code != StoreErrorCode::NotFound) return {};
  const auto end = journal.end(JournalEnd());
  if (!end) return std::unexpected(at_place(directory, end.error()));
  if (end->sequence == JournalEnd().sequence) return {};
  return std::unexpected(
      StoreError{StoreErrorCode::Damaged,
                 fmt::format("{}: LEAT is missing, and the database holds transitions up to {}; put the "
                             "directory back from a backup",
                             directory, end->sequence - 1)});
}

}  // namespace

std::expected<std::unique_ptr<StateStore>, StoreError> open_borrowed_store(
    rocksdb::DB& db, const std::vector<rocksdb::ColumnFamilyHandle*>& families, CallerFamilies&& callers,
    const std::string& directory, const StoreEnvironment& environment) {
  JournalDb journal = JournalDb::borrow(db, families);
  if (auto vouched = check_vouched(journal, directory); !vouched)
    return std::unexpected(std::move(vouched.error()));
  auto place = StoreDirectory::open(directory, *environment.files);
  if (!place) return std::unexpected(std::move(place.error()));
  const Superblock block = place->superblock();
  const auto promise = read_promise(directory, block, environment.boot);
  if (!promise) return std::unexpected(promise.error());
  // The caller has recovered the database; what leat acknowledged in it is to be there.
  const auto end = journal.check(JournalEnd::of(block), promise->last);
  if (!end) return std::unexpected(at_place(directory, end.error()));
  if (auto kept = check_promise(directory, *promise, end->sequence); !kept) {
    return std::unexpected(std::move(kept.error()));
  }
  Surroundings surroundings(*environment.env, directory, *environment.files);
  if (environment.stalls != nullptr) surroundings.stalls = environment.stalls;
  auto store = std::make_unique<RocksdbStateStore>(environment, std::move(surroundings), std::move(*place),
                                                   std::move(journal), *end, std::move(callers));
  if (auto begun = store->begin(environment.boot); !begun) return std::unexpected(std::move(begun.error()));
  return store;
}

std::expected<std::unique_ptr<StateStore>, StoreError> open_rocksdb_store(const std::string& directory,
                                                                          const StoreOptions& options) {
  return open_rocksdb_store(directory, StoreEnvironment{.options = options});
}

std::expected<std::unique_ptr<StateStore>, StoreError> open_rocksdb_store(
    const std::string& directory, const StoreOptions& options,
    const std::function<void(std::string_view line)>& torn) {
  return open_rocksdb_store(directory, StoreEnvironment{.options = options, .torn = torn});
}

}  // namespace leat
