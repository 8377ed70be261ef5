#include "dispatch_bench.h"

#include <utility>

#include "process_usage.h"
#include "producer_team.h"

namespace leat::bench {

void run_dispatch(benchmark::State& state, const DispatchAxes& axes,
                  std::function<void(std::size_t)> produce) {
  ProducerTeam team(axes.producers, std::move(produce));
  const ProcessUsage begin = read_process_usage();
  for (auto _ : state) {
    const std::uint64_t target = Tally::total() + kDispatchBatch;
    team.run();
    Tally::wait_for(target);
  }
  const std::int64_t tasks = state.iterations() * static_cast<std::int64_t>(kDispatchBatch);
  state.SetItemsProcessed(tasks);
  report_cpu_per_task(state, begin, tasks);
}

void register_dispatch(const std::string& peer, const std::string& suffix,
                       const std::function<void(benchmark::State&, const DispatchAxes&)>& run) {
  for (const std::size_t producers : {1, 2}) {
    for (const std::size_t workers : {1, 2}) {
      for (const std::int64_t work_ns : {0, 200}) {
        const std::string name = "BM_Dispatch_" + peer + "/producers:" + std::to_string(producers) +
                                 "/workers:" + std::to_string(workers) +
                                 "/work_ns:" + std::to_string(work_ns) + suffix;
        const DispatchAxes axes{.producers = producers, .workers = workers, .work_ns = work_ns};
        benchmark::RegisterBenchmark(name.c_str(), [run, axes](benchmark::State& state) {
          run(state, axes);
        })->UseRealTime();
      }
    }
  }
}

}  // namespace leat::bench
