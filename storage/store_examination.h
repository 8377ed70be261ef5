// What is wrong with a store, and what of it follows from the rest. Private.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "journal_family.h"
#include "leat/store_error.h"
#include "store_directory.h"

namespace leat {

struct Finding {
  StoreError error;
  std::string
      derived;  ///< the column family, of those that follow from the journal, that alone is wrong; or empty
};

/// Reads everything once.
///
/// @param block  the superblock as it was before
/// @return       most fundamental first
std::vector<Finding> examine_store(const std::string& directory, const Superblock& block);

/// As RocksdbStore::verify_in() says.
///
/// @param directory  of leat's own files
std::expected<std::vector<StoreError>, StoreError> verify_borrowed_store(const JournalDb& journal,
                                                                         const std::string& directory);

}  // namespace leat
