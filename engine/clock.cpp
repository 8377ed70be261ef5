#include "leat/clock.h"

#include <ctime>

namespace leat {
namespace {

std::int64_t read(clockid_t id) noexcept {
  timespec now;
  clock_gettime(id, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

class SystemClock final : public Clock {
 public:
  std::int64_t steady_ns() noexcept override { return read(CLOCK_MONOTONIC); }
  std::int64_t unix_ns() noexcept override { return read(CLOCK_REALTIME); }
  std::uint64_t unix_ms() noexcept override {
    return static_cast<std::uint64_t>(read(CLOCK_REALTIME_COARSE)) / 1'000'000;
  }
};

}  // namespace

std::unique_ptr<Clock> make_system_clock() {
  return std::make_unique<SystemClock>();
}

}  // namespace leat
