#include "tally.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace leat::bench {
namespace {

constexpr std::size_t kCounters = 256;

/// Two lines each: the adjacent-line prefetcher fetches pairs.
struct alignas(128) Counter {
  std::atomic<std::uint64_t> count{0};
  bool taken = false;  // guarded by the register's mutex
};

struct Register {
  std::mutex mutex;
  std::array<Counter, kCounters> counters;
  std::atomic<std::size_t> used{0};  // counters from here on have never been taken
};

constinit Register all{};

/// Gives the thread's counter back when the thread ends; its count stays.
struct Loan {
  Counter* counter = nullptr;
  ~Loan() {
    if (counter == nullptr) return;
    const std::scoped_lock lock(all.mutex);
    counter->taken = false;
  }
};

}  // namespace

constinit thread_local std::atomic<std::uint64_t>* Tally::mine_ = nullptr;

std::atomic<std::uint64_t>* Tally::adopt_counter() noexcept {
  thread_local Loan loan;
  const std::scoped_lock lock(all.mutex);
  for (std::size_t i = 0; i < kCounters; ++i) {
    Counter& counter = all.counters[i];
    if (counter.taken) continue;
    counter.taken = true;
    loan.counter = &counter;
    // relaxed: under the mutex; a reader that misses the new counter sees it at its next look.
    if (i >= all.used.load(std::memory_order_relaxed)) all.used.store(i + 1, std::memory_order_relaxed);
    return mine_ = &counter.count;
  }
  std::fputs("more than 256 threads count tasks at once\n", stderr);
  std::abort();
}

std::uint64_t Tally::total() noexcept {
  std::uint64_t sum = 0;
  const std::size_t used = all.used.load(std::memory_order_relaxed);  // relaxed: see adopt_counter()
  for (std::size_t i = 0; i < used; ++i) {
    sum += all.counters[i].count.load(std::memory_order_acquire);  // (2) acquire: pairs with the release (1)
  }
  return sum;
}

void Tally::wait_for(std::uint64_t target) noexcept {
  while (total() < target) std::this_thread::sleep_for(std::chrono::microseconds(20));
}

}  // namespace leat::bench
