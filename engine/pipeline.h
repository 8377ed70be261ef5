// One execution of a workflow: how far each task is, and the step that decides what follows when one ends.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attempt.h"
#include "capacity.h"
#include "continuations.h"
#include "leat/durability.h"
#include "leat/error.h"
#include "leat/journal.h"
#include "leat/pipeline_handle.h"
#include "leat/states.h"
#include "leat/store_image.h"
#include "leat/task_event.h"
#include "leat/uuid.h"
#include "pipeline_host.h"
#include "pipeline_rare.h"
#include "registered_workflow.h"
#include "shared_context.h"
#include "signals.h"
#include "timer_queue.h"

namespace leat {

/// Thread-safety: what is told to it goes through post(), which is lock-free; the step behind it runs on
/// whichever thread finds the pipeline unowned, one message at a time. Fields are marked: [const] after
/// start or restore, [owned] by the step, [atomic].
/// Invariants:
///   1. A task's state changes only as may_become() allows: Ready -> Running by the worker that begins it
///      (a CAS, so that a cancel cannot be overtaken), everything else by the step.
///   2. Every change is in the group that the step publishes before anything acts on it: a successor is
///      released by the commit of the group that made it Ready (at level Memory: by the step itself).
///   3. A Ready or Running task is outstanding: some lane, timer or thread refers to this object. It goes
///      when its end is committed and nothing is outstanding.
class Pipeline final : public CommitListener, public TimerListener {
 public:
  struct Identity {
    Uuid id;
    std::uint64_t pipeline_no;
    Durability level;
    Priority priority = Priority::Normal;
    bool keyed : 1 = false;         ///< it has a concurrency key, which the host's gate knows
    bool scheduled : 1 = false;     ///< a schedule submitted it: the host knows which, and for which time
    bool is_child : 1 = false;      ///< see set_parent()
    bool resumed : 1 = false;       ///< an earlier process began it, or was to begin it
    std::int32_t max_attempts = 0;  ///< outweighs the workflow's retry policies; 0: it does not
  };

  /// What becomes of a pipeline whose version of the workflow is not registered.
  struct EndAtOnce {
    enum class By : std::uint8_t { None, Deadline, Cancel, GivingUp };
    By by = By::None;
    std::string_view reason = {};  ///< of a giving up
  };

  /// It lives until the engine has done with it (the end, or abandon()) and no handle is left.
  static Pipeline& make(PipelineHost& host, std::shared_ptr<const RegisteredWorkflow> workflow,
                        const Identity& identity, SharedContext context);

  /// Of a child, before anybody else knows the pipeline.
  void set_parent(ParentImage parent);
  /// Begins. `slot` may hold a slot for the first task. @pre two journal credits are reserved
  /// (above level Memory)
  ///
  /// @param writes  of the caller, that are to be committed with it; null: none. They stay until acknowledged
  void start(Slots slot, const PipelineTraits& traits, const CallerWrites* writes = nullptr);
  /// Carries on from what the store remembers; what was Running died with its process and is rescued.
  /// @param starts  what the board says of this pipeline
  /// @param pause   where it is Paused
  /// @param end     how it ends at once, where nobody can carry it on: nothing of it is released
  /// @pre one journal credit is reserved for each Running task and one more; no other thread
  ///      knows the pipeline
  void restore(PipelineImage&& image, std::span<const BoardLine::Task> starts, const PauseImage& pause,
               const EndAtOnce& end);

  /// The same where nothing of it has begun, and its only first task is Ready: nothing is released, and no
  /// credit is needed.
  void restore_waiting(std::int64_t created_ns) noexcept;

