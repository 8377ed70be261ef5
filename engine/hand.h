// The tasks that a worker has taken from its lane's queue and not yet begun. Taking many at once is what
// makes a lane fast; that idle workers may take from another's hand is what keeps a long task from burying
// those behind it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "queued_task.h"

namespace leat {

/// Thread-safety: steal, empty: any number of threads. The rest: the owner alone.
/// Progress: lock-free; a refill is refused, not delayed, while a thief still copies.
/// Invariants:
///   1. [begin, end) of range_ are the tasks in the hand; both only rise, so a stale exchange cannot
///      succeed. Whoever moves begin past a task owns it.
///   2. A cell is written only when the range is empty and nobody copies out of it.
class Hand {
 public:
  static constexpr std::size_t kSize = 32;

  bool take(QueuedTask& task) noexcept {
    std::uint64_t range = range_.load(std::memory_order_relaxed);  // relaxed: confirmed by the exchange
    while (begin_of(range) != end_of(range)) {
      // (1) relaxed: the owner wrote the cells itself; thieves meet only in the number.
      if (range_.compare_exchange_weak(range, next_of(range), std::memory_order_relaxed)) {
        task = cells_[begin_of(range) % kSize];
        return true;
      }
    }
    return false;
  }

  /// @param fill  fill(QueuedTask* cells, std::size_t count) -> how many it wrote
  /// @return how many were put in; 0 also where a thief has not finished
  template <class Fill>
  std::size_t refill(const Fill& fill) noexcept {
    const std::uint64_t range = range_.load(std::memory_order_acquire);  // (6) acquire: pairs with (4)
    // (2) acquire: pairs with (5): nobody reads the cells any more.
    if (begin_of(range) != end_of(range) || thieves_.load(std::memory_order_acquire) != 0) return 0;
    const std::size_t offset = end_of(range) % kSize;
    const std::size_t count = fill(&cells_[offset], kSize - offset);
    // (3) seq_cst: publishes the cells to (4); and stands before the caller counts its pop, so
    // that a worker about to sleep finds the tasks here or there, see Lane::has_work().
    if (count > 0)
      range_.store(pack(end_of(range), end_of(range) + static_cast<std::uint32_t>(count)),
                   std::memory_order_seq_cst);
    return count;
  }

  /// The task that take() is likely to give. @return null: the hand is empty
  const QueuedTask* front() const noexcept {
    const std::uint64_t range = range_.load(std::memory_order_relaxed);  // relaxed: the owner wrote the cells
    return begin_of(range) == end_of(range) ? nullptr : &cells_[begin_of(range) % kSize];
  }

  bool steal(QueuedTask& task) noexcept {
    if (empty()) return false;
    thieves_.fetch_add(1, std::memory_order_relaxed);              // relaxed: published with the claim (4)
    std::uint64_t range = range_.load(std::memory_order_acquire);  // (7) acquire: pairs with (3)
    bool stolen = false;
    while (!stolen && begin_of(range) != end_of(range)) {
      // (4) acq_rel: sees the cells (3); shows the owner's (2) that somebody copies.
      stolen = range_.compare_exchange_weak(range, next_of(range), std::memory_order_acq_rel,
                                            std::memory_order_acquire);
    }
    if (stolen) task = cells_[begin_of(range) % kSize];
    thieves_.fetch_sub(1, std::memory_order_release);  // (5) release: the copy is done; pairs with (2)
    return stolen;
  }

  bool empty() const noexcept {
    const std::uint64_t range = range_.load(std::memory_order_seq_cst);  // (8) seq_cst: pairs with (3)
    return begin_of(range) == end_of(range);
  }

  std::size_t size() const noexcept {
    const std::uint64_t range = range_.load(std::memory_order_relaxed);  // relaxed: a figure for metrics
    return end_of(range) - begin_of(range);
  }

 private:
  static constexpr std::uint32_t begin_of(std::uint64_t range) noexcept {
    return static_cast<std::uint32_t>(range >> 32);
  }
  static constexpr std::uint32_t end_of(std::uint64_t range) noexcept {
    return static_cast<std::uint32_t>(range);
  }
  static constexpr std::uint64_t pack(std::uint32_t begin, std::uint32_t end) noexcept {
    return std::uint64_t{begin} << 32 | end;
  }
  static constexpr std::uint64_t next_of(std::uint64_t range) noexcept {
    return pack(begin_of(range) + 1, end_of(range));
  }

  alignas(64) std::atomic<std::uint64_t> range_{0};
  std::atomic<std::uint32_t> thieves_{0};
  std::array<QueuedTask, kSize> cells_;
};

}  // namespace leat
