// The scheduler: knows the workflows and the pipelines that live, begins pipelines, carries on those that a
// store remembers, and sends Ready tasks on. (The design document's State Manager.) It owns no thread and
// never looks for work: a task's end makes its successors Ready, see pipeline.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "backlog.h"
#include "concurrency_gate.h"
#include "continuations.h"
#include "crash_traces.h"
#include "id_source.h"
#include "isolation.h"
#include "lane_table.h"
#include "leat/checkpoint.h"
#include "leat/clock.h"
#include "leat/error.h"
#include "leat/in_flight_board.h"
#include "leat/journal.h"
#include "leat/namespace.h"
#include "leat/pipeline_handle.h"
#include "leat/rng.h"
#include "leat/router.h"
#include "leat/runner.h"
#include "leat/state_store.h"
#include "leat/store_image.h"
#include "leat/workflow.h"
#include "leat_locks/mutex.h"
#include "pipeline.h"
#include "pipeline_list.h"
#include "quarantine.h"
#include "registered_workflow.h"
#include "resumed_pipelines.h"
#include "schedule_table.h"
#include "timer_queue.h"
#include "waiting_lines.h"

namespace leat {

/// Thread-safety: any number of threads.
class Scheduler final : public PipelineHost,
                        public ScheduleHost,
                        public WaitingHost,
                        public TimerListener {
 public:
  Scheduler(Clock& clock, Rng& rng, TimerQueue& timers, Journal* journal, NamespaceTable& names,
            Router& router, LaneTable& lanes, LentThreads& lent,
            std::shared_ptr<Continuations> continuations, const WaitingOptions& waiting,
            std::size_t backlog_min);

  /// What the store remembers; before anything is registered. What it left Running, or on the board, died
  /// with a process: a stop makes it Ready.
  ///
  /// @param board   outlives the scheduler; null: the store keeps none
  /// @param closed  the store, in good order
  void remember(StoreImage&& image, InFlightBoard* board, bool closed);
  InFlightBoard* board() const noexcept { return board_; }
  ConcurrencyGate& gate() noexcept override { return gate_; }
  ScheduleTable& schedules() noexcept { return schedules_; }
  /// A journal credit, where there is a journal, for a record that is not a task's. @return false: it is
  /// stopped
  bool reserve_record() { return journal_ == nullptr || reserve_one(); }
  /// All is in the store: what the board said of pipelines that were carried on is told there.
  void forget_starts() noexcept;
  /// Every executor that a registered workflow names is there.
  std::expected<void, Error> check_executors() const;
  /// A thread is about to be lent to the journal: nobody else commits from here on.
  void committer_starts();
  /// From here on pipelines begin, and those of registered workflows are carried on.
  /// @pre check_executors() succeeded
  std::expected<void, Error> start();
  /// The number that stands for an executor key in the journal, which learns it; 0: nothing is remembered.
  std::expected<std::uint32_t, Error> define_key(std::string_view key);

  std::expected<std::shared_ptr<const RegisteredWorkflow>, Error> register_workflow(const Workflow& workflow);
  std::expected<Namespace, Error> register_task(std::string_view name, TaskFunction function);
  /// The one-task workflow behind a task that is dispatched alone; null: not registered.
  const RegisteredWorkflow* find_task(Namespace name) const noexcept;

  /// The task of that name in the workflow registered last that has one; null: none has.
  const TaskDefinition* find_definition(Namespace task) const;

  /// @param child  whose, and its identifier; null: nobody's
  std::expected<PipelineHandle, Error> submit(const Workflow& workflow, SubmitOptions options,
                                              const std::pair<Uuid, ParentLink>* child = nullptr);
  /// All of them are checked before the first begins. @return  what was wrong, or what stopped it then
  std::expected<std::vector<PipelineHandle>, Error> submit_bulk(const Workflow& workflow,
                                                                std::vector<SubmitOptions> options);
  /// A pipeline of the event's one task, with the event's identifiers; `slot` is its admission.
  std::expected<PipelineHandle, DispatchError> submit_alone(const TaskReadyEvent& event, Durability level,
                                                            Slots slot);
  void make_events(Namespace task, std::span<TaskReadyEvent> events, std::int32_t max_attempts) noexcept;
  TaskExplanation explain(const TaskReadyEvent& event);

  /// Nothing new is submitted from here on: what is there goes on, with the children that it starts.
  void drain() noexcept;
  /// Whether something new may be submitted.
  bool admitting() const noexcept;
  /// Nothing is accepted or released from here on.
  void close() noexcept;
  bool accepting() const noexcept override;
  /// Every Running task becomes Ready again, in the journal too: its process gives it up.
  void interrupt();
  /// The Runner ends: whoever waits for a pipeline learns it. `threads_gone`: none will touch a
  /// pipeline any more.
  void abandon(bool threads_gone) noexcept;

  /// Begins a round of the checkpoint: notes what must become a row.
  ///
  /// @param rows_per_step  of pipelines, or of idempotency keys, that one call of keep_some() has published
  /// @return  the round's first row. @pre the store keeps rows; no round is under way
  RoundBegun begin_round(std::uint64_t generation, std::size_t rows_per_step);
  /// Publishes a bounded number of rows, or asks pipelines to. One thread at a time.
  ///
  /// @param remembered_from  of the store: below it neither events nor history need a workflow
  /// @return              false: nothing could be done now, because credits or pipelines are waited for
  bool keep_some(std::uint64_t remembered_from);
  /// Every row of the round is published. @param bytes  set to their size
  bool all_kept(std::uint64_t& bytes) const noexcept;

  /// In scheduler_again.cpp: a pipeline that does the failed and cancelled tasks of an ended one again, or a
  /// task, and what depends on them.
  std::expected<PipelineHandle, Error> submit_again(const PipelineHandle& ended,
                                                    std::optional<std::string_view> from);
  /// The same of one that the store remembers.
  std::expected<PipelineHandle, Error> submit_again(const RememberedPipeline& ended,
                                                    std::optional<std::string_view> from);
  /// The same from a task in quarantine on.
  std::expected<PipelineHandle, Error> redrive(const RememberedPipeline& ended, std::string_view task);
  std::expected<void, Error> forget_quarantined(const Uuid& pipeline, std::string_view task);
  const Quarantine& quarantine() const noexcept { return quarantine_; }
  /// A pipeline that may be told something, or is bound to others. @return NotFound: none with that
  /// identifier lives
  std::expected<PipelineHandle, Error> find_live(const Uuid& pipeline) const;
  // In scheduler_pause.cpp.
  /// Keeps tasks of a key, or of matching namespaces, from beginning; remembered until resume().
  std::expected<void, Error> pause(PauseScope scope, std::string_view what, std::string_view reason);
  std::expected<void, Error> resume(PauseScope scope, std::string_view what);
  PauseImages pauses() const;

  // In scheduler_unfinished.cpp.
  /// Ends what the store holds of a version that is not registered.
  std::expected<std::size_t, Error> fail_unfinished(std::string_view workflow, std::uint64_t version,
                                                    std::string_view reason);
  /// Of a pipeline that lives, or waits for its version.
  std::expected<void, Error> cancel(const Uuid& pipeline);
  std::vector<UnfinishedWorkflow> unfinished() const;
  std::vector<PipelineHandle> resumed();
  std::vector<PipelineHandle> live() const { return live_.all(); }
  /// Every pipeline has ended.
  bool idle() const noexcept;
  WaitingLines& waiting() noexcept { return waiting_; }
  /// Pipelines in memory that have begun and not ended.
  std::uint64_t resident() const noexcept {
    return unfinished_.load(std::memory_order_relaxed);  // relaxed: a figure
  }
  /// By the committer, at the end of each commit. @param groups  in the store now, of all that were published
  void after_commit(std::uint64_t groups) noexcept { isolation_.after_commit(groups); }

  // PipelineHost
  Clock& clock() noexcept override { return clock_; }
  Rng& rng() noexcept override { return rng_; }
  TimerQueue& timers() noexcept override { return timers_; }
  Journal* journal() noexcept override { return journal_; }
  LentThreads* lent() noexcept override { return lent_.empty() ? nullptr : &lent_; }
  void release(const TaskReadyEvent& event, const RegisteredWorkflow::Task& task,
               Slots slot) noexcept override;
  std::pair<std::string, std::int64_t> firing_of(const Pipeline& pipeline) const override {
    return schedules_.firing_of(pipeline.number());
  }
  bool take_over(const TaskReadyEvent& event, std::uint32_t key_no, bool suspect) noexcept override;
  void ended(Pipeline& pipeline) noexcept override;
  void unused(Pipeline& pipeline) noexcept override;
  bool closed_cleanly() const noexcept override { return closed_cleanly_; }
  bool expect_suspect(const RegisteredWorkflow::Task& task) noexcept override {
    // One that an operator keeps from beginning would keep everybody waiting.
    return !lanes_.is_paused(task.name, task.executor) && isolation_.expect();
  }
  void quarantined(const Uuid& pipeline, std::uint32_t task, QuarantineImage image) noexcept override {
    quarantine_.add(pipeline, task, std::move(image));
  }
  void suspect_ended() noexcept override { isolation_.suspect_ended(); }
  void kept(std::size_t bytes) noexcept override;
  // In scheduler_children.cpp.
  std::expected<void, Error> begin_child(Pipeline& parent, const Uuid& id, const ParentLink& link,
                                         const Workflow& workflow, std::string context) override;
  void cancel_children(Pipeline& parent) noexcept override;
  void child_ends() noexcept override;
  void child_end_taken() noexcept override;
  /// Passes words on between parents and children, or looks at deadlines.
  void on_timer(std::uint64_t) noexcept override;
  void is_aside(const Pipeline& pipeline) noexcept override { waiting_.is_aside(pipeline); }
  bool bring_in(Pipeline& pipeline) override { return waiting_.bring_in(pipeline); }
  std::optional<std::uint64_t> place_in_store(const Pipeline& pipeline) const override {
    return waiting_.place_of(pipeline);
  }
  void left_front(const Pipeline& pipeline) noexcept override { waiting_.left_front(pipeline); }

  // WaitingHost, in scheduler_waiting.cpp
  Pipeline& remake(const std::shared_ptr<const RegisteredWorkflow>& workflow, const PipelineCreated& created,
                   std::int64_t created_ns) override;
  void lives(Pipeline& pipeline) noexcept override;

  // ScheduleHost
  std::shared_ptr<const RegisteredWorkflow> find_workflow(
      const ScheduleDefinition& definition) const override;
  std::optional<PipelineHandle> fire(std::shared_ptr<const RegisteredWorkflow> workflow,
                                     const ScheduleDefinition& definition, const ScheduleFiring& firing,
                                     std::string context) override;
  bool admits() override;

 private:
  using Registered = std::shared_ptr<const RegisteredWorkflow>;
  // Of timers.
  static constexpr std::uint64_t kWords = 0;
  static constexpr std::uint64_t kDeadlines = 1;
  static constexpr std::uint64_t kFreed = 2;
  // Single tasks by the number of their namespace: found without a lock by every worker.
  static constexpr std::size_t kChunk = 1024;
  static constexpr std::size_t kChunks = 4096;
  struct Chunk {
    std::atomic<const RegisteredWorkflow*> tasks[kChunk] = {};
  };
  struct Remembered {
    WorkflowImage workflow;
    std::map<std::uint64_t, PipelineImage> pipelines;  // by pipeline_no
    Registered stand_in;  // with which they end where nobody registers it; null: not needed so far
  };

  /// How far a round of the checkpoint is. The phases are in this order so that a remembered pipeline that is
  /// adopted meanwhile is met as a live one.
  struct Round {
    enum class Phase : std::uint8_t { Submissions, Definitions, Remembered, Live, Quarantine, Done };
    Phase phase = Phase::Done;
    std::uint64_t generation = 0;
    std::uint64_t minimum = 0;
    std::size_t rows_per_step = 0;
    std::vector<Registered> registered;     // still to be written, the last one first
    std::vector<std::uint32_t> remembered;  // workflow numbers, as above; twice, for both phases
    std::vector<std::uint32_t> waiting;
    std::size_t backlog = 0;          // behind those: the index of the one that is written
    std::uint64_t next_pipeline = 0;  // of waiting.back()'s, or of the backlog
    std::vector<std::pair<std::string, std::uint32_t>> keys;
    std::vector<PauseImages::key_type> pauses;
    std::string last_submission;  // that has its row
    std::vector<std::string> schedules;
    std::optional<std::pair<Uuid, std::uint32_t>> last_quarantined;  // that has its row
  };

  /// Ends a call of adopt() for the checkpoint.
  class Adopting {
   public:
    explicit Adopting(Scheduler& scheduler) noexcept : scheduler_(scheduler) {}
    Adopting(const Adopting&) = delete;
    Adopting& operator=(const Adopting&) = delete;
    ~Adopting() {
      const MutexLock lock(scheduler_.mutex_);
      --scheduler_.adopting_;
    }

   private:
    Scheduler& scheduler_;
  };

  /// How a pipeline begins.
  struct Beginning {
    Durability level;
    std::int32_t max_attempts = 0;
    std::string context = {};
    Slots slot = {};
    PipelineTraits traits = {};
    const CallerWrites* writes = nullptr;
    bool has_credits = false;  // two are reserved
  };

  /// A submission that is good. Refers to its options.
  struct Prepared {
    Registered workflow;
    Beginning how;
  };

  /// A pipeline of which tasks are to be done again.
  struct Ended {
    Registered workflow;
    Durability level;
    Priority priority;
    std::string context;
    std::string signals;            // that had come, as encode_signals() gives them
    std::vector<TaskState> states;  // by task
    std::function<std::expected<std::string, Error>(std::uint32_t task)> saved;  // empty: as it came in
  };

  /// What an idempotency key stands for.
  struct Submission {
    Uuid pipeline;
    std::int64_t ends_ns;                  // Unix time
    std::optional<PipelineHandle> handle;  // none: submitted before this start, and not looked for yet
  };

  /// What a pipeline has for another, which is told by the timers: nobody else may wait for a credit of the
  /// journal, or act for a second pipeline inside the step of one.
  struct Word {
    Uuid to;
    bool cancel = true;   // from the parent; else the child has ended
    bool raised = false;  // child_ends() was told
    std::string name = {};
    std::string value = {};
  };
  void part(Pipeline& ended) noexcept;
  void pass_on(std::vector<Word>&& words) noexcept;
  bool pass(Word& word) noexcept;
  void remember_kin(const StoreImage& image) LEAT_REQUIRES(mutex_);
  void hold_back_children(std::map<std::uint64_t, PipelineImage>& from,
                          std::map<std::uint64_t, PipelineImage>& to) LEAT_REQUIRES(mutex_);
  bool join_kin(Pipeline& pipeline, const TraitsImage& traits);
  bool has_lost_parent(const Pipeline& child) const;
  std::expected<PipelineHandle, Error> begin_again(const Ended& old, std::optional<std::string_view> from,
                                                   const QuarantineLeft& redriven = {});
  std::expected<Ended, Error> ended_of(const RememberedPipeline& remembered) const;
  std::expected<Prepared, Error> prepare(const Workflow& workflow, SubmitOptions& options, bool is_child);
  std::expected<PipelineHandle, Error> begin_prepared(Prepared&& prepared, const SubmitOptions& options,
                                                      const std::pair<Uuid, ParentLink>* child);
  std::expected<PipelineHandle, Error> submit_once(Registered workflow, const SubmitOptions& options,
                                                   Beginning&& how);
  std::expected<std::optional<PipelineHandle>, Error> find_submitted(const std::string& key,
                                                                     std::int64_t now_ns)
      LEAT_REQUIRES(submitting_);
  void forget_ended_keys(std::int64_t now_ns) LEAT_REQUIRES(submitting_);
  void forget_if_ended(const std::string& key, std::int64_t now_ns) LEAT_REQUIRES(submitting_);
  std::optional<PipelineHandle> find_resumed(const Uuid& id) const;
  std::optional<PipelineHandle> find_in_backlog(const Uuid& id) const;
  std::vector<Backlog*> backlogs() const;
  void remember_submissions(const SubmissionImages& submissions);
  void forget_submissions();
  bool keep_submissions();
  std::expected<void, Error> change_pause(const PauseChanged& record);
  std::expected<bool, Error> install_pause(const PauseChanged& record, std::vector<QueuedTask>& free);
  void keep_pause();
  std::string reason_of_pause(PauseScope scope, const std::string& what) const;
  const PauseImage* find_pause(const PipelineImage& pipeline) const LEAT_REQUIRES(mutex_);
  void remember_pauses(const PauseImages& pauses) LEAT_REQUIRES(mutex_);
  void keep_row(TransitionGroup&& row) noexcept;
  bool keep_definition(std::uint64_t remembered_from);
  bool keep_remembered();
  bool keep_backlogs() LEAT_REQUIRES(mutex_);
  bool keep_live();
  bool keep_quarantine();
  bool reserve_one();
  void record_starts(PipelineImage& image, std::span<const BoardLine::Task> starts);
  Registered find_version(std::uint64_t version) const;
  std::expected<Registered, Error> find_or_make(const Workflow& workflow) LEAT_REQUIRES(mutex_);
  std::expected<std::uint32_t, Error> number_of(const Workflow& workflow, std::string& definition)
      LEAT_REQUIRES(mutex_);
  std::expected<void, Error> check_executors(const RegisteredWorkflow& workflow) const;
  std::vector<Registered> known_workflows() const;
  std::expected<void, Error> adopt(const Registered& workflow);
  bool adopt_resident(const Registered& workflow, bool may_wait, bool& freed);
  struct LeftInBacklog;
  LeftInBacklog leave_in_backlog(const Registered& workflow, Backlog::Images& images);
  bool may_stay_image(const RegisteredWorkflow& workflow, const PipelineImage& image) const
      LEAT_REQUIRES(mutex_);
  Pipeline* make_waiting(const Registered& workflow, PipelineImage&& image);
  Pipeline& make_resumed(const Registered& workflow, const PipelineImage& image);
  std::expected<void, Error> adopt_freed();
  bool try_adopt_freed();
  static std::size_t credits_of(const PipelineImage& image);
  bool carry_on(const Registered& workflow, PipelineImage&& image, std::span<const BoardLine::Task> starts,
                const Pipeline::EndAtOnce& end, bool& freed);
  Registered stand_in_of(std::uint32_t workflow_no) LEAT_REQUIRES(mutex_);
  PipelineImage take_remembered(Remembered& from, std::uint64_t pipeline_no) LEAT_REQUIRES(mutex_);
  std::expected<bool, Error> end_remembered(std::uint32_t workflow_no, std::uint64_t pipeline_no,
                                            const Pipeline::EndAtOnce& end, bool& freed);
  void look_at_deadlines() noexcept;
  bool end_overdue() noexcept;
  std::vector<std::uint64_t> remembered_of(std::uint32_t workflow_no) const;
  std::expected<bool, Error> recall(std::uint32_t workflow_no);
  bool note_child_end(const Word& word);
  std::optional<PipelineHandle> begin(Registered workflow, const Uuid& id, Beginning&& how);
  bool set_aside(Pipeline& pipeline, const Beginning& how);
  /// @return false: the Runner has stopped
  bool add_live(Pipeline& pipeline) noexcept;
  void address(Pipeline& pipeline, bool live);

  Clock& clock_;
  Rng& rng_;
  TimerQueue& timers_;
  Journal* const journal_;
  NamespaceTable& names_;
  Router& router_;
  LaneTable& lanes_;
  LentThreads& lent_;
  const std::shared_ptr<Continuations> continuations_;
  Isolation isolation_;
  ConcurrencyGate gate_;
  ScheduleTable schedules_;
  Quarantine quarantine_;
  WaitingLines waiting_;
  const std::size_t backlog_min_;
  InFlightBoard* board_ = nullptr;
  bool closed_cleanly_ = false;
  bool suspects_remembered_ = false;  // tasks that are to run alone
  IdSource ids_;
  std::atomic<bool> accepting_{false};
  std::atomic<bool> draining_{false};
  std::unique_ptr<std::atomic<Chunk*>[]> chunks_;
  // Written for each pipeline; what lies before it is read for each task.
  alignas(64) std::atomic<std::uint64_t> unfinished_{0};  // pipelines that have begun and not ended
  std::atomic<std::uint64_t> next_pipeline_no_{1};
  std::atomic<std::uint64_t> rows_due_{0};    // pipelines that were asked for a row and have not published it
  std::atomic<std::uint64_t> rows_bytes_{0};  // of this round

  Mutex helping_;  // whoever commits in the committer's place
  bool has_committer_ LEAT_GUARDED_BY(helping_) = false;

  Mutex submitting_;  // of those with idempotency keys, one at a time; before mutex_
  std::map<std::string, Submission> submissions_ LEAT_GUARDED_BY(submitting_);
  std::multimap<std::int64_t, std::string> ends_of_keys_ LEAT_GUARDED_BY(submitting_);

  mutable Mutex mutex_;  // for what is touched when something is registered, submitted or paused
  bool started_ LEAT_GUARDED_BY(mutex_) = false;
  // By version, which covers the names.
  std::unordered_map<std::uint64_t, Registered> workflows_ LEAT_GUARDED_BY(mutex_);
  // By version, which covers the names.
  std::unordered_map<std::uint64_t, std::uint32_t> remembered_numbers_ LEAT_GUARDED_BY(mutex_);
  // By workflow_no; until adopted.
  std::unordered_map<std::uint32_t, Remembered> remembered_ LEAT_GUARDED_BY(mutex_);
  // Starts that the journal does not know, by pipeline_no; until adopted.
  UnrecordedStarts unrecorded_starts_ LEAT_GUARDED_BY(mutex_);
  // Executor keys that the journal knows.
  std::unordered_map<std::string, std::uint32_t> key_numbers_ LEAT_GUARDED_BY(mutex_);
  PauseImages pauses_ LEAT_GUARDED_BY(mutex_);
  std::uint32_t next_workflow_no_ LEAT_GUARDED_BY(mutex_) = 1;
  std::uint32_t next_key_no_ LEAT_GUARDED_BY(mutex_) = 1;
  std::vector<std::unique_ptr<Chunk>> chunk_storage_ LEAT_GUARDED_BY(mutex_);
  ResumedPipelines resumed_;
  std::vector<std::unique_ptr<Backlog>> backlogs_ LEAT_GUARDED_BY(mutex_);
  // Calls of adopt() that hold pipelines which are neither remembered nor live.
  std::uint32_t adopting_ LEAT_GUARDED_BY(mutex_) = 0;
  Round round_;  // of the one thread that keeps
  PipelineList live_;
  // Those of live_ whose workflows declare signals, and children.
  std::map<Uuid, Pipeline*> addressed_ LEAT_GUARDED_BY(mutex_);

  // Of what the store held: children are carried on after their parents, so that nobody has a word for one of
  // those.
  std::set<std::uint64_t> parents_waiting_ LEAT_GUARDED_BY(mutex_);  // by pipeline_no
  std::set<Uuid> children_remembered_ LEAT_GUARDED_BY(mutex_);
  // Of pipelines that are remembered, or were: when, and by workflow_no and pipeline_no which.
  std::set<std::tuple<std::int64_t, std::uint32_t, std::uint64_t>> deadlines_ LEAT_GUARDED_BY(mutex_);
  Mutex passing_;
  std::vector<Word> words_ LEAT_GUARDED_BY(passing_);
};

}  // namespace leat
