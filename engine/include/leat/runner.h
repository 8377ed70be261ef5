// The Runner: the engine with its threads, built, started and stopped as one thing.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "leat/caller_writes.h"
#include "leat/checkpoint.h"
#include "leat/clock.h"
#include "leat/dispatcher.h"
#include "leat/durability.h"
#include "leat/error.h"
#include "leat/executor.h"
#include "leat/explanation.h"
#include "leat/namespace.h"
#include "leat/observer.h"
#include "leat/pipeline_handle.h"
#include "leat/rng.h"
#include "leat/router.h"
#include "leat/routing_config.h"
#include "leat/schedule.h"
#include "leat/state_store.h"
#include "leat/states.h"
#include "leat/store_health.h"
#include "leat/uuid.h"
#include "leat/workflow.h"

namespace leat {

class RunnerState;

inline constexpr std::size_t kIdempotencyKeyBytesMax = 256;

struct SubmitOptions {
  std::string context = "{}";  ///< the initial context: the text of a JSON object
  Durability durability = Durability::Disk;
  Priority priority = Priority::Normal;  ///< of all its tasks; remembered
  /// Of the pipelines with the same key only so many are under way at once as limit_concurrency() says, else
  /// one; the others wait in the order of their submission, across a restart too. At most 256 bytes; empty:
  /// none.
  std::string concurrency_key = {};
  /// A submission of the same workflow (by name) with the same key within the window leads to the pipeline of
  /// the first: its handle, its durability to wait for. Where that one was submitted before this start and
  /// has ended, AlreadyExists names it. Remembered with the submission, at its level; at most 256 bytes;
  /// empty: none. The pipelines of keys stay in memory for their windows.
  std::string idempotency_key = {};
  std::chrono::nanoseconds idempotency_window = std::chrono::hours(24);
  /// No task begins before, by the wall clock, whatever jumps it makes (it is asked once a minute);
  /// remembered.
  std::optional<std::chrono::system_clock::time_point> start_at = {};
  /// The pipeline ends Failed then, by the same clock, unless it has ended: what has not begun is Cancelled,
  /// what runs is told to stop, and is Cancelled too where it does not complete. Remembered; one that passed
  /// while the process was down is applied before anything of the pipeline runs again. After `start_at` and
  /// in the future.
  std::optional<std::chrono::system_clock::time_point> deadline = {};
  /// Written with the submission, or neither is; see <leat/rocksdb.h>. They stay until it is acknowledged.
  /// Above level Memory only, and where the store takes them. With an idempotency_key that was used before:
  /// AlreadyExists, and they are not written.
  const CallerWrites* writes = nullptr;
};

/// So many in each period, spread over it; up to `burst` at once after a pause. In a period of any beginning
/// there are at most count + burst - 1.
struct Rate {
  std::uint32_t count = 0;                                 ///< 1 to 1,000,000,000; 0: no limit
  std::chrono::nanoseconds per = std::chrono::seconds(1);  ///< up to 24 h
  std::uint32_t burst = 1;                                 ///< 1 to 1,000,000
};

/// A workflow version of which the store holds unfinished pipelines that nobody has registered yet.
struct UnfinishedWorkflow {
  std::string name;  ///< tenant::package::workflow
  std::uint64_t version;
  std::string definition;  ///< as given to Workflow::Builder::definition()
  std::size_t pipelines;
};

/// An executor key, or a pattern of namespaces, that an operator has paused.
struct Pause {
  PauseScope scope;
  std::string what;
  std::int64_t since_ns;  ///< Unix time
  std::string reason;
};

/// A task that was given up (`ABANDONED`) because its process died with it too often, see
/// TaskOptions::rescues_max.
struct QuarantinedTask {
  Uuid pipeline;
  std::string task;  ///< its namespace
  std::uint32_t attempt = 1;
  std::uint32_t rescues = 0;
  std::int64_t since_ns = 0;  ///< Unix time
  std::string error;
};

enum class Severity : std::uint8_t { Info, Warning, Error };

/// Thread-safety: any number of threads, except build, start and the destructor.
class Runner {
 public:
  class Builder;
  static Builder builder();

  Runner(Runner&&) noexcept;
  Runner& operator=(Runner&&) = delete;
  /// stop(30 s). Inside a task, or where a task never comes back, the engine and its threads are given
  /// up, not freed.
  ~Runner();

  /// Checks that every routed key has an executor, lends the engine its threads and carries on what the
  /// store holds unfinished of registered workflows.
  std::expected<void, Error> start();

