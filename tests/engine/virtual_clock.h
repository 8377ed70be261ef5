// A clock that stands still until a test moves it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "leat/clock.h"

namespace leat {

class VirtualClock final : public Clock {
 public:
  std::int64_t steady_ns() noexcept override { return now_ns_.load(); }
  std::int64_t unix_ns() noexcept override { return 1'700'000'000'000'000'000 + now_ns_.load(); }
  void advance(std::chrono::nanoseconds time) { now_ns_.fetch_add(time.count()); }

 private:
  std::atomic<std::int64_t> now_ns_{1};
};

}  // namespace leat
