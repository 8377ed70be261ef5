// Counts finished tasks in the same way for every peer: one padded counter for each thread, so that no two
// workers share a line, and one total that whoever waits adds up.
#pragma once

#include <atomic>
#include <cstdint>

namespace leat::bench {

/// Process-wide, because a peer's workers are its own threads and cannot be handed an object for free.
///
/// Thread-safety: any number of threads, at most 256 of them counting at once.
class Tally {
 public:
  /// Counts one finished task on the calling thread's counter.
  static void add_one() noexcept {
    std::atomic<std::uint64_t>* mine = mine_;
    if (mine == nullptr) [[unlikely]]
      mine = adopt_counter();
    // (1) release: what the task did is visible to whoever sees it counted; pairs with the acquire-load (2).
    // The load is relaxed: only this thread writes.
    mine->store(mine->load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// All tasks counted since the process started.
  static std::uint64_t total() noexcept;

  /// Returns once total() >= target. Pauses between looks instead of taking a CPU from the workers; so it
  /// returns up to about 30 us late.
  static void wait_for(std::uint64_t target) noexcept;

 private:
  static std::atomic<std::uint64_t>* adopt_counter() noexcept;
  static constinit thread_local std::atomic<std::uint64_t>* mine_;
};

}  // namespace leat::bench
