// Where a life of `leat torture` can die by its own hand.
#pragma once

#include <array>
#include <string_view>

namespace leat::tools {

inline constexpr std::array<std::string_view, 13> kTorturePoints = {
    "recovering",     // while the store is being read
    "opened",         // everything is registered, nothing has begun
    "submitted",      // a pipeline was submitted, nothing is acknowledged
    "acknowledged",   // it was acknowledged, and nobody was told
    "claimed",        // a worker has taken a task, and its function has not begun
    "started",        // a task's function begins
    "saved",          // it has run, and its context is set
    "writing",        // a commit is about to be written
    "checkpointing",  // with a slice of the checkpoint
    "written",        // it is
    "syncing",        // it is about to be synced
    "committed",      // it is
    "ended",          // a pipeline has ended, and nobody was told
};

inline constexpr std::array<std::string_view, 6> kTortureTroubles = {"files", "size", "memory",
                                                                     "cpu",   "fork", "clock"};

}  // namespace leat::tools
