// From a store to the image of what lives in it: the newest complete round of the checkpoint, then the
// journal from there.
#pragma once

#include <cstdint>
#include <expected>

#include "leat/state_store.h"
#include "leat/store_error.h"
#include "leat/store_image.h"

namespace leat {

/// Folds what a store remembers unfinished.
///
/// @return  Damaged, NewerFormat, Io
std::expected<StoreImage, StoreError> recover_unfinished(StateStore& store);

/// What every image must satisfy that did not begin with the journal itself: each pipeline's workflow is
/// known.
std::expected<void, StoreError> check_whole(const StoreImage& image);

}  // namespace leat
