// What goes on, on a lane's worker, after it has waited without a thread: a task, or what follows a
// pipeline's end. It is no new task: it waits beside the lane's queue, and goes before it.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

#include "capacity.h"
#include "leat_locks/mutex.h"

namespace leat {

class Attempt;

/// One thing that goes on. In one line at a time; whoever calls resume() has taken it out.
class Resumption {
 public:
  /// Goes on; the object may be gone afterwards. Runs inside `attempt`, where there is one.
  virtual void resume() noexcept = 0;
  /// Its attempt has ended while it waited for slot or permit: resume() will not be called.
  virtual void abandon() noexcept {}

  Attempt* attempt = nullptr;  ///< that goes on; null: it belongs to no task
  Resumption* next = nullptr;  ///< the line's
  Slots slot;                  ///< [deferred] taken again, on its way to the attempt

 protected:
  ~Resumption() = default;
};

/// Three lines, each first in, first out: those that a worker may resume at once; those of deferred tasks
/// that need a slot first; and those that have it and need a permit.
///
/// Thread-safety: any number of threads; a mutex, since only who has waited comes here.
class Resumptions {
 public:
  void push(Resumption& resumption) noexcept {
    MutexLock lock(mutex_);
    ready_.push(resumption);
    // (1) seq_cst: "work is visible" before notify() looks for sleepers; pairs with (2).
    readies_.fetch_add(1, std::memory_order_seq_cst);
  }
  /// @return null: none is ready
  Resumption* pop() noexcept {
    MutexLock lock(mutex_);
    Resumption* const first = ready_.pop();
    if (first != nullptr) readies_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as below
    return first;
  }

  void push_for_slot(Resumption& resumption) noexcept {
    MutexLock lock(mutex_);
    for_slot_.push(resumption);
    // (3) seq_cst: as a parked task's count (3 in parking_lot.h): before its thread looks for a slot once
    // more.
    wants_slot_.fetch_add(1, std::memory_order_seq_cst);
  }
  /// Gives the slot to the first in line, where there is one.
  void give_slot(Slots&& slot) noexcept {
    MutexLock lock(mutex_);
    Resumption* const first = for_slot_.pop();
    if (first == nullptr) return;
    wants_slot_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: too high for a moment costs a look
    first->slot = std::move(slot);
    for_permit_.push(*first);
    wants_permit_.fetch_add(1, std::memory_order_seq_cst);  // (5) as (1); pairs with (6)
  }
  /// @return null: none waits for a permit
  Resumption* pop_for_permit() noexcept {
    MutexLock lock(mutex_);
    Resumption* const first = for_permit_.pop();
    if (first != nullptr) wants_permit_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as above
    return first;
  }
  /// It is told to end: it goes on without what it waits for, where it waits.
  /// @return the slot that it had got, to be given back
  [[nodiscard]] Slots hurry(Resumption& resumption) noexcept {
    MutexLock lock(mutex_);
    if (!leave_line(resumption)) return {};
    ready_.push(resumption);
    readies_.fetch_add(1, std::memory_order_seq_cst);  // (1)
    return std::move(resumption.slot);
  }
  /// @return false: it does not wait for slot or permit
  bool withdraw(Resumption& resumption) noexcept {
    MutexLock lock(mutex_);
    return leave_line(resumption);
  }

  /// Whether something is ready, or waits for a permit: what workers ask between two tasks.
  // relaxed, twice: no last look.
  bool any() const noexcept {
    return readies_.load(std::memory_order_relaxed) + wants_permit_.load(std::memory_order_relaxed) > 0;
  }
  // For the last looks before a worker sleeps, and of who has given something back.
  bool ready() const noexcept {
    return readies_.load(std::memory_order_seq_cst) > 0;  // (2) pairs with (1)
  }
  bool wants_permit() const noexcept {
    return wants_permit_.load(std::memory_order_seq_cst) > 0;  // (6) pairs with (5)
  }
  std::size_t for_permit() const noexcept { return wants_permit_.load(std::memory_order_relaxed); }
  bool wants_slot() const noexcept {
    return wants_slot_.load(std::memory_order_seq_cst) > 0;  // (4) pairs with (3), as that of parking_lot.h
  }

 private:
  struct Line {
    void push(Resumption& resumption) noexcept {
      resumption.next = nullptr;
      (last == nullptr ? first : last->next) = &resumption;
      last = &resumption;
    }
    Resumption* pop() noexcept {
      Resumption* const popped = first;
      if (popped != nullptr) remove(*popped);
      return popped;
    }
    bool remove(Resumption& resumption) noexcept {
      Resumption* before = nullptr;
      for (Resumption* at = first; at != nullptr; before = std::exchange(at, at->next)) {
        if (at != &resumption) continue;
        (before == nullptr ? first : before->next) = at->next;
        if (last == at) last = before;
        return true;
      }
      return false;
    }
    Resumption* first = nullptr;
    Resumption* last = nullptr;
  };

  bool leave_line(Resumption& resumption) noexcept LEAT_REQUIRES(mutex_) {
    if (for_slot_.remove(resumption)) {
      wants_slot_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as above
      return true;
    }
    if (!for_permit_.remove(resumption)) return false;
    wants_permit_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as above
    return true;
  }

  Mutex mutex_;
  Line ready_ LEAT_GUARDED_BY(mutex_), for_slot_ LEAT_GUARDED_BY(mutex_), for_permit_ LEAT_GUARDED_BY(mutex_);
  std::atomic<std::size_t> readies_{0}, wants_permit_{0}, wants_slot_{0};
};

}  // namespace leat
