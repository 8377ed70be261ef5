// Seeds, one after the other; and, where one fails, the shortest schedule that still does.
#pragma once

#include "leat/sim.h"
#include "world.h"

namespace leat::sim {

/// explore() and replay() with parts replaced.
Report explore_with(const Workflow& workflow, const Options& options, const Invariant& invariant,
                    const Plant& plant);
Report replay_with(const Workflow& workflow, const Options& options, std::uint64_t seed,
                   std::optional<std::vector<std::uint32_t>> schedule, const Invariant& invariant,
                   const Plant& plant);

}  // namespace leat::sim
