// Watching what is committed: task transitions, as they reach the store.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "leat/states.h"
#include "leat/uuid.h"

namespace leat {

/// One task transition, as `leat inspect events` shows it.
struct ObservedTransition {
  std::uint64_t sequence = 0;  ///< rises strictly, across restarts too
  std::int64_t time_ns = 0;    ///< Unix time
  Uuid pipeline;
  std::string task;  ///< tenant::package::workflow::task
  std::uint32_t attempt = 1;
  std::optional<TaskState> from;  ///< empty: the task's creation
  TaskState to = TaskState::NotStarted;
  std::string executor;  ///< the key; empty where none is known yet
  std::optional<std::uint32_t> worker = {};  ///< to Running: its number in the executor; none: not known
  std::int64_t dispatched_ns = 0;            ///< to Running: when the executor admitted it; 0: not known
};

/// What an observer is told at once.
struct Observation {
  std::span<const ObservedTransition> transitions;  ///< in the order of their numbers
  std::uint64_t dropped = 0;  ///< transitions left out since the last call, because the observer was behind
};

/// Called on a thread of its own, one call at a time; an exception is logged. May take its time: what it does
/// not keep up with is dropped, newest first, beyond 65,536 transitions that wait for it.
using Observer = std::function<void(const Observation&)>;

}  // namespace leat
