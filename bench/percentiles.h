// Percentiles of latencies as benchmark counters.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace leat::bench {

/// @param q       in [0, 1]
/// @param values  in ascending order, not empty
/// @return        the smallest value that at least the share q of all values does not exceed
inline std::int64_t percentile(const std::vector<std::int64_t>& values, double q) {
  const double rank = std::ceil(q * static_cast<double>(values.size()));
  return values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

/// Sets the counters p50_ns, p99_ns and p99.9_ns. With fewer than 1,000 values the last one is the maximum.
inline void report_percentiles(benchmark::State& state, std::vector<std::int64_t> ns) {
  if (ns.empty()) return;
  std::sort(ns.begin(), ns.end());
  state.counters["p50_ns"] = static_cast<double>(percentile(ns, 0.50));
  state.counters["p99_ns"] = static_cast<double>(percentile(ns, 0.99));
  state.counters["p99.9_ns"] = static_cast<double>(percentile(ns, 0.999));
}

}  // namespace leat::bench
