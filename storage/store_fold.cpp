// Folds transition groups into the image of a store, checking each against the transition tables.
#include "store_fold.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "leat/waiting.h"
#include "record_format.h"

namespace leat {
namespace {

/// Said of a group that the checkpoint's rows hold already.
constexpr char kFolded[] = "is in the checkpoint";

TransitionReason reason_of(TaskEnded::Cause cause) {
  using enum TransitionReason;
  constexpr std::array kReasons = {Result, Retry, Rescue, Interrupted, Cancel, Abandoned, GivenUp};
  return kReasons[static_cast<std::size_t>(cause)];  // checked when it was read
}

/// @param ready  why it is Ready, where it is
TransitionReason reason_of(const Successor& successor, TransitionReason ready) {
  if (successor.state == TaskState::Skipped) return TransitionReason::TriggerRule;
  if (successor.state == TaskState::Cancelled) return TransitionReason::Cancel;
  return ready;
}

}  // namespace

const char* StoreImage::Fold::find(std::uint64_t pipeline_no) {
  const auto found = state_.pipelines.find(pipeline_no);
  if (found == state_.pipelines.end()) {
    // It ended before the round came to it, so it has no row.
    return sequence_ < state_.round_end ? kFolded : "names an unknown pipeline";
  }
  pipeline_ = &found->second;
  if (pipeline_->folded_to == 0) return nullptr;
  const auto workflow = state_.workflows.find(pipeline_->workflow_no);
  const bool known =
      workflow != state_.workflows.end() && workflow->second.tasks.size() == pipeline_->tasks.size();
  return known ? nullptr : "goes on with a pipeline of an unknown workflow";
}

const char* StoreImage::Fold::find(std::uint64_t pipeline_no, std::uint32_t task) {
  if (const char* wrong = find(pipeline_no)) return wrong;
  if (task >= pipeline_->tasks.size()) return "names a task that its pipeline does not have";
  task_ = &pipeline_->tasks[task];
  return nullptr;
}

void StoreImage::Fold::emit(std::uint32_t task, std::uint32_t attempt, std::optional<TaskState> from,
                            TaskState to, TransitionReason reason) {
  const std::uint64_t sequence = sequence_++;
  if (!on_event_) return;
  const auto workflow = state_.workflows.find(pipeline_->workflow_no);
  const auto key = state_.keys.find(pipeline_->tasks[task].key_no);
  on_event_({.sequence = sequence,
             .time_ns = time_ns_,
             .pipeline = pipeline_,
             .workflow = &workflow->second,
             .task = task,
             .attempt = attempt,
             .from = from,
             .to = to,
             .executor = key == state_.keys.end() ? std::string_view() : std::string_view(key->second),
             .reason = reason,
             .worker = worker_,
             .dispatched_ns = dispatched_ns_,
             .synced = commit_.synced,
             .synced_ns = commit_.synced_ns});
}

/// @pre  may_become(the task's state, to)
void StoreImage::Fold::move_task(std::uint32_t number, TaskState to, std::uint32_t attempt,
                                 TransitionReason reason) {
  TaskImage& task = pipeline_->tasks[number];
  const TaskState from = std::exchange(task.state, to);
  task.attempt = attempt;
  task.external_ref.clear();
  if (is_terminal(to)) --pipeline_->open_tasks;
  emit(number, attempt, from, to, reason);
}

/// A pipeline whose tasks are cancelled has failed by its deadline, or was given up.
TransitionReason StoreImage::Fold::unless_failed(TransitionReason reason) const {
  if (pipeline_->state != PipelineState::Failed || reason != TransitionReason::Cancel) return reason;
  return is_overdue(*pipeline_) ? TransitionReason::Deadline : TransitionReason::GivenUp;
}

const char* StoreImage::Fold::apply(std::span<const Successor> successors, TransitionReason ready) {
  for (const Successor& successor : successors) {
    if (successor.task >= pipeline_->tasks.size()) return "names a successor that its pipeline does not have";
    const TaskImage& task = pipeline_->tasks[successor.task];
    const bool waits = task.state == TaskState::NotStarted || successor.state == TaskState::Cancelled;
    if (!waits || task.state == TaskState::Running || !may_become(task.state, successor.state)) {
      return "moves a successor to a state that may not follow";
    }
    move_task(successor.task, successor.state, task.attempt, unless_failed(reason_of(successor, ready)));
  }
  return nullptr;
}

const char* StoreImage::Fold::change_pipeline(PipelineState to) {
  if (to == pipeline_->state && !is_terminal(to)) return nullptr;  // its tasks were taken along, it goes on
  // A change without successors takes no number, so that a row may hold one that stands at its own number.
  const bool may_be_in_row = sequence_ == pipeline_->folded_to;
  if (may_be_in_row && (to == pipeline_->state || is_terminal(pipeline_->state))) return nullptr;
  if (!may_become(pipeline_->state, to)) return "moves a pipeline to a state that may not follow";
  if (pipeline_->state == PipelineState::Paused) state_.pauses.erase(pause_of(*pipeline_));
  pipeline_->state = to;
  if (is_terminal(to)) {
    pipeline_->finished_ns = time_ns_;
    if (!pipeline_->traits->child_ends.empty()) pipeline_->traits.touch().child_ends.clear();
    state_.workflows.at(pipeline_->workflow_no).last_needed = sequence_;
  }
  return nullptr;
}

/// A child has ended: from here on its parent is going to be told so, by whichever process.
void StoreImage::Fold::tell_parent(std::string_view told) {
  if (told.empty()) return;
  const ParentImage& parent = pipeline_->traits->parent;
  const auto found = state_.pipelines.find(parent.pipeline_no);
  if (found == state_.pipelines.end() || is_terminal(found->second.state)) return;
  TraitsImage& traits = found->second.traits.touch();
  if (!traits.signals.contains(parent.name)) traits.child_ends.try_emplace(parent.name, told);
}

void StoreImage::Fold::forget_if_finished() {
  if (!is_terminal(pipeline_->state) || pipeline_->open_tasks > 0) return;
  if (state_.on_finish) state_.on_finish(*pipeline_);
  if (state_.keep == Keep::Everything) return;
  state_.forget(*pipeline_);
  state_.pipelines.erase(pipeline_->pipeline_no);
}

const char* StoreImage::Fold::operator()(const WorkflowDefined& record) {
  WorkflowImage workflow{.name = std::string(record.name),
                         .version = record.version,
                         .tasks = {record.tasks.begin(), record.tasks.end()},
                         .definition = std::string(record.definition),
                         .last_needed = sequence_};
  state_.next_workflow_no = std::max(state_.next_workflow_no, record.workflow_no + 1);
  const auto [place, is_new] = state_.workflows.try_emplace(record.workflow_no, workflow);
  if (is_new) return nullptr;
  workflow.last_needed = place->second.last_needed;
  const bool in_rows = sequence_ <= state_.round_end && workflow == place->second;
  return in_rows ? kFolded : "defines a workflow number twice";
}

const char* StoreImage::Fold::operator()(const KeyDefined& record) {
  state_.next_key_no = std::max(state_.next_key_no, record.key_no + 1);
  const auto [place, is_new] = state_.keys.try_emplace(record.key_no, record.key);
  if (record.key_no != 0 && is_new) return nullptr;
  const bool in_rows = sequence_ <= state_.round_end && place->second == record.key;
  return in_rows ? kFolded : "defines an executor key's number twice, or as 0";
}

/// The schedule's part of a pipeline's creation.
const char* StoreImage::Fold::fire(const ScheduleFiring& firing) {
  if (state_.carries) return kFolded;  // below all rows
  const auto found = state_.schedules.find(std::string(firing.schedule));
  if (found == state_.schedules.end()) return may_be_in_rows() ? kFolded : "fires an unknown schedule";
  ScheduleImage& schedule = found->second;
  if (firing.version <= schedule.version) return may_be_in_rows() ? kFolded : "fires a schedule twice";
  schedule.version = firing.version;
  schedule.cursor_ns = firing.cursor_ns;
  schedule.last_ns = firing.time_ns;
  if (schedule.queued_ns == firing.time_ns) schedule.queued_ns = 0;
  return nullptr;
}

const char* StoreImage::Fold::operator()(const ScheduleChanged& record) {
  const std::string name(record.name);
  const auto found = state_.schedules.find(name);
  if (record.removed) {
    if (found != state_.schedules.end()) return state_.schedules.erase(found), nullptr;
    return may_be_in_rows() ? kFolded : "removes an unknown schedule";
  }
  if (found == state_.schedules.end() && record.definition.empty()) {
    return may_be_in_rows() ? kFolded : "changes an unknown schedule";
  }
  ScheduleImage& schedule = state_.schedules[name];
  if (record.version <= schedule.version) return may_be_in_rows() ? kFolded : "changes a schedule twice";
  schedule.version = record.version;
  schedule.paused = record.paused;
  schedule.cursor_ns = record.cursor_ns;
  schedule.last_ns = record.last_ns;
  schedule.queued_ns = record.queued_ns;
  if (!record.definition.empty()) schedule.definition = record.definition;
  return nullptr;
}

/// Without its tasks' states.
const char* StoreImage::Fold::begin_image(PipelineImage& image, const PipelineCreated& record,
                                          std::int64_t created_ns) {
  pipeline_ = &image;
  pipeline_->pipeline_no = record.pipeline_no;
  pipeline_->id = record.id;
  pipeline_->workflow_no = record.workflow_no;
  pipeline_->level = record.level;
  pipeline_->priority = record.traits.priority;
  pipeline_->created_ns = created_ns;
  pipeline_->open_tasks = record.task_count;
  pipeline_->context = record.context;
  if (!record.traits.empty()) {
    pipeline_->traits.touch() = {.concurrency_key = std::string(record.traits.concurrency_key),
                                 .schedule = std::string(record.traits.firing.schedule),
                                 .scheduled_ns = record.traits.firing.time_ns,
                                 .deadline_ns = record.traits.deadline_ns,
                                 .start_at_ns = record.traits.keeps_start ? record.traits.start_at_ns : 0,
                                 .parent = ParentImage(record.traits.parent),
                                 .attempts_max = record.traits.attempts_max};
    if (!decode_signals(record.traits.signals, pipeline_->traits.touch().signals))
      return "takes over no signals";
  }
  if (!state_.hold(record.task_count)) return kTooManyTasks;
  pipeline_->tasks.resize(record.task_count);
  return nullptr;
}

const char* StoreImage::Fold::operator()(const PipelineCreated& record) {
  if (!record.traits.idempotency_key.empty()) {
    state_.submissions.insert_or_assign(std::string(record.traits.idempotency_key),
                                        SubmissionImage{record.id, record.traits.key_ends_ns});
  }
  if (!record.traits.firing.schedule.empty()) {
    const char* const wrong = fire(record.traits.firing);
    if (wrong != nullptr && wrong != kFolded) return wrong;
  }
  if (record.traits.redriven != QuarantineLeft()) (*this)(record.traits.redriven);
  const auto workflow = state_.workflows.find(record.workflow_no);
  if (workflow == state_.workflows.end()) return "names an unknown workflow";
  if (workflow->second.tasks.size() != record.task_count) return "creates other tasks than its workflow has";
  // Numbers are given out before groups are ordered, so that they rise only nearly.
  const auto [place, is_new] = state_.pipelines.try_emplace(record.pipeline_no);
  if (!is_new) {
    if (sequence_ >= place->second.folded_to) return "creates a pipeline twice";
    if (!state_.prefers_events) return kFolded;
    state_.forget(place->second);
    place->second = {};  // its groups are all there
  }
  workflow->second.last_needed = sequence_;
  state_.next_pipeline_no = std::max(state_.next_pipeline_no, record.pipeline_no + 1);
  if (const char* wrong = begin_image(place->second, record, time_ns_)) return wrong;
  const bool taken = decode_done(record.traits.tasks_done, [this](const TaskDone& done) {
    if (done.task >= pipeline_->tasks.size() || is_terminal(pipeline_->tasks[done.task].state)) return false;
    pipeline_->tasks[done.task].state = done.state;
    pipeline_->tasks[done.task].context = done.context;
    if (done.state == TaskState::Completed) pipeline_->last_completed = done.task;
    --pipeline_->open_tasks;
    return true;
  });
  if (!taken) return "takes over tasks that it does not have";
  for (std::uint32_t task = 0; task < record.task_count; ++task) {
    emit(task, 1, std::nullopt, pipeline_->tasks[task].state, TransitionReason::Created);
  }
  for (const std::uint32_t task : record.ready) {
    if (pipeline_->tasks[task].state != TaskState::NotStarted) return "makes a task Ready twice";
    move_task(task, TaskState::Ready, 1, TransitionReason::Dependencies);
    if (record.traits.start_at_ns != 0) pipeline_->tasks[task].retry_at_ns = record.traits.start_at_ns;
  }
  return nullptr;
}

const char* StoreImage::Fold::operator()(const TaskStarted& record) {
  if (const char* wrong = find(record.pipeline_no, record.task)) return wrong;
  if (is_folded()) return start_again(record);
  if (!state_.keys.contains(record.key_no)) return "names an unknown executor key";
  if (!may_become(task_->state, TaskState::Running)) return "starts a task that is not Ready";
  if (record.attempt != task_->attempt) return "starts another attempt than is due";
  if (pipeline_->state == PipelineState::Pending) pipeline_->state = PipelineState::Running;
  task_->key_no = record.key_no;
  task_->retry_at_ns = 0;
  worker_ = record.worker;
  if (worker_)
    dispatched_ns_ = record_format::difference(time_ns_, static_cast<std::int64_t>(record.waited_ns));
  move_task(record.task, TaskState::Running, record.attempt, TransitionReason::Started);
  return nullptr;
}

/// A start below the row's number. A worker begins a task beside the step that made the row, so the row may
/// not know of it: then the task is Ready in it. Ends that lead back to Ready take the start back, so that
/// what is left is how it was.
const char* StoreImage::Fold::start_again(const TaskStarted& record) {
  if (task_->state != TaskState::Ready || task_->attempt != record.attempt) return kFolded;
  task_->state = TaskState::Running;
  task_->key_no = record.key_no;
  task_->retry_at_ns = 0;
  if (pipeline_->state == PipelineState::Pending) pipeline_->state = PipelineState::Running;
  return kFolded;
}

const char* StoreImage::Fold::end_again(const TaskEnded& record) {
  const bool takes_back = record.to == TaskState::Ready && record.cause != TaskEnded::Cause::Retry;
  if (takes_back && task_->state == TaskState::Running && task_->attempt == record.attempt) {
    task_->state = TaskState::Ready;
  }
  return kFolded;
}

/// The list's rows are the last ones of a round, so that whatever ended without a row of its own is among
/// them.
void StoreImage::Fold::quarantine(const TaskEnded& record) {
  if (state_.carries) return;  // below all rows
  const WorkflowImage& workflow = state_.workflows.at(pipeline_->workflow_no);
  add(state_.quarantine, pipeline_->id, record.task,
      {.task = workflow.name + "::" + workflow.tasks[record.task],
       .attempt = record.attempt,
       .rescues = task_->rescues,
       .since_ns = time_ns_,
       .error = std::string(record.error)});
}

/// It may have left before the rows were written, or with the oldest ones of too many.
const char* StoreImage::Fold::operator()(const QuarantineLeft& record) {
  state_.quarantine.erase({record.pipeline, record.task});
  return nullptr;
}

const char* StoreImage::Fold::operator()(const TaskEnded& record) {
  using Cause = TaskEnded::Cause;
  if (const char* wrong = find(record.pipeline_no, record.task)) return wrong;
  if (record.cause == Cause::Abandoned) quarantine(record);
  if (is_folded()) return end_again(record);
  if (record.from != task_->state || !may_become(record.from, record.to) || record.to == TaskState::Running) {
    return "ends a task in a state that may not follow";
  }
  if (record.attempt != task_->attempt) return "ends another attempt than runs";
  task_->retry_at_ns = record.retry_at_ns;
  if (record.cause == Cause::Rescue) ++task_->rescues;
  if (!record.error.empty() || record.to == TaskState::Completed) task_->error = record.error;
  if (!record.context.empty()) task_->context = record.context;
  if (!record.output.empty()) task_->output = record.output;
  if (record.to == TaskState::Completed) pipeline_->last_completed = record.task;
  const bool is_retry = record.to == TaskState::Ready && record.cause == Cause::Retry;
  move_task(record.task, record.to, is_retry ? record.attempt + 1 : record.attempt,
            unless_failed(reason_of(record.cause)));
  const bool gives_up = record.cause == Cause::GivenUp;  // the successors are cancelled for that
  if (record.pipeline && gives_up) {
    if (const char* wrong = change_pipeline(*record.pipeline)) return wrong;
  }
  if (const char* wrong = apply(record.successors)) return wrong;
  if (record.pipeline && !gives_up) {
    if (const char* wrong = change_pipeline(*record.pipeline)) return wrong;
  }
  tell_parent(record.told);
  forget_if_finished();
  return nullptr;
}

const char* StoreImage::Fold::operator()(const PipelineChanged& record) {
  if (const char* wrong = find(record.pipeline_no)) return wrong;
  if (is_folded()) return kFolded;
  const bool pauses = record.to == PipelineState::Paused && pipeline_->state != PipelineState::Paused;
  if (const char* wrong = change_pipeline(record.to)) return wrong;
  if (pauses)
    state_.pauses.insert_or_assign(pause_of(*pipeline_), PauseImage{time_ns_, std::string(record.reason)});
  if (const char* wrong = apply(record.successors)) return wrong;
  tell_parent(record.told);
  forget_if_finished();
  return nullptr;
}

const char* StoreImage::Fold::operator()(const TaskReferred& record) {
  if (const char* wrong = find(record.pipeline_no, record.task)) return wrong;
  if (is_folded()) return kFolded;
  if (task_->state != TaskState::Running || record.attempt != task_->attempt) {
    return "names the work of another attempt than runs";
  }
  task_->external_ref = record.external_ref;
  return nullptr;
}

const char* StoreImage::Fold::operator()(const PipelineSignalled& record) {
  if (const char* wrong = find(record.pipeline_no)) return wrong;
  if (is_folded()) return kFolded;
  const auto [place, is_new] =
      pipeline_->traits.touch().signals.try_emplace(std::string(record.name), record.value);
  if (!is_new) {
    // Without successors it takes no number, so that a row may hold one that stands at its own number.
    const bool in_row = sequence_ == pipeline_->folded_to && record.successors.empty();
    return in_row && place->second == record.value ? kFolded : "brings a signal twice";
  }
  pipeline_->traits.touch().child_ends.erase(place->first);
  if (const char* wrong = apply(record.successors, TransitionReason::Signal)) return wrong;
  for (const Successor& successor : record.successors) {
    if (successor.state == TaskState::Ready)
      pipeline_->tasks[successor.task].retry_at_ns = record.start_at_ns;
  }
  if (record.pipeline) {
    if (const char* wrong = change_pipeline(*record.pipeline)) return wrong;
  }
  tell_parent(record.told);
  forget_if_finished();
  return nullptr;
}

/// Its image goes until it is taken in, unless a row, or all its events, say that it was.
const char* StoreImage::Fold::operator()(const PipelineSetAside& record) {
  const std::uint64_t number = record.created.pipeline_no;
  const bool lives = state_.pipelines.contains(number);
  if (!state_.carries) {
    WaitingLineImage& line = state_.waiting[record.line];
    if (line.end && *line.end != record.place) return "sets a pipeline aside out of its line's order";
    line.end = record.place + 1;
  }
  if (const char* wrong = (*this)(record.created)) return wrong;
  if (lives || state_.keep == Keep::Everything) return nullptr;
  state_.forget(*pipeline_);
  state_.pipelines.erase(number);
  return nullptr;
}

const char* StoreImage::Fold::operator()(const PipelinesTakenIn& record) {
  WaitingLineImage& line = state_.waiting[record.line];
  if (line.begin && record.in_turn && *line.begin != record.place) return "takes pipelines in out of turn";
  if (line.end && *line.end != record.end) return "ends a waiting line elsewhere";
  line.begin = record.begin;
  line.end = record.end;
  line.holes = record.holes;
  const char* wrong = nullptr;
  const bool whole = each_waiting(record.rows, [&](std::span<const std::byte> row) {
    const bool read = decode_waiting(row, [&](std::int64_t created_ns, const PipelineCreated& created) {
      wrong = created.workflow_no == record.line.workflow_no ? take_in(created_ns, created)
                                                             : "takes in a pipeline of another line";
    });
    return read && wrong == nullptr;
  });
  return whole || wrong != nullptr ? wrong : "takes in what cannot be read";
}

const char* StoreImage::Fold::take_in(std::int64_t created_ns, const PipelineCreated& record) {
  const auto workflow = state_.workflows.find(record.workflow_no);
  if (workflow == state_.workflows.end()) return "names an unknown workflow";
  if (workflow->second.tasks.size() != record.task_count) return "creates other tasks than its workflow has";
  workflow->second.last_needed = std::max(workflow->second.last_needed, sequence_);
  state_.next_pipeline_no = std::max(state_.next_pipeline_no, record.pipeline_no + 1);
  const auto [place, is_new] = state_.pipelines.try_emplace(record.pipeline_no);
  if (!is_new) {  // its row, or all its events, say the same and more
    const bool twice =
        place->second.folded_to == 0 && state_.keep == Keep::Unfinished && !state_.prefers_events;
    return twice ? "takes in a pipeline that lives" : nullptr;
  }
  if (const char* wrong = begin_image(place->second, record, created_ns)) return wrong;
  for (const std::uint32_t task : record.ready) pipeline_->tasks[task].state = TaskState::Ready;
  return nullptr;
}

const char* StoreImage::Fold::operator()(const GroupsLeftOut&) {
  return state_.carries ? nullptr : "leaves groups out";
}

/// Says how it is from now on, so that it may be in the checkpoint's rows as well.
const char* StoreImage::Fold::operator()(const PauseChanged& record) {
  const std::pair place(record.scope, std::string(record.what));
  if (record.paused) {
    state_.pauses.insert_or_assign(place, PauseImage{time_ns_, std::string(record.reason)});
  } else {
    state_.pauses.erase(place);
  }
  return nullptr;
}

std::unexpected<StoreError> StoreImage::Fold::refuse(State& state, std::uint64_t first_sequence,
                                                     std::string_view what) {
  state.refused = true;
  const auto code = what.data() == kTooManyTasks ? StoreErrorCode::Refused : StoreErrorCode::Damaged;
  return std::unexpected(
      StoreError{code, "commit " + std::to_string(first_sequence) + " " + std::string(what)});
}

std::expected<void, StoreError> StoreImage::Fold::apply(State& state, CommitReader& reader,
                                                        const OnEvent& on_event) {
  std::uint64_t sequence = reader.header().first_sequence;
  for (;;) {
    const auto group = reader.next();
    if (!group) return state.refused = true, std::unexpected(group.error());
    if (*group == nullptr) return {};
    Fold fold(state, on_event, reader.header(), sequence, (*group)->time_ns);
    const char* const wrong = std::visit(fold, (*group)->record);
    if (wrong != nullptr && wrong != kFolded) return refuse(state, reader.header().first_sequence, wrong);
    sequence += (*group)->transitions;
  }
}

}  // namespace leat
