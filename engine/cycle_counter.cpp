#include "cycle_counter.h"

#include <ctime>
#include <fstream>
#include <string>

namespace leat {
namespace {

constexpr std::int64_t kMeasureNs = 500'000;

std::int64_t monotonic_ns() noexcept {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// The kernel keeps its own time by the counter only after it has found it to be constant and in step.
bool kernel_trusts_it() {
  std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  std::string source;
  return file >> source && (source == "tsc" || source == "arch_sys_counter");
}

}  // namespace

CycleCounter::CycleCounter() {
  static const std::uint64_t rate = kernel_trusts_it() ? measure() : 0;
  ns_per_cycle_ = rate;
}

/// Both clocks at one moment: the tightest of a few tries, so that a preempted one does no harm.
CycleCounter::Reading CycleCounter::read_both() noexcept {
  Reading best{};
  std::uint64_t tightest = ~std::uint64_t{0};
  for (int i = 0; i < 16; ++i) {
    const std::uint64_t before = cycles();
    const std::int64_t now = monotonic_ns();
    const std::uint64_t width = cycles() - before;
    if (width >= tightest) continue;
    tightest = width;
    best = {now, before + width / 2};
  }
  return best;
}

std::uint64_t CycleCounter::measure() noexcept {
  const Reading start = read_both();
  while (monotonic_ns() - start.ns < kMeasureNs) {
  }
  const Reading end = read_both();
  if (end.cycles <= start.cycles) return 0;
  return (static_cast<std::uint64_t>(end.ns - start.ns) << kFractionBits) / (end.cycles - start.cycles);
}

}  // namespace leat
