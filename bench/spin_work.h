// The work of one benchmark task: nothing, or a stretch of arithmetic of a known length.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>

namespace leat::bench {

/// Runs `rounds` dependent multiplications. It counts instructions, not time: a task that is preempted in the
/// middle still does all of its work.
inline void spin(std::uint32_t rounds) noexcept {
  std::uint64_t x = rounds;
  for (std::uint32_t i = 0; i < rounds; ++i) x = x * 0x9E3779B97F4A7C15U + i;
  benchmark::DoNotOptimize(x);
}

/// How many rounds of spin() take `ns` on this machine when nothing disturbs it. Measured once per process.
std::uint32_t spin_rounds(std::int64_t ns);

}  // namespace leat::bench
