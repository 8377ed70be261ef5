#include "latency_bench.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "cpu_pause.h"
#include "percentiles.h"

namespace leat::bench {
namespace {

/// Waits for a moment: asleep while it is far, spinning for the rest, so that the submitter itself is never
/// late.
void wait_until(std::int64_t ns) {
  constexpr std::int64_t kSpinNs = 500'000;
  const std::int64_t ahead = ns - StartStamp::now();
  if (ahead > kSpinNs) std::this_thread::sleep_for(std::chrono::nanoseconds(ahead - kSpinNs));
  while (StartStamp::now() < ns) cpu_pause();
}

/// Spins at first; yields after that, for machines where the worker needs this very CPU.
std::int64_t wait_for(const StartStamp& stamp) {
  constexpr int kSpins = 10'000;
  for (int i = 0;; ++i) {
    const std::int64_t ns =
        stamp.ns.load(std::memory_order_acquire);  // (2) acquire: pairs with the release (1)
    if (ns != 0) return ns;
    if (i < kSpins) {
      cpu_pause();
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace

void run_latency(benchmark::State& state, std::chrono::microseconds period, StartStamp& stamp,
                 const std::function<void()>& submit) {
  const std::int64_t period_ns = std::chrono::nanoseconds(period).count();
  std::vector<std::int64_t> latencies;
  latencies.reserve(static_cast<std::size_t>(state.max_iterations));
  std::int64_t next = StartStamp::now() + period_ns;
  for (auto _ : state) {
    wait_until(next);
    stamp.ns.store(0, std::memory_order_relaxed);  // relaxed: submit() publishes it
    const std::int64_t submitted = StartStamp::now();
    submit();
    const std::int64_t started = wait_for(stamp);
    latencies.push_back(started - submitted);
    next = std::max(next, started) + period_ns;
  }
  state.SetItemsProcessed(state.iterations());
  report_percentiles(state, std::move(latencies));
}

void register_latency(const std::string& peer, const std::string& suffix,
                      const std::function<void(benchmark::State&, std::chrono::microseconds period)>& run) {
  for (const int period_us : {20, 200, 5000}) {
    const std::chrono::microseconds period(period_us);
    const std::string name = "BM_Latency_" + peer + "/period_us:" + std::to_string(period_us) + suffix;
    benchmark::RegisterBenchmark(name.c_str(), [run, period](benchmark::State& state) {
      run(state, period);
    })->UseRealTime();
  }
}

}  // namespace leat::bench
