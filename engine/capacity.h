// How many tasks one lane has admitted, and the tokens that stand for them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "check.h"

namespace leat {

/// Told when slots come back, so that parked tasks get them.
class SlotListener {
 public:
  virtual void slots_released() noexcept = 0;

 protected:
  ~SlotListener() = default;
};

/// A bounded counter of admission slots. Taken and returned through Slots only.
///
/// Thread-safety: any number of threads.  Progress: lock-free.
/// Invariants:
///   1. 0 <= admitted <= limit at every moment: an acquire that would pass the limit changes nothing.
///      (An add with undo would let a failing acquire hide a free slot from the parked task that
///      looks for one.)
///   2. Every slot taken is given back once.
class Capacity {
 public:
  Capacity(std::uint64_t limit, SlotListener& listener) noexcept : limit_(limit), listener_(listener) {}

  /// @return how many of `wanted` slots were taken: as many as are free
  std::size_t try_acquire(std::size_t wanted) noexcept {
    // (1) seq_cst: a refusal is ordered against give-backs (2): whoever parks a task counts it before it
    // comes here, whoever gives back looks at that count afterwards, so that one of the two sees the other.
    // See Lane::admit_or_park().
    std::uint64_t admitted = admitted_.load(std::memory_order_seq_cst);
    for (;;) {
      const std::size_t taken = std::min<std::uint64_t>(wanted, limit_ - admitted);
      if (taken == 0) return 0;
      // seq_cst, as (1).
      if (admitted_.compare_exchange_weak(admitted, admitted + taken, std::memory_order_seq_cst))
        return taken;
    }
  }

  void release(std::size_t count) noexcept {
    // (2) seq_cst: before the look at the parked count; pairs with (1), and as a release with (3).
    const std::uint64_t before = admitted_.fetch_sub(count, std::memory_order_seq_cst);
    LEAT_CHECK(before >= count);
    listener_.slots_released();
  }

  /// A count to look at. Who sees 0 sees also what the tasks did that had the slots.
  // (3) acquire: pairs with (2).
  std::uint64_t admitted() const noexcept { return admitted_.load(std::memory_order_acquire); }
  std::uint64_t limit() const noexcept { return limit_; }

 private:
  // A line of its own: producers and workers both write it.
  alignas(64) std::atomic<std::uint64_t> admitted_{0};
  const std::uint64_t limit_;
  SlotListener& listener_;
};

/// Some slots of one lane, given back when the token goes.
class Slots {
 public:
  Slots() noexcept = default;
  /// Takes up to `wanted` slots: look at count().
  Slots(Capacity& capacity, std::size_t wanted) noexcept
      : capacity_(&capacity), count_(capacity.try_acquire(wanted)) {}
  Slots(Slots&& other) noexcept : capacity_(other.capacity_), count_(std::exchange(other.count_, 0)) {}
  Slots& operator=(Slots&& other) noexcept {
    std::swap(capacity_, other.capacity_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~Slots() { release(); }

  /// Takes over the slots of another token of the same lane.
  void merge(Slots&& other) noexcept { count_ += std::exchange(other.count_, 0); }

  std::size_t count() const noexcept { return count_; }
  bool belongs_to(const Capacity& capacity) const noexcept { return capacity_ == &capacity; }

  void release() noexcept {
    if (count_ > 0) capacity_->release(std::exchange(count_, 0));
  }

  /// The slots travel on with queued tasks, one with each; adopt() makes tokens of them again.
  void detach() noexcept { count_ = 0; }
  static Slots adopt(Capacity& capacity, std::size_t count) noexcept {
    Slots slots;
    slots.capacity_ = &capacity;
    slots.count_ = count;
    return slots;
  }

 private:
  Capacity* capacity_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace leat
