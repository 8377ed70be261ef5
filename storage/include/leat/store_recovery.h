// From a store to the image of what lives in it: the newest complete round of the checkpoint, then the
// journal from there.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "leat/state_store.h"
#include "leat/store_error.h"
#include "leat/store_image.h"

namespace leat {

/// How far a recovery is.
struct RecoveryProgress {
  std::uint64_t pipelines = 0;  ///< that live, so far
  std::uint64_t folded_to = 0;  ///< number of the journal; 0: rows of the checkpoint are loaded still
  std::uint64_t journal_end = 0;
};

/// Folds what a store remembers unfinished.
///
/// @param progress  called after each slice and each commit; empty: nobody asks
/// @return          Damaged, NewerFormat, Io
std::expected<StoreImage, StoreError> recover_unfinished(
    StateStore& store, const std::function<void(const RecoveryProgress&)>& progress = {});

/// As open_rocksdb_store() of <leat/state_store.h>.
///
/// @param torn  called within the opening, with one line, where the log ends in a torn record; nothing that
///              was acknowledged is missing then
std::expected<std::unique_ptr<StateStore>, StoreError> open_rocksdb_store(
    const std::string& directory, const StoreOptions& options,
    const std::function<void(std::string_view line)>& torn);

/// What every image must satisfy that did not begin with the journal itself: each pipeline's workflow is
/// known.
std::expected<void, StoreError> check_whole(const StoreImage& image);

}  // namespace leat
