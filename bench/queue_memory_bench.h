// The frame of BM_QueueMemory_*: a million tasks queued behind one that holds the only worker.
#pragma once

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <functional>

#include "tally.h"

namespace leat::bench {

inline constexpr std::size_t kQueuedTasks = 1'000'000;

/// Holds the worker until the queue has been weighed.
class Gate {
 public:
  void open() noexcept {
    open_.store(true, std::memory_order_release);  // (1) release: pairs with the acquire (2)
    open_.notify_all();
  }
  void pass() const noexcept { open_.wait(false, std::memory_order_acquire); }  // (2) pairs with (1)

 private:
  std::atomic<bool> open_{false};
};

struct GatedTask {
  const Gate* gate = nullptr;

  void operator()() const noexcept {
    gate->pass();
    Tally::add_one();
  }
};

/// Runs the benchmark's loop; sets the counters heap_bytes_per_task (what malloc handed out) and
/// resident_bytes_per_task (peers that bring their own allocator only show there).
///
/// @param fill  makes the pool, submits kQueuedTasks + 1 tasks that pass the gate, calls `weigh`, and ends
/// the pool
void run_queue_memory(benchmark::State& state,
                      const std::function<void(const Gate& gate, const std::function<void()>& weigh)>& fill);

}  // namespace leat::bench
