// What a Runner consists of, wired in one place, and the threads that it lends the engine.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "backlog.h"
#include "checkpointer.h"
#include "completion.h"
#include "continuations.h"
#include "default_dispatcher.h"
#include "lane_table.h"
#include "leat/journal.h"
#include "leat/runner.h"
#include "leat_locks/mutex.h"
#include "lent_threads.h"
#include "lent_workers.h"
#include "observer_feed.h"
#include "scheduler.h"
#include "timer_queue.h"
#include "watchdog.h"

namespace leat {

struct Runner::Builder::Parts {
  struct Executor {
    std::string key;
    std::shared_ptr<TaskExecutor> executor;
    ExecutorLimits limits;
  };
  std::string url = "rocksdb://./leat.db";
  RoutingConfig routing;
  std::vector<Executor> executors;
  ExecutorLimits default_limits;
  std::vector<std::pair<std::string, std::uint32_t>> tenant_weights;
  std::uint32_t workers = 0;
  std::shared_ptr<Clock> clock;
  std::shared_ptr<Rng> rng;
  std::unique_ptr<StateStore> store;
  Checkpointer::Options checkpoint;
  std::uint64_t memory_budget = 0;
  std::size_t backlog_min = Backlog::kMin;
  std::optional<Retention> events;
  Retention history;
  std::function<void(Severity, std::string_view)> log;
  Observer observer;
  std::optional<StoreImage> observed;  // what the store holds before the observer's first commit
  std::chrono::nanoseconds stall_after = std::chrono::seconds(10);
  std::chrono::nanoseconds stuck_after = std::chrono::seconds(5);
  bool lent_threads = false;
  LentOrder* order = nullptr;  // of the lent threads; null: round robin
  Journal::Options journal = {};
};

/// Members are in the order of their wiring: each knows only those above it.
class RunnerState {
 public:
  RunnerState(Runner::Builder::Parts parts, std::unique_ptr<NamespaceTable> names,
              std::unique_ptr<Router> router, std::uint32_t workers);

  /// For the simulator, which is a shell of its own.
  static auto& parts(Runner::Builder& builder) noexcept { return *builder.parts_; }
  static RunnerState& of(Runner& runner) noexcept { return *runner.state_; }

  void start_threads();
  /// Commits what is left, then takes the threads back.
  void stop_threads();

  const std::shared_ptr<Clock> clock;
  const std::shared_ptr<Rng> rng;
  const std::function<void(Severity, std::string_view)> log;
  const std::unique_ptr<StateStore> store;  // null: nothing is remembered
  const std::unique_ptr<NamespaceTable> names;
  const std::unique_ptr<Router> router;
  const bool all_lent;  // no thread is made: callers lend theirs
  LentThreads lent;
  const std::unique_ptr<ObserverFeed> observer;  // null: nobody observes
  LentCommitter lent_committer;            // used where all_lent
  const std::unique_ptr<Journal> journal;  // null: nothing is remembered
  TimerQueue timers;
  LentTimers lent_timers;  // used where all_lent
  StuckAttempts stuck;
  Completion completion;
  LaneTable lanes;
  const std::shared_ptr<Continuations> continuations;
  Watchdog watchdog;
  LentWatch lent_watch;  // used where all_lent
  Scheduler scheduler;
  Checkpointer checkpointer;
  DefaultDispatcher dispatcher;

  /// What the store remembers of a pipeline. @return  NotFound, Stopped, or what the store says
  std::expected<RememberedPipeline, Error> find_pipeline(const Uuid& id);

  Mutex reading;  // the store's contents, which close() must not overtake
  bool store_closed LEAT_GUARDED_BY(reading) = false;

  enum class Phase { Built, Started, Stopped, Stuck };
  Mutex phase_mutex;
  Phase phase LEAT_GUARDED_BY(phase_mutex) = Phase::Built;

 private:
  Journal::Options options_of(const Runner::Builder::Parts& parts);

  std::thread committer_;
  std::thread timer_;
};

}  // namespace leat