  // --- waiting in the store alone: see WaitingLines. Whether its row would say all that it is ---
  bool may_be_set_aside(const PipelineTraits& traits) const noexcept;
  /// What it takes in memory while it waits, as the engine counts it.
  std::size_t bytes() const noexcept { return bytes_of(*workflow_, remembered_context().text.size()); }
  static std::size_t bytes_of(const RegisteredWorkflow& workflow, std::size_t context_bytes) noexcept;
  /// Begins in the store. @pre a journal credit is reserved
  void set_aside(const WaitingLine& line, std::uint64_t place, const PipelineTraits& traits);
  bool is_out() const noexcept {
    return where_.load(std::memory_order_relaxed) == Where::Store;  // relaxed: asked again under a mutex
  }
  /// Takes a reference for the engine. @return false: the last handle has gone
  bool come_back() noexcept;
  std::string waiting_row() const;
  void remake(std::int64_t created_ns) noexcept;  ///< as its row says. @pre fresh
  void go_on() noexcept;  ///< it is published that it lives: what it was told meanwhile is done
  void is_taken_in(std::uint64_t sequence, bool reached) noexcept;
  /// Its first task begins, or none does for now.
  void leave_front() noexcept;
  std::shared_ptr<const RegisteredWorkflow> registered() const noexcept { return workflow_; }

  /// Tells the pipeline something. The message stays the caller's until it is handled.
  void post(PipelineMessage& message) noexcept;
  /// Asks for the end, or for an interruption by a stop. @pre for the end, one journal credit is reserved
  void post_control(PipelineMessage::Kind kind);
  /// Asks for the pipeline's row in a round of the checkpoint; PipelineHost::kept() tells when it is
  /// published. @pre one journal credit is reserved; the level is above Memory
  void post_keep(std::uint64_t generation);

  /// Sends on what the gate kept. @param task  as told to ConcurrencyGate::pass()
  void release_kept(std::uint32_t task) noexcept;

  /// Ready -> Running, by the worker. @return false: the task is no longer to be run
  bool begin(Attempt& attempt) noexcept;
  void on_commit(std::uint64_t token, std::uint64_t sequence, bool reached) noexcept override;
  void on_timer(std::uint64_t token) noexcept override;

  /// Remembers what an attempt's work is called elsewhere; blocks until that is at the pipeline's level.
  std::expected<void, Error> refer(Attempt& attempt, std::string_view external_ref);

  /// Whether a task may keep its end's credit for long while others begin.
  bool may_defer() const noexcept;
  /// Begins a child, unless that was done before. @return its identifier
  std::expected<Uuid, Error> start_child(const TaskReadyEvent& event, std::string_view name,
                                         const Workflow& workflow, std::string context);
  /// By the number of its signal: the same ever again, so that whoever starts the child again finds it.
  Uuid child_id(std::uint32_t signal) const noexcept;
  /// Children that have been begun and whose ends have not come.
  std::vector<Uuid> open_children() const;
  /// Children that an earlier process began. @pre nobody else knows the pipeline
  void remember_children(const SignalValues& ends, const std::set<Uuid>& remembered);
  /// Whether others are told when it ends.
  bool has_kin() const noexcept { return identity_.is_child || workflow_->starts_children; }
  bool is_child() const noexcept { return identity_.is_child; }
  const ParentImage& parent() const noexcept { return rare_->kin->parent; }  ///< @pre  is_child()
  /// What the parent is to be told. @pre  is_child(), and it has ended
  std::string& word_to_parent() noexcept { return rare_->kin->word; }
  /// Told by a child's end. @pre  a journal credit is reserved, above level Memory
  void post_child_end(std::string name, std::string value);
  /// What in the pipeline holds the task; empty: it is Ready, and nothing does.
  std::optional<TaskExplanation> explain(std::uint32_t task);
  /// What the task starts from: JSON text. @pre the task is Ready or Running
  std::expected<std::string, Error> load_context(std::uint32_t task) const;
  const RegisteredWorkflow& workflow() const noexcept { return *workflow_; }
  const Uuid& id() const noexcept { return identity_.id; }
  std::uint64_t number() const noexcept { return identity_.pipeline_no; }
  Durability level() const noexcept { return identity_.level; }
  Priority priority() const noexcept { return identity_.priority; }
  /// Whether it has a concurrency key.
  bool keyed() const noexcept { return identity_.keyed; }
  bool scheduled() const noexcept { return identity_.scheduled; }
  bool resumed() const noexcept { return identity_.resumed; }
  /// Whether the task is to be released as a suspect: once. A retry, released before the suspect's late
  /// attempt is back, is a task like others.
  bool take_suspect(std::uint32_t task) noexcept {
    const bool suspect = std::exchange(tasks_[task].suspect, false);
    if (suspect) tasks_[task].isolated = true;
    return suspect;
  }
  /// By an attempt that is going to wait for what others do: it runs alone no more, or they never could.
  void waits_for_others(std::uint32_t task) noexcept {
    if (std::exchange(tasks_[task].isolated, false)) host_.suspect_ended();
  }
  /// What the task is released with. @pre it is Ready, or was when it was released
  TaskReadyEvent event_of(std::uint32_t task) noexcept;
  /// The record of a task's attempt; null: the task does not run, or runs another attempt by now.
  /// @pre called from within that attempt, or owned, so that the record stays its own
  Attempt* running(std::uint32_t task, std::int32_t attempt) const noexcept;

