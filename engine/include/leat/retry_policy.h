// Whether a failed attempt gets a successor, and after how long. Pure: no clock, no randomness of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "leat/task_error.h"

namespace leat {

/// How the delay grows with the attempts that failed.
enum class Backoff : std::uint8_t {
  Fixed,        ///< initial
  Linear,       ///< initial * multiplier * attempt
  Exponential,  ///< initial * multiplier * base^(attempt - 1)
};

/// Which errors are worth another try, apart from RetryPolicy::patterns.
enum class RetryOn : std::uint8_t {
  All,
  TransientOnly,  ///< see is_transient()
  Never,
};

/// @return "fixed", "linear" or "exponential"; "all", "transient_only" or "never"
std::string_view to_string(Backoff backoff) noexcept;
std::string_view to_string(RetryOn condition) noexcept;
/// @return nothing for a word that is none of them
std::optional<Backoff> parse_backoff(std::string_view word) noexcept;
std::optional<RetryOn> parse_retry_on(std::string_view word) noexcept;

/// How errors of one class are tried again, whatever the policy around it says of others.
struct ClassRetry {
  TaskError::Class error_class = TaskError::Class::Task;
  std::int32_t max_attempts = 3;  ///< counts all attempts of the task, whatever ended them; from 1: no retry
  Backoff backoff = Backoff::Exponential;
  std::chrono::nanoseconds initial = std::chrono::seconds(1);
  double multiplier = 1.0;
  double base = 2.0;
  std::chrono::nanoseconds cap = std::chrono::seconds(60);

  bool operator==(const ClassRetry&) const = default;
};

/// When and how often a task is tried again. An error of a class that `classes` names is retried as that
/// says; any other where `on` says so, OR one of `patterns` is in it.
/// ```cpp
/// {.max_attempts = 5, .initial = 200ms, .cap = 10s}
/// {.on = RetryOn::Never, .patterns = {"deadlock", "lock timeout"}}
/// {.classes = {{.error_class = TaskError::Class::Timeout, .max_attempts = 2, .initial = 1min}}}
/// ```
struct RetryPolicy {
  std::int32_t max_attempts = 3;  ///< counts the first try; from 1
  Backoff backoff = Backoff::Exponential;
  std::chrono::nanoseconds initial = std::chrono::seconds(1);
  double multiplier = 1.0;
  double base = 2.0;
  std::chrono::nanoseconds cap = std::chrono::seconds(60);  ///< no delay is longer, jitter included
  bool jitter = true;                                       ///< spreads each delay by +-25 %, evenly
  RetryOn on = RetryOn::All;
  std::vector<std::string> patterns = {};  ///< parts of an error's text; ASCII case does not count
  std::vector<ClassRetry> classes = {};    ///< each class once
  /// No attempt begins later than this after the pipeline's submission (or its start_at), by the wall clock
  /// and across restarts: then the error is the last one. 0: no limit.
  std::chrono::nanoseconds max_age{0};

  bool operator==(const RetryPolicy&) const = default;
};

/// @return whether a further try may succeed: by class, or (class Task) by a word of the text:
///         connection, network, timeout, temporary, unavailable, busy, overloaded, "rate limit"; ASCII
///         case does not count
bool is_transient(std::string_view error, TaskError::Class error_class = TaskError::Class::Task) noexcept;

/// @param attempt    the attempt that has just failed, from 1
/// @param permanent  the task said so: no policy outweighs it
bool should_retry(const RetryPolicy& policy, std::int32_t attempt, std::string_view error,
                  TaskError::Class error_class = TaskError::Class::Task, bool permanent = false) noexcept;

/// The pause before the next attempt: backoff, then jitter, then the cap.
///
/// @param attempt  the attempt that has just failed, from 1
/// @param random   64 uniform bits; the same bits give the same delay
/// @return         0 to policy.cap
std::chrono::nanoseconds retry_delay(const RetryPolicy& policy, std::int32_t attempt, std::uint64_t random,
                                     TaskError::Class error_class = TaskError::Class::Task) noexcept;

/// A delay that a task named (TaskError::after()): never shorter, and with jitter up to 25 % longer, so that
/// many that named the same one do not come back at once. No cap applies.
std::chrono::nanoseconds spread_delay(const RetryPolicy& policy, std::chrono::nanoseconds named,
                                      std::uint64_t random) noexcept;

}  // namespace leat
