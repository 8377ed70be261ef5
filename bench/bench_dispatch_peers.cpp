// BM_Dispatch_*: the thread pools and the raw queue that leat is compared to, all with the same task and
// counting.
#include <memory>
#include <vector>

#include "asio_pool.h"
#include "dispatch_bench.h"
#include "moodycamel_pool.h"
#include "mutex_pool.h"
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

[[maybe_unused]] const bool kRegistered = [] {
  register_dispatch("TbbEnqueue", "", run_peer<TbbEnqueuePool<CountedTask>>);
  register_dispatch("TbbTaskGroup", "", run_peer<TbbTaskGroupPool<CountedTask>>);
  register_dispatch("Asio", "", run_peer<AsioPool<CountedTask>>);
  register_dispatch("Moodycamel", "", run_peer<MoodycamelPool<CountedTask>>);
  register_dispatch("MoodycamelFunction", "", run_peer<MoodycamelPool<CountedTask, FunctionEvent>>);
  register_dispatch("MutexPool", "", run_peer<MutexPool<CountedTask>>);
  return true;
}();

}  // namespace
}  // namespace leat::bench
