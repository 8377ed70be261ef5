// Whether tables are as they were written, before RocksDB reads them: it parses a table's properties before it
// looks at their checksum, and Debian's assertion build aborts at some altered bytes there. Private: includes RocksDB.
#pragma once

#include <rocksdb/env.h>

#include <expected>
#include <string>

#include "leat/store_error.h"

namespace leat {

/// Compares each table that the manifest lists with the checksum that it holds of the whole file. One without
/// (of a database whose owner keeps none) is left to the checksums of blocks.
///
/// @return  Damaged, naming the file; Io
std::expected<void, StoreError> check_tables(const std::string& directory, rocksdb::Env& env);

}  // namespace leat
