// What the engine counts, as plain values.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "leat/task_error.h"

namespace leat {

/// A summary of a latency histogram, in nanoseconds, each value within 1 % of the exact one.
struct LatencySummary {
  std::uint64_t count = 0;
  std::uint64_t p50 = 0;
  std::uint64_t p99 = 0;
  std::uint64_t max = 0;
};

/// One lane at one moment. Counts are exact once the lane is idle; while it works they may be a
/// few tasks apart.
struct ExecutorMetrics {
  std::uint64_t active_tasks = 0;
  std::uint64_t queued_tasks = 0;
  std::uint64_t parked_tasks = 0;      ///< Ready tasks that wait outside for a slot
  std::uint64_t deferred_tasks = 0;    ///< running attempts that have given slot and permit back, see defer()
  std::uint64_t completing_tasks = 0;  ///< ended, slot and permit given back, the end not yet in the store
  std::uint64_t max_concurrent = 0;
  std::uint64_t max_queued = 0;
  std::uint64_t threads = 0;         ///< that serve the lane, at most; 0: before start()
  std::uint64_t arenas_refused = 0;  ///< lanes that own threads serve, since oneTBB has too few for an arena
  std::uint64_t total_executed = 0;     ///< attempts that ended
  std::uint64_t total_failed = 0;       ///< tasks that ended Failed
  std::array<std::uint64_t, TaskError::kClasses> failed_by_class{};  ///< of those, by TaskError::Class
  std::uint64_t total_retried = 0;      ///< attempts that led to another
  std::uint64_t total_rejected = 0;     ///< dispatches refused with NoCapacity
  std::uint64_t total_late = 0;         ///< completions that came too late and were dropped
  std::uint64_t total_dropped = 0;      ///< tasks taken from the queue that had been ended while they waited
  LatencySummary queue_wait;            ///< admission to start
  LatencySummary run_time;              ///< start to end of an attempt
  std::uint64_t oldest_running_ns = 0;  ///< how long the longest attempt has run; 0: none runs
  /// For how long at least the oldest queued or parked task has waited, as the last look of the watchdog
  /// found.
  std::uint64_t oldest_ready_ns = 0;
  std::uint64_t stuck_tasks = 0;    ///< attempts past their time that do not heed the wish to stop
  std::uint64_t stalled_lanes = 0;  ///< lanes of which the watchdog says that they stand still

  /// @return max_concurrent - active_tasks, never below 0
  std::uint64_t available_capacity() const noexcept {
    return active_tasks >= max_concurrent ? 0 : max_concurrent - active_tasks;
  }
};

/// Where the slots and run permits of one executor key are, counted anew.
struct SlotAudit {
  std::string key;
  std::uint64_t slots_taken = 0;  ///< as admission counts them
  std::uint64_t slots_found = 0;  ///< with queued and running tasks, and those that go on
  std::uint64_t permits_taken = 0;
  std::uint64_t permits_found = 0;        ///< with running tasks
  std::vector<std::string> holders = {};  ///< one line for each running attempt: task, age, thread
  /// Likewise for each deferred one: a running attempt that has given both back.
  std::vector<std::string> deferred = {};

  bool balanced() const noexcept { return slots_taken == slots_found && permits_taken == permits_found; }
};

}  // namespace leat
