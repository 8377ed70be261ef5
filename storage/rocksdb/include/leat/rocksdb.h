// leat in a database that the caller opens: its own rows and the tasks that they ask for, in one write.
// The only public header that brings RocksDB; link leat::rocksdb.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "leat/caller_writes.h"
#include "leat/state_store.h"
#include "leat/store_error.h"

namespace leat {

/// Writes to the caller's own column families, for SubmitOptions::writes: they survive with the submission,
/// at its level, or neither does. Each such submission is a group commit of its own.
///
/// Refused, with nothing written: more than puts, deletes and merges; writes to leat's families or to one
/// that open_in() was not given, or that has timestamps; merges without a merge_operator; ranges that end
/// before they begin. A family that is dropped takes the writes to it along. What the batch is limited to
/// (max_bytes) counts for the caller's writes alone.
struct RocksdbWrites final : public CallerWrites {
  rocksdb::WriteBatch batch;
};

/// leat's part of a database. Several owners can have one each: ownership is (owner, epoch).
///
/// Its health follows the free space beside leat's directory and the database's write stalls, where
/// configure() was called on the same object. It has no reserve against a full device, since the database
/// writes past it: the gate is all there is. `leat verify` and `leat inspect` read stores of leat's own
/// alone; verify_in() proves one here, and an opening checks every commit from the newest round of the
/// checkpoint on.
///
/// Thread-safety: none needed.
class RocksdbStore {
 public:
  /// @param owner  1 to 64 letters, digits, `-` and `_`
  explicit RocksdbStore(std::string_view owner = "main");

  /// Adds leat's families, and sets what its guarantees rest on. Before the caller opens the database; the
  /// caller says whether it may be made (create_if_missing).
  void configure(rocksdb::DBOptions& options, std::vector<rocksdb::ColumnFamilyDescriptor>& families) const;

  /// For Runner::Builder::state_store(). leat's own files lie in the database's directory, in leat-OWNER.
  ///
  /// @param db        open with what configure() gave; outlives the store, and is closed after it
  /// @param families  all that the database was opened with; the caller destroys them
  /// @return          or Refused with the option that would break a guarantee; Locked, NewerFormat,
  ///                  NotWritable, Damaged, Io
  std::expected<std::unique_ptr<StateStore>, StoreError> open_in(
      rocksdb::DB& db, std::span<rocksdb::ColumnFamilyHandle* const> families) const;

  /// Proves that leat's part is whole, as verify_rocksdb_store() does: every commit and what follows from it.
  /// Reads all of it and writes nothing, takes no lock: the store may be open. Whether the files of the
  /// database are as they were written, RocksDB's own checksums tell as far as leat's families are read.
  ///
  /// @return  what is wrong, most fundamental first; empty: nothing. Or Refused as by open_in(), NotFound,
  ///          NewerFormat, Io
  std::expected<std::vector<StoreError>, StoreError> verify_in(
      rocksdb::DB& db, std::span<rocksdb::ColumnFamilyHandle* const> families) const;

 private:
  const std::string owner_;
  const std::shared_ptr<rocksdb::EventListener> stalls_;  // the database tells it, and it the stores
};

}  // namespace leat
