// What the simulator has seen, written down beside the engine, and the invariants that are checked against
// it. It knows values alone (no engine, no store), so that a test can show it what must never be.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "leat/context_image.h"
#include "leat/durability.h"
#include "leat/executor.h"
#include "leat/retry_policy.h"
#include "leat/schedule.h"
#include "leat/sim.h"
#include "leat/state_store.h"
#include "leat/states.h"
#include "leat/store_image.h"
#include "leat/trigger_rule.h"
#include "leat/uuid.h"

namespace leat::sim {

struct Violation {
  Rule rule;
  std::string message;
};

enum class Death : std::uint8_t { None, Kill, PowerCut, CleanStop };

struct AttemptKey {
  Uuid pipeline;
  std::uint32_t task;
  std::uint32_t attempt;
  friend auto operator<=>(const AttemptKey&, const AttemptKey&) = default;
};

/// One task of a workflow. Times in ns; 0: no limit.
struct TaskTerms {
  std::vector<std::uint32_t> after = {};  ///< its dependencies, by task number
  std::string executor = "default";       ///< its executor key
  std::string name = {};                  ///< its whole namespace
  bool at_memory = false;                 ///< its end is not waited for
  TriggerRule trigger = {};
  RetryPolicy retry = {};
  std::int64_t timeout_ns = 0;
  std::int64_t queue_timeout_ns = 0;
  std::int64_t total_timeout_ns = 0;
  std::uint32_t rescues_max = 3;
  std::string signal = {};            ///< that it waits for; empty: none
  std::int64_t signal_timeout_ns = 0;
};

/// What a submission asked for.
struct SubmissionTerms {
  Durability level;
  /// Of a pipeline that is not of the workflow explored; null: it is.
  std::shared_ptr<const std::vector<TaskTerms>> tasks = {};
  std::int64_t start_at_ns = 0;      ///< Unix time; 0: at once
  std::int64_t deadline_ns = 0;      ///< Unix time; 0: none
  std::string concurrency_key = {};  ///< empty: none
  std::string idempotency_key = {};  ///< empty: none
  std::string schedule = {};         ///< that began it; empty: none did
  Uuid parent = {};                  ///< a task of which began it; nil: none did
};

/// A change of a task's state, as the store has it.
struct Transition {
  Uuid pipeline;
  std::uint32_t task;
  std::uint32_t attempt;          ///< after it
  std::optional<TaskState> from;  ///< empty: the task's creation
  TaskState to;
  TransitionReason reason = TransitionReason::Result;
  std::int64_t time_ns = 0;      ///< Unix time, as its record says
  std::int64_t retry_at_ns = 0;  ///< Unix time, where it is Ready
  std::uint32_t rescues = 0;     ///< with it
  ContextView context = {};      ///< as the store has it
  ContextPlace place = {};       ///< of that
};

/// What a schedule is to do.
struct ScheduleTerms {
  std::string name;
  std::int64_t period_ns;  ///< its times are the multiples of it
  bool alone;              ///< none of its pipelines begins beside another
  bool complete;           ///< none of its times is left out, but for a pause
};

/// What an operator may pause. A pipeline is named by its identifier.
using Paused = std::pair<PauseScope, std::string>;

/// A lane between two steps.
struct LaneView {
  std::string key;
  std::uint64_t admitted;
  std::uint64_t limit;
  std::uint64_t queued;
  std::uint64_t holding;  ///< attempts that hold a slot
  /// Tasks dispatched alone that do not run: each may hold one on its way to the queue.
  std::uint64_t reserved_max = 0;
  std::uint64_t parked;
  bool braked;
};

/// A pipeline between two steps, as the engine has it in memory.
struct EngineView {
  struct Task {
    TaskState state;
    std::uint32_t attempt;
  };
  Uuid id;
  Durability level;
  bool acknowledged;
  std::optional<PipelineState> end = {};  ///< told to whoever waits
  std::vector<Task> tasks = {};
  std::optional<PipelineImage> image =
      {};                       ///< as a round of the checkpoint would keep it; empty: it has ended
  bool waits_in_store = false;  ///< the engine does not have it, a handle does
};

/// Thread-safety: one thread.
class Ledger {
 public:
  /// @param tasks  the workflow's, by task number
  explicit Ledger(std::vector<TaskTerms> tasks) : tasks_(std::move(tasks)) {}