  /// Admits nothing more, starts nothing more, waits for what runs until the deadline, then interrupts it;
  /// flushes and closes the store. What is unfinished above level Memory carries on at the next start. From
  /// inside a task: begins the stop and returns WouldDeadlock.
  std::expected<void, Error> stop(std::chrono::nanoseconds deadline);

  /// Refuses submissions, dispatches and times of schedules, runs to its end what is there (queued, parked,
  /// due or waiting; with the children that it starts), then stops as stop() does. What is paused, or waits
  /// for a signal or a later start, is waited for as well.
  ///
  /// @return  Timeout: not all had ended by the deadline; then what ran is interrupted, and the Runner has
  ///          stopped all the same. WouldDeadlock inside a task: nothing has begun. Else as stop()
  std::expected<void, Error> drain(std::chrono::nanoseconds deadline);

  /// Makes a workflow known. Unfinished pipelines of exactly this version carry on from here (after start()).
  std::expected<void, Error> register_workflow(const Workflow& workflow);

  /// Registers (unless this version is already) and starts one execution; returns once its level is reached.
  std::expected<PipelineHandle, Error> submit(const Workflow& workflow, SubmitOptions options = {});
  /// The same without waiting for the level; see PipelineHandle::acknowledged().
  std::expected<PipelineHandle, Error> submit_async(const Workflow& workflow, SubmitOptions options = {});

  /// One execution for each of the options; returns once all have reached their levels, so that they share
  /// syncs.
  ///
  /// @return  the handles, in order; or the first error. What is wrong with options, or known of keys, is found
  ///          before the first one begins; behind Stopped and Storage some may have begun
  std::expected<std::vector<PipelineHandle>, Error> submit_bulk(const Workflow& workflow,
                                                                std::span<const SubmitOptions> options);

  /// Does the failed and cancelled tasks of an ended pipeline again, and all that depend on them: in a new
  /// pipeline of the same workflow and level, which begins with the states and contexts of what stays, in one
  /// record. The old one remains as it ended. Its priority is taken over, its other options are not. Waits as
  /// submit().
  ///
  /// @return  its handle; InvalidState: it has not ended, or nothing of it failed or was cancelled;
  ///          InvalidArgument: a handle of another Runner, or more than 32 MiB of contexts stay
  std::expected<PipelineHandle, Error> retry_failed(const PipelineHandle& ended);
  /// The same for one task, whatever became of it, and what depends on it; other failed ones stay Failed.
  /// @return also NotFound: the workflow has no such task
  std::expected<PipelineHandle, Error> restart_from(const PipelineHandle& ended, std::string_view task);
  /// Both of a pipeline that some process has run to its end, above level Memory: its tasks' states and
  /// contexts are read from the events that the store keeps (see Builder::retain_events()), from the newest
  /// round of the checkpoint on; one that ended long ago takes as long as reading them all.
  ///
  /// @return  also NotFound: the store does not know it (any more); InvalidState: its version of the workflow
  ///          is not registered
  std::expected<PipelineHandle, Error> retry_failed(const Uuid& ended);
  std::expected<PipelineHandle, Error> restart_from(const Uuid& ended, std::string_view task);

  /// As PipelineHandle::signal(), for who has the identifier alone.
  /// @return also NotFound: no such pipeline lives here, or it waits for its version of the workflow
  std::expected<void, Error> signal(const Uuid& pipeline, std::string_view name,
                                    std::string_view value = "true");

  /// As PipelineHandle::cancel(), for who has the identifier alone: also of a pipeline that waits for its
  /// version of the workflow, which ends at once.
  /// @return also NotFound: no such pipeline lives here, or it waits in the store alone (memory_budget())
  std::expected<void, Error> cancel(const Uuid& pipeline);

  /// Ends the pipelines of a version of a workflow that nobody registers any more (see unfinished()): each is
  /// Failed, what would have run next of it bears the reason as its error, the rest of its tasks are Cancelled;
  /// events say GivenUp. Their concurrency keys are free, their parents are told. Those that wait in the store
  /// alone (memory_budget()) are among them. Returns once that is on the disk. (Their deadlines are applied
  /// without this.)
  ///
  /// @param workflow  tenant::package::workflow
  /// @param reason    1 to 1,024 bytes
  /// @return          how many have ended; NotFound: the store holds none of that version; InvalidState: it is
  ///                  registered; InvalidArgument, Stopped, Storage; WouldDeadlock inside a task
  std::expected<std::size_t, Error> fail_unfinished(std::string_view workflow, std::uint64_t version,
                                                    std::string_view reason);

