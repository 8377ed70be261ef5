// Schedules: pipelines that begin by the clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "leat/durability.h"
#include "leat/error.h"
#include "leat/task_event.h"

namespace leat {

/// What becomes of a time that comes while a pipeline of the same schedule is under way.
enum class Overlap : std::uint8_t {
  Skip,         ///< it is left out
  Allow,        ///< it begins beside it
  QueueOne,     ///< one time waits until the last one has ended; others that come meanwhile are left out
  CancelOther,  ///< those under way are cancelled, and it begins
};

/// What becomes of times that nobody was there for: the process was down, the machine slept, its clock was
/// put forward, the store was full, no version of the workflow was registered.
enum class Misfire : std::uint8_t {
  FireOnce,  ///< all that are due begin one pipeline, which stands for the first of them
  Skip,      ///< those later than misfire_after are left out
  CatchUp,   ///< each begins one, in order; of more than catch_up_max only the latest ones. With Skip and
             ///< QueueOne each when the one before has ended, and times that come meanwhile are left out; with
             ///< CancelOther each cancels the one before, so that the latest runs alone
};

/// @return  its word in stores and on the command line: skip, allow, queue_one, cancel_other
std::string_view to_string(Overlap overlap) noexcept;
/// fire_once, skip, catch_up
std::string_view to_string(Misfire misfire) noexcept;
/// @return  FireOnce for a word that is none of them
Misfire misfire_of(std::string_view word) noexcept;

struct ScheduleOptions {
  /// Five fields, or six with seconds first, or @hourly, @daily, @weekly, @monthly, @yearly: crontab(5)
  /// without L and W. Where the zone's clocks change, a fixed time that is skipped fires once right after,
  /// and one that comes twice fires once; an hour field that begins with `*` follows elapsed time.
  std::string cron;
  std::string time_zone = "UTC";  ///< a name of the IANA's database: Europe/Berlin
  Overlap overlap = Overlap::Skip;
  Misfire misfire = Misfire::FireOnce;
  std::chrono::nanoseconds misfire_after = std::chrono::minutes(1);  ///< so late a time counts as missed
  std::uint32_t catch_up_max = 100;                                  ///< 1 to 1,000
  /// The initial context: the text of a JSON object. It gets "schedule", the name, and "scheduled_time", the
  /// time that the pipeline stands for (UTC, as 2026-11-23T08:00:00Z).
  std::string context = "{}";
  Durability durability = Durability::Disk;  ///< of its pipelines; above Memory where there is a store
  Priority priority = Priority::Normal;
  std::string concurrency_key = {};  ///< see SubmitOptions
};

/// A schedule as it is kept.
struct ScheduleDefinition {
  std::string workflow;  ///< tenant::package::workflow
  std::uint64_t workflow_version = 0;
  ScheduleOptions options;

  /// As the store holds it.
  std::string to_json() const;
  /// @return  InvalidArgument
  static std::expected<ScheduleDefinition, Error> parse(std::string_view json);
};

/// How a schedule stands.
struct ScheduleInfo {
  std::string name;
  ScheduleDefinition definition;
  bool paused = false;
  bool bound = false;          ///< some version of its workflow is registered, so that it can fire
  std::int64_t next_ns = 0;    ///< Unix time; 0: never, or paused
  std::int64_t last_ns = 0;    ///< the time that was fired last; 0: none
  std::int64_t queued_ns = 0;  ///< a time that waits for the pipeline before it; 0: none
  std::size_t under_way = 0;   ///< its pipelines that have not ended
};

}  // namespace leat