  // --- the handle's side ---
  PipelineState state() const noexcept;
  TaskState task_state(std::uint32_t task) const noexcept;
  std::vector<SubState> sub_states();
  RetryStats retry_stats() const noexcept;
  std::uint32_t task_attempt(std::uint32_t task) const noexcept {
    return attempt_of(tasks_[task].word.load(std::memory_order_relaxed));  // relaxed: a value to look at
  }
  /// The submission has reached its level.
  bool acknowledged() const noexcept {
    return acknowledged_.load(std::memory_order_acquire);  // (15) acquire: pairs with (14)
  }
  static Pipeline& of(const PipelineHandle& handle) noexcept { return *handle.pipeline_; }
  PipelineHandle handle() noexcept { return PipelineHandle(*this); }
  std::expected<Ack, Error> wait_acknowledged();
  std::expected<PipelineResult, Error> wait_end(std::chrono::nanoseconds timeout);
  std::expected<void, Error> cancel();
  std::expected<std::string, Error> context_of(std::string_view task) const;
  std::expected<std::string, Error> initial_context() const;
  /// As a round of the checkpoint keeps it. @pre owned, or there is one thread; not every task has ended
  PipelineImage image() noexcept;
  bool belongs_to(const PipelineHost& host) const noexcept { return &host_ == &host; }
  /// What a task saved; empty: as it came in. @pre  it has ended
  std::expected<std::string, Error> saved_context(std::uint32_t task) const;
  /// Nothing of it begins any more, what runs goes on; both return once that is at its level.
  std::expected<void, Error> pause(std::string_view reason);
  std::expected<void, Error> resume();
  /// Tells the pipeline by name; returns once that is at its level.
  std::expected<void, Error> signal(std::string_view name, std::string_view value);
  /// Those that have come. @pre owned, or it has ended
  SignalValues signal_values() const;
  /// @return NotFound: its workflow declares no such signal
  std::expected<std::uint32_t, Error> find_signal(std::string_view name) const;
  /// Null: its workflow declares none.
  Signals* signals() const noexcept {
    return workflow_->signals.empty() ? nullptr
                                      : rare_->signals.get();  // what it has, it has from the beginning
  }
  /// Has the listener told of the end. It stays until it is told, or mute() has taken it back.
  /// @return false: the pipeline has ended, or never will in this Runner; the listener was not taken
  bool listen(EndListener& listener);
  /// @return false: it is being told, or was
  bool mute(EndListener& listener) noexcept;
  /// Whether the end is known, or that there will be none in this Runner: then wait_end() does not wait.
  bool over() const noexcept;
  Continuations& continuations() const noexcept { return *workflow_->continuations; }
  /// The Runner stops: whoever waits learns it. `unused`: no thread will come by any more, so nothing
  /// holds it either.
  void abandon(bool unused) noexcept;

