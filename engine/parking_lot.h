// Ready tasks that found their lane full.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "attempt.h"
#include "capacity.h"
#include "leat_locks/mutex.h"
#include "queued_task.h"
#include "ranked_queue.h"

namespace leat {

/// Ready tasks of which somebody else knows which is the next: in the lot they are one entry.
///
/// Thread-safety: any number of threads.
class ParkedLine {
 public:
  /// The next one, which leaves the line. @return  nothing: none comes any more, the Runner stops
  virtual std::optional<TaskReadyEvent> next() noexcept = 0;
  /// How many of the line stand before a pipeline's task; empty: it is not in the line.
  virtual std::optional<std::size_t> place_of(const TaskReadyEvent& event) const = 0;

 protected:
  ~ParkedLine() = default;
};

/// A task as it lies in the lot: only what its pipeline, which it keeps, does not say anyway. Or several of a
/// line.
class ParkedTask {
 public:
  explicit ParkedTask(const QueuedTask& task)
      : admitted_ns_(task.admitted_ns),
        pipeline_(task.event.origin),
        alone_(pipeline_ == nullptr ? std::make_unique<TaskReadyEvent>(task.event) : nullptr),
        task_(task.event.task_number),
        attempt_(static_cast<std::uint32_t>(task.event.attempt) & kAttemptMask),
        adopts_(task.event.adopts) {}
  /// As many of a line.
  ParkedTask(ParkedLine& line, std::uint32_t count, std::int64_t admitted_ns)
      : admitted_ns_(admitted_ns), pipeline_(&line), task_(count), attempt_(0), adopts_(0), of_line_(1) {}

  std::int64_t admitted_ns() const noexcept { return admitted_ns_; }
  /// Null: it is a task.
  ParkedLine* line() const noexcept { return of_line_ != 0 ? static_cast<ParkedLine*>(pipeline_) : nullptr; }
  std::uint32_t count() const noexcept { return of_line_ != 0 ? task_ : 1; }
  /// Takes one out. @pre  several are there
  ParkedTask split() noexcept {
    --task_;
    return {*line(), 1, admitted_ns_};
  }
  bool is(const TaskReadyEvent& event) const noexcept {
    return pipeline_ == event.origin && task_ == event.task_number && pipeline_ != nullptr;
  }
  /// @param listener  of the lane: knows the pipeline. @pre  it is a task
  QueuedTask unpack(const AttemptListener& listener) const noexcept {
    if (alone_ != nullptr) return {*alone_, admitted_ns_};
    QueuedTask task{listener.event_of(pipeline_, task_), admitted_ns_};
    task.event.attempt = static_cast<std::int32_t>(attempt_);  // the pipeline may be at another by now
    task.event.adopts = adopts_;
    return task;
  }

 private:
  static constexpr std::uint32_t kAttemptMask = 0x3fff'ffff;

  std::int64_t admitted_ns_;
  void* pipeline_;                         // or the line
  std::unique_ptr<TaskReadyEvent> alone_;  // of a task that has no pipeline: one dispatched at level Memory
  std::uint32_t task_;                     // or how many
  std::uint32_t attempt_ : 30;
  std::uint32_t adopts_ : 1;
  std::uint32_t of_line_ : 1 = 0;
};

static_assert(sizeof(ParkedTask) <= 32,
              "millions may be parked: a Ready task beyond its lane costs 64 bytes at most");

/// Hands parked tasks out in turn: by level, as rank_of() says; within one, round robin between tenants, as
/// many at a tenant's turn as its weight says; first in first out within a tenant. So a tenant waits for at
/// most the sum of the others' weights, and gets its share exactly over each round.
///
/// Source: deficit round robin (Shreedhar and Varghese, 1995) where every packet is of size 1.
/// Thread-safety: any number of threads; a mutex, since only tasks that must wait anyway come here.
class ParkingLot {
 public:
  explicit ParkingLot(std::chrono::nanoseconds aging) noexcept : aging_ns_(aging.count()) {}

  void push(const QueuedTask& task) {
    push(ParkedTask(task), task.event.priority, task.event.task_namespace.tenant());
  }

  /// Tasks of a line, in one piece. It stays until they have come out.
  void push_line(ParkedLine& line, std::uint32_t count, Priority priority, std::string_view tenant,
                 std::int64_t admitted_ns) {
    push({line, count, admitted_ns}, priority, tenant);
  }

  /// Takes a slot for the task whose turn it is. @return that task, or nothing: none is parked, or
  /// no slot is free
  std::optional<ParkedTask> pop(Capacity& capacity, Slots& slot) {
    MutexLock lock(mutex_);
    Level* const level = first_level();
    if (level == nullptr) return std::nullopt;
    slot = Slots(capacity, 1);
    if (slot.count() == 0) return std::nullopt;
    return pop_front(*level);
  }

