// The rounds of the checkpoint in RocksDB, and what is dropped once they let it go.
#include <rocksdb/convenience.h>
#include <rocksdb/write_batch.h>

#include <string>
#include <utility>

#include "history_retention.h"
#include "rocksdb_state_store.h"

namespace leat {

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

}  // namespace leat
