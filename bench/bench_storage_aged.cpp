// A store through which many tasks have gone, beside one through which few have: whether it is slower, or
// larger beyond what it is told to keep.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "bench_runner.h"
#include "process_usage.h"

namespace leat::bench {
namespace {

constexpr std::size_t kBatch = 1 << 15;
constexpr std::uint64_t kJournalBytes = 8 << 20;  // few: how much lies behind the last round is chance
constexpr std::uint64_t kHistoryMax = 100'000;    // pipelines: reached by all, so that it is the same for all

Runner open(const std::string& store) {
  return take(Runner::builder()
                  .database_url("rocksdb://" + store)
                  .workers(2)
                  .default_limits({.max_concurrent = 2, .max_queued = kBatch})
                  .checkpoint_after(kJournalBytes)
                  .retain_events({.age_ns = 0})
                  .retain_history({.count = kHistoryMax})
                  .build(),
              "build");
}

Namespace start(Runner& runner) {
  const auto task =
      take(runner.register_task("public::bench::tasks::task", [](TaskContext&) {}), "register_task");
  take(runner.start(), "start");
  return task;
}

/// One item: a task that is dispatched alone to a store through which `ran` others have gone, its full life
/// at level `process`. Also reports how long that store took to open, and its bytes when it was closed.
void BM_Store_Aged(benchmark::State& state) {
  const TemporaryDirectory directory;
  const std::string store = (directory.path() / "leat.db").string();
  {
    Runner runner = open(store);
    const Namespace task = start(runner);
    run_tasks(runner, task, static_cast<std::size_t>(state.range(0)), Durability::Process);
    take(runner.stop(std::chrono::seconds(30)), "stop");
  }
  double bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(store)) {
    if (file.path().filename() != "RESERVE") bytes += static_cast<double>(file.file_size());
  }
  const auto begin = std::chrono::steady_clock::now();
  Runner runner = open(store);
  const std::chrono::duration<double, std::milli> opening = std::chrono::steady_clock::now() - begin;
  const Namespace task = start(runner);
  const ProcessUsage usage = read_process_usage();
  for (auto _ : state) run_tasks(runner, task, kBatch, Durability::Process);
  const auto tasks = state.iterations() * static_cast<std::int64_t>(kBatch);
  state.SetItemsProcessed(tasks);
  report_usage_per_task(state, usage, tasks);
  state.counters["open_ms"] = opening.count();
  state.counters["store_bytes"] = bytes;
}

/// 100 M, which take minutes, with LEAT_EXHAUSTIVE=1.
void with_ages(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("ran")->Arg(1'000'000)->Arg(10'000'000);
  if (std::getenv("LEAT_EXHAUSTIVE") != nullptr) benchmark->Arg(100'000'000);
  benchmark->UseRealTime();
}
BENCHMARK(BM_Store_Aged)->Apply(with_ages);

}  // namespace
}  // namespace leat::bench
