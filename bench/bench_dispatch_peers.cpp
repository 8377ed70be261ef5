// BM_Dispatch_* and BM_QueueMemory_*: the thread pools and the raw queue that leat is compared to, all with
// the same task and counting.
#include <memory>
#include <vector>

#include "asio_pool.h"
#include "dispatch_bench.h"
#include "moodycamel_pool.h"
#include "mutex_pool.h"
#include "queue_memory_bench.h"
#include "tbb_pool.h"

namespace leat::bench {
namespace {

template <class Pool>
void run_peer(benchmark::State& state, const DispatchAxes& axes) {
  const CountedTask task{.rounds = spin_rounds(axes.work_ns)};
  Pool pool(axes.workers);
  std::vector<std::unique_ptr<typename Pool::Producer>> producers;
  for (std::size_t i = 0; i < axes.producers; ++i) {
    producers.push_back(std::make_unique<typename Pool::Producer>(pool));
  }
  run_dispatch(state, axes, [&](std::size_t number) {
    producers[number]->submit(task, kDispatchBatch / producers.size());
  });
}

template <class Pool>
void weigh_peer(benchmark::State& state) {
  run_queue_memory(state, [](const Gate& gate, const std::function<void()>& weigh) {
    Pool pool(1);
    typename Pool::Producer producer(pool);
    producer.submit(GatedTask{&gate}, kQueuedTasks + 1);
    weigh();
  });
}

template <class Pool>
void register_weigh(const char* name) {
  benchmark::RegisterBenchmark(name, weigh_peer<Pool>)->UseRealTime();
}

[[maybe_unused]] const bool kRegistered = [] {
  register_dispatch("TbbEnqueue", "", run_peer<TbbEnqueuePool<CountedTask>>);
  register_dispatch("TbbTaskGroup", "", run_peer<TbbTaskGroupPool<CountedTask>>);
  register_dispatch("Asio", "", run_peer<AsioPool<CountedTask>>);
  register_dispatch("Moodycamel", "", run_peer<MoodycamelPool<CountedTask>>);
  register_dispatch("MoodycamelFunction", "", run_peer<MoodycamelPool<CountedTask, FunctionEvent>>);
  register_dispatch("MutexPool", "", run_peer<MutexPool<CountedTask>>);
  register_weigh<TbbEnqueuePool<GatedTask>>("BM_QueueMemory_TbbEnqueue");
  register_weigh<AsioPool<GatedTask>>("BM_QueueMemory_Asio");
  register_weigh<MoodycamelPool<GatedTask>>("BM_QueueMemory_Moodycamel");
  register_weigh<MutexPool<GatedTask>>("BM_QueueMemory_MutexPool");
  return true;
}();

}  // namespace
}  // namespace leat::bench