  /// Tasks in quarantine, by pipeline, the oldest one first. The list is kept in the store, and holds 10,000
  /// of the latest pipelines.
  ///
  /// @param after      a pipeline: those behind it; nothing: from the first one on
  /// @param count_max  a page; longer only where one pipeline's tasks are more
  std::vector<QuarantinedTask> quarantined(std::optional<Uuid> after = {},
                                           std::size_t count_max = 1000) const;
  /// restart_from() for a task in quarantine, which leaves it with the record that creates the new pipeline,
  /// so that neither a crash nor a second call does it twice. There no task has been rescued yet.
  ///
  /// @return  its handle, or as restart_from(); NotFound also: the task is not in quarantine
  std::expected<PipelineHandle, Error> redrive(const Uuid& pipeline, std::string_view task);
  /// Takes a task off the list; returns once that is on the disk. @return NotFound, Stopped, Storage,
  /// WouldDeadlock
  std::expected<void, Error> forget_quarantined(const Uuid& pipeline, std::string_view task);

  /// Makes a task known that is dispatched alone. It has no time limits: those are TaskOptions, of workflows'
  /// tasks.
  ///
  /// @param name      four segments
  /// @param function  called with TaskContext&, returns nothing or std::expected<void, TaskError>
  template <TaskCallable F>
  std::expected<Namespace, Error> register_task(std::string_view name, F&& function) {
    return add_task(name, make_task_function(std::forward<F>(function)));
  }
  /// An event with fresh identifiers for a registered task.
  ///
  /// @param max_attempts  counts the first try; remembered above level Memory
  TaskReadyEvent make_event(Namespace task, std::int32_t max_attempts = 1) noexcept;
  /// One for each place of `events`, at half the price: for Dispatcher::dispatch_bulk().
  void make_events(Namespace task, std::span<TaskReadyEvent> events, std::int32_t max_attempts = 1) noexcept;

  Dispatcher& dispatcher() noexcept;
  std::expected<void, Error> register_executor(std::string_view key, std::shared_ptr<TaskExecutor> executor,
                                               ExecutorLimits limits = {});
  /// Takes a key's executor away: see Dispatcher::unregister_executor().
  std::expected<void, Error> unregister_executor(std::string_view key);
  /// Publishes new routes while tasks are being dispatched; Ready and parked tasks are routed anew. Stopped
  /// once a stop has begun.
  std::expected<RouteReport, Error> set_routing(const RoutingConfig& config);

  /// Has pipelines of a workflow begin by the clock, from now on and across restarts: a schedule is kept in
  /// the store and goes on as soon as a version of its workflow is registered. Registers the workflow. The
  /// same name again redefines it; where its times stay the same, so does how far it is. Returns once it is
  /// on the disk.
  ///
  /// @param name  1 to 128 bytes
  /// @return      InvalidArgument or NotFound, which name the field and what it accepts; WouldDeadlock inside
  ///              a task
  std::expected<void, Error> schedule(std::string_view name, const Workflow& workflow,
                                      ScheduleOptions options);
  /// By name.
  std::vector<ScheduleInfo> schedules() const;
  /// Times that come until resume_schedule() are left out. @return NotFound, or WouldDeadlock inside a task
  std::expected<void, Error> pause_schedule(std::string_view name);
  std::expected<void, Error> resume_schedule(std::string_view name);
  /// Its pipelines go on.
  std::expected<void, Error> remove_schedule(std::string_view name);

  /// How often tasks of an executor key may begin, retries included; in force from now on, and until this
  /// Runner ends. What must wait is queued, then parked, as ever. For tasks of certain names: route them to a
  /// key of their own, which may share the executor.
  ///
  /// @return  NotFound, or InvalidArgument with the accepted values
  std::expected<void, Error> limit_rate(std::string_view executor_key, Rate rate);

  /// A tenant's share of each executor key while others wait there too: at its turn so many of its parked
  /// tasks go. From now on, and until this Runner ends. Nobody waits for longer than one round of the others'
  /// weights.
  ///
  /// @param weight  1 to 1,000; 1 applies where nothing is said
  std::expected<void, Error> set_tenant_weight(std::string_view tenant, std::uint32_t weight);

  /// At most so many pipelines at once of each concurrency key that `keys` names; in force from now on, and
  /// until this Runner ends. What is under way goes on where the limit falls below it.
  ///
  /// @param keys           one key, or the beginning of keys and a `*`; of several that name a key the
  ///                       longest counts
  /// @param pipelines_max  1 to 1,000,000; 1 applies where nothing is said
  std::expected<void, Error> limit_concurrency(std::string_view keys, std::uint32_t pipelines_max);

