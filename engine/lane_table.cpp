#include "lane_table.h"

#include <algorithm>
#include <utility>

namespace leat {

LaneTable::LaneTable(Router& router, Clock& clock, AttemptListener& listener, std::uint32_t workers) noexcept
    : router_(router),
      clock_(clock),
      listener_(listener),
      workers_(workers),
      by_key_(std::make_unique<std::atomic<Lane*>[]>(kKeysMax)) {}

LaneTable::~LaneTable() = default;

std::expected<Lane*, Error> LaneTable::add(std::string_view key, std::shared_ptr<TaskExecutor> executor,
                                           ExecutorLimits limits, std::uint32_t journal_key) {
  if (key.empty())
    return std::unexpected(Error{ErrorCode::InvalidArgument, "an executor key must not be empty"});
  if (limits.max_concurrent == 0) limits.max_concurrent = workers_;
  const ExecutorKeyId id = router_.intern_key(key);
  if (id >= kKeysMax)
    return std::unexpected(Error{ErrorCode::InvalidArgument, "more than 4096 executor keys"});
  std::vector<Homeless> waiting;
  Lane* lane = nullptr;
  {
    std::lock_guard lock(mutex_);
    if (find(id) != nullptr) {
      return std::unexpected(
          Error{ErrorCode::AlreadyExists, "executor key '" + std::string(key) + "' is registered already"});
    }
    entries_.push_back({std::make_unique<Lane>(std::string(key), std::move(executor), limits,
                                               worker_count(limits), journal_key, clock_, listener_),
                        nullptr});
    lane = entries_.back().lane.get();
    if (started_) lend(entries_.back());
    by_key_[id].store(lane,
                      std::memory_order_release);  // (2) release: publishes the lane; pairs with (1)
    waiting.swap(homeless_);
  }
  for (const Homeless& task : waiting) release(task.event, task.executor, Slots());
  return lane;
}

void LaneTable::release(const TaskReadyEvent& event, std::optional<ExecutorKeyId> executor,
                        Slots slot) noexcept {
  const ExecutorKeyId key =
      executor ? *executor : router_.resolve(event.task_namespace, event.pipeline_execution_id.hash());
  Lane* lane = find(key);
  if (lane == nullptr) {
    std::lock_guard lock(mutex_);
    lane = find(key);  // once more: add() takes the homeless out under this mutex
    if (lane == nullptr) return homeless_.push_back({event, executor});
  }
  lane->admit_or_park(event, std::move(slot));
}

void LaneTable::reroute(
    const std::function<std::optional<ExecutorKeyId>(const TaskReadyEvent&)>& executor_of) {
  for (Lane* const lane : lanes()) {
    for (const QueuedTask& task : lane->unpark()) release(task.event, executor_of(task.event), Slots());
  }
}

std::vector<Lane*> LaneTable::lanes() const {
  std::lock_guard lock(mutex_);
  std::vector<Lane*> all;
  for (const Entry& entry : entries_) all.push_back(entry.lane.get());
  return all;
}

std::string LaneTable::known_keys() const {
  std::string keys;
  for (const Lane* const lane : lanes()) keys += (keys.empty() ? "" : ", ") + lane->key();
  return keys;
}

std::uint32_t LaneTable::worker_count(const ExecutorLimits& limits) const noexcept {
  const std::uint32_t wanted = limits.threads > 0                 ? limits.threads
                               : limits.backend == Backend::Arena ? workers_
                                                                  : limits.max_concurrent;
  return std::min(wanted, limits.max_concurrent);
}

void LaneTable::lend(Entry& entry) {
  const std::uint32_t count = worker_count(entry.lane->limits());
  const bool arena = entry.lane->limits().backend == Backend::Arena && use_arenas_ && count <= 64;
  entry.workers = arena ? make_arena_workers(*entry.lane, count)
                        : make_thread_workers(*entry.lane, count, entry.lane->limits().idle);
  entry.lane->set_workers(*entry.workers);
}

std::string LaneTable::start() {
  std::lock_guard lock(mutex_);
  std::uint32_t wanted = 0;
  for (const Entry& entry : entries_) {
    if (entry.lane->limits().backend == Backend::Arena) wanted += worker_count(entry.lane->limits());
  }
  std::string report;
  if (wanted > 0) {
    budget_ = std::make_unique<ArenaBudget>();
    use_arenas_ = budget_->granted() >= wanted;
    if (!use_arenas_) {
      report = "oneTBB grants " + std::to_string(budget_->granted()) + " of " + std::to_string(wanted) +
               " worker threads (a global_control of the host limits it): own threads are used instead";
    }
  }
  for (Entry& entry : entries_) lend(entry);
  started_ = true;
  return report;
}

void LaneTable::close() noexcept {
  for (Lane* const lane : lanes()) lane->close();
}

std::size_t LaneTable::active() const {
  std::size_t count = 0;
  for (Lane* const lane : lanes()) count += lane->active();
  return count;
}

void LaneTable::stop() noexcept {
  std::vector<Workers*> all;
  {
    std::lock_guard lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.workers) all.push_back(entry.workers.get());
    }
  }
  for (Workers* const workers : all) workers->stop();
}

}  // namespace leat
