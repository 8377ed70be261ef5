// Proves that a store is whole: every byte that holds data, every commit, every transition.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "leat/store_error.h"

namespace leat {

/// Reads everything and writes nothing; takes no lock, so a live writer may go on. Of a closed store each
/// byte counts but those of RocksDB's LOG, LOG.old.*, OPTIONS-*, IDENTITY and LOCK files: they hold no data.
/// BOARD, where one is left, is believed line by line as far as the journal agrees; RESERVE is never read.
///
/// @return  what is wrong, most fundamental first; empty: nothing. Or NotFound, NotAStore, NewerFormat, Io
///          where it could not be examined
std::expected<std::vector<StoreError>, StoreError> verify_rocksdb_store(const std::string& directory);

/// One line for each thing.
struct RepairReport {
  std::vector<std::string> done;
  std::vector<std::string> lost;  ///< what follows from nothing, and why
};

/// Rebuilds what follows from the rest of a store that was closed, where a checksum or the journal proves the
/// result: CURRENT from the manifests that are there, FLOOR from the superblock; where they are damaged or
/// disagree with the journal, the checkpoint, the history and the list of contexts, from the oldest round
/// that is whole, or the store's first commit, and the journal behind it. Touches nothing else. Cut short, it
/// leaves a store that is refused until it is run again.
///
/// @return  empty: nothing was to be done, or could be. Or NotFound, NotAStore, NewerFormat, NotWritable,
///          Locked, Io
std::expected<RepairReport, StoreError> repair_rocksdb_store(const std::string& directory);

}  // namespace leat
