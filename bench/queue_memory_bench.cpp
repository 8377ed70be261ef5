#include "queue_memory_bench.h"

#include <malloc.h>

#include "process_usage.h"

namespace leat::bench {
namespace {

struct Weight {
  double heap;
  double resident;
};

Weight weigh_process() {
  malloc_trim(0);  // what earlier benchmarks freed is not counted, and counts once it is used again
  const auto info = mallinfo2();
  return {.heap = static_cast<double>(info.uordblks + info.hblkhd),
          .resident = static_cast<double>(resident_bytes())};
}

}  // namespace

void run_queue_memory(benchmark::State& state,
                      const std::function<void(const Gate& gate, const std::function<void()>& weigh)>& fill) {
  Weight growth{};
  for (auto _ : state) {
    Gate gate;
    const Weight before = weigh_process();
    const std::uint64_t target = Tally::total() + kQueuedTasks + 1;
    fill(gate, [&] {
      const Weight after = weigh_process();
      growth = {.heap = after.heap - before.heap, .resident = after.resident - before.resident};
      gate.open();
      Tally::wait_for(target);
    });
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kQueuedTasks));
  state.counters["heap_bytes_per_task"] = growth.heap / kQueuedTasks;
  state.counters["resident_bytes_per_task"] = growth.resident / kQueuedTasks;
}

}  // namespace leat::bench
