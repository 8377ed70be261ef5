#include "leat/clock.h"

#include <ctime>

#include "cycle_counter.h"

namespace leat {
namespace {

std::int64_t read(clockid_t id) noexcept {
  timespec now;
  clock_gettime(id, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

constexpr std::int64_t kAskAgainNs = 1'000'000;
constexpr std::int64_t kTogetherNs = 2'000;

class SystemClock final : public Clock {
 public:
  std::int64_t steady_ns() noexcept override { return read(CLOCK_MONOTONIC); }
  std::int64_t unix_ns() noexcept override {
    if (!cycles_.usable()) return read(CLOCK_REALTIME);
    // The kernel is asked once in a millisecond and thread; in between, the counter tells what has passed.
    thread_local std::int64_t asked_at = 0, answer = 0;
    const std::int64_t passed = cycles_.now_ns() - asked_at;
    if (asked_at != 0 && passed >= 0 && passed < kAskAgainNs) return answer + passed;
    asked_at = cycles_.now_ns();
    answer = read(CLOCK_REALTIME);
    if (cycles_.now_ns() - asked_at > kTogetherNs) asked_at = 0;  // preempted in between: not to build upon
    return answer;
  }
  std::uint64_t unix_ms() noexcept override {
    return static_cast<std::uint64_t>(read(CLOCK_REALTIME_COARSE)) / 1'000'000;
  }
  std::int64_t stopwatch_ns() noexcept override {
    return cycles_.usable() ? cycles_.now_ns() : read(CLOCK_MONOTONIC);
  }

 private:
  const CycleCounter cycles_;
};

}  // namespace

std::unique_ptr<Clock> make_system_clock() {
  return std::make_unique<SystemClock>();
}

}  // namespace leat
