// BM_Latency_Leat: from just before dispatch() to the first instruction of the task function, on idle
// workers.
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "bench_runner.h"
#include "latency_bench.h"

namespace leat::bench {
namespace {

constexpr std::array<std::pair<IdlePolicy, std::string_view>, 3> kIdlePolicies{{
    {IdlePolicy::Park, "park"},
    {IdlePolicy::SpinThenPark, "spin_then_park"},
    {IdlePolicy::Spin, "spin"},
}};

void run_leat(benchmark::State& state, std::chrono::microseconds period, IdlePolicy idle, Backend backend) {
  StartStamp stamp;
  BenchRunner runner({.workers = 1, .backend = backend, .idle = idle});
  const Namespace task =
      runner.register_task([stamping = StampingTask{&stamp}](TaskContext&) -> std::expected<void, TaskError> {
        stamping();
        return {};
      });
  run_latency(state, period, stamp, [&] {
    const TaskReadyEvent event = runner->make_event(task);
    const auto done = runner->dispatcher().dispatch(event, {.durability = Durability::Memory});
    if (!done) give_up("dispatch", to_string(done.error().code));
  });
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const auto& [idle, idle_name] : kIdlePolicies) {
    for (const Backend backend : {Backend::Threads, Backend::Arena}) {
      const std::string suffix =
          "/idle:" + std::string(idle_name) + "/backend:" + std::string(backend_name(backend));
      register_latency("Leat", suffix,
                       [=, idle = idle](benchmark::State& state, std::chrono::microseconds period) {
                         run_leat(state, period, idle, backend);
                       });
    }
  }
  return true;
}();

}  // namespace
}  // namespace leat::bench