 private:
  enum class Where : std::uint8_t { Memory, Store, Front };  // Front: from the store, and to begin
  static constexpr std::uint64_t kAsideToken = std::uint64_t{1} << 63;
  enum class Phase : std::uint32_t { Submitted, Acknowledged, Ended, StoreFailed, Stopped };
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  struct Task {
    std::atomic<std::uint32_t> word{0};  // [atomic] state (7 bits), kHeld (1), attempt (24)
    std::atomic<bool> begun{false};      // [atomic] Running is in the ring
    bool staged = false;                 // [owned] it saved a context of its own
    bool suspect = false;                // [owned, then its release's] the host expects it
    bool isolated = false;               // [its release's, then its attempt's] it was released as a suspect
    std::uint32_t waiting = 0;           // [owned] dependencies that have not ended
    std::uint32_t rescues = 0;           // [owned]
    std::uint32_t next = kNone;          // [owned, then its group's] next task that the group releases
    std::uint32_t key_no = 0;            // [owned] the journal's number of the key of the last attempt ended
    std::int64_t retry_at_ns = 0;        // [owned, then its group's] Unix time
    std::atomic<Attempt*> running{nullptr};      // [atomic]
    std::shared_ptr<const SharedContext> context;  // [owned; const once terminal] what it saved
  };

  using Rare = PipelineRare;
  using Limits = Rare::Limits;
  using Elsewhere = Rare::Elsewhere;

  /// What one step changes, collected before it is published.
  struct Step {
    std::vector<Successor> successors;
    std::uint32_t first = kNone;  // head and tail of the list of tasks to release
    std::uint32_t last = kNone;
    bool ended_any = false;  // a task ended without having run
  };
  struct Failure {
    std::string_view message;
    std::string_view output = {};
    TaskError::Class error_class = TaskError::Class::Task;
    bool permanent = false;
    std::optional<std::chrono::nanoseconds> retry_after = {};
  };
  struct Ending {
    TaskState to;
    TaskEnded::Cause cause;
    TaskState from = TaskState::Running;
    std::string_view error = {};
    std::string_view output = {};
    const std::string* staged = nullptr;                  // the context to save; null: as it came in
    std::shared_ptr<const SharedContext> handed_on = {};  // what came in, where it is known
    std::int64_t retry_at_ns = 0;
    Lane* lane = nullptr;  // that counts the end; null: no attempt ended
  };

  friend class PipelineHandle;
  friend class PipelineList;  // in pipeline_list.h
  class Visit;

  Pipeline(PipelineHost& host, std::shared_ptr<const RegisteredWorkflow> workflow, const Identity& identity,
           SharedContext context);
  ~Pipeline();
  void add_reference() noexcept;
  void drop_reference() noexcept;
  void leave_engine() noexcept;
  void drain() noexcept;
  void drop_hold() noexcept;
  void handle(PipelineMessage& message) noexcept;

