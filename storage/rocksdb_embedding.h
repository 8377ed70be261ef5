// What a store asks of a database that is not its own. Private: includes RocksDB.
#pragma once

#include <rocksdb/comparator.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <cstdint>
#include <expected>
#include <map>
#include <span>
#include <string>

#include "leat/store_error.h"

namespace leat {

/// What leat has to know of a caller's column family, since RocksDB finds out only when the batch is in its
/// log: the database stands still then.
struct CallerFamily {
  std::string name;
  bool ours = false;  ///< leat's, of whatever owner
  bool has_timestamps = false;
  bool merges = false;          ///< it has a merge operator
  bool deletes_ranges = false;  ///< its tables can
  const rocksdb::Comparator* comparator = nullptr;
};
using CallerFamilies = std::map<std::uint32_t, CallerFamily>;  // by identifier

/// @return  Refused, naming the option and what is accepted
std::expected<void, StoreError> check_options(const rocksdb::DBOptions& options);

/// @param family  one of leat's own
/// @return        Refused, naming family and option and what is accepted
std::expected<void, StoreError> check_family(const rocksdb::ColumnFamilyDescriptor& family);

/// @param families  all that the database was opened with; none of them is looked at later
std::expected<CallerFamilies, StoreError> list_families(
    rocksdb::DB& db, std::span<rocksdb::ColumnFamilyHandle* const> families);

/// @return  Refused where the database would not take the batch beside leat's own writes: it writes into
///          leat's families or into unknown ones, or holds what they cannot keep, or more than plain writes
std::expected<void, StoreError> check_writes(const rocksdb::WriteBatch& batch,
                                             const CallerFamilies& families);

}  // namespace leat
