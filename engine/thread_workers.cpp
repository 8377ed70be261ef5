#include <pthread.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cpus.h"
#include "lane.h"
#include "wake_gate.h"
#include "workers.h"

namespace leat {
namespace {

constexpr std::size_t kTasksPerTurn = 256;

class ThreadWorkers final : public Workers {
 public:
  ThreadWorkers(Lane& lane, std::uint32_t count, IdlePolicy idle)
      : lane_(lane), gate_(count, idle, cpus_of(lane.limits())) {
    threads_.reserve(count);
    const OnCpus bound(lane.limits().cpus);
    for (std::uint32_t i = 0; i < count; ++i) {
      try {
        threads_.emplace_back([this, i] { work(i); });
      } catch (...) {
        stop();
        throw;
      }
      pthread_setname_np(threads_.back().native_handle(), thread_name(i).c_str());
    }
  }

  ~ThreadWorkers() override { stop(); }

  void notify() noexcept override { gate_.notify(); }

  std::string thread_name(std::uint32_t worker) const override {
    // The kernel cuts names at 15 bytes; the number must survive.
    return ("leat-" + lane_.key().substr(0, 6) + "-" + std::to_string(worker)).substr(0, 15);
  }

  void stop() noexcept override {
    gate_.stop();
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

 private:
  static std::uint32_t cpus_of(const ExecutorLimits& limits) {
    const auto count = static_cast<std::uint32_t>(std::set(limits.cpus.begin(), limits.cpus.end()).size());
    return count == 0 ? usable_cpus() : std::min(usable_cpus(), count);
  }

  void work(std::uint32_t worker) noexcept {
    while (!gate_.stopped()) {
      if (lane_.run_some(worker, kTasksPerTurn) > 0) continue;
      gate_.wait(worker, [this] { return lane_.has_work(); });
    }
  }

  Lane& lane_;
  WakeGate gate_;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Workers> make_thread_workers(Lane& lane, std::uint32_t count, IdlePolicy idle) {
  return std::make_unique<ThreadWorkers>(lane, count, idle);
}

}  // namespace leat
