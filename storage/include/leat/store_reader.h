// Reads a store without owning it, for inspection, beside a live process too. Never writes anything.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>

#include "leat/context_image.h"
#include "leat/store_error.h"
#include "leat/store_image.h"

namespace leat {

/// Folds the whole store at `directory` as it is now; a live writer may go on.
///
/// @param on_event  called for each task transition, in order; may be empty
/// @return          the image of everything the store remembers, or NotFound, NotAStore, NewerFormat,
///                  Damaged, Io
std::expected<StoreImage, StoreError> read_rocksdb_store(
    const std::string& directory, const std::function<void(const TransitionEvent&)>& on_event = {});

/// Visits the contexts that lie apart, in no promised order; a live writer may go on, and one that it is just
/// writing may be left out.
///
/// @param visit  told of some once more where the writer interferes
/// @return       as read_rocksdb_store()
std::expected<void, StoreError> read_rocksdb_contexts(
    const std::string& directory,
    const std::function<void(const ContextPlace& place, std::string_view text)>& visit);

}  // namespace leat
