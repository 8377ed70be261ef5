// BM_Dispatch_Leat*: events at level memory through the Runner's dispatcher to the thread executor. Each
// dispatch makes its event, routes it, takes a slot, runs the registered task function and keeps all metrics.
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <thread>

#include "bench_runner.h"
#include "dispatch_bench.h"
#include "queue_memory_bench.h"

namespace leat::bench {
namespace {

constexpr DispatchOptions kMemory{.durability = Durability::Memory};

/// What a caller does whose event found no slot: lets the workers have the CPU, then tries again.
void after_refusal(const DispatchError& error) {
  if (error.code != DispatchErrorCode::NoCapacity) give_up("dispatch", to_string(error.code));
  std::this_thread::yield();
}

void dispatch_each(Runner& runner, Namespace task, std::size_t count) {
  Dispatcher& dispatcher = runner.dispatcher();
  for (std::size_t i = 0; i < count; ++i) {
    const TaskReadyEvent event = runner.make_event(task);
    for (auto done = dispatcher.dispatch(event, kMemory); !done; done = dispatcher.dispatch(event, kMemory)) {
      after_refusal(done.error());
    }
  }
}

void dispatch_in_bulk(Runner& runner, Namespace task, std::size_t count) {
  constexpr std::size_t kBulk = 256;
  Dispatcher& dispatcher = runner.dispatcher();
  std::array<TaskReadyEvent, kBulk> bulk;
  for (std::size_t left = count; left > 0;) {
    const std::span<TaskReadyEvent> events(bulk.data(), std::min(kBulk, left));
    left -= events.size();
    runner.make_events(task, events);
    for (std::span<const TaskReadyEvent> rest = events; !rest.empty();) {
      const BulkResult result = dispatcher.dispatch_bulk(rest, kMemory);
      rest = rest.subspan(result.taken);
      if (!result.end) after_refusal(result.end.error());
    }
  }
}

using Dispatch = void (*)(Runner&, Namespace, std::size_t);

void run_leat(benchmark::State& state, const DispatchAxes& axes, Backend backend, Dispatch dispatch) {
  BenchRunner runner({.workers = static_cast<std::uint32_t>(axes.workers),
                      .max_queued = static_cast<std::uint32_t>(kDispatchBatch),
                      .backend = backend});
  const CountedTask counted{.rounds = spin_rounds(axes.work_ns)};
  const Namespace task = runner.register_task([counted](TaskContext&) -> std::expected<void, TaskError> {
    counted();
    return {};
  });
  run_dispatch(state, axes, [&](std::size_t) { dispatch(*runner, task, kDispatchBatch / axes.producers); });
}

void register_leat(const std::string& name, Dispatch dispatch) {
  for (const Backend backend : {Backend::Threads, Backend::Arena}) {
    register_dispatch(
        name, "/backend:" + std::string(backend_name(backend)),
        [=](benchmark::State& state, const DispatchAxes& axes) { run_leat(state, axes, backend, dispatch); });
  }
}

void BM_QueueMemory_Leat(benchmark::State& state) {
  run_queue_memory(state, [](const Gate& gate, const std::function<void()>& weigh) {
    BenchRunner runner({.workers = 1, .max_queued = kQueuedTasks + 1, .backend = Backend::Threads});
    const Namespace task = runner.register_task([gated = GatedTask{&gate}](TaskContext&) {
      gated();
      return std::expected<void, TaskError>();
    });
    dispatch_in_bulk(*runner, task, kQueuedTasks + 1);
    weigh();
  });
}
BENCHMARK(BM_QueueMemory_Leat)->Name("BM_QueueMemory_Leat/backend:thread")->UseRealTime();

[[maybe_unused]] const bool kRegistered = [] {
  register_leat("Leat", dispatch_each);
  register_leat("LeatBulk", dispatch_in_bulk);
  return true;
}();

}  // namespace
}  // namespace leat::bench