  // The step, in pipeline_step.cpp: owned.
  void finish_attempt(Attempt& attempt) noexcept;
  void finish_overdue(Attempt& attempt) noexcept;
  void take_back(Attempt& attempt) noexcept;
  void give_back(Attempt& attempt) noexcept;
  void skip_roots(std::span<const std::uint32_t> roots) noexcept;
  void end_at_once(const EndAtOnce& end) noexcept;
  void give_up(std::string_view reason) noexcept;
  std::vector<std::uint32_t> take_over_done(std::string_view tasks_done);
  std::vector<std::uint32_t> waiting_for_nothing() const;
  void rescue(std::uint32_t task, std::uint32_t& credits) noexcept;
  void cancel_tasks(bool overdue) noexcept;
  void interrupt_tasks() noexcept;
  void interrupt(std::uint32_t task, Attempt* attempt) noexcept;
  bool is_current(const Attempt& attempt) const noexcept;
  Ending judge(Attempt& attempt) const noexcept;
  Ending judge_failure(const Attempt& attempt, const Failure& failure) const noexcept;
  void conclude(std::uint32_t task, Ending ending, std::uint32_t& credits) noexcept;
  void follow(std::uint32_t task, Step& step) noexcept;
  void note(std::uint32_t task, TaskState state, Step& step) const;
  void end_unstarted(std::uint32_t task, TaskState to, Step& step) noexcept;
  bool verdict(std::uint32_t task) const noexcept;
  void make_ready(std::uint32_t task, Step& step, std::uint32_t attempt = 1) noexcept;
  void add_released(std::uint32_t task, Step& step) noexcept;
  void save_context(std::uint32_t task, std::shared_ptr<const SharedContext> staged);
  std::expected<std::shared_ptr<const SharedContext>, Error> input_context(std::uint32_t task) const;
  std::expected<std::shared_ptr<const SharedContext>, Error> merged_context(std::uint32_t task) const;
  std::expected<std::shared_ptr<const SharedContext>, Error> handed_on(std::uint32_t task) const;
  /// @param read  holds the text where it is in the store alone
  std::expected<std::string_view, Error> read_text(const SharedContext& context, std::string& read) const;
  bool is_input(std::uint32_t task, const std::string& staged) const;
  const SharedContext& last_context() const noexcept {
    return last_completed_ == kNone ? *initial_context_ : *tasks_[last_completed_].context;
  }
  void keep_result();
  void count_terminal(TaskState state) noexcept;
  PipelineState end_state() const noexcept;
  std::string error_of(PipelineState end) const;
  void publish_change(const Step& step, std::string_view reason) noexcept;
  std::uint64_t token_of(const Step& step, std::uint64_t flags) const noexcept;
  void publish(TransitionGroup&& group, const Step& step, std::uint64_t flags, Lane* lane = nullptr) noexcept;
  bool may_forget(std::uint32_t task, const Step& step) const noexcept;
  void publish_unwaited(TransitionGroup&& group, const Step& step, Lane* lane) noexcept;

  // Signals, in pipeline_signals.cpp: owned, but for with_signal.
  bool gated(std::uint32_t task) const noexcept {
    return !workflow_->signals.empty() && waits_for_signal(task);
  }
  bool waits_for_signal(std::uint32_t task) const noexcept;
  bool keep_for_signal(std::uint32_t task) noexcept;
  void take_signal(AskMessage& message) noexcept;
  void remember_signals(const SignalValues& values, std::int64_t start_at_ns);
  void begin_signal_limit(std::uint32_t task) noexcept;
  void drop_signal_limit(std::uint32_t task) noexcept;
  std::int64_t signal_due_ns(std::uint32_t task) const noexcept;
  void reach_signal_limit(std::uint32_t task, std::uint32_t& credits) noexcept;
  std::expected<std::shared_ptr<const SharedContext>, Error> with_signal(
      std::uint32_t task, std::shared_ptr<const SharedContext> before) const;

  // Children, in pipeline_children.cpp.
  std::string_view end_to_tell() { return open_ > 0 || !identity_.is_child ? "" : compose_end(); }
  std::string_view compose_end();

  // Work elsewhere, in pipeline_elsewhere.cpp: owned, but for begin_adopted.
  void remember_elsewhere(const PipelineImage& image, std::span<const BoardLine::Task> starts);
  std::uint32_t adoption_deaths(std::uint32_t task) const noexcept;
  bool take_over(std::uint32_t task, std::uint32_t key_no) noexcept;
  bool begin_adopted(Attempt& attempt) noexcept;
  void note_reference(ReferMessage& message) noexcept;
  void watch_adopted(Attempt& attempt) noexcept;
  bool stays_elsewhere(std::uint32_t task, Attempt* attempt) noexcept;
  void give_up_adoption(Attempt& attempt) noexcept;

