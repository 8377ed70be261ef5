#include "spin_work.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace leat::bench {
namespace {

double measure_ns_per_round() {
  constexpr std::uint32_t kRounds = 200'000;
  double best = HUGE_VAL;  // noise only ever adds
  for (int i = 0; i < 20; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    spin(kRounds);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count() / kRounds);
  }
  return best;
}

}  // namespace

std::uint32_t spin_rounds(std::int64_t ns) {
  if (ns <= 0) return 0;
  static const double ns_per_round = measure_ns_per_round();
  return static_cast<std::uint32_t>(std::lround(static_cast<double>(ns) / ns_per_round));
}

}  // namespace leat::bench
