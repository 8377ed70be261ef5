// Whether a failed attempt gets a successor, and after how long. Pure: no clock, no randomness of its own.
#pragma once

#include <chrono>
#include <cstdint>
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

/// When and how often a task is tried again. An error is retried where `on` says so, OR one of
/// `patterns` is in it.
/// ```cpp
/// {.max_attempts = 5, .initial = 200ms, .cap = 10s}
/// {.on = RetryOn::Never, .patterns = {"deadlock", "lock timeout"}}
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
std::chrono::nanoseconds retry_delay(const RetryPolicy& policy, std::int32_t attempt,
                                     std::uint64_t random) noexcept;

}  // namespace leat