  // Pauses, in pipeline_pause.cpp: owned, but for ask.
  std::optional<TaskExplanation> explained(std::uint32_t task) const;
  std::string skipping(std::uint32_t task) const;
  std::expected<void, Error> ask(PipelineMessage::Kind kind, std::string_view text,
                                 std::string_view value = {});
  void pause_tasks(AskMessage& message) noexcept;
  void resume_tasks(AskMessage& message) noexcept;
  bool paused() const noexcept { return rare_ != nullptr && rare_->pause.has_value(); }
  bool has_begun() const noexcept;
  bool hold(std::uint32_t task) noexcept;
  bool belongs_home(std::uint32_t task, std::uint32_t attempt) const noexcept;
  void come_home(std::uint32_t task) noexcept;
  void leave_home(std::uint32_t task) noexcept;

  // Limits on waiting, in pipeline_limits.cpp: owned, but for tell_limit.
  void begin_limits(std::uint32_t task) noexcept;
  void begin_total_limit(std::uint32_t task, std::int64_t now_ns) noexcept;
  std::int64_t age_begins_ns() const noexcept;
  void drop_limits(std::uint32_t task) noexcept;
  void tell_limit(std::uint64_t token) noexcept;
  void reach_limit(std::uint64_t token) noexcept;
  void begin_deadline(std::int64_t at_ns) noexcept;
  void look_at_deadline() noexcept;
  void end_at_deadline(std::int64_t at_ns) noexcept;
  void drop_deadline() noexcept;

  std::uint32_t make_roots_ready() noexcept;
  PipelineCreated created() const noexcept;
  void is_set_aside(std::uint64_t sequence, bool reached) noexcept;

  // For the checkpoint, in pipeline_checkpoint.cpp: owned.
  void keep(std::uint64_t generation) noexcept;
  TaskImage image_of(std::uint32_t task) noexcept;
  void note_error(std::uint32_t task, TaskState to, std::string_view error);
  void restore_rest(const PipelineImage& image);
  void summarize(TransitionGroup& group) noexcept;
  Rare& rare();
  Limits* limits() const noexcept { return rare_ == nullptr ? nullptr : rare_->limits.get(); }
  Elsewhere* elsewhere() const noexcept { return rare_ == nullptr ? nullptr : rare_->elsewhere.get(); }
  /// The initial context as the journal holds it: nothing for {}.
  ContextView remembered_context() const noexcept {
    const ContextView context = initial_context_->view();
    return context.text == "{}" ? ContextView() : context;
  }

  // After the commit.
  bool apply_commit(std::uint64_t token, std::uint64_t sequence) noexcept;
  void release_list(std::uint32_t first) noexcept;
  void release_task(std::uint32_t task, Slots&& slot) noexcept;
  void acknowledge(std::uint64_t sequence) noexcept;
  void set_phase(Phase phase) noexcept;
  void tell_end() noexcept;
  bool wait_phase(Phase phase, std::chrono::nanoseconds timeout) noexcept;
  std::optional<Error> broken() const;

  // What a commit of one of our groups has to do: bits 0-31 the first task to release + 1, then three flags,
  // then which signal to tell of.
  static constexpr std::uint64_t kCreatedFlag = std::uint64_t{1} << 32;
  static constexpr std::uint64_t kEndsFlag = std::uint64_t{1} << 33;
  static constexpr std::uint64_t kSignalFlag = std::uint64_t{1} << 34;
  static constexpr int kSignalShift = 35;
  static constexpr std::uint64_t flags_of_signal(std::uint32_t signal) noexcept {
    return kSignalFlag | std::uint64_t{signal} << kSignalShift;
  }
  static constexpr std::uint64_t kSignalLimit = std::uint64_t{4} << 32;  // of a timer: pipeline_limits.cpp

