// Makes the families of a closed store anew that follow from the rest, so that a repair which is cut short
// can be taken up again. Private: includes RocksDB.
#pragma once

#include <rocksdb/env.h>

#include <expected>
#include <set>
#include <string>

#include "leat/store_error.h"
#include "leat/store_verifier.h"
#include "store_directory.h"

namespace leat {

/// @param broken  families, or none: those that an earlier repair had begun with
/// @param env     what RocksDB writes to
/// @param report  says what was done, and what cannot be
std::expected<void, StoreError> rebuild_families(StoreDirectory& place, std::set<std::string> broken,
                                                 rocksdb::Env& env, RepairReport& report);

}  // namespace leat
