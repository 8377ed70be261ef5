#include "lane_table.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "check.h"
#include "cpus.h"
#include "lent_workers.h"
#include "store_failure.h"

namespace leat {
namespace {

std::string_view name_of(IdlePolicy idle) noexcept {
  switch (idle) {
    case IdlePolicy::Park:
      return "Park";
    case IdlePolicy::SpinThenPark:
      return "SpinThenPark";
    case IdlePolicy::Spin:
      return "Spin";
  }
  return "";
}

/// What is wrong with the CPUs that a lane is to be served on; empty: nothing.
std::string refusal_of_cpus(std::span<const std::uint32_t> cpus, bool own_threads) {
  if (cpus.empty()) return {};
  if (!own_threads) return "asks for CPUs of its own (accepted: with Backend::Threads)";
  const std::vector<std::uint32_t> usable = process_cpus();
  for (const std::uint32_t cpu : cpus) {
    if (std::ranges::find(usable, cpu) != usable.end()) continue;
    std::string accepted;
    for (const std::uint32_t each : usable) accepted += (accepted.empty() ? "" : ", ") + std::to_string(each);
    return "asks for CPU " + std::to_string(cpu) + " (accepted: " + accepted + ")";
  }
  return {};
}

}  // namespace

LaneTable::LaneTable(Router& router, Clock& clock, AttemptListener& listener, LentThreads& lent,
                     bool all_lent, std::uint32_t workers, Log log)
    : router_(router),
      clock_(clock),
      listener_(listener),
      lent_(lent),
      all_lent_(all_lent),
      workers_(workers),
      log_(std::move(log)),
      gate_(listener),
      by_key_(std::make_unique<std::atomic<Lane*>[]>(kKeysMax)),
      ever_(std::make_unique<std::atomic<Lane*>[]>(kKeysMax)) {}

LaneTable::~LaneTable() = default;

std::expected<void, Error> LaneTable::check(std::string_view key, const ExecutorLimits& limits) const {
  const auto refuse = [&](ErrorCode code, const std::string& what) {
    return std::unexpected(
        Error{code, "executor key '" + std::string(key.substr(0, kKeyBytesMax)) + "' " + what});
  };
  if (key.empty() || key.size() > kKeyBytesMax) {
    return refuse(ErrorCode::InvalidArgument,
                  "has " + std::to_string(key.size()) + " bytes (accepted: 1 to 256)");
  }
  if (limits.max_concurrent > kConcurrentMax || worker_count(limits) > kThreadsMax) {
    return refuse(ErrorCode::InvalidArgument,
                  "asks for " + std::to_string(limits.max_concurrent) + " attempts at once and " +
                      std::to_string(worker_count(limits)) + " threads (accepted: up to " +
                      std::to_string(kConcurrentMax) + ", and up to " + std::to_string(kThreadsMax) +
                      " threads)");
  }
  if (limits.aging.count() < 0 || limits.aging > kAgingMax) {
    return refuse(ErrorCode::InvalidArgument, "asks for an aging of " + std::to_string(limits.aging.count()) +
                                                  " ns (accepted: 0 to 1 h)");
  }
  const bool own_threads = limits.backend == Backend::Threads && !all_lent_;
  if (const std::string refusal = refusal_of_cpus(limits.cpus, own_threads); !refusal.empty())
    return refuse(ErrorCode::InvalidArgument, refusal);
  const ExecutorKeyId id = router_.intern_key(key);
  if (id >= kKeysMax) return refuse(ErrorCode::InvalidArgument, "is one too many (accepted: 4096 keys)");
  if (find(id) != nullptr) return refuse(ErrorCode::AlreadyExists, "is registered already");
  return {};
}

std::expected<Lane*, Error> LaneTable::add(std::string_view key, std::shared_ptr<TaskExecutor> executor,
                                           ExecutorLimits limits, std::uint32_t journal_key,
                                           InFlightBoard* board) {
  if (limits.max_concurrent == 0) limits.max_concurrent = workers_;
  if (all_lent_) limits.backend = Backend::Lent;
  MutexLock lock(mutex_);
  if (auto checked = check(key, limits); !checked) return std::unexpected(std::move(checked.error()));
  // relaxed: written under the mutex.
  if (Lane* const lane = ever_[router_.intern_key(key)].load(std::memory_order_relaxed); lane != nullptr)
    return bring_back(*lane, std::move(executor), limits);
  entries_.push_back({std::make_unique<Lane>(std::string(key), std::move(executor), limits,
                                             worker_count(limits), journal_key, clock_, listener_, gate_)});
  Lane* const lane = entries_.back().lane.get();
  for (const auto& [tenant, weight] : tenant_weights_) lane->set_tenant_weight(tenant, weight);
  if (paused_.contains(key)) lane->set_paused(true);
  if (board != nullptr) {
    const auto lines = board->claim(limits.max_concurrent);
    if (!lines) {
      entries_.pop_back();
      return std::unexpected(to_error(lines.error()));
    }
    lane->set_board(*lines, [this, board](std::size_t count) {
      MutexLock claiming(mutex_);
      const auto further = board->claim(count);
      // Without a line a start is counted once the journal has it.
      return further ? *further : std::span<BoardLine>();
    });
  }
  if (started_) {
    if (auto lent = lend(entries_.back()); !lent) {
      entries_.pop_back();
      return std::unexpected(std::move(lent.error()));
    }
  }
  // relaxed, twice: written under the mutex; has_capacity() may find the lane a moment later.
  keys_end_.store(std::max(keys_end_.load(std::memory_order_relaxed), router_.intern_key(key) + 1),
                  std::memory_order_relaxed);
  // (2) release, twice: publishes the lane; pairs with (1) and (3).
  ever_[router_.intern_key(key)].store(lane, std::memory_order_release);
  by_key_[router_.intern_key(key)].store(lane, std::memory_order_release);
  return lane;
}

/// @pre the key has no executor
std::expected<Lane*, Error> LaneTable::bring_back(Lane& lane, std::shared_ptr<TaskExecutor> executor,
                                                  const ExecutorLimits& limits) {
  const ExecutorLimits& had = lane.limits();
  if (limits.max_concurrent != had.max_concurrent || limits.max_queued != had.max_queued ||
      worker_count(limits) != worker_count(had) || limits.backend != had.backend || limits.cpus != had.cpus ||
      limits.idle != had.idle || limits.aging != had.aging) {
    return std::unexpected(Error{
        ErrorCode::InvalidArgument,
        "executor key '" + lane.key() + "' comes back with other limits (accepted: " +
            std::to_string(had.max_concurrent) + " attempts at once, " + std::to_string(had.max_queued) +
            " queued, an aging of " + std::to_string(had.aging.count()) +
            " ns, IdlePolicy::" + std::string(name_of(had.idle)) + ", the same threads on the same CPUs)"});
  }
  if (closed_) return std::unexpected(Error{ErrorCode::Stopped, "the Runner is stopping"});
  lane.resume(std::move(executor));
  by_key_[router_.intern_key(lane.key())].store(&lane, std::memory_order_release);  // (2) as above
  return &lane;
}

std::expected<Lane*, Error> LaneTable::remove(std::string_view key) {
  MutexLock lock(mutex_);
  const ExecutorKeyId id = router_.intern_key(key);
  Lane* const lane = find(id);
  if (lane == nullptr) {
    return std::unexpected(
        Error{ErrorCode::NotFound,
              "executor key '" + std::string(key.substr(0, kKeyBytesMax)) + "' is not registered"});
  }
  by_key_[id].store(nullptr, std::memory_order_release);  // (2) pairs with (1)
  lane->close();
  return lane;
}

bool LaneTable::has_capacity() const noexcept {
  // relaxed: see add(); find() orders.
  for (ExecutorKeyId key = 0; key < keys_end_.load(std::memory_order_relaxed); ++key) {
    if (const Lane* const lane = find(key); lane != nullptr && lane->has_capacity()) return true;
  }
  return false;
}

Lane* LaneTable::find_ever(std::string_view key) const noexcept {
  const MutexLock lock(mutex_);
  const auto found =
      std::ranges::find_if(entries_, [key](const Entry& entry) { return entry.lane->key() == key; });
  return found == entries_.end() ? nullptr : found->lane.get();
}

void LaneTable::carry_on_rest() noexcept {
  for (Lane* const lane : lanes()) lane->carry_on_rest();
}

Lane& LaneTable::lane_of(const TaskReadyEvent& event, std::optional<ExecutorKeyId> executor) const noexcept {
  return lane_ever(executor ? *executor : router_.resolve(event.task_namespace, [&event] {
    return event.pipeline_execution_id.hash();
  }));
}

Lane* LaneTable::lane_of_all(Namespace task, std::optional<ExecutorKeyId> executor) const noexcept {
  bool split = false;
  if (!executor) static_cast<void>(router_.resolve(task, 0));  // at hand from here on, unless it is split
  const ExecutorKeyId key = executor ? *executor : router_.resolve(task, [&split] {
    split = true;
    return std::uint64_t{0};
  });
  return split ? nullptr : &lane_ever(key);
}

Lane& LaneTable::lane_ever(ExecutorKeyId key) const noexcept {
  // (3) acquire: pairs with (2). A lane whose executor was taken away parks the task.
  Lane* const lane = key < kKeysMax ? ever_[key].load(std::memory_order_acquire) : nullptr;
  LEAT_CHECK(lane != nullptr);  // keys are checked when routes and workflows come
  return *lane;
}

void LaneTable::release(const TaskReadyEvent& event, std::optional<ExecutorKeyId> executor,
                        Slots slot) noexcept {
  lane_of(event, executor).admit_or_park(event, std::move(slot));
}

bool LaneTable::reroute(
    const std::function<std::optional<ExecutorKeyId>(const TaskReadyEvent&)>& executor_of) {
  const MutexLock walking(rerouting_);
  {
    const MutexLock lock(mutex_);
    if (closed_) return false;
  }
  for (Lane* const lane : lanes()) {
    for (const ParkedTask& parked : lane->unpark()) {
      const std::optional<QueuedTask> task = lane->unpack(parked);
      if (!task) continue;
      if (task->event.adopts) {
        lane->admit_or_park(task->event, Slots());  // its work is where it is
      } else {
        release(task->event, executor_of(task->event), Slots());
      }
    }
  }
  return true;
}

std::expected<void, Error> LaneTable::limit_rate(std::string_view key, const Rate& rate, TimerQueue& timers) {
  MutexLock lock(mutex_);
  const auto entry = std::ranges::find(entries_, key, [](const Entry& each) { return each.lane->key(); });
  if (entry == entries_.end()) {
    return std::unexpected(
        Error{ErrorCode::NotFound,
              "executor key '" + std::string(key.substr(0, kKeyBytesMax)) + "' is not registered"});
  }
  Lane& lane = *entry->lane;
  if (entry->rate == nullptr) {
    entry->rate = std::make_unique<RateLimiter>(clock_, timers, [&lane] { lane.rate_allows(); });
  }
  entry->rate->set(rate);
  lane.set_rate(*entry->rate);
  return {};
}

void LaneTable::set_tenant_weight(std::string_view tenant, std::uint32_t weight) {
  MutexLock lock(mutex_);
  std::erase_if(tenant_weights_, [tenant](const auto& known) { return known.first == tenant; });
  tenant_weights_.emplace_back(tenant, weight);
  for (const Entry& entry : entries_) entry.lane->set_tenant_weight(tenant, weight);
}

void LaneTable::pause(std::string_view key) {
  MutexLock lock(mutex_);
  paused_.emplace(key);
  for (const Entry& entry : entries_) {
    if (entry.lane->key() == key) entry.lane->set_paused(true);
  }
}

bool LaneTable::resume(std::string_view key) {
  MutexLock lock(mutex_);
  const auto found = paused_.find(key);
  if (found == paused_.end()) return false;
  paused_.erase(found);
  for (const Entry& entry : entries_) {
    if (entry.lane->key() == key) entry.lane->set_paused(false);
  }
  return true;
}

bool LaneTable::is_paused(Namespace task, std::optional<ExecutorKeyId> executor) const {
  if (gate_.closed() && gate_.matches(task)) return true;
  const ExecutorKeyId key = executor ? *executor : router_.resolve(task, 0);
  MutexLock lock(mutex_);
  return paused_.contains(router_.key(key));
}

std::vector<Lane*> LaneTable::lanes() const {
  MutexLock lock(mutex_);
  std::vector<Lane*> all;
  for (const Entry& entry : entries_) all.push_back(entry.lane.get());
  return all;
}

std::vector<std::string> LaneTable::keys() const {
  std::vector<std::string> present;
  for (const Lane* const lane : lanes()) {
    if (find(router_.intern_key(lane->key())) != nullptr) present.push_back(lane->key());
  }
  return present;
}

std::string LaneTable::known_keys() const {
  std::string keys;
  for (const std::string& key : this->keys()) keys += (keys.empty() ? "" : ", ") + key;
  return keys;
}

std::uint32_t LaneTable::worker_count(const ExecutorLimits& limits) const noexcept {
  const std::uint32_t concurrent = limits.max_concurrent > 0 ? limits.max_concurrent : workers_;
  const std::uint32_t usual = limits.backend == Backend::Threads ? concurrent : workers_;
  return std::min(limits.threads > 0 ? limits.threads : usual, concurrent);
}

std::expected<void, Error> LaneTable::lend(Entry& entry) {
  const ExecutorLimits& limits = entry.lane->limits();
  const std::uint32_t count = worker_count(limits);
  if (limits.backend == Backend::Lent) {
    entry.workers = make_lent_workers(*entry.lane, count, lent_);
    entry.lane->set_workers(*entry.workers);
    return {};
  }
  try {
    entry.workers = limits.backend == Backend::Arena && arena_granted(count)
                        ? make_arena_workers(*entry.lane, count)
                        : make_thread_workers(*entry.lane, count, limits.idle);
  } catch (const std::system_error& error) {
    return std::unexpected(Error{ErrorCode::InvalidState, "cannot make " + std::to_string(count) +
                                                              " threads for executor key '" +
                                                              entry.lane->key() + "': " + error.what()});
  }
  entry.lane->set_workers(*entry.workers);
  return {};
}

/// Whether oneTBB will lend this many threads more.
bool LaneTable::arena_granted(std::uint32_t count) {
  if (budget_ == nullptr) budget_ = std::make_unique<ArenaBudget>();
  if (count > kArenaThreadsMax || arena_threads_ + count > budget_->granted()) {
    log_(Severity::Warning, "oneTBB lends at most " + std::to_string(budget_->granted()) + " threads here, " +
                                std::to_string(arena_threads_ + count) +
                                " are wanted (a host's global_control?): own threads are used instead");
    return false;
  }
  arena_threads_ += count;
  return true;
}

std::expected<void, Error> LaneTable::start() {
  MutexLock lock(mutex_);
  for (Entry& entry : entries_) {
    if (auto lent = lend(entry); !lent) return lent;
  }
  started_ = true;
  return {};
}

void LaneTable::close() noexcept {
  {
    const MutexLock walking(rerouting_);
    const MutexLock lock(mutex_);
    closed_ = true;
  }
  for (Lane* const lane : lanes()) lane->close();
}

std::size_t LaneTable::unended() const {
  std::size_t count = 0;
  for (Lane* const lane : lanes()) count += lane->active() + lane->deferred();
  return count;
}

bool LaneTable::quiet() const {
  return std::ranges::all_of(lanes(), &Lane::quiet);
}

void LaneTable::stop() noexcept {
  std::vector<Workers*> all;
  {
    MutexLock lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.workers) all.push_back(entry.workers.get());
    }
  }
  for (Workers* const workers : all) workers->stop();
}

}  // namespace leat