  // --- what is done ---

  /// @return false: its idempotency key led to a pipeline of before
  bool submitted(const Uuid& pipeline, SubmissionTerms terms);
  /// A submission was refused, since a pipeline with its idempotency key was there before this process.
  void refused(const std::string& idempotency_key);
  void cancelled(const Uuid& pipeline) { pipelines_.at(pipeline).cancelled = true; }
  /// pause() has returned.
  void paused(Paused what) { paused_.insert(std::move(what)); }
  /// resume() is about to be called.
  void resuming(const Paused& what) { paused_.erase(what); }
  /// The pipeline was told something, and who told it knows that.
  void signalled(const Uuid& pipeline, std::string_view name) {
    pipelines_.at(pipeline).signals.emplace_back(name);
  }
  /// schedule() has returned; there is one at most.
  void schedule_kept(const ScheduleTerms& terms);
  /// Something is about to be done that may pause it, or take it away.
  void schedule_changing(bool removed);
  /// It is paused, or gone, and fires no more.
  void schedule_quiet() { schedule_quiet_ = true; }
  void schedule_resuming() { schedule_quiet_ = false; }
  /// A schedule has begun a pipeline, which stands for this time.
  void scheduled(const Uuid& pipeline, SubmissionTerms terms, std::int64_t time_ns, std::int64_t latest_ns);
  /// The same, in the store.
  void fired(const Uuid& pipeline, std::int64_t time_ns);
  std::uint32_t firings() const noexcept { return firings_; }
  /// A task of `parent` has begun this pipeline, perhaps once more.
  void child_begun(const Uuid& pipeline, SubmissionTerms terms);
  /// The Runner is about to be stopped.
  void stopping() { stopping_ = true; }
  /// What comes next, up to the next look at the engine, happens at this time of the steady clock, or later.
  void step_begins(std::int64_t steady_ns) { step_ns_ = steady_ns; }
  /// An executor begins an attempt.
  /// @param latest_ns  the latest time that the wall clock has shown
  void started(const AttemptKey& attempt, std::int64_t latest_ns = INT64_MAX, std::int64_t steady_ns = 0);
  /// An attempt has seen the context that it begins with.
  void loaded(const AttemptKey& attempt, std::string_view context);
  /// An attempt has set the context that it leaves.
  void saved(const AttemptKey& attempt, std::string_view context);
  /// An executor is about to say how it ended, or to throw it.
  void told(const AttemptKey& attempt, const ExecutionResult& result);
  /// An attempt could not read the context that it was to begin with.
  void context_missing(const AttemptKey& attempt, const std::string& why);
  /// The store took a commit.
  void appended(std::uint64_t first_sequence, std::span<const std::byte> commit, std::int64_t latest_ns,
                std::int64_t steady_ns);
  /// The store synced all that it took.
  void synced();
  /// One transition that the store holds.
  void transition(const Transition& made, std::int64_t latest_ns = INT64_MAX,
                  std::int64_t steady_ns = INT64_MAX);

  // --- deaths ---

  /// @param medium  what is left, after the death
  void died(Death death, const MemoryMedium& medium);
  /// A process serves the store again.
  /// @param earliest_ns  the earliest time that the wall clock has shown since it opened the store
  void opened(std::int64_t earliest_ns);

  // --- the engine, between two steps ---

  void look_at(std::span<const LaneView> lanes, bool over);
  /// @param settled  everything that was published is committed
  /// @param rows     pipelines of which the store has a row, because they wait in it alone
  void look_at(std::span<const EngineView> pipelines, bool settled, const std::set<Uuid>& rows = {});
  /// @pre everything that was published is committed
  void look_at(std::span<const ScheduleInfo> schedules);
  /// Nothing is left to be done or waited for, though pipelines are under way.
  void stand_still();
  /// The pipeline was acknowledged, in the middle of a step.
  void acknowledged(const Uuid& pipeline) { pipelines_[pipeline].acknowledged = true; }

  const std::optional<Violation>& violation() const noexcept { return violation_; }
  /// The first one counts.
  void violate(Rule rule, std::string message);
  std::uint64_t attempts() const noexcept { return attempts_; }
  /// In the order of submission.
  std::vector<PipelineView> pipelines() const;
  bool over() const;

