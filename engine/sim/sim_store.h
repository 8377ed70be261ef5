// The store of a simulated run: a memory store whose process may die, and whose device may fail, within any
// call.
#pragma once

#include <memory>

#include "leat/state_store.h"
#include "stage.h"

namespace leat::sim {

/// @pre the process lives, and the stage's medium is not open
std::unique_ptr<StateStore> make_sim_store(Stage& stage);

}  // namespace leat::sim
