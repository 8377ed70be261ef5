// What a store asks of a database that is not its own. Private: includes RocksDB.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <expected>
#include <span>

#include "leat/store_error.h"

namespace leat {

/// @return  Refused, naming the option and what is accepted
std::expected<void, StoreError> check_options(const rocksdb::DBOptions& options);

/// @param own  the store's families; the first is the default one, which is the caller's to write
/// @return     Refused where the batch writes into them, or holds more than plain writes
std::expected<void, StoreError> check_writes(const rocksdb::WriteBatch& batch,
                                             std::span<rocksdb::ColumnFamilyHandle* const> own);

}  // namespace leat
