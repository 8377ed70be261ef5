// Ready tasks that found their lane full.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "capacity.h"
#include "queued_task.h"

namespace leat {

/// Hands parked tasks out in turn: round robin between tenants, first in first out within one.
///
/// Thread-safety: any number of threads; a mutex, since only tasks that must wait anyway come here.
class ParkingLot {
 public:
  void push(const QueuedTask& task) {
    std::lock_guard lock(mutex_);
    auto& line = lines_[task.event.task_namespace.tenant()];
    if (line.empty()) turns_.push_back(task.event.task_namespace.tenant());
    line.push_back(task);
    // (3) seq_cst: the task counts as parked before the parking thread looks for a slot once more (1 in
    // capacity.h); pairs with the look (4) after a slot was given back (2 in capacity.h).
    count_.fetch_add(1, std::memory_order_seq_cst);
  }

  /// Takes a slot for the task whose turn it is. @return that task, or nothing: none is parked, or
  /// no slot is free
  std::optional<QueuedTask> pop(Capacity& capacity, Slots& slot) {
    std::lock_guard lock(mutex_);
    if (turns_.empty()) return std::nullopt;
    slot = Slots(capacity, 1);
    if (slot.count() == 0) return std::nullopt;
    return pop_front();
  }

  /// Empties the lot, in turn.
  std::vector<QueuedTask> take_all() {
    std::lock_guard lock(mutex_);
    std::vector<QueuedTask> all;
    while (!turns_.empty()) all.push_back(pop_front());
    return all;
  }

  std::size_t count() const noexcept {
    // (4) seq_cst: pairs with (3), and as an acquire with (5).
    return count_.load(std::memory_order_seq_cst);
  }

 private:
  QueuedTask pop_front() {
    const std::string_view tenant = turns_.front();
    turns_.pop_front();
    auto& line = lines_[tenant];
    const QueuedTask task = line.front();
    line.pop_front();
    if (line.empty()) {
      lines_.erase(tenant);
    } else {
      turns_.push_back(tenant);
    }
    // (5) release: whoever sees the count fallen (4) sees the slot that the task took before; late by
    // one does no harm.
    count_.fetch_sub(1, std::memory_order_release);
    return task;
  }

  std::mutex mutex_;
  // By tenant; its order decides nothing.
  std::unordered_map<std::string_view, std::deque<QueuedTask>> lines_;
  std::deque<std::string_view> turns_;  // tenants that wait, each once
  std::atomic<std::size_t> count_{0};
};

}  // namespace leat