  static constexpr std::uint32_t word_of(TaskState state, std::uint32_t attempt) noexcept {
    return attempt << 8 | static_cast<std::uint32_t>(state);
  }
  static constexpr std::uint32_t attempt_of(std::uint32_t word) noexcept { return word >> 8; }
  static constexpr TaskState state_in(std::uint32_t word) noexcept {
    return static_cast<TaskState>(word & 0x7f);
  }
  // In a Ready task's word: no worker may begin it.
  static constexpr std::uint32_t kHeld = 0x80;
  /// Tasks that have ended so.
  std::uint32_t ended(TaskState state) const noexcept { return ended_[place_of(state)]; }
  static std::size_t place_of(TaskState terminal) noexcept {
    return static_cast<std::size_t>(terminal) - static_cast<std::size_t>(TaskState::Completed);
  }
  TaskState state_of(std::uint32_t task) const noexcept {
    // relaxed: the step wrote it itself, or only looks; who must act on it uses the orders of begin().
    return state_in(tasks_[task].word.load(std::memory_order_relaxed));
  }
  void set_state(std::uint32_t task, TaskState state, std::uint32_t attempt) noexcept {
    // relaxed: workers meet the task again only through a queue, which orders.
    tasks_[task].word.store(word_of(state, attempt), std::memory_order_relaxed);
  }

  // A million may wait: what few have is in Rare, and the members lie so that nothing is lost between them.
  PipelineHost& host_;  // [const]
  const std::shared_ptr<const RegisteredWorkflow> workflow_;
  const Identity identity_;
  const std::shared_ptr<const SharedContext> initial_context_;
  Task only_;                   // the one task of most pipelines: one allocation less
  Task* const tasks_;           // all of them; several are a block of their own
  std::unique_ptr<Rare> rare_;  // null: it has none of that

  // [atomic] 0: unowned; 1: owned, as it is before it begins; else owned, the latest message
  std::atomic<std::uintptr_t> inbox_{1};
  // [atomic] the step's (until nothing is outstanding), the commit's, and one of each handle at work
  std::atomic<std::uint32_t> holds_{2};
  std::atomic<std::uint32_t> references_{1};  // [atomic] the engine's, see in_engine_, and one of each handle
  std::atomic<std::uint32_t> phase_{0};       // [atomic] a Phase; waited for
  std::atomic<std::uint32_t> waiters_{0};     // [atomic] handles at work
  std::uint64_t ack_sequence_ = 0;            // written before acknowledged_
  Slots first_slot_;                          // [owned by start, then by the first commit]

  std::uint32_t open_ = 0;         // [owned] tasks that are not terminal
  std::uint32_t outstanding_ = 0;  // [owned] tasks Ready or Running, late attempts, timers of limits
  std::uint32_t ended_[4] = {};    // [owned] terminal tasks by state
  std::uint32_t last_completed_ = kNone;
  std::atomic<PipelineState> state_{PipelineState::Pending};
  std::atomic<bool> acknowledged_{false};  // stays true, whatever phase follows
  std::atomic<Where> where_{Where::Memory};
  bool in_engine_ = true;                  // [who drops the last hold, then abandon()]
  bool held_by_step_ = true;               // [owned] a byte of its own: the end's committer reads the next
  bool cancelling_ : 1 = false;            // [owned]
  bool overdue_ : 1 = false;               // [owned] cancelling, because its deadline has passed
  bool given_up_ : 1 = false;              // [owned] cancelling, because nobody can run what is left
  bool started_ : 1 = false;               // [owned] some task has been Running, as far as the step knows

  std::int64_t created_ns_ = 0;  // [const] Unix time
  Pipeline* earlier_ = nullptr;  // [the list's]
  Pipeline* later_ = nullptr;
};

static_assert(sizeof(Pipeline) <= 280,
              "a million waiting pipelines take 400 MB at most: with malloc's word, and 33 bytes in the lot");

}  // namespace leat
