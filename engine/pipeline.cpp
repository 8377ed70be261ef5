#include "pipeline.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <thread>
#include <utility>

#include "check.h"
#include "crash_traces.h"
#include "id_source.h"
#include "lane.h"
#include "leat/context.h"

namespace leat {
namespace {

constexpr std::uintptr_t kUnowned = 0;
constexpr std::uintptr_t kOwned = 1;  // so it begins: what is posted waits for start() or restore()

/// Stands between the journal and a pipeline whose beginning brings a caller's writes; deletes itself.
class StartWithWrites final : public WritesListener {
 public:
  StartWithWrites(Pipeline& pipeline, const CallerWrites& writes) noexcept
      : pipeline_(pipeline), writes_(writes) {}
  const CallerWrites& writes() const noexcept override { return writes_; }
  void on_commit(std::uint64_t token, std::uint64_t sequence, bool reached) noexcept override {
    pipeline_.on_commit(token, sequence, reached);
    delete this;
  }

 private:
  Pipeline& pipeline_;
  const CallerWrites& writes_;
};

}  // namespace

Pipeline& Pipeline::make(PipelineHost& host, std::shared_ptr<const RegisteredWorkflow> workflow,
                         const Identity& identity, SharedContext context) {
  return *new Pipeline(host, std::move(workflow), identity,
                       std::move(context));  // drop_reference() deletes it
}

Pipeline::Pipeline(PipelineHost& host, std::shared_ptr<const RegisteredWorkflow> workflow,
                   const Identity& identity, SharedContext context)
    : host_(host),
      workflow_(std::move(workflow)),
      identity_(identity),
      initial_context_(context.is("") || context.is("{}")
                           ? SharedContext::none()
                           : std::make_shared<const SharedContext>(std::move(context))),
      tasks_(workflow_->tasks.size() == 1 ? &only_ : new Task[workflow_->tasks.size()]),
      holds_(identity.level == Durability::Memory ? 1 : 2),  // at level Memory no commit holds it
      open_(static_cast<std::uint32_t>(workflow_->tasks.size())) {
  const auto definitions = workflow_->definitions;
  for (std::uint32_t i = 0; i < open_; ++i) {
    set_state(i, TaskState::NotStarted, 1);
    tasks_[i].waiting = static_cast<std::uint32_t>(definitions[i].after.size());
  }
  if (workflow_->limits_waiting) rare().limits = std::make_unique<Limits[]>(open_);
  if (!workflow_->signals.empty()) rare().signals = std::make_unique<Signals>(workflow_->signals.size());
}

Pipeline::~Pipeline() {
  if (is_out()) workflow_->out->remove(*this);
  if (tasks_ != &only_) delete[] tasks_;
}

void Pipeline::add_reference() noexcept {
  references_.fetch_add(1, std::memory_order_relaxed);  // relaxed: the caller has, or is under, one already
}

void Pipeline::drop_reference() noexcept {
  // (31) acq_rel: whoever drops the last one sees that the others are done with the object.
  if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

/// The engine has done with it. May be told twice.
void Pipeline::leave_engine() noexcept {
  if (std::exchange(in_engine_, false)) drop_reference();
}

void Pipeline::start(Slots slot, const PipelineTraits& traits, const CallerWrites* writes) {
  if (!broken()) first_slot_ = std::move(slot);  // after a stop the lane may be gone before the slot
  state_.store(PipelineState::Running, std::memory_order_relaxed);  // relaxed: a value to look at
  Step created;
  if (signals() != nullptr) {
    SignalValues values;
    static_cast<void>(decode_signals(traits.signals, values));  // encoded by this process
    remember_signals(values, traits.start_at_ns);
  }
  std::vector<std::uint32_t> due;
  if (!traits.tasks_done.empty()) due = take_over_done(traits.tasks_done);
  std::span<const std::uint32_t> ready =
      traits.tasks_done.empty() ? workflow_->workflow.roots() : std::span<const std::uint32_t>(due);
  const auto starts = [this](std::uint32_t root) { return !gated(root) && verdict(root); };
  std::vector<std::uint32_t> some;
  if (!std::ranges::all_of(ready, starts)) {  // the others stay as they are until skip_roots()
    std::ranges::copy_if(ready, std::back_inserter(some), starts);
    ready = some;
  }
  for (const std::uint32_t root : ready) {
    tasks_[root].retry_at_ns = traits.start_at_ns;
    make_ready(root, created);
  }
  if (identity_.level != Durability::Memory || signals() != nullptr || workflow_->limits_age)
    created_ns_ = host_.clock().unix_ns();
  if (workflow_->limits_age && traits.start_at_ns != 0) rare().start_at_ns = traits.start_at_ns;
  if (traits.deadline_ns != 0) begin_deadline(traits.deadline_ns);
  TransitionGroup group =
      identity_.level != Durability::Memory
          ? TransitionGroup(created_ns_,
                            PipelineCreated{identity_.pipeline_no, identity_.id, workflow_->workflow_no,
                                            static_cast<std::uint32_t>(workflow_->tasks.size()),
                                            identity_.level, ready, remembered_context(), traits})
          : TransitionGroup();
  if (writes == nullptr) {
    publish(std::move(group), created, kCreatedFlag);
  } else {
    host_.journal()->publish_with(std::move(group), identity_.level, *new StartWithWrites(*this, *writes),
                                  token_of(created, kCreatedFlag));
  }
  skip_roots(due.empty() ? workflow_->workflow.roots() : due);
  drain();
}

/// Sets the tasks that an earlier pipeline has done. @return those that wait for nothing more, and are to be
/// done
std::vector<std::uint32_t> Pipeline::take_over_done(std::string_view tasks_done) {
  const Workflow& workflow = workflow_->workflow;
  decode_done(tasks_done, [&](const TaskDone& done) {
    set_state(done.task, done.state, 1);
    count_terminal(done.state);
    for (const std::uint32_t successor : workflow.tasks()[done.task].successors) --tasks_[successor].waiting;
    if (done.state == TaskState::Completed) {
      save_context(done.task, done.context.empty()
                                  ? nullptr
                                  : std::make_shared<const SharedContext>(std::string(done.context.text)));
      last_completed_ = done.task;
    }
    return true;
  });
  return waiting_for_nothing();
}

/// Tasks that have not begun though nothing is left to wait for.
std::vector<std::uint32_t> Pipeline::waiting_for_nothing() const {
  std::vector<std::uint32_t> tasks;
  for (std::uint32_t i = 0; i < workflow_->tasks.size(); ++i) {
    if (state_of(i) == TaskState::NotStarted && tasks_[i].waiting == 0) tasks.push_back(i);
  }
  return tasks;
}

void Pipeline::restore(PipelineImage&& image, std::span<const BoardLine::Task> starts,
                       const PauseImage& pause, const EndAtOnce& end) {
  const bool is_paused = image.state == PipelineState::Paused;
  if (is_paused) rare().pause = pause;
  // relaxed: a value to look at
  state_.store(is_paused ? PipelineState::Paused : PipelineState::Running, std::memory_order_relaxed);
  const std::int64_t deadline_ns = is_terminal(image.state) ? 0 : image.traits->deadline_ns;
  const bool passed = deadline_ns != 0 && deadline_ns <= host_.clock().unix_ns();  // nothing is released then
  restore_rest(image);
  Step ready;
  const bool ends = end.by != EndAtOnce::By::None;
  std::vector<std::uint32_t> dead;
  const Workflow& workflow = workflow_->workflow;
  for (const std::uint32_t i : workflow.topological_order()) {
    TaskImage& task = image.tasks[i];
    set_state(i, task.state, task.attempt);
    tasks_[i].rescues = task.rescues;
    tasks_[i].retry_at_ns = task.retry_at_ns;
    if (is_terminal(task.state)) {
      count_terminal(task.state);
      for (const std::uint32_t successor : workflow.tasks()[i].successors) --tasks_[successor].waiting;
      if (task.state == TaskState::Completed) {
        const ContextPlace place = ContextPlace::of_task(identity_.pipeline_no, i);
        save_context(i, task.context.empty() ? nullptr
                                             : std::make_shared<const SharedContext>(task.context, place));
      }
    } else if (task.state == TaskState::Ready && !passed && !ends) {
      tasks_[i].suspect = is_suspected(task) && !is_paused && host_.expect_suspect(workflow_->tasks[i]);
      make_ready(i, ready, task.attempt);
    } else if (task.state == TaskState::Running) {
      dead.push_back(i);
    }
  }
  last_completed_ = image.last_completed.value_or(kNone);
  overdue_ = is_overdue(image);
  given_up_ = image.state == PipelineState::Failed && !overdue_;
  cancelling_ = overdue_ || given_up_ || image.state == PipelineState::Cancelled;
  if (cancelling_ && image.traits->deadline_ns != 0) rare().deadline.at_ns = image.traits->deadline_ns;
  remember_elsewhere(image, starts);
  acknowledge(0);
  if (ends) {
    end_at_once(end);
  } else if (deadline_ns != 0) {
    passed ? end_at_deadline(deadline_ns) : begin_deadline(deadline_ns);
  }
  release_list(ready.first);
  for (const std::uint32_t i : dead) {
    std::uint32_t credit = 1;
    if (state_of(i) != TaskState::Running) {  // it bears the reason of the end
      host_.journal()->release(1);
    } else if (ends || !take_over(i, image.tasks[i].key_no)) {
      rescue(i, credit);
    }
  }
  if (passed || ends) {  // it took the credit
  } else if (cancelling_) {
    host_.journal()->release(1);
  } else {
    skip_roots(waiting_for_nothing());
  }
  drain();
}

/// Ends those of the tasks that have not become Ready, because their trigger rules are false, with what
/// follows. Uses up a credit.
void Pipeline::skip_roots(std::span<const std::uint32_t> roots) noexcept {
  Step step;
  for (const std::uint32_t root : roots) {
    if (state_of(root) == TaskState::NotStarted && !keep_for_signal(root))
      end_unstarted(root, TaskState::Skipped, step);
  }
  publish_change(step, "trigger rules not satisfied");
}

void Pipeline::post(PipelineMessage& message) noexcept {
  std::uintptr_t head = inbox_.load(std::memory_order_relaxed);  // relaxed: confirmed by the exchanges
  for (;;) {
    if (head == kUnowned) {
      // (1) acquire: sees all that the last owner did before it left (3).
      if (inbox_.compare_exchange_weak(head, kOwned, std::memory_order_acquire, std::memory_order_relaxed))
        break;
    } else {
      message.next = head == kOwned ? nullptr : reinterpret_cast<PipelineMessage*>(head);
      // (2) release: publishes the message to the owner's (4).
      if (inbox_.compare_exchange_weak(head, reinterpret_cast<std::uintptr_t>(&message),
                                       std::memory_order_release, std::memory_order_relaxed)) {
        return;
      }
    }
  }
  handle(message);
  drain();
}

/// Handles what has been posted meanwhile, then gives the ownership up. The last thing an owner does.
void Pipeline::drain() noexcept {
  bool drop = false;
  for (;;) {
    if (held_by_step_ && open_ == 0 && outstanding_ == 0) {
      held_by_step_ = false;
      drop = true;
    }
    std::uintptr_t head = kOwned;
    // (3) release: hands the owned fields to the next owner (1).
    if (inbox_.compare_exchange_strong(head, kUnowned, std::memory_order_release, std::memory_order_relaxed))
      break;
    // (4) acquire: sees the messages (2).
    head = inbox_.exchange(kOwned, std::memory_order_acquire);
    PipelineMessage* latest = reinterpret_cast<PipelineMessage*>(head);
    PipelineMessage* first = nullptr;
    while (latest != nullptr) {
      PipelineMessage* const earlier = latest->next;
      latest->next = first;
      first = latest;
      latest = earlier;
    }
    while (first != nullptr) {
      PipelineMessage* const next = first->next;
      handle(*first);
      first = next;
    }
  }
  if (drop) drop_hold();
}

void Pipeline::drop_hold() noexcept {
  // (5) acq_rel: whoever drops the last hold sees that the other is done with the object.
  if (holds_.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  host_.unused(*this);
  leave_engine();
}

void Pipeline::post_control(PipelineMessage::Kind kind) {
  post(*new PipelineMessage{.kind = kind});  // handle() deletes it
}

void Pipeline::handle(PipelineMessage& message) noexcept {
  switch (message.kind) {
    case PipelineMessage::Kind::AttemptEnded:
      return finish_attempt(*message.attempt);
    case PipelineMessage::Kind::AttemptOverdue:
      return finish_overdue(*message.attempt);
    case PipelineMessage::Kind::AttemptReturned:
      return take_back(*message.attempt);
    case PipelineMessage::Kind::Refer:
      return note_reference(static_cast<ReferMessage&>(message));
    case PipelineMessage::Kind::Adopted: {
      const std::unique_ptr<PipelineMessage> adopted(&message);
      return watch_adopted(*adopted->attempt);
    }
    case PipelineMessage::Kind::LimitReached: {
      const std::unique_ptr<LimitMessage> limit(static_cast<LimitMessage*>(&message));
      return reach_limit(limit->token);
    }
    case PipelineMessage::Kind::Pause:
      return pause_tasks(static_cast<AskMessage&>(message));
    case PipelineMessage::Kind::Resume:
      return resume_tasks(static_cast<AskMessage&>(message));
    case PipelineMessage::Kind::Signal:
      return take_signal(static_cast<AskMessage&>(message));
    case PipelineMessage::Kind::ChildEnded:
      take_signal(static_cast<AskMessage&>(message));
      if (identity_.level != Durability::Memory) host_.child_end_taken();
      return;
    case PipelineMessage::Kind::Explain: {
      auto& question = static_cast<ExplainMessage&>(message);
      const auto held = std::move(question.self);
      question.answer = explained(question.task);
      return question.handled.release();
    }
    case PipelineMessage::Kind::Cancel:
      delete &message;
      return cancel_tasks(false);
    case PipelineMessage::Kind::Interrupt:
      delete &message;
      return interrupt_tasks();
    case PipelineMessage::Kind::Keep: {
      const std::unique_ptr<KeepMessage> mine(static_cast<KeepMessage*>(&message));
      return keep(mine->generation);
    }
  }
}

bool Pipeline::begin(Attempt& attempt) noexcept {
  if (attempt.task.event.adopts) return begin_adopted(attempt);
  const std::uint32_t index = attempt.task.event.task_number;
  Task& task = tasks_[index];
  Journal* const journal = identity_.level == Durability::Memory ? nullptr : host_.journal();
  if (journal != nullptr && !journal->reserve(2)) return false;  // one cell for Running, one for the end
  if (journal != nullptr && journal->failure() != nullptr) {
    journal->release(2);
    return false;  // what it did could not be remembered
  }
  task.running.store(&attempt, std::memory_order_relaxed);  // relaxed: published by (6)
  std::uint32_t ready = word_of(TaskState::Ready, static_cast<std::uint32_t>(attempt.task.event.attempt));
  const std::uint32_t running =
      word_of(TaskState::Running, static_cast<std::uint32_t>(attempt.task.event.attempt));
  // (6) acq_rel: a cancel that sees Running (7) sees whom to stop; we see the context that made
  // the task Ready.
  if (!task.word.compare_exchange_strong(ready, running, std::memory_order_acq_rel,
                                         std::memory_order_relaxed)) {
    task.running.store(nullptr, std::memory_order_relaxed);
    if (journal != nullptr) journal->release(2);
    return false;
  }
  if (journal != nullptr) {
    attempt.journal_credits = 1;
    if (attempt.line != nullptr) {
      attempt.line->begin({.pipeline_no = identity_.pipeline_no,
                           .task = index,
                           .attempt = static_cast<std::uint32_t>(attempt.task.event.attempt),
                           .rescues = task.rescues,
                           .key_no = attempt.lane->journal_key()});
    }
    const std::int64_t waited_ns =
        attempt.started_ns.load(std::memory_order_relaxed) - attempt.task.admitted_ns;  // relaxed: its own
    journal->publish(
        {host_.clock().unix_ns(),
         TaskStarted{.pipeline_no = identity_.pipeline_no,
                     .task = index,
                     .attempt = static_cast<std::uint32_t>(attempt.task.event.attempt),
                     .key_no = attempt.lane->journal_key(),
                     // relaxed: its own
                     .worker = attempt.shard.load(std::memory_order_relaxed),
                     .waited_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(waited_ns, 0))}},
        identity_.level, nullptr, 0);
  }
  // (8) release: the start is in the ring; pairs with the interrupt's (9), whose record must come behind it.
  task.begun.store(true, std::memory_order_release);
  // relaxed: the release of the task came after it was set
  if (where_.load(std::memory_order_relaxed) != Where::Memory) [[unlikely]] leave_front();
  return true;
}

bool Pipeline::may_defer() const noexcept {
  return identity_.level == Durability::Memory || host_.journal()->half_free();
}

/// What the commit of a group will do.
std::uint64_t Pipeline::token_of(const Step& step, std::uint64_t flags) const noexcept {
  return flags | (step.first == kNone ? 0 : step.first + 1) | (open_ == 0 ? kEndsFlag : 0);
}

/// @param lane  told when the group is in the store; null: nobody is
void Pipeline::publish(TransitionGroup&& group, const Step& step, std::uint64_t flags, Lane* lane) noexcept {
  const std::uint64_t token = token_of(step, flags);
  if (identity_.level == Durability::Memory) {
    apply_commit(token, 0);
  } else {
    if (open_ == 0) summarize(group);
    host_.journal()->publish(std::move(group), identity_.level, token == 0 ? nullptr : this, token,
                             lane == nullptr ? nullptr : &lane->committed_ends());
  }
}

/// What follows does not wait: in the ring it stands behind the group, so that a crash loses it with it.
void Pipeline::publish_unwaited(TransitionGroup&& group, const Step& step, Lane* lane) noexcept {
  host_.journal()->publish(std::move(group), identity_.level, nullptr, 0,
                           lane == nullptr ? nullptr : &lane->committed_ends());
  apply_commit(token_of(step, 0), 0);
}

void Pipeline::on_commit(std::uint64_t token, std::uint64_t sequence, bool reached) noexcept {
  if (token == kAsideToken) [[unlikely]] return is_set_aside(sequence, reached);
  if (!reached) {
    first_slot_.release();
    return set_phase(Phase::StoreFailed);
  }
  if (apply_commit(token, sequence)) drop_hold();
}

/// @return whether this was the end
bool Pipeline::apply_commit(std::uint64_t token, std::uint64_t sequence) noexcept {
  const bool ends = (token & kEndsFlag) != 0;
  if ((token & (kCreatedFlag | kSignalFlag)) != 0) {
    if ((token & kCreatedFlag) != 0) acknowledge(sequence);
    if ((token & kSignalFlag) != 0) signals()->tell(static_cast<std::uint32_t>(token >> kSignalShift));
  }
  release_list(static_cast<std::uint32_t>(token) - 1);
  if (ends) {
    state_.store(end_state(), std::memory_order_relaxed);  // relaxed: published by set_phase
    set_phase(Phase::Ended);
    host_.ended(*this);
  }
  return ends;
}

void Pipeline::release_list(std::uint32_t first) noexcept {
  while (first != kNone) {
    const std::uint32_t next = tasks_[first].next;  // before the release: then the task may be anywhere
    release_task(first, std::move(first_slot_));
    first = next;
  }
}

void Pipeline::release_kept(std::uint32_t task) noexcept {
  release_task(task, Slots());
}

void Pipeline::release_task(std::uint32_t task, Slots&& slot) noexcept {
  const std::int64_t delay =
      tasks_[task].retry_at_ns == 0 ? 0 : tasks_[task].retry_at_ns - host_.clock().unix_ns();
  if (delay > 0) {
    // The wall clock may jump, and the steady one stand still in a suspend: it is asked again now and then.
    constexpr std::chrono::nanoseconds kLook = std::chrono::minutes(1);
    const auto wait = std::min(std::chrono::nanoseconds(delay), kLook);
    host_.timers().schedule(time_after(host_.clock().steady_ns(), wait), *this, task);
  } else if (!identity_.keyed || host_.gate().pass(*this, task)) {
    host_.release(event_of(task), workflow_->tasks[task], std::move(slot));
  }
}

void Pipeline::on_timer(std::uint64_t token) noexcept {
  if (token > ~std::uint32_t{0}) return tell_limit(token);
  release_task(static_cast<std::uint32_t>(token), Slots());
}

TaskReadyEvent Pipeline::event_of(std::uint32_t task) noexcept {
  const std::int32_t max_attempts =
      identity_.max_attempts > 0 ? identity_.max_attempts : workflow_->definitions[task].retry.max_attempts;
  // relaxed: a Ready task's attempt was set before it was released.
  const std::uint32_t word = tasks_[task].word.load(std::memory_order_relaxed);
  return {.pipeline_execution_id = identity_.id,
          .task_execution_id = IdSource::of_task(identity_.id, task),
          .task_namespace = workflow_->tasks[task].name,
          .attempt = static_cast<std::int32_t>(attempt_of(word)),
          .max_attempts = max_attempts,
          .origin = this,
          .task_number = task,
          .priority = identity_.priority};
}

Attempt* Pipeline::running(std::uint32_t task, std::int32_t attempt) const noexcept {
  const std::uint32_t wanted = word_of(TaskState::Running, static_cast<std::uint32_t>(attempt));
  // (20) acquire, twice: pairs with (6). The record belongs to the attempt if the task ran it before and
  // after the look.
  if (tasks_[task].word.load(std::memory_order_acquire) != wanted) return nullptr;
  Attempt* const record = tasks_[task].running.load(std::memory_order_acquire);
  return tasks_[task].word.load(std::memory_order_relaxed) == wanted ? record : nullptr;
}

}  // namespace leat
