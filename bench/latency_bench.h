// The frame of BM_Latency_*: one task at a time, submitted at a fixed pace to workers that have nothing else
// to do.
#pragma once

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace leat::bench {

/// Where a task says that it has started.
struct StartStamp {
  alignas(64) std::atomic<std::int64_t> ns{0};  ///< steady clock; 0: not yet

  static std::int64_t now() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

/// What each task does.
struct StampingTask {
  StartStamp* stamp = nullptr;

  // (1) release: so that the submitter, once it sees the stamp, may reuse what the task used; pairs with (2).
  void operator()() const noexcept { stamp->ns.store(StartStamp::now(), std::memory_order_release); }
};

/// Runs the benchmark's loop: one iteration is one task, submitted `period` after the last one. Reports the
/// time from just before submit() to the task's first instruction.
void run_latency(benchmark::State& state, std::chrono::microseconds period, StartStamp& stamp,
                 const std::function<void()>& submit);

/// Registers `BM_Latency_<peer>/period_us:N<suffix>` for N in {20, 200, 5000}.
///
/// @param suffix  `/idle:park`, `/idle:spin` or `/idle:spin_then_park`: how the peer's workers wait; more may
/// follow
void register_latency(const std::string& peer, const std::string& suffix,
                      const std::function<void(benchmark::State&, std::chrono::microseconds period)>& run);

}  // namespace leat::bench
