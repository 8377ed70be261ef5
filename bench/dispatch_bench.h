// The frame of BM_Dispatch_*: producers submit a batch, workers run it, the clock stops when the last task
// has ended.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "spin_work.h"
#include "tally.h"

namespace leat::bench {

/// What each task does: its work, then it is counted.
struct CountedTask {
  std::uint32_t rounds = 0;  ///< of spin()

  void operator()() const noexcept {
    spin(rounds);
    Tally::add_one();
  }
};

struct DispatchAxes {
  std::size_t producers;
  std::size_t workers;
  std::int64_t work_ns;
};

/// Tasks of one iteration: enough that the pause at its end (about 30 us) weighs little, few enough that no
/// queue ever holds more than 8 MiB of 64-byte events.
inline constexpr std::size_t kDispatchBatch = std::size_t{1} << 17;

/// Runs the benchmark's loop.
///
/// @param produce  submits its producer's share (kDispatchBatch / producers) of CountedTasks
void run_dispatch(benchmark::State& state, const DispatchAxes& axes,
                  std::function<void(std::size_t)> produce);

/// Registers `BM_Dispatch_<peer>/producers:P/workers:W/work_ns:N<suffix>`; P and W are 1 and 2, N is 0 and
/// 200.
void register_dispatch(const std::string& peer, const std::string& suffix,
                       const std::function<void(benchmark::State&, const DispatchAxes&)>& run);

}  // namespace leat::bench
