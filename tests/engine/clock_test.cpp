// The system clock's stopwatch against the kernel's clock.
#include "leat/clock.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace leat
