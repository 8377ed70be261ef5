// The simulator: the engine's own scheduler, lanes, completion and journal on one thread, with a virtual
// clock, executors and a store that misbehave, and every choice (who steps next, what goes wrong, where the
// process dies) drawn from a seed. The same seed gives the same run, bit for bit. For leat's own tests, and
// for users: it finds the crash after which their workflow is wrong.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "leat/durability.h"
#include "leat/executor.h"
#include "leat/states.h"
#include "leat/uuid.h"
#include "leat/workflow.h"

namespace leat::sim {

/// What may go wrong. A bit each.
enum class Faults : std::uint32_t {
  None = 0,
  Kill = 1 << 0,      ///< the process dies: what was written survives
  PowerCut = 1 << 1,  ///< the machine dies: what was not synced is lost, in part or all, the last write torn
  SlowSync = 1 << 2,  ///< a sync takes up to seconds, and others go on meanwhile
  FailedSync = 1 << 3,   ///< a sync reports an error
  LostReport = 1 << 4,   ///< a write is done and reported as failed
  DiskFull = 1 << 5,     ///< a write is refused
  TaskFails = 1 << 6,    ///< an attempt fails, before or after its function has run
  TaskThrows = 1 << 7,   ///< the executor throws, before or after the function has run
  TaskHangs = 1 << 8,    ///< an attempt ends only when it is told to stop, or never
  TaskLate = 1 << 9,     ///< an attempt ends after its time-out, or twice
  Cancel = 1 << 10,      ///< a pipeline is cancelled
  ClockJump = 1 << 11,   ///< the wall clock jumps by up to an hour
  CleanStop = 1 << 12,   ///< the Runner is stopped in time, and started again
  FailedRead = 1 << 13,  ///< a read of the store takes up to seconds, or fails: while it is opened, or later
  FailedCall = 1 << 14,  ///< likewise what is no read and no write: to acknowledge, to tidy up, to close
};
constexpr Faults operator|(Faults a, Faults b) noexcept {
  return static_cast<Faults>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
constexpr bool contains(Faults all_of_them, Faults one) noexcept {
  return (static_cast<std::uint32_t>(all_of_them) & static_cast<std::uint32_t>(one)) != 0;
}
inline constexpr Faults all = static_cast<Faults>((1 << 15) - 1);

/// What a run makes use of besides submitting the workflow. A bit each.
enum class Uses : std::uint32_t {
  None = 0,
  LoneTasks = 1 << 0,        ///< tasks that are dispatched alone come between the pipelines
  Priorities = 1 << 1,       ///< they and the pipelines are of every priority
  Pauses = 1 << 2,           ///< pipelines, executor keys and tasks by name are paused, and go on later
  LaterStarts = 1 << 3,      ///< pipelines begin up to two seconds after their submission
  IdempotencyKeys = 1 << 4,  ///< pipelines are submitted again with the same key
  ConcurrencyKeys = 1 << 5,  ///< pipelines share a concurrency key
  Deadlines = 1 << 6,        ///< pipelines have a deadline, up to 200 ms after they may begin
  LargeContexts = 1 << 7,    ///< pipelines begin with more than a record holds: it lies apart in the store
  Schedules = 1 << 8,        ///< a schedule begins some more pipelines, is paused with Pauses, and is removed
  MemoryBudget = 1 << 9,     ///< memory is so short in some runs that most pipelines wait in the store alone
};
constexpr Uses operator|(Uses a, Uses b) noexcept {
  return static_cast<Uses>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
constexpr bool contains(Uses all_of_them, Uses one) noexcept {
  return (static_cast<std::uint32_t>(all_of_them) & static_cast<std::uint32_t>(one)) != 0;
}
inline constexpr Uses everything_used = static_cast<Uses>((1 << 10) - 1);

/// What is checked in every run, after every step.
///
///   rule                 | says
///   AcknowledgedKept     | no acknowledged transition is lost at its level
///   NothingInvented      | every transition in the store was asked for by somebody, and happened: an end and
///                        | its context were told, another attempt or a failure is what the policy says, Ready
///                        | or Skipped what the trigger rule says, a rescue follows a death
///   TransitionTable      | every (from, to) is in the table of states.h
///   OneEnd               | an attempt ends once, a task has one terminal state
///   Conservation         | slots admitted = tasks queued + attempts that hold one; none left when all is
///                        over
///   NoIdleSlot           | no task stays parked while its lane has a free slot and its executor takes more
///   DeadEpoch            | nothing is Running that was not started by this opening of the store
///   DurableDependencies  | a task starts only after its dependencies' ends have reached the level
///   Repeats              | an attempt runs again only if it was in flight at a crash
///   RestartEquality      | a restart from the store would give the running engine: states, attempts,
///                        contexts, errors, | and who waits in the store alone
///   Progress             | the run comes to its end
///   Opens                | the store opens again, whatever happened to it
///   PausesHold           | nothing begins that an acknowledged pause holds
///   NotTooEarly          | nothing begins before its time, by the latest that the wall clock has shown, nor
///                        | without the pause of its retry policy; no limit ends a task early
///   KeysHold             | an idempotency key leads to one pipeline; of a concurrency key one is under way
///   DeadlinesHold        | nothing begins of what was past its deadline at a start; no limit on time is
///                        forgotten
///   SchedulesHold        | a schedule's times come in order, once, none left out that is to be caught up,
///                        one by one
///   Yours                | the invariant given to explore()
enum class Rule : std::uint8_t {
  AcknowledgedKept,
  NothingInvented,
  TransitionTable,
  OneEnd,
  Conservation,
  NoIdleSlot,
  DeadEpoch,
  DurableDependencies,
  Repeats,
  RestartEquality,
  Progress,
  Opens,
  PausesHold,
  NotTooEarly,
  KeysHold,
  DeadlinesHold,
  SchedulesHold,
  Yours,
};

/// @return the enumerator's name
std::string_view to_string(Rule rule) noexcept;

/// Two attempts at once, and two tasks that wait for them: so few that there is a crowd.
ExecutorLimits few_at_once();

struct Options {
  std::uint64_t seeds = 1'000;
  std::uint64_t first_seed = 1;
  Faults faults = all;
  Uses uses = Uses::None;
  std::uint32_t pipelines = 2;    ///< executions of the workflow in each run, and tasks dispatched alone
  std::uint32_t crashes_max = 4;  ///< in each run; a failed store and a clean stop count as well
  std::vector<Durability> levels = {Durability::Disk};  ///< each pipeline has one of these
  ExecutorLimits limits = few_at_once();                ///< of each executor key
  std::string context = "{}";                           ///< the initial context
  std::uint64_t steps_max = 100'000;                    ///< of one run; more are no progress
  /// Called before each run: puts the world that the tasks change back to its beginning.
  std::function<void()> reset = {};
};

/// One pipeline as an invariant sees it.
struct PipelineView {
  Uuid id;
  bool acknowledged;                 ///< the submission has reached its level
  std::optional<PipelineState> end;  ///< where its end has been acknowledged
  std::vector<TaskState> tasks;
  /// By task: the context that a Completed one has left, as JSON text; empty: the task set nothing, or is not
  /// Completed. Valid during the call.
  std::vector<std::string_view> contexts;
};

/// A moment of a run, between two steps.
struct Moment {
  bool over;  ///< every pipeline has ended
  std::uint32_t crashes;
  std::int64_t time_ns;  ///< virtual, since the run's begin
  std::span<const PipelineView> pipelines;
};

/// ```cpp
/// if (const std::string_view counted = pipeline.contexts[1]; !counted.empty()) {
///   if (leat::Context::parse(counted)->get<std::int64_t>("rows") != 3) return "rows are missing";
/// }
/// ```
/// @return what is wrong; nothing: the invariant holds
using Invariant = std::function<std::optional<std::string>(const Moment&)>;

/// What went wrong, in the shortest form that was found.
struct Failure {
  std::uint64_t seed;
  Rule rule;
  std::string message;
  std::vector<std::uint32_t> schedule;  ///< the choices of the minimised run, for replay()
  std::string timeline;                 ///< one line an event
};

struct Report {
  std::uint64_t seeds = 0;  ///< runs made, the failing one included, those of the minimising not
  std::uint64_t steps = 0;
  std::uint64_t attempts = 0;
  std::uint64_t crashes = 0;
  std::uint64_t hash = 0;  ///< of every step of every run: equal for equal seeds
  std::optional<Failure> failure = {};
};

/// Runs the workflow under `options.seeds` seeds, until an invariant is hurt; then minimises that run.
/// ```cpp
/// int charged = 0;
/// const auto found = leat::sim::explore(
///     order, {.seeds = 10'000, .reset = [&] { charged = 0; }},
///     [&](const leat::sim::Moment& now) -> std::optional<std::string> {
///       if (now.over && charged > 2) return "charged twice";
///       return std::nullopt;
///     });
/// if (found.failure) std::puts(found.failure->timeline.c_str());
/// ```
/// Coroutine tasks and children (TaskContext::start_child()) run too; a child's tasks may name the executor
/// keys of the workflow alone, and what a coroutine awaits must be leat's own (time, conditions, signals,
/// pipelines). Work elsewhere (external_ref, adopt()), retry_failed(), restart_from(), rate limits, a
/// caller's writes and unregistering are not simulated. Task functions run in the calling thread and must not
/// wait; what they change outside of the engine is kept
/// across simulated crashes, as a database would. Each pipeline gets the signals that the workflow declares,
/// with the value `true`, at any moment.
Report explore(const Workflow& workflow, const Options& options, const Invariant& invariant = {});

/// One run again, with its timeline: by the seed alone, or by a minimised schedule.
/// @return the report of that one run; `failure` keeps the schedule as it is
Report replay(const Workflow& workflow, const Options& options, std::uint64_t seed,
              std::optional<std::vector<std::uint32_t>> schedule = {}, const Invariant& invariant = {});

}  // namespace leat::sim
