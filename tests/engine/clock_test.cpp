// The system clock's stopwatch against the kernel's clock.
#include "leat/clock.h"

#include <gtest/gtest.h>

#include <chrono>

namespace leat {
namespace {

TEST(SystemClock, ItsStopwatchRunsAtTheRateOfTheSteadyClock) {
  const auto clock = make_system_clock();
  // Each clock's interval once around the other's and once within it: a preempted thread changes nothing.
  const std::int64_t outer_steady = clock->steady_ns();
  const std::int64_t stopwatch = clock->stopwatch_ns();
  const std::int64_t inner_steady = clock->steady_ns();
  while (clock->steady_ns() - inner_steady < 20'000'000) {
  }
  const std::int64_t inner = clock->steady_ns() - inner_steady;
  const std::int64_t measured = clock->stopwatch_ns() - stopwatch;
  const std::int64_t outer = clock->steady_ns() - outer_steady;
  EXPECT_GE(measured, inner - inner / 1000);
  EXPECT_LE(measured, outer + outer / 1000);
}

TEST(SystemClock, ItsWallTimeIsTheKernels) {
  const auto clock = make_system_clock();
  const auto kernel_ns = [] {
    return std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  };
  constexpr std::int64_t kApart = 10'000;  // two threads' times may be this far apart, and no more
  for (int i = 0; i < 100'000; ++i) {
    const std::int64_t before = kernel_ns();
    const std::int64_t told = clock->unix_ns();
    ASSERT_GE(told, before - kApart);
    ASSERT_LE(told, kernel_ns() + kApart);
  }
}

}  // namespace
}  // namespace leat
