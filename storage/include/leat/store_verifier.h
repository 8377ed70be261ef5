// Proves that a store is whole: every byte that holds data, every commit, every transition.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "leat/store_error.h"

namespace leat {

/// Reads everything and writes nothing.
///
/// @return  what is wrong, most fundamental first, as Damaged or NewerFormat; empty: nothing. Or NotFound,
///          NotAStore, Locked, Io where it could not be examined
/// @pre     the store is not open for writing
std::expected<std::vector<StoreError>, StoreError> verify_rocksdb_store(const std::string& directory);

}  // namespace leat