  /// Nothing of the key begins from here on, what runs goes on to its end. Tasks are admitted and queued as
  /// long as there are slots, then parked. It holds for whichever executor the key has, outlives the process,
  /// and returns once that is on disk; inside a task, and before start(), it does not wait. A worker that has
  /// a task in hand at this moment may still begin it. Pausing what is paused changes nothing.
  ///
  /// @param key     1 to 256 bytes, registered or not
  /// @param reason  at most 1,024 bytes
  /// @return        InvalidArgument, Stopped or Storage
  std::expected<void, Error> pause_executor(std::string_view key, std::string_view reason = {});
  /// @return as pause_executor(); InvalidState: it is not paused
  std::expected<void, Error> resume_executor(std::string_view key);
  /// The same for tasks whose namespaces match, whatever executor they go to: others of the same key go on.
  /// What matches waits without a slot; of tasks dispatched alone at level Memory, further ones are refused
  /// with NoCapacity where as many of a key wait so as may be queued there (max_queued).
  ///
  /// @param pattern  as in a RoutingRule: `acme::**`, `*::ml::*::train`
  std::expected<void, Error> pause_namespaces(std::string_view pattern, std::string_view reason = {});
  /// Tasks that another pattern matches as well stay where they are.
  std::expected<void, Error> resume_namespaces(std::string_view pattern);
  /// Keys, then patterns, that are paused.
  std::vector<Pause> pauses() const;

  /// Waits until everything acknowledged or published before has reached Disk.
  std::expected<void, Error> flush();
  /// Waits until no task is queued, parked, due or running.
  std::expected<void, Error> wait_idle(std::chrono::nanoseconds timeout);

  /// Lends the calling thread until no task is queued, parked, due or running: it runs tasks of lanes with
  /// Backend::Lent and, with Builder::lent_threads(), commits and fires timers. It sleeps while there is
  /// nothing to do and something to come. Any number of threads may lend themselves at once; every other wait
  /// (submit, wait, acknowledged, flush, wait_idle, stop) lends its thread as well.
  ///
  /// @return Timeout, Stopped or Storage as wait_idle(); WouldDeadlock inside a task; InvalidState: nothing
  ///         to lend to
  std::expected<void, Error> run_until_idle(
      std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max());
  /// One round of what can be done now, without sleeping, for a loop of the caller's own.
  ///
  /// @param tasks_max  tasks to begin at most
  /// @return           how much was done (tasks begun, groups committed, a round of timers); 0: nothing
  std::expected<std::size_t, Error> run_some(std::size_t tasks_max = 1);

  /// The executor keys, in the order of registration.
  std::vector<std::string> executor_keys() const;
  /// @param key  a registered key; otherwise all zero
  ExecutorMetrics metrics(std::string_view key) const;

  /// For tests and debugging: counts the slots and run permits of each executor key anew, and names who holds
  /// them. Exact while nothing is dispatched or ends; what runs may go on.
  std::vector<SlotAudit> audit() const;
  /// Why a task stands where it stands now: which dependency, pause, limit or full lane it waits for. For a
  /// person who looks; linear in the tasks that are parked.
  ///
  /// @param pipeline  of this Runner
  /// @param task      its name, or its whole namespace
  /// @return          NotFound; WouldDeadlock in a callback of on_cancel()
  std::expected<TaskExplanation, Error> explain(const PipelineHandle& pipeline, std::string_view task) const;
  /// All that the engine counts, in Prometheus' text format 0.0.4: per executor (label `executor`) and of the
  /// journal. Times are in seconds. Never stops a worker; call it as often as you are asked.
  std::string metrics_text() const;

  std::vector<UnfinishedWorkflow> unfinished() const;
  /// Handles of the unfinished pipelines of registered workflows that the store held at opening. Where they
  /// are more than 1,000, those that have ended since are left out by and by. A handle of what only waits for
  /// its turn costs the memory of its pipeline (300 bytes), which takes less until somebody asks.
  std::vector<PipelineHandle> resumed() const;

  /// The store's first error; empty until it has Failed.
  std::expected<void, Error> health() const;
  /// How the store is, and why. While it is ReadOnly, submit() and dispatch() above level Memory return
  /// Storage, and what was admitted goes on.
  StoreCondition store_condition() const;

 private:
  friend class RunnerState;
  explicit Runner(std::unique_ptr<RunnerState> state) noexcept;
  std::expected<void, Error> check_lends() const;
  std::expected<void, Error> change_schedule(const std::function<std::expected<void, Error>()>& change);
  std::expected<Namespace, Error> add_task(std::string_view name, TaskFunction function);
  std::expected<PipelineHandle, Error> submit_again(
      const std::function<std::expected<PipelineHandle, Error>()>& submit);
  std::expected<PipelineHandle, Error> submit_again(const Uuid& ended, std::optional<std::string_view> from);
  std::unique_ptr<RunnerState> state_;
};

/// Collects what a Runner is made of. Every setter returns the builder.
class Runner::Builder {
 public:
  Builder();
  Builder(Builder&&) noexcept;
  ~Builder();

