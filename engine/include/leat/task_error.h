// Why an attempt of a task failed, in the task's own words. Knows nothing of policies: they read it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace leat {

/// The failure of one attempt. Whether another follows is the retry policy's to say, unless `permanent`.
///
/// A text converts by itself:
/// ```cpp
/// if (!row) return std::unexpected("row 7 is gone");
/// return std::unexpected(leat::TaskError("429").after(std::chrono::seconds(30)));
/// return std::unexpected(leat::TaskError("no such user").for_good());
/// ```
struct TaskError {
  enum class Class : std::uint8_t {
    Task,       ///< the task's own; transient only if its text says so
    Timeout,    ///< it ran out of time: transient
    Transient,  ///< the task knows that another try may succeed
    // The engine's own, for metrics; for retry policies as Task:
    Validation,      ///< its context could not be loaded, merged or saved, or its event is not valid
    Infrastructure,  ///< its executor could not run it, or dropped it
    TaskNotFound,    ///< its executor knows no task of that name
    Unknown,         ///< it threw something that is not a std::exception
  };
  static constexpr std::size_t kClasses = 7;

  std::string message = {};
  Class error_class = Class::Task;
  bool permanent = false;                                    ///< never retried, whatever the policy says
  std::optional<std::chrono::nanoseconds> retry_after = {};  ///< the task's wish for its next delay

  TaskError() = default;
  TaskError(std::string text, Class kind = Class::Task) : message(std::move(text)), error_class(kind) {}
  TaskError(std::string_view text, Class kind = Class::Task) : message(text), error_class(kind) {}
  TaskError(const char* text, Class kind = Class::Task) : message(text), error_class(kind) {}

  /// The same error with a wish for the delay before the next attempt, which is no shorter; where the policy
  /// has jitter it is up to 25 % longer, so that tasks which were all told the same do not come back at once.
  TaskError after(std::chrono::nanoseconds delay) && {
    retry_after = delay;
    return std::move(*this);
  }
  /// The same error, never to be retried.
  TaskError for_good() && {
    permanent = true;
    return std::move(*this);
  }
};

/// @return the enumerator's name
std::string_view to_string(TaskError::Class error_class) noexcept;
/// @return nothing for a word that is no enumerator's name
std::optional<TaskError::Class> parse_error_class(std::string_view word) noexcept;

}  // namespace leat
