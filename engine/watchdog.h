// Looks at the lanes now and then, from outside: speaks where work is ready and nothing begins, and
// estimates for how long tasks have waited. Costs a lane nothing per task. It knows nothing of tasks, and
// changes nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "lane_table.h"
#include "leat/clock.h"
#include "leat/runner.h"
#include "leat_locks/mutex.h"

namespace leat {

/// Thread-safety: any number of threads.
/// Invariants:
///   1. A lane is said to stand still once for each time that it does: again only after a task left, or none
///      waited, or none could begin.
///   2. What waits is never said to be older than it is: a task counts as come when it was first seen.
class Watchdog {
 public:
  using Log = std::function<void(Severity, std::string_view)>;

  /// @param stall_after  how long nothing may begin while something could; 0: it never speaks
  Watchdog(LaneTable& lanes, Clock& clock, std::chrono::nanoseconds stall_after, Log log)
      : lanes_(lanes), clock_(clock), stall_after_ns_(stall_after.count()), log_(std::move(log)) {}

  /// Looks at every lane once. @return when to look again, by the steady clock: within a second, or a quarter
  /// of the time after which it speaks; where nothing comes, ever later, up to six times that time, or a
  /// minute
  std::int64_t look();

 private:
  struct Arrival {
    std::int64_t at_ns;
    std::uint64_t count;  // tasks that had come in by then
  };
  struct Watched {
    std::uint64_t left = 0;                      // at the look before
    std::optional<std::int64_t> still_since_ns;  // nothing has left since, though something could begin
    bool spoken = false;
    std::deque<Arrival> arrivals;  // that of the oldest task that may wait first
  };

  static std::optional<std::int64_t> ready_since(Watched& watched, const Lane::Flow& flow,
                                                 std::int64_t now_ns);
  std::optional<std::string> judge(const Lane& lane, Watched& watched, const Lane::Flow& flow,
                                   std::int64_t now_ns) const;

  LaneTable& lanes_;
  Clock& clock_;
  const std::int64_t stall_after_ns_;
  const Log log_;
  Mutex mutex_;  // the timer's thread and those who want metrics
  std::unordered_map<const Lane*, Watched> watched_ LEAT_GUARDED_BY(mutex_);  // its order decides nothing
  // The first look since which nothing has waited or left. Empty: something did, at the last look.
  std::optional<std::int64_t> at_rest_since_ns_ LEAT_GUARDED_BY(mutex_);
};

}  // namespace leat
