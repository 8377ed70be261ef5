// The threads that submit work: the benchmark's own one and, from two on, helpers that live as long as the
// team.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace leat::bench {

/// Thread-safety: run() from the thread that made the team.
class ProducerTeam {
 public:
  /// @param size      producers, from 1; the thread that calls run() is number 0
  /// @param produce   called with the producer's number, once per run() on each producer
  ProducerTeam(std::size_t size, std::function<void(std::size_t)> produce) : produce_(std::move(produce)) {
    for (std::size_t i = 1; i < size; ++i) helpers_.emplace_back([this, i] { help(i); });
  }
  ~ProducerTeam() { begin_round(kStop); }
  ProducerTeam(const ProducerTeam&) = delete;
  ProducerTeam& operator=(const ProducerTeam&) = delete;

  /// Lets every producer produce once; returns when all have.
  void run() {
    // relaxed: the helpers of the last round are done, and begin_round() publishes it.
    busy_.store(helpers_.size(), std::memory_order_relaxed);
    if (!helpers_.empty()) begin_round(1);
    produce_(0);
    for (std::size_t busy = busy_.load(std::memory_order_acquire); busy != 0;  // (2) acquire: pairs with (1)
         busy = busy_.load(std::memory_order_acquire)) {
      busy_.wait(busy, std::memory_order_acquire);
    }
  }

 private:
  static constexpr std::uint64_t kStop = std::uint64_t{1} << 63;

  void begin_round(std::uint64_t step) {
    round_.fetch_add(step, std::memory_order_release);  // (3) release: publishes the round; pairs with (4)
    round_.notify_all();
  }

  void help(std::size_t number) {
    for (std::uint64_t seen = 0;;) {
      round_.wait(seen, std::memory_order_acquire);  // (4) acquire: pairs with the release (3)
      seen = round_.load(std::memory_order_acquire);
      if (seen >= kStop) return;
      produce_(number);
      busy_.fetch_sub(1, std::memory_order_release);  // (1) release: what was produced; pairs with (2)
      busy_.notify_one();
    }
  }

  std::function<void(std::size_t)> produce_;
  std::atomic<std::uint64_t> round_{0};
  std::atomic<std::size_t> busy_{0};
  std::vector<std::jthread> helpers_;  // last: joined before what they use goes
};

}  // namespace leat::bench
