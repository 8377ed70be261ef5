// How long summaries of finished pipelines stay. Private: includes RocksDB.
#pragma once

#include <cstdint>
#include <expected>

#include "journal_family.h"
#include "leat/checkpoint.h"
#include "leat/store_error.h"

namespace leat {

/// Drops the packs beyond the limits.
///
/// @param now_ns  Unix time
/// @return        the number of the commit where the history begins from now on; 0: nothing went
std::expected<std::uint64_t, StoreError> drop_old_history(const JournalDb& journal, const Retention& limits,
                                                          std::int64_t now_ns);

}  // namespace leat
