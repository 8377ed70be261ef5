// Whether tables are as they were written, before RocksDB reads them: it parses a table's properties before
// it looks at their checksum, and Debian's assertion build aborts at some altered bytes there. Private:
// includes RocksDB.
#pragma once

#include <rocksdb/env.h>

#include <expected>
#include <functional>
#include <string>
#include <vector>

#include "leat/store_error.h"

namespace leat {

/// An environment in which some files cannot be read, or are not there.
class EnvWithout final : public rocksdb::EnvWrapper {
 public:
  /// @param unreadable  by name, without the directory: asked for tables
  /// @param logs        whether write-ahead logs are there
  EnvWithout(rocksdb::Env& below, std::function<bool(const std::string& name)> unreadable, bool logs);
};

struct AlteredTable {
  std::string name;
  std::string family;
  StoreError error;  ///< Damaged, naming the file; or Io
};

/// Compares each table that the manifest lists with the checksum that it holds of the whole file. One without
/// (of a database whose owner keeps none) is left to the checksums of blocks.
std::expected<std::vector<AlteredTable>, StoreError> find_altered_tables(const std::string& directory,
                                                                         rocksdb::Env& env);

}  // namespace leat
