// BM_Durable_Leat and BM_Ack_Leat: what the whole engine does above the journal, next to the queues that
// bench_storage.cpp builds by hand.
#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench_runner.h"
#include "percentiles.h"
#include "process_usage.h"
#include "producer_team.h"

namespace leat::bench {
namespace {

std::expected<void, TaskError> do_nothing(TaskContext& /*task*/) {
  return {};
}

/// One item: a task that is dispatched alone, admitted, run and completed, all of it at the level.
void run_durable(benchmark::State& state, Durability level) {
  constexpr std::size_t kBatch = 1 << 15;
  BenchRunner runner({.level = level, .max_queued = kBatch});
  const Namespace task = runner.register_task(do_nothing);
  const ProcessUsage begin = read_process_usage();
  for (auto _ : state) run_tasks(*runner, task, kBatch, level);
  const auto tasks = state.iterations() * static_cast<std::int64_t>(kBatch);
  if (runner->metrics("default").total_executed != static_cast<std::uint64_t>(tasks)) {
    state.SkipWithError("tasks ran more or less than once");
  }
  state.SetItemsProcessed(tasks);
  report_usage_per_task(state, begin, tasks);
}

/// One item: a pipeline of one task, submitted by a thread that waits until the submission is on the disk.
/// Also reports how long each waited.
void run_ack(benchmark::State& state, std::size_t threads) {
  constexpr std::size_t kAcksPerRound = 64;  // of each thread: the threads' common start weighs little
  BenchRunner runner({.level = Durability::Disk, .max_queued = 16 * 1024});
  const Workflow workflow = take(Workflow::builder("single").task("nothing", do_nothing).build(), "workflow");
  take(runner->register_workflow(workflow), "register_workflow");
  std::mutex mutex;
  std::vector<std::int64_t> waits_ns;
  ProducerTeam team(threads, [&](std::size_t) {
    std::array<std::int64_t, kAcksPerRound> mine;
    for (std::int64_t& ns : mine) {
      const auto begin = std::chrono::steady_clock::now();
      take(runner->submit(workflow, {.durability = Durability::Disk}), "submit");
      ns = std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
    }
    const std::scoped_lock lock(mutex);
    waits_ns.insert(waits_ns.end(), mine.begin(), mine.end());
  });
  for (auto _ : state) team.run();
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(threads * kAcksPerRound));
  report_percentiles(state, std::move(waits_ns));
}

/// One item: a pipeline of one task, submitted at its time whether earlier ones are acknowledged or not. Each
/// waits from that time on, so that what holds the submitter up counts as well.
void run_ack_at_rate(benchmark::State& state, std::int64_t per_second) {
  const auto count = static_cast<std::size_t>(per_second / 2);
  const std::chrono::nanoseconds period = std::chrono::seconds(1) / per_second;
  BenchRunner runner({.level = Durability::Disk, .max_queued = 1 << 20});
  const Workflow workflow = take(Workflow::builder("single").task("nothing", do_nothing).build(), "workflow");
  take(runner->register_workflow(workflow), "register_workflow");
  std::vector<std::int64_t> waits_ns;
  std::vector<std::optional<PipelineHandle>> handles(count);
  for (auto _ : state) {
    std::atomic<std::size_t> sent{0};
    const auto begin = std::chrono::steady_clock::now();
    std::jthread waiter([&] {
      for (std::size_t index = 0; index < count; ++index) {
        sent.wait(index, std::memory_order_acquire);  // (1) pairs with (2)
        take(handles[index]->acknowledged(), "acknowledged");
        const auto intended = begin + static_cast<std::int64_t>(index) * period;
        waits_ns.push_back(std::chrono::nanoseconds(std::chrono::steady_clock::now() - intended).count());
      }
    });
    for (std::size_t index = 0; index < count; ++index) {
      std::this_thread::sleep_until(begin + static_cast<std::int64_t>(index) * period);
      handles[index] = take(runner->submit_async(workflow, {.durability = Durability::Disk}), "submit_async");
      sent.store(index + 1, std::memory_order_release);  // (2) publishes the handle
      sent.notify_one();
    }
    waiter.join();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
  report_percentiles(state, std::move(waits_ns));
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const std::int64_t per_second : {1'000, 10'000, 100'000}) {
    const std::string name = "BM_AckAtRate_Leat/per_second:" + std::to_string(per_second);
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
      run_ack_at_rate(state, per_second);
    })->UseRealTime();
  }
  for (const Durability level : {Durability::Disk, Durability::Process}) {
    const std::string name = "BM_Durable_Leat/level:" + std::string(to_string(level));
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
      run_durable(state, level);
    })->UseRealTime();
  }
  for (const std::size_t threads : {1, 4, 16, 64, 128}) {
    const std::string name = "BM_Ack_Leat/threads:" + std::to_string(threads);
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
      run_ack(state, threads);
    })->UseRealTime();
  }
  return true;
}();

}  // namespace
}  // namespace leat::bench
