// Whether what RocksDB would recover is all that was acknowledged. No recovery mode of RocksDB answers
// that: its default opens without a word behind a flipped byte, the strict one refuses an innocent
// torn tail, and a missing write-ahead log opens as an empty store. So our facts decide, before
// anything is opened for writing.
#pragma once

#include <rocksdb/options.h>

#include <cstdint>
#include <expected>
#include <string>

#include "leat/store_error.h"
#include "journal_walk.h"
#include "rocksdb_store.h"
#include "store_directory.h"

namespace leat {

/// Read it before the journal: beside a live writer it only rises.
///
/// @return  Damaged where the floor is needed and cannot be read
std::expected<Promise, StoreError> read_promise(const std::string& directory, const Superblock& block,
                                                std::uint64_t boot);

/// Reads the store, without writing, as an opening would recover it.
///
/// @return  the recovery mode with which an opening loses nothing that was acknowledged: strict, or point
///          in time for a torn tail; or Damaged
std::expected<rocksdb::WALRecoveryMode, StoreError> recovery_mode(const std::string& directory,
                                                                  const Superblock& block,
                                                                  const StoreEnvironment& environment);

/// Looks through the raw bytes of the write-ahead logs, past every break.
///
/// @return  the highest number below which a readable commit says that all was synced; 0: none is readable
std::uint64_t synced_by_raw_logs(const std::string& directory, rocksdb::Env& env);

}  // namespace leat
