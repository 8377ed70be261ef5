// A wall clock and a steady one that a test moves apart.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "leat/clock.h"

namespace leat::behaviours {

/// Two clocks that a test moves one by one: a wall clock may jump, a steady one stand still.
class JumpingClock final : public Clock {
 public:
  std::int64_t steady_ns() noexcept override { return steady_ns_; }
  std::int64_t unix_ns() noexcept override { return unix_ns_; }
  void pass(std::chrono::nanoseconds time) {
    steady_ns_ += time.count();
    unix_ns_ += time.count();
  }
  void jump(std::chrono::nanoseconds time) { unix_ns_ += time.count(); }
  std::chrono::system_clock::time_point after(std::chrono::nanoseconds time) const {
    return std::chrono::system_clock::time_point(std::chrono::nanoseconds(unix_ns_) + time);
  }

 private:
  std::atomic<std::int64_t> steady_ns_ = 1;
  std::atomic<std::int64_t> unix_ns_ = 1'700'000'000'000'000'000;
};

}  // namespace leat::behaviours
