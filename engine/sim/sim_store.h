// The store of a simulated run: a memory store whose process may die, and whose device may fail, within any
// call.
#pragma once

#include <expected>
#include <memory>

#include "leat/state_store.h"
#include "stage.h"

namespace leat::sim {

/// What a death has left is judged as an opening of the store on disk judges it, by the same code: an end
/// that is torn goes, unless something that was acknowledged goes with it.
///
/// @pre     the process lives, and the stage's medium is not open
/// @return  Damaged
std::expected<std::unique_ptr<StateStore>, StoreError> open_sim_store(Stage& stage);

}  // namespace leat::sim
