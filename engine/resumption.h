// What goes on, on a lane's worker, after it has waited without a thread: it needs no slot, for it is no new task.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>

namespace leat {

class Attempt;

/// One thing that goes on. In one queue at a time; whoever calls resume() has taken it out.
class Resumption {
 public:
  /// Goes on; the object may be gone afterwards. Runs inside `attempt`, where there is one.
  virtual void resume() noexcept = 0;

  Attempt* attempt = nullptr;  ///< that goes on; null: it belongs to no task
  Resumption* next = nullptr;  ///< the queue's

 protected:
  ~Resumption() = default;
};

/// First in, first out.
///
/// Thread-safety: any number of threads; a mutex, since only who has waited comes here.
class ResumptionQueue {
 public:
  void push(Resumption& resumption) noexcept {
    const std::lock_guard lock(mutex_);
    resumption.next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = &resumption;
    last_ = &resumption;
    // (1) seq_cst: "work is visible" before notify() looks for sleepers; pairs with (2).
    count_.fetch_add(1, std::memory_order_seq_cst);
  }

  /// @return null: none waits
  Resumption* pop() noexcept {
    const std::lock_guard lock(mutex_);
    Resumption* const first = first_;
    if (first == nullptr) return nullptr;
    first_ = first->next;
    if (first_ == nullptr) last_ = nullptr;
    count_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: too high for a moment costs a look
    return first;
  }

  /// For the last look before a worker sleeps.
  bool any() const noexcept { return count_.load(std::memory_order_seq_cst) > 0; }  // (2) pairs with (1)

 private:
  std::mutex mutex_;
  Resumption* first_ = nullptr;
  Resumption* last_ = nullptr;
  std::atomic<std::size_t> count_{0};
};

}  // namespace leat
