// All lanes of a Runner by executor key, and the threads that serve them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lane.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "leat/executor.h"
#include "leat/router.h"
#include "leat/runner.h"
#include "leat_locks/mutex.h"
#include "lent_threads.h"
#include "pause_gate.h"
#include "rate_limiter.h"
#include "workers.h"

namespace leat {

/// Thread-safety: find, has_capacity, release, reroute: any number of threads, lock-free. add: any, one at a
/// time. start, stop: once each.
class LaneTable {
 public:
  static constexpr std::size_t kKeysMax = 4096;
  static constexpr std::size_t kKeyBytesMax = 256;
  static constexpr std::uint32_t kConcurrentMax = 1'000'000;  // attempts of one key
  static constexpr std::uint32_t kThreadsMax = 1024;  // of one key; each costs 74 KB of counts, and a stack
  static constexpr std::uint32_t kArenaThreadsMax = 64;  // of one key: the bits of ArenaWorkers
  static constexpr std::uint32_t kTenantWeightMax = 1000;
  static constexpr std::chrono::nanoseconds kAgingMax = std::chrono::hours(1);
  using Log = std::function<void(Severity, std::string_view)>;

  /// @param lent      serves the lanes of Backend::Lent
  /// @param all_lent  every lane is one of those, whatever its limits say
  LaneTable(Router& router, Clock& clock, AttemptListener& listener, LentThreads& lent, bool all_lent,
            std::uint32_t workers, Log log);
  ~LaneTable();

  /// Whether add() would take them. @return InvalidArgument with the accepted values, or AlreadyExists
  std::expected<void, Error> check(std::string_view key, const ExecutorLimits& limits) const;
  /// @param journal_key  the key's number in the journal; 0: nothing is remembered
  /// @param board        where its attempts are noted; null: nowhere
  /// @return             the new lane, or InvalidArgument, AlreadyExists, Storage
  std::expected<Lane*, Error> add(std::string_view key, std::shared_ptr<TaskExecutor> executor,
                                  ExecutorLimits limits, std::uint32_t journal_key, InFlightBoard* board);

  /// Takes a key's executor away: nothing more of it is begun; its tasks stay Ready until add() brings one
  /// again.
  /// @return the lane, or NotFound
  std::expected<Lane*, Error> remove(std::string_view key);

  /// @return the lane of a key; null: the key has no executor
  Lane* find(ExecutorKeyId key) const noexcept {
    // (1) acquire: sees the lane that add() (2) made.
    return key < kKeysMax ? by_key_[key].load(std::memory_order_acquire) : nullptr;
  }
  /// Whether any executor has a free slot.
  bool has_capacity() const noexcept;
  /// The lane that the key has, or had; null: it never had an executor.
  Lane* find_ever(std::string_view key) const noexcept;
  /// What goes on without a task, once the workers are gone.
  void carry_on_rest() noexcept;
  /// Routes a Ready task, unless `executor` says where it goes, and admits or parks it.
  void release(const TaskReadyEvent& event, std::optional<ExecutorKeyId> executor, Slots slot) noexcept;
  /// Where a Ready task goes now; its executor may have been taken away.
  Lane& lane_of(const TaskReadyEvent& event, std::optional<ExecutorKeyId> executor) const noexcept;
  /// The same for a task of whichever pipeline. @return  null: its route is split, they go to several
  Lane* lane_of_all(Namespace task, std::optional<ExecutorKeyId> executor) const noexcept;
  /// Sends every parked task through the routes once more.
  /// @return  false: the table is closed, what is parked waits for the next Runner
  bool reroute(const std::function<std::optional<ExecutorKeyId>(const TaskReadyEvent&)>& executor_of);

  /// See Runner::limit_rate(). @param timers  ring when a token is there
  std::expected<void, Error> limit_rate(std::string_view key, const Rate& rate, TimerQueue& timers);
  /// The tenant's share of every lane, of those too that are added later.
  void set_tenant_weight(std::string_view tenant, std::uint32_t weight);

  /// Nothing of a key begins until resume(), executors yet to come included.
  void pause(std::string_view key);
  /// @return false: the key was not paused
  bool resume(std::string_view key);
  /// Whether something keeps the task from beginning until an operator lets it.
  bool is_paused(Namespace task, std::optional<ExecutorKeyId> executor) const;
  /// Where namespaces are paused.
  PauseGate& gate() noexcept { return gate_; }

  /// All lanes, those included whose executor was taken away, in the order of registration.
  std::vector<Lane*> lanes() const;
  /// Of those that have an executor now, in the order of registration.
  std::vector<std::string> keys() const;
  /// "a, b, c": for messages.
  std::string known_keys() const;

  /// Lends threads to all lanes, also to those that are added later. @return InvalidState: there are too few
  std::expected<void, Error> start();
  /// Nothing more is begun.
  void close() noexcept;
  /// Attempts that run now, or are deferred.
  std::size_t unended() const;
  /// Nothing runs, and no thread of an executor is still telling of an end.
  bool quiet() const;
  /// Takes the threads back. @pre unended() == 0, but for attempts that run without a thread
  void stop() noexcept;

 private:
  struct Entry {
    std::unique_ptr<Lane> lane;
    std::unique_ptr<Workers> workers = nullptr;
    std::unique_ptr<RateLimiter> rate = nullptr;  // null: none was ever set
  };

  Lane& lane_ever(ExecutorKeyId key) const noexcept;
  std::uint32_t worker_count(const ExecutorLimits& limits) const noexcept;
  std::expected<Lane*, Error> bring_back(Lane& lane, std::shared_ptr<TaskExecutor> executor,
                                         const ExecutorLimits& limits) LEAT_REQUIRES(mutex_);
  std::expected<void, Error> lend(Entry& entry) LEAT_REQUIRES(mutex_);
  bool arena_granted(std::uint32_t count) LEAT_REQUIRES(mutex_);

  Router& router_;
  Clock& clock_;
  AttemptListener& listener_;
  LentThreads& lent_;
  const bool all_lent_;
  const std::uint32_t workers_;
  const Log log_;
  PauseGate gate_;
  std::unique_ptr<std::atomic<Lane*>[]> by_key_;  // null where a key has no executor, or has none now
  std::unique_ptr<std::atomic<Lane*>[]> ever_;    // by key as well; stays
  std::atomic<ExecutorKeyId> keys_end_{0};        // no key from here on has ever had an executor
  mutable Mutex mutex_;
  std::vector<Entry> entries_ LEAT_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, std::uint32_t>> tenant_weights_ LEAT_GUARDED_BY(mutex_);  // as told
  std::set<std::string, std::less<>> paused_ LEAT_GUARDED_BY(mutex_);  // keys
  std::unique_ptr<ArenaBudget> budget_ LEAT_GUARDED_BY(mutex_);
  bool started_ LEAT_GUARDED_BY(mutex_) = false;
  bool closed_ LEAT_GUARDED_BY(mutex_) = false;
  Mutex rerouting_;  // ahead of mutex_; close() waits for it: no walk meets pipelines that a stop frees
  std::uint32_t arena_threads_ LEAT_GUARDED_BY(mutex_) = 0;  // lent so far
};

}  // namespace leat