  /// @param url  `rocksdb:///absolute/path`, `rocksdb://./relative/path` (the default is
  ///             `rocksdb://./leat.db`), or `memory:` for no store: then every level is Memory
  Builder& database_url(std::string url);
  Builder& routing_config(RoutingConfig config);
  /// "default" replaces the thread executor that is registered under that key otherwise.
  Builder& register_executor(std::string key, std::shared_ptr<TaskExecutor> executor,
                             ExecutorLimits limits = {});
  /// Limits of the "default" executor.
  Builder& default_limits(ExecutorLimits limits);
  /// See Runner::set_tenant_weight(), which changes it while tasks run.
  Builder& tenant_weight(std::string tenant, std::uint32_t weight);
  /// Threads for computing tasks; 0 (the default): the CPUs that this process may use.
  Builder& workers(std::uint32_t count);
  /// The Runner makes no thread: callers lend theirs, see run_until_idle(). Every lane is one of
  /// Backend::Lent, and workers() says how many threads may serve one at once.
  Builder& lent_threads();
  Builder& clock(std::shared_ptr<Clock> clock);
  Builder& rng(std::shared_ptr<Rng> rng);
  /// How long task transitions stay readable: 7 days where nothing is said. Those of pipelines that live
  /// stay.
  Builder& retain_events(Retention limits);
  /// How long summaries of finished pipelines stay, see <leat/history.h>: for ever where nothing is said.
  Builder& retain_history(Retention limits);
  /// What lives is written down anew, so that recovery need not read what lies before, once the journal has
  /// grown by so many bytes, or by what lived the last time, if that is more: 64 MiB where nothing is said.
  Builder& checkpoint_after(std::uint64_t journal_bytes);
  /// How much memory pipelines that live may take, as the engine counts them: any amount where nothing, or 0,
  /// is said. Pipelines above level Memory that are submitted beyond three quarters of it wait in the store
  /// alone, and begin in the order of their submission for each workflow, executor key and priority (a
  /// *line*). The last quarter is for those that come back to begin: at most 200 kB of each line, and at
  /// least one pipeline.
  ///
  /// Not bounded: what has begun; what a handle, a continuation or an idempotency key in its window refers
  /// to; pipelines with a concurrency key, a start_at, a deadline, a schedule, signals, a caller's writes,
  /// tasks taken over, a context above 1 KiB, or a root that has a queue_timeout, a total_timeout or a false
  /// trigger rule. What is in memory stays there: only newcomers go to the store.
  ///
  /// After a restart, with or without a budget, they go on; resumed() leaves out those that wait in the
  /// store. With `memory:` build() returns InvalidArgument.
  Builder& memory_budget(std::uint64_t bytes);
  /// A store of one's own instead of a URL.
  Builder& state_store(std::unique_ptr<StateStore> store);
  /// Told of every task transition once it is committed (at level Disk: synced, where somebody waited for
  /// that), on a thread of its own, in the order of their numbers. It never holds the engine up: see
  /// <leat/observer.h> for what is dropped, and said. Pipelines at level Memory are not committed, so not
  /// observed; with `memory:` build() returns InvalidArgument. With lent_threads() those deliver it. The
  /// committer pays for it: each transition is folded once more.
  Builder& observer(Observer observer);
  /// Called with one line, from any thread and from several at once; may ask for metrics. The default is
  /// standard error for Warning and above. build() tells by it how a recovery goes: each 5 s while it reads,
  /// where the log ends in a torn record, and at its end (Info) what there is to carry on.
  Builder& log_sink(std::function<void(Severity, std::string_view)> sink);

  /// Says so, in one line and in the metrics, where tasks could begin and none has for this time; 0: never.
  /// The default is 10 s. The time counts from the first look that finds it so. While tasks come, looks are a
  /// quarter of it apart, at most 1 s; after a long idle spell six times as much as it, at most a minute: so
  /// late may it be said.
  Builder& stall_warning(std::chrono::nanoseconds after);
  /// Says so, in one line and in the metrics, where an attempt whose time was up has not come back in this
  /// time. The default is 5 s.
  Builder& stuck_warning(std::chrono::nanoseconds after);

  /// Opens the store and checks the syntax of everything given. Starts no thread.
  std::expected<Runner, Error> build();

 private:
  friend class RunnerState;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace leat
