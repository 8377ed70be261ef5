// Why a task stands where it stands: what only the live process knows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "leat/states.h"

namespace leat {

struct TaskExplanation {
  enum class Cause : std::uint8_t {
    Ended,           ///< the state is terminal
    Running,         ///< an attempt runs
    Deferred,        ///< an attempt runs, and has given its slot to others while it waits
    Dependencies,    ///< some that it waits for have not ended
    Signal,          ///< its dependencies have ended, and its signal has not come
    RetryTime,       ///< its next attempt is not due yet
    PausedPipeline,  ///< its pipeline is paused
    PausedName,      ///< its namespace is paused
    PausedExecutor,  ///< its executor key is paused
    ConcurrencyKey,  ///< as many pipelines with its key as may be are under way
    Suspects,        ///< tasks that may have killed the last process run first, alone
    NoExecutor,      ///< nobody is registered under its executor key now
    LaneFull,        ///< parked until its executor has a slot
    RateLimit,       ///< its executor may begin tasks only so often
    Queued,          ///< admitted, or about to be: behind others, or its state is on its way to the store
  };
  TaskState state = TaskState::NotStarted;
  Cause cause = Cause::Ended;
  std::string text = {};  ///< one line: who or what is waited for, with names and figures
};

/// @return the cause's name exactly as the enumerator is spelled
std::string_view to_string(TaskExplanation::Cause cause) noexcept;

}  // namespace leat
