// The fold of a store in RocksDB from one of its checkpoint's rounds on. Private: includes RocksDB.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>

#include "journal_family.h"
#include "leat/checkpoint.h"
#include "leat/store_error.h"
#include "leat/store_image.h"

namespace leat {

/// Told while a fold goes on; each may be empty.
struct FoldHooks {
  StoreImage::OnEvent on_event = {};
  std::function<void(const PipelineImage&)> on_finish = {};
  std::function<void(std::uint64_t first_sequence)> on_commit = {};  ///< a commit of the journal is applied
};

/// @return  what the round and the journal behind it amount to, or what is wrong with them
std::expected<StoreImage, StoreError> fold_from(const JournalDb& journal, const CheckpointMark& mark,
                                                StoreImage::Keep keep);

/// The same, of the round where the store's events begin, with what was carried to it: pipelines are folded
/// from their own groups as far as they are there, and every event that the store still holds is told.
std::expected<StoreImage, StoreError> fold_events(const JournalDb& journal, const CheckpointMark& oldest,
                                                  StoreImage::Keep keep, const FoldHooks& hooks = {});

/// Whether all rows of a round are there, each as it was written.
bool rows_are_whole(const JournalDb& journal, const CheckpointMark& mark);

/// See StateStore::find_pipeline(); any thread, beside whoever writes.
std::expected<std::optional<RememberedPipeline>, StoreError> find_pipeline(const JournalDb& journal,
                                                                           const Uuid& id);

/// Whether two folds of unfinished pipelines to the same end say the same, but for output, which rows do not
/// hold, and definitions that only the older one still needed.
///
/// @return  empty: they agree; else what they disagree about
std::string disagreement(const StoreImage& older, const StoreImage& newer);

}  // namespace leat
