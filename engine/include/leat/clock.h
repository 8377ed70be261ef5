// Time as the engine sees it: a seam, so that a simulator can own it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

namespace leat {

/// Two clocks in nanoseconds. Timers and durations use the steady one, stored deadlines and events
/// the wall clock.
///
/// Thread-safety: any number of threads.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Never goes back; its zero means nothing outside this process.
  virtual std::int64_t steady_ns() noexcept = 0;
  /// For measuring how long something took: cheaper than steady_ns(), from another zero, at a rate within
  /// 0.1 % of its, and not ordered against the instructions around it.
  virtual std::int64_t stopwatch_ns() noexcept { return steady_ns(); }
  /// Nanoseconds since the Unix epoch; may jump.
  virtual std::int64_t unix_ns() noexcept = 0;
  /// Milliseconds since the Unix epoch, for identifiers: cheap, and late by a few milliseconds at most.
  virtual std::uint64_t unix_ms() noexcept { return static_cast<std::uint64_t>(unix_ns()) / 1'000'000; }
};

/// `now_ns` + `delay`, at most the last moment that 64 bits can name.
inline std::int64_t time_after(std::int64_t now_ns, std::chrono::nanoseconds delay) noexcept {
  std::int64_t time = 0;
  return __builtin_add_overflow(now_ns, delay.count(), &time) ? INT64_MAX : time;
}

/// The machine's CLOCK_MONOTONIC and CLOCK_REALTIME; a jump of the latter shows within a millisecond.
std::unique_ptr<Clock> make_system_clock();

}  // namespace leat
