#include "leat/retry_policy.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace leat {
namespace {

using namespace std::string_view_literals;

constexpr std::array kTransientWords = {"connection"sv,  "network"sv, "timeout"sv,    "temporary"sv,
                                        "unavailable"sv, "busy"sv,    "overloaded"sv, "rate limit"sv};
constexpr double kJitter = 0.25;

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool has_part(std::string_view text, std::string_view part) noexcept {
  return !std::ranges::search(text, part, {}, lower, lower).empty() || part.empty();
}

/// @param policy  a RetryPolicy, or a ClassRetry of one
template <class Policy>
double backoff_ns(const Policy& policy, std::int32_t attempt) noexcept {
  const auto initial = static_cast<double>(policy.initial.count());
  switch (policy.backoff) {
    case Backoff::Fixed:
      return initial;
    case Backoff::Linear:
      return initial * policy.multiplier * attempt;
    case Backoff::Exponential:
      return initial * policy.multiplier * std::pow(policy.base, attempt - 1);
  }
  return initial;
}

/// @return null: the policy says nothing of that class
const ClassRetry* find(const RetryPolicy& policy, TaskError::Class error_class) noexcept {
  const auto found = std::ranges::find(policy.classes, error_class, &ClassRetry::error_class);
  return found == policy.classes.end() ? nullptr : &*found;
}

/// 0 <= unit < 1, all 53 bits of a double.
double unit(std::uint64_t random) noexcept {
  return static_cast<double>(random >> 11) * 0x1p-53;
}

template <class Enum, std::size_t kCount>
std::optional<Enum> find_word(std::string_view word, const std::array<Enum, kCount>& all) noexcept {
  for (const Enum one : all) {
    if (to_string(one) == word) return one;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(TaskError::Class error_class) noexcept {
  switch (error_class) {
    case TaskError::Class::Task:
      return "Task";
    case TaskError::Class::Timeout:
      return "Timeout";
    case TaskError::Class::Transient:
      return "Transient";
    case TaskError::Class::Validation:
      return "Validation";
    case TaskError::Class::Infrastructure:
      return "Infrastructure";
    case TaskError::Class::TaskNotFound:
      return "TaskNotFound";
    case TaskError::Class::Unknown:
      return "Unknown";
  }
  return "unknown";
}

std::string_view to_string(Backoff backoff) noexcept {
  switch (backoff) {
    case Backoff::Fixed:
      return "fixed";
    case Backoff::Linear:
      return "linear";
    case Backoff::Exponential:
      return "exponential";
  }
  return "unknown";
}

std::string_view to_string(RetryOn condition) noexcept {
  switch (condition) {
    case RetryOn::All:
      return "all";
    case RetryOn::TransientOnly:
      return "transient_only";
    case RetryOn::Never:
      return "never";
  }
  return "unknown";
}

std::optional<TaskError::Class> parse_error_class(std::string_view word) noexcept {
  using enum TaskError::Class;
  return find_word(word,
                   std::array{Task, Timeout, Transient, Validation, Infrastructure, TaskNotFound, Unknown});
}

std::optional<Backoff> parse_backoff(std::string_view word) noexcept {
  return find_word(word, std::array{Backoff::Fixed, Backoff::Linear, Backoff::Exponential});
}

std::optional<RetryOn> parse_retry_on(std::string_view word) noexcept {
  return find_word(word, std::array{RetryOn::All, RetryOn::TransientOnly, RetryOn::Never});
}

bool is_transient(std::string_view error, TaskError::Class error_class) noexcept {
  return error_class == TaskError::Class::Timeout || error_class == TaskError::Class::Transient ||
         std::ranges::any_of(kTransientWords, [&](std::string_view word) { return has_part(error, word); });
}

bool should_retry(const RetryPolicy& policy, std::int32_t attempt, std::string_view error,
                  TaskError::Class error_class, bool permanent) noexcept {
  if (permanent) return false;
  if (const ClassRetry* const own = find(policy, error_class)) return attempt < own->max_attempts;
  if (attempt >= policy.max_attempts) return false;
  if (policy.on == RetryOn::All) return true;
  if (policy.on == RetryOn::TransientOnly && is_transient(error, error_class)) return true;
  return std::ranges::any_of(policy.patterns, [&](const std::string& part) { return has_part(error, part); });
}

std::chrono::nanoseconds retry_delay(const RetryPolicy& policy, std::int32_t attempt, std::uint64_t random,
                                     TaskError::Class error_class) noexcept {
  const ClassRetry* const own = find(policy, error_class);
  const auto cap = own == nullptr ? policy.cap : own->cap;
  const std::int32_t failed = std::max(attempt, 1);
  double delay = own == nullptr ? backoff_ns(policy, failed) : backoff_ns(*own, failed);
  if (policy.jitter) delay *= 1.0 - kJitter + 2.0 * kJitter * unit(random);
  if (!(delay > 0)) return std::chrono::nanoseconds(0);  // 0 times infinity included
  if (delay >= static_cast<double>(cap.count())) return std::max(cap, std::chrono::nanoseconds(0));
  return std::chrono::nanoseconds(static_cast<std::int64_t>(delay));
}

std::chrono::nanoseconds spread_delay(const RetryPolicy& policy, std::chrono::nanoseconds named,
                                      std::uint64_t random) noexcept {
  if (!policy.jitter || named.count() <= 0) return named;
  const double more = static_cast<double>(named.count()) * kJitter * unit(random);
  const std::chrono::nanoseconds room = std::chrono::nanoseconds::max() - named;
  if (more >= static_cast<double>(room.count())) return std::chrono::nanoseconds::max();
  return named + std::chrono::nanoseconds(static_cast<std::int64_t>(more));
}

}  // namespace leat
