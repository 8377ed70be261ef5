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

struct LeatRow {
  IdlePolicy idle;
  Backend backend;
  Durability level = Durability::Memory;
};

void run_leat(benchmark::State& state, std::chrono::microseconds period, const LeatRow& row) {
  StartStamp stamp;
  BenchRunner runner({.level = row.level, .workers = 1, .backend = row.backend, .idle = row.idle});
  const Namespace task =
      runner.register_task([stamping = StampingTask{&stamp}](TaskContext&) -> std::expected<void, TaskError> {
        stamping();
        return {};
      });
  run_latency(state, period, stamp, [&] {
    const TaskReadyEvent event = runner->make_event(task);
    const auto done = runner->dispatcher().dispatch(event, {.durability = row.level});
    if (!done) give_up("dispatch", to_string(done.error().code));
  });
}

void register_leat(const std::string& suffix, const LeatRow& row) {
  register_latency("Leat", suffix, [row](benchmark::State& state, std::chrono::microseconds period) {
    run_leat(state, period, row);
  });
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const auto& [idle, idle_name] : kIdlePolicies) {
    register_leat("/idle:" + std::string(idle_name) + "/backend:thread",
                  {.idle = idle, .backend = Backend::Threads});
  }
  // oneTBB's threads idle as oneTBB has it.
  register_leat("/backend:arena", {.idle = IdlePolicy::SpinThenPark, .backend = Backend::Arena});
  // The start waits for one sync.
  register_leat("/idle:spin_then_park/backend:thread/level:disk",
                {.idle = IdlePolicy::SpinThenPark, .backend = Backend::Threads, .level = Durability::Disk});
  return true;
}();

}  // namespace
}  // namespace leat::bench