  /// How many tasks of a tenant go at its turn, from its next turn on; 1 where nothing is said.
  void set_weight(std::string_view tenant, std::uint32_t weight) {
    MutexLock lock(mutex_);
    weights_.insert_or_assign(std::string(tenant), weight);
  }

  /// How many of its tenant stand before a pipeline's task; empty: it is not parked. Linear in the parked
  /// tasks.
  std::optional<std::size_t> place_of(const TaskReadyEvent& event) const {
    const MutexLock lock(mutex_);
    const Level& level = levels_[static_cast<std::size_t>(event.priority)];
    const auto line = level.lines.find(event.task_namespace.tenant());
    if (line == level.lines.end()) return std::nullopt;
    std::size_t before = 0;
    for (const ParkedTask& parked : line->second) {
      if (parked.is(event)) return before;
      const auto place = parked.line() == nullptr ? std::nullopt : parked.line()->place_of(event);
      if (place) return before + *place;
      before += parked.count();
    }
    return std::nullopt;
  }

  /// Empties the lot, in turn.
  std::vector<ParkedTask> take_all() {
    MutexLock lock(mutex_);
    std::vector<ParkedTask> all;
    while (Level* const level = first_level()) all.push_back(pop_front(*level));
    return all;
  }

  std::size_t count() const noexcept {
    // (4) seq_cst: pairs with (3), and as an acquire with (5).
    return count_.load(std::memory_order_seq_cst);
  }

 private:
  struct Turn {
    std::string_view tenant;
    std::uint32_t left = 0;  // tasks that may go before the next tenant's turn; 0: it has not begun
  };
  struct Level {
    // By tenant; its order decides nothing.
    std::unordered_map<std::string_view, std::deque<ParkedTask>> lines;
    std::deque<Turn> turns;  // of tenants that wait, each once
  };

  std::uint32_t weight_of(std::string_view tenant) const LEAT_REQUIRES(mutex_) {
    const auto weight = weights_.find(tenant);
    return weight == weights_.end() ? 1 : weight->second;
  }

  void push(ParkedTask&& parked, Priority priority, std::string_view tenant) {
    const std::uint32_t count = parked.count();
    MutexLock lock(mutex_);
    Level& level = levels_[static_cast<std::size_t>(priority)];
    auto& line = level.lines[tenant];
    if (line.empty()) level.turns.push_back({tenant});
    line.push_back(std::move(parked));
    // (3) seq_cst: the task counts as parked before the parking thread looks for a slot once more (1 in
    // capacity.h); pairs with the look (4) after a slot was given back (2 in capacity.h).
    count_.fetch_add(count, std::memory_order_seq_cst);
  }

  /// The level whose turn it is; null: nothing is parked.
  Level* first_level() noexcept LEAT_REQUIRES(mutex_) {
    Level* first = nullptr;
    std::int64_t rank = INT64_MAX;
    for (std::size_t i = 0; i < levels_.size(); ++i) {
      Level& level = levels_[i];
      if (level.turns.empty()) continue;
      const std::int64_t own = rank_of(level.lines[level.turns.front().tenant].front().admitted_ns(),
                                       static_cast<Priority>(i), aging_ns_);
      if (first != nullptr && own >= rank) continue;
      first = &level;
      rank = own;
    }
    return first;
  }

  ParkedTask pop_front(Level& level) LEAT_REQUIRES(mutex_) {
    Turn& turn = level.turns.front();
    const std::string_view tenant = turn.tenant;
    if (turn.left == 0) turn.left = weight_of(tenant);
    auto& line = level.lines[tenant];
    const bool is_last = line.front().count() == 1;
    ParkedTask task = is_last ? std::move(line.front()) : line.front().split();
    if (is_last) line.pop_front();
    if (line.empty()) {
      level.lines.erase(tenant);
      level.turns.pop_front();
    } else if (--turn.left == 0) {
      level.turns.pop_front();
      level.turns.push_back({tenant});
    }
    // (5) release: whoever sees the count fallen (4) sees the slot that the task took before; late by
    // one does no harm.
    count_.fetch_sub(1, std::memory_order_release);
    return task;
  }

  const std::int64_t aging_ns_;
  mutable Mutex mutex_;
  std::array<Level, 3> levels_ LEAT_GUARDED_BY(mutex_);                                // by Priority
  std::map<std::string, std::uint32_t, std::less<>> weights_ LEAT_GUARDED_BY(mutex_);  // by tenant
  std::atomic<std::size_t> count_{0};
};

}  // namespace leat
