// How soon a dependent starts after its last dependency's end, and what a pipeline costs that only waits.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bench_runner.h"
#include "percentiles.h"
#include "process_usage.h"

namespace leat::bench {
namespace {

std::int64_t now_ns() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// One diamond at a time. Each of the three in the middle stamps its end; the merge looks at the latest.
void BM_DependentStart_Leat(benchmark::State& state) {
  struct alignas(64) Stamp {
    std::atomic<std::int64_t> ns{0};
  };
  std::array<Stamp, 3> ends;
  std::int64_t merge_started = 0;  // written by the merge, read after wait() returned
  Workflow::Builder builder("diamond");
  builder.task("setup", [](TaskContext&) {});
  for (std::size_t i = 0; i < ends.size(); ++i) {
    // relaxed: the engine orders a task's end before its dependents' start.
    builder.task(std::to_string(i),
                 [&ends, i](TaskContext&) { ends[i].ns.store(now_ns(), std::memory_order_relaxed); },
                 {.after = {"setup"}});
  }
  builder.task("merge", [&](TaskContext&) { merge_started = now_ns(); }, {.after = {"0", "1", "2"}});
  const Workflow workflow = take(builder.build(), "workflow");

  BenchRunner runner({});
  std::vector<std::int64_t> gaps;
  gaps.reserve(static_cast<std::size_t>(state.max_iterations));
  for (auto _ : state) {
    const auto handle =
        take(runner->submit_async(workflow, {.durability = Durability::Memory}), "submit_async");
    take(handle.wait(), "wait");
    std::int64_t last_end = 0;
    for (const Stamp& end : ends) last_end = std::max(last_end, end.ns.load(std::memory_order_relaxed));
    gaps.push_back(merge_started - last_end);
  }
  state.SetItemsProcessed(state.iterations());
  report_percentiles(state, std::move(gaps));
}

/// A million single-task pipelines behind one task that holds the only worker. One item: one pipeline,
/// submitted and completed. With a budget most of them wait in the store alone; the drain is timed apart.
void BM_WaitingPipelines_Leat(benchmark::State& state, Durability level, std::uint64_t memory_budget) {
  constexpr std::int64_t kPipelines = 1'000'000;
  std::atomic<bool> open{true};
  const auto pass = [&open](TaskContext&) {
    open.wait(false, std::memory_order_acquire);
  };  // (1) pairs with (2)
  const Workflow workflow = take(Workflow::builder("waiting").task("pass", pass).build(), "workflow");
  std::int64_t bytes = 0;
  std::int64_t drain_ns = 0;
  for (auto _ : state) {
    malloc_trim(0);
    const std::int64_t before = resident_bytes();
    BenchRunner runner({.level = level, .workers = 1, .memory_budget = memory_budget});
    take(runner->register_workflow(workflow), "register_workflow");
    open.store(false, std::memory_order_relaxed);  // relaxed: submit_async() publishes it
    for (std::int64_t i = 0; i < kPipelines; ++i) {
      take(runner->submit_async(workflow, {.durability = level}), "submit_async");
    }
    take(runner->flush(), "flush");
    malloc_trim(0);
    bytes = resident_bytes() - before;
    drain_ns -= now_ns();
    open.store(true, std::memory_order_release);  // (2) release: pairs with the acquire (1)
    open.notify_all();
    take(runner->wait_idle(std::chrono::nanoseconds::max()), "wait_idle");
    drain_ns += now_ns();
  }
  state.SetItemsProcessed(state.iterations() * kPipelines);
  state.counters["drained_per_second"] =
      static_cast<double>(state.iterations() * kPipelines) * 1e9 / static_cast<double>(drain_ns);
  state.counters["resident_bytes_per_pipeline"] = static_cast<double>(bytes) / kPipelines;
}

BENCHMARK(BM_DependentStart_Leat)->Name("BM_DependentStart_Leat/level:memory")->UseRealTime();
BENCHMARK_CAPTURE(BM_WaitingPipelines_Leat, memory, Durability::Memory, 0)
    ->Name("BM_WaitingPipelines_Leat/level:memory")
    ->UseRealTime();
BENCHMARK_CAPTURE(BM_WaitingPipelines_Leat, disk, Durability::Disk, 0)
    ->Name("BM_WaitingPipelines_Leat/level:disk")
    ->UseRealTime();
BENCHMARK_CAPTURE(BM_WaitingPipelines_Leat, budget, Durability::Disk, std::uint64_t{4} << 20)
    ->Name("BM_WaitingPipelines_Leat/level:disk/budget_mib:4")
    ->UseRealTime();

}  // namespace
}  // namespace leat::bench
