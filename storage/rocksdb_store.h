// The store in RocksDB with its surroundings as parameters, for tests that take power, space or time away.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "leat/state_store.h"
#include "leat/store_verifier.h"
#include "own_files.h"
#include "rocksdb_embedding.h"
#include "store_directory.h"

namespace leat {

class StallListener;

/// Reserved by one superblock: a crash skips at most so many; one file is synced for each so many.
inline constexpr std::uint64_t kReservedNumbers = std::uint64_t{1} << 24;

struct StoreEnvironment {
  rocksdb::Env* env = rocksdb::Env::Default();  ///< outlives the store
  OwnFiles* files = &OwnFiles::system();        ///< likewise
  std::uint64_t boot = current_boot();          ///< see Floor::promised()
  StoreOptions options = {};
  std::function<void(std::string_view line)> torn = {};  ///< see leat/store_recovery.h
  std::uint64_t reserved_numbers = kReservedNumbers;
  std::shared_ptr<StallListener> stalls = {};  ///< that a caller's database tells; null: one of its own
};

std::expected<std::unique_ptr<StateStore>, StoreError> open_rocksdb_store(
    const std::string& directory, const StoreEnvironment& environment);

/// A store in a database that is open, and stays its owner's.
///
/// @param directory  of leat's own files
/// @param families   as journal_families() lists them
/// @param callers    all that the database has
std::expected<std::unique_ptr<StateStore>, StoreError> open_borrowed_store(
    rocksdb::DB& db, const std::vector<rocksdb::ColumnFamilyHandle*>& families, CallerFamilies&& callers,
    const std::string& directory, const StoreEnvironment& environment);

/// As leat/store_verifier.h says.
///
/// @param env  what RocksDB writes to; the superblock and the floor are written past it, each in one durable
///             step
std::expected<RepairReport, StoreError> repair_rocksdb_store(const std::string& directory, rocksdb::Env& env);

}  // namespace leat
