// Looks a pipeline up by its identifier in what a store keeps.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>

#include "leat/state_store.h"
#include "leat/uuid.h"

namespace leat {

/// Folds from a place on: the rows of a round, or the journal from a number.
using ReplayFrom =
    std::function<std::expected<void, StoreError>(std::uint64_t from, const StateStore::Visitor& visit)>;

/// See StateStore::find_pipeline().
///
/// @param rounds  that are kept, the oldest one first
std::expected<std::optional<RememberedPipeline>, StoreError> find_in_rounds(
    const Uuid& id, std::span<const CheckpointMark> rounds, const ReplayFrom& replay_rows,
    const ReplayFrom& replay_from);

}  // namespace leat
