// A start over a store that holds many live pipelines: until the Runner takes new work again.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>

#include "bench_runner.h"
#include "process_usage.h"

namespace leat::bench {
namespace {

constexpr std::uint32_t kMaxQueued = 1024;  // the others are parked, as in a service that is behind

/// One task, which holds its worker until the Runner stops.
Workflow waiting() {
  return take(Workflow::builder("waiting")
                  .task("t",
                        [](TaskContext& task) {
                          while (!task.stop_requested())
                            std::this_thread::sleep_for(std::chrono::milliseconds(1));
                        })
                  .build(),
              "workflow");
}

Runner open(const std::string& store) {
  return take(Runner::builder()
                  .database_url("rocksdb://" + store)
                  .workers(1)
                  .default_limits({.max_concurrent = 1, .max_queued = kMaxQueued})
                  .build(),
              "build");
}

void start(Runner& runner, const Workflow& workflow) {
  take(runner.register_workflow(workflow), "register_workflow");
  take(runner.start(), "start");
}

void stop(Runner& runner) {
  take(runner.stop(std::chrono::nanoseconds(0)), "stop");
}

/// One item: a live pipeline of one task, carried on by build(), register_workflow() and start(). Its memory is
/// the peak on the way, all of the process: with RocksDB's own.
void BM_Runner_Recover(benchmark::State& state) {
  const auto live = static_cast<std::uint64_t>(state.range(0));
  const TemporaryDirectory directory;
  const std::string store = (directory.path() / "leat.db").string();
  const Workflow workflow = waiting();
  {
    Runner runner = open(store);
    start(runner, workflow);
    for (std::uint64_t i = 0; i < live; ++i)
      take(runner.submit(workflow, {.durability = Durability::Process}), "submit");
    stop(runner);
  }
  std::int64_t peak = 0;
  for (auto _ : state) {
    ::malloc_trim(0);  // what an earlier Runner took and gave back would hide what this one takes
    reset_peak_bytes();
    const std::int64_t before = resident_bytes();
    const auto begin = std::chrono::steady_clock::now();
    Runner runner = open(store);
    start(runner, workflow);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    peak = std::max(peak, peak_bytes() - before);
    if (runner.resumed().size() != live) state.SkipWithError("pipelines were lost");
    stop(runner);
    state.SetIterationTime(took.count());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(live));
  state.counters["peak_bytes_per_live_task"] = static_cast<double>(peak) / static_cast<double>(live);
}

void with_live_tasks(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("live")->Arg(10'000)->Arg(1'000'000);
  if (std::getenv("LEAT_EXHAUSTIVE") != nullptr) benchmark->Arg(10'000'000);
  benchmark->Unit(benchmark::kMillisecond)->UseManualTime();
}
BENCHMARK(BM_Runner_Recover)->Apply(with_live_tasks);

}  // namespace
}  // namespace leat::bench
