// BM_Lanes_Leat: three lanes at work beside a fourth that does nothing, or that is full and refuses.
#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "bench_runner.h"
#include "dispatch_bench.h"
#include "queue_memory_bench.h"
#include "tally.h"

namespace leat::bench {
namespace {

constexpr DispatchOptions kMemory{.durability = Durability::Memory};
constexpr std::array<const char*, 3> kBusyKeys{"busy0", "busy1", "busy2"};
constexpr const char* kNeighbourKey = "neighbour";

class CountingExecutor final : public TaskExecutor {
 public:
  std::expected<ExecutionResult, DispatchError> execute(const TaskReadyEvent& event) override {
    Tally::add_one();
    return ExecutionResult::success(event.task_execution_id);
  }
};

/// Does not let go of a task before the gate opens.
class GatedExecutor final : public TaskExecutor {
 public:
  explicit GatedExecutor(const Gate& gate) : gate_(gate) {}
  std::expected<ExecutionResult, DispatchError> execute(const TaskReadyEvent& event) override {
    gate_.pass();
    return ExecutionResult::success(event.task_execution_id);
  }

 private:
  const Gate& gate_;
};

Runner make_lanes(const Gate& gate) {
  const ExecutorLimits busy{.max_concurrent = 1,
                            .max_queued = static_cast<std::uint32_t>(kDispatchBatch),
                            .backend = Backend::Threads};
  const auto counting = std::make_shared<CountingExecutor>();
  RoutingConfig routes(kBusyKeys[0]);
  Runner::Builder builder = Runner::builder();
  for (const char* key : kBusyKeys) {
    routes.with_rule("public::bench::" + std::string(key) + "::*", key);
    builder.register_executor(key, counting, busy);
  }
  routes.with_rule("public::bench::" + std::string(kNeighbourKey) + "::*", kNeighbourKey);
  builder.register_executor(kNeighbourKey, std::make_shared<GatedExecutor>(gate),
                            {.max_concurrent = 1, .max_queued = 16, .backend = Backend::Threads});
  Runner runner = take(builder.database_url("memory:").routing_config(std::move(routes)).build(), "build");
  take(runner.start(), "start");
  return runner;
}

Namespace register_task(Runner& runner, const std::string& key) {
  const auto nothing = [](TaskContext&) -> std::expected<void, TaskError> { return {}; };
  return take(runner.register_task("public::bench::" + key + "::task", nothing), "register_task");
}

/// @return whether the event was taken
bool try_dispatch(Runner& runner, Namespace task) {
  const auto done = runner.dispatcher().dispatch(runner.make_event(task), kMemory);
  if (!done && done.error().code != DispatchErrorCode::NoCapacity)
    give_up("dispatch", to_string(done.error().code));
  return done.has_value();
}

/// One item: a task of the three busy lanes. With a full neighbour every 64th dispatch goes to it and is
/// refused.
void run_lanes(benchmark::State& state, bool full) {
  Gate gate;
  Runner runner = make_lanes(gate);
  std::array<Namespace, kBusyKeys.size()> tasks;
  for (std::size_t i = 0; i < tasks.size(); ++i) tasks[i] = register_task(runner, kBusyKeys[i]);
  const Namespace neighbour = register_task(runner, kNeighbourKey);
  while (full && try_dispatch(runner, neighbour)) {
  }
  run_dispatch(state, {.producers = 1, .workers = tasks.size(), .work_ns = 0}, [&](std::size_t) {
    for (std::size_t i = 0; i < kDispatchBatch; ++i) {
      while (!try_dispatch(runner, tasks[i % tasks.size()])) std::this_thread::yield();
      if (full && i % 64 == 0) try_dispatch(runner, neighbour);
    }
  });
  gate.open();
}
BENCHMARK_CAPTURE(run_lanes, idle, false)->Name("BM_Lanes_Leat/neighbour:idle/backend:thread")->UseRealTime();
BENCHMARK_CAPTURE(run_lanes, full, true)->Name("BM_Lanes_Leat/neighbour:full/backend:thread")->UseRealTime();

}  // namespace
}  // namespace leat::bench
