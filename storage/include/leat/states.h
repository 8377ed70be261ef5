// The states of tasks and pipelines: the vocabulary in which the journal remembers and the engine decides.
#pragma once

#include <cstdint>
#include <string_view>

namespace leat {

/// Where one task of a pipeline stands. The values are written to disk: never renumber.
enum class TaskState : std::uint8_t {
  NotStarted = 0,  ///< waits for its dependencies
  Ready = 1,       ///< may run: waits for a retry's due time, a slot, or a worker
  Running = 2,     ///< handed to its executor
  Completed = 3,
  Failed = 4,
  Skipped = 5,  ///< its trigger rule was false
  Cancelled = 6,
};

/// Where a pipeline (one execution of a workflow) stands. The values are written to disk: never renumber.
enum class PipelineState : std::uint8_t {
  Pending = 0,
  Running = 1,
  Completed = 2,
  Failed = 3,
  Paused = 4,
  Cancelled = 5,
};

/// What an operator pauses. The values are written to disk: never renumber.
enum class PauseScope : std::uint8_t {
  ExecutorKey = 0,
  Namespaces = 1,  ///< by a pattern, as routing rules have them
  Pipeline = 2,
};

/// @return the state's name exactly as the enumerator is spelled
std::string_view to_string(TaskState state) noexcept;
std::string_view to_string(PipelineState state) noexcept;

/// @return whether the state is left never again
bool is_terminal(TaskState state) noexcept;
bool is_terminal(PipelineState state) noexcept;

/// The transition table of a task: may `from` become `to`? Creation is not a transition.
///
///   from \ to   | Ready | Running | Completed | Failed | Skipped | Cancelled
///   NotStarted  |  yes  |         |           |        |   yes   |    yes
///   Ready       |       |   yes   |           |  yes   |         |    yes
///   Running     |  yes  |         |    yes    |  yes   |   yes   |    yes
///
/// Running -> Ready is a retry (attempt + 1), a rescue after a crash or an interruption (same attempt).
/// Ready -> Failed is a task given up before it ran. It is allowed and nothing uses it yet: a task that is
/// abandoned after too many rescues goes Running -> Failed.
bool may_become(TaskState from, TaskState to) noexcept;

/// The transition table of a pipeline; a terminal state is left never again.
///
///   from \ to  | Running | Completed | Failed | Paused | Cancelled
///   Pending    |   yes   |    yes    |  yes   |  yes   |    yes
///   Running    |         |    yes    |  yes   |  yes   |    yes
///   Paused     |   yes   |    yes    |  yes   |        |    yes
///
/// Pending -> Running happens by itself with the first task's start.
bool may_become(PipelineState from, PipelineState to) noexcept;

}  // namespace leat
