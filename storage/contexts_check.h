// Whether the contexts that lie apart are those that the journal's records have marks of. Private: includes
// RocksDB.
#pragma once

#include <expected>
#include <functional>

#include "journal_family.h"
#include "leat/checkpoint.h"
#include "leat/store_error.h"

namespace leat {

/// Holds every record that the store still has against the contexts, and every context against the records.
///
/// @param oldest  where the events begin
/// @param report  told of each that is missing or another than its record says, which nothing can bring back
/// @return        an error: contexts that no record has a mark of, or a list of them that is not complete.
///                Both follow from the rest, see rebuild_contexts()
std::expected<void, StoreError> check_contexts(const JournalDb& journal, const CheckpointMark& oldest,
                                               const std::function<void(StoreError&&)>& report);

/// Frees the contexts that no record has a mark of, and lists the others anew.
std::expected<void, StoreError> rebuild_contexts(const JournalDb& journal, const CheckpointMark& oldest);

}  // namespace leat