 private:
  /// Since when at the earliest, by the steady clock; nothing: since the process began.
  struct Wait {
    std::optional<std::int64_t> ready_ns;  // it is Ready in this attempt
    std::optional<std::int64_t> first_ns;  // it was Ready for the first time
  };
  struct Seen {
    SubmissionTerms terms{.level = Durability::Disk};
    bool acknowledged = false;
    bool cancelled = false;
    bool lost = false;     // a death took it, as it may
    bool inside = false;   // of its concurrency key: it has begun
    bool late = false;     // its deadline had passed when this process began
    std::optional<PipelineState> end = {};
    std::vector<TaskState> tasks = {};
    std::vector<Wait> waits = {};           // by task
    std::vector<std::string> signals = {};  // acknowledged
  };
  struct Run {
    bool completed = false;                       // an executor said so
    std::optional<ExecutionResult> failure = {};  // an executor said so, of the last time that it was begun
    bool may_repeat = false;                      // it was in flight at a death since it was last begun
    bool cut_off = false;                         // it was in flight at a death
    std::int64_t started_ns = 0;                  // by the steady clock, the last time
    std::optional<std::string> loaded = {};       // the context that it began with, the last time
    std::optional<std::string> saved = {};        // and that it left
  };
  struct TaskKey {
    Uuid pipeline;
    std::uint32_t task;
    friend auto operator<=>(const TaskKey&, const TaskKey&) = default;
  };

  const PipelineImage* find(const StoreImage& image, const Uuid& pipeline) const;
  const TaskTerms& terms_of(const Seen& seen, std::uint32_t task) const;
  bool ended(const Uuid& pipeline, const Seen& seen) const;
  std::string_view context_left(const Uuid& pipeline, std::uint32_t task) const;
  void check_gates(const AttemptKey& key, Seen& seen, std::int64_t latest_ns);
  void check_completed(const Transition& made, const Run& run);
  void check_failed(const Transition& made, const Seen& seen, std::int64_t latest_ns, std::int64_t steady_ns);
  void check_again(const Transition& made, const Seen& seen, std::int64_t steady_ns);
  void check_dependencies(const Transition& made, const Seen& seen);
  void check_cancelled(const Transition& made, const Seen& seen, std::int64_t latest_ns);
  bool may_follow(const Seen& seen, const AttemptKey& failed, const ExecutionResult& failure) const;
  bool may_be_last(const Seen& seen, const AttemptKey& failed, const ExecutionResult& failure) const;
  bool over_time(const Run& run, const TaskTerms& terms, std::int64_t steady_ns) const;
  bool waited_too_long(const Transition& made, const Seen& seen, bool in_all, std::int64_t steady_ns) const;
  std::optional<bool> verdict(const Transition& made, const Seen& seen) const;
  bool was_told(const Transition& made, const std::string& signal) const;
  static std::string words_of(const Transition& made);
  void rebuild(const MemoryMedium& medium);
  void check_pauses_kept(Death death);
  void check_contexts(const MemoryMedium& medium);
  void check_schedule_kept();
  void check_kept(Death death);
  void compare(const EngineView& engine, const PipelineImage& stored);
  void compare(const std::set<Uuid>& in_memory, const std::set<Uuid>& rows);

  const std::vector<TaskTerms> tasks_;
  std::optional<Violation> violation_;
  std::vector<Uuid> order_;
  std::map<Uuid, Seen> pipelines_;
  std::map<std::string, Uuid> submissions_;  // by idempotency key
  std::set<Paused> paused_;
  std::optional<ScheduleTerms> schedule_;
  bool schedule_acknowledged_ = false;
  bool schedule_quiet_ = false;
  std::int64_t fired_ns_ = 0;  // the latest time, in the store
  std::uint32_t firings_ = 0;
  std::map<AttemptKey, Run> runs_;
  std::set<AttemptKey> running_;  // begun by this process
  std::uint64_t attempts_ = 0;
  bool stopping_ = false;
  std::int64_t step_ns_ = 0;
  std::int64_t opened_ns_ = 0;  // by the steady clock

  StoreImage written_{StoreImage::Keep::Everything};
  StoreImage durable_{StoreImage::Keep::Everything};
  std::vector<MemoryMedium::Commit> unsynced_;
  std::map<Uuid, std::uint64_t> numbers_;  // pipeline_no of what the store has ever held
  std::map<TaskKey, TaskState> stored_;    // as the transitions say
};

}  // namespace leat::sim
