// The clock of a life of `leat torture`: the machine's, but hours away from it, and it may jump.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "leat/clock.h"

namespace leat::tools {

/// Thread-safety: any number of threads.
class TortureClock final : public Clock {
 public:
  explicit TortureClock(std::chrono::hours ahead) : ahead_ns_(std::chrono::nanoseconds(ahead).count()) {}

  // relaxed, all of them: numbers that stand for themselves
  std::int64_t steady_ns() noexcept override {
    return machine_->steady_ns() + leapt_ns_.load(std::memory_order_relaxed);
  }
  std::int64_t unix_ns() noexcept override {
    const std::int64_t now = machine_->unix_ns() + ahead_ns_.load(std::memory_order_relaxed);
    std::int64_t latest = latest_ns_.load(std::memory_order_relaxed);
    while (latest < now && !latest_ns_.compare_exchange_weak(latest, now, std::memory_order_relaxed)) {
    }
    return now;
  }

  /// The wall clock jumps, forward or back, to so far from the machine's.
  void jump_to(std::chrono::minutes ahead) noexcept {
    ahead_ns_.store(std::chrono::nanoseconds(ahead).count(), std::memory_order_relaxed);
  }
  /// The steady one leaps ahead, so that whoever looks at the wall clock now and then does it now.
  void leap(std::chrono::nanoseconds time) noexcept {
    leapt_ns_.fetch_add(time.count(), std::memory_order_relaxed);
  }
  /// The latest wall clock's time that anybody has been told.
  std::int64_t latest_unix_ns() const noexcept { return latest_ns_.load(std::memory_order_relaxed); }

 private:
  const std::unique_ptr<Clock> machine_ = make_system_clock();
  std::atomic<std::int64_t> ahead_ns_;
  std::atomic<std::int64_t> leapt_ns_{0};
  std::atomic<std::int64_t> latest_ns_{INT64_MIN};
};

}  // namespace leat::tools
