// Folds transition groups into the image of a store, checking each against the transition tables.
#include "leat/store_image.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "checkpoint_slice.h"
#include "commit.h"
#include "leat/checkpoint.h"

namespace leat {
namespace {

/// Said of a group that the checkpoint's rows hold already.
constexpr char kFolded[] = "is in the checkpoint";

TransitionReason reason_of(TaskEnded::Cause cause) {
  switch (cause) {
    case TaskEnded::Cause::Result:
      return TransitionReason::Result;
    case TaskEnded::Cause::Retry:
      return TransitionReason::Retry;
    case TaskEnded::Cause::Rescue:
      return TransitionReason::Rescue;
    case TaskEnded::Cause::Interrupted:
      return TransitionReason::Interrupted;
    case TaskEnded::Cause::Cancel:
      return TransitionReason::Cancel;
    case TaskEnded::Cause::Abandoned:
      return TransitionReason::Abandoned;
  }
  return TransitionReason::Result;
}

TransitionReason reason_of(const Successor& successor) {
  if (successor.state == TaskState::Skipped) return TransitionReason::TriggerRule;
  if (successor.state == TaskState::Cancelled) return TransitionReason::Cancel;
  return TransitionReason::Dependencies;
}

PauseImages::key_type pause_of(const PipelineImage& pipeline) {
  return {PauseScope::Pipeline, pipeline.id.to_string()};
}

std::uint32_t open_among(std::span<const TaskImage> tasks) {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(tasks, [](const TaskImage& task) { return !is_terminal(task.state); }));
}

}  // namespace

struct StoreImage::State {
  Keep keep;
  bool refused = false;
  bool prefers_events = false;
  bool carries = false;  // a carried commit is applied
  std::uint64_t end_sequence = 0;
  std::uint64_t epoch = 0;
  std::uint64_t folded_bytes = 0;
  std::uint64_t hash = 0;        // of the last commit applied
  std::uint64_t round_end = 0;   // of the checkpoint with which it began, see CheckpointMark::end
  std::uint64_t round_hash = 0;  // the same, see CheckpointMark::hash
  std::uint64_t next_pipeline_no = 1;
  std::uint32_t next_workflow_no = 1;
  std::uint32_t next_key_no = 1;
  std::function<void(const PipelineImage&)> on_finish;
  std::map<std::uint64_t, PipelineImage> pipelines;
  std::map<std::uint32_t, WorkflowImage> workflows;
  std::map<std::uint32_t, std::string> keys;
  PauseImages pauses;
  SubmissionImages submissions;
  std::map<std::string, ScheduleImage> schedules;
};

/// The fold of one group. Each overload returns what is wrong with its record, or null, or kFolded.
class StoreImage::Fold {
 public:
  Fold(State& state, const OnEvent& on_event, std::uint64_t sequence, std::int64_t time_ns)
      : state_(state), on_event_(on_event), sequence_(sequence), time_ns_(time_ns) {}

  /// All groups of a commit.
  static std::expected<void, StoreError> apply(State& state, CommitReader& reader, const OnEvent& on_event);
  static std::unexpected<StoreError> refuse(State& state, std::uint64_t first_sequence,
                                            std::string_view what);

  const char* operator()(const WorkflowDefined& record);
  const char* operator()(const KeyDefined& record);
  const char* operator()(const PipelineCreated& record);
  const char* operator()(const TaskStarted& record);
  const char* operator()(const TaskEnded& record);
  const char* operator()(const PipelineChanged& record);
  const char* operator()(const TaskReferred& record);
  const char* operator()(const PauseChanged& record);
  const char* operator()(const GroupsLeftOut& record);
  const char* operator()(const ScheduleChanged& record);

 private:
  const char* fire(const ScheduleFiring& firing);
  /// A record without a number of its own may stand in the rows.
  bool may_be_in_rows() const { return sequence_ <= state_.round_end; }
  bool is_folded() const { return sequence_ < pipeline_->folded_to; }
  const char* find(std::uint64_t pipeline_no);
  const char* find(std::uint64_t pipeline_no, std::uint32_t task);
  const char* start_again(const TaskStarted& record);
  const char* end_again(const TaskEnded& record);
  const char* change_pipeline(PipelineState to);
  const char* apply(std::span<const Successor> successors);
  void move_task(std::uint32_t number, TaskState to, std::uint32_t attempt, TransitionReason reason);
  void emit(std::uint32_t task, std::uint32_t attempt, std::optional<TaskState> from, TaskState to,
            TransitionReason reason);
  void forget_if_finished();

  State& state_;
  const OnEvent& on_event_;
  std::uint64_t sequence_;  // of the next transition
  const std::int64_t time_ns_;
  PipelineImage* pipeline_ = nullptr;  // set by find()
  TaskImage* task_ = nullptr;
};

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
             .reason = reason});
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

const char* StoreImage::Fold::apply(std::span<const Successor> successors) {
  for (const Successor& successor : successors) {
    if (successor.task >= pipeline_->tasks.size()) return "names a successor that its pipeline does not have";
    const TaskImage& task = pipeline_->tasks[successor.task];
    const bool waits = task.state == TaskState::NotStarted || successor.state == TaskState::Cancelled;
    if (!waits || task.state == TaskState::Running || !may_become(task.state, successor.state)) {
      return "moves a successor to a state that may not follow";
    }
    move_task(successor.task, successor.state, task.attempt, reason_of(successor));
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
    state_.workflows.at(pipeline_->workflow_no).last_needed = sequence_;
  }
  return nullptr;
}

void StoreImage::Fold::forget_if_finished() {
  if (!is_terminal(pipeline_->state) || pipeline_->open_tasks > 0) return;
  if (state_.on_finish) state_.on_finish(*pipeline_);
  if (state_.keep == Keep::Unfinished) state_.pipelines.erase(pipeline_->pipeline_no);
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

const char* StoreImage::Fold::operator()(const PipelineCreated& record) {
  if (!record.traits.idempotency_key.empty()) {
    state_.submissions.insert_or_assign(std::string(record.traits.idempotency_key),
                                        SubmissionImage{record.id, record.traits.key_ends_ns});
  }
  if (!record.traits.firing.schedule.empty()) {
    const char* const wrong = fire(record.traits.firing);
    if (wrong != nullptr && wrong != kFolded) return wrong;
  }
  const auto workflow = state_.workflows.find(record.workflow_no);
  if (workflow == state_.workflows.end()) return "names an unknown workflow";
  if (workflow->second.tasks.size() != record.task_count) return "creates other tasks than its workflow has";
  // Numbers are given out before groups are ordered, so that they rise only nearly.
  const auto [place, is_new] = state_.pipelines.try_emplace(record.pipeline_no);
  if (!is_new) {
    if (sequence_ >= place->second.folded_to) return "creates a pipeline twice";
    if (!state_.prefers_events) return kFolded;
    place->second = {};  // its groups are all there
  }
  workflow->second.last_needed = sequence_;
  state_.next_pipeline_no = std::max(state_.next_pipeline_no, record.pipeline_no + 1);
  pipeline_ = &place->second;
  pipeline_->pipeline_no = record.pipeline_no;
  pipeline_->id = record.id;
  pipeline_->workflow_no = record.workflow_no;
  pipeline_->level = record.level;
  pipeline_->created_ns = time_ns_;
  pipeline_->open_tasks = record.task_count;
  pipeline_->context = record.context;
  if (!record.traits.empty()) {
    pipeline_->traits.touch() = {.concurrency_key = std::string(record.traits.concurrency_key),
                                 .schedule = std::string(record.traits.firing.schedule),
                                 .scheduled_ns = record.traits.firing.time_ns};
  }
  pipeline_->tasks.resize(record.task_count);
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

const char* StoreImage::Fold::operator()(const TaskEnded& record) {
  using Cause = TaskEnded::Cause;
  if (const char* wrong = find(record.pipeline_no, record.task)) return wrong;
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
  move_task(record.task, record.to, is_retry ? record.attempt + 1 : record.attempt, reason_of(record.cause));
  if (const char* wrong = apply(record.successors)) return wrong;
  if (record.pipeline) {
    if (const char* wrong = change_pipeline(*record.pipeline)) return wrong;
  }
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

StoreImage::StoreImage(Keep keep) : state_(std::make_unique<State>()) {
  state_->keep = keep;
}
StoreImage::StoreImage(StoreImage&&) noexcept = default;
StoreImage& StoreImage::operator=(StoreImage&&) noexcept = default;
StoreImage::~StoreImage() = default;

void StoreImage::begin_at(const CheckpointMark& mark) {
  state_->end_sequence = mark.minimum;
  state_->round_end = mark.end;
  state_->round_hash = mark.hash;
}

void StoreImage::on_finish(std::function<void(const PipelineImage&)> told) {
  state_->on_finish = std::move(told);
}

void StoreImage::prefer_events() noexcept {
  state_->prefers_events = true;
}

std::expected<void, StoreError> StoreImage::load(std::uint64_t first_sequence,
                                                 std::span<const std::byte> slice) {
  State& state = *state_;
  auto reader = CheckpointSliceReader::open(first_sequence, slice);
  if (!reader) return std::unexpected(std::move(reader.error()));
  for (;;) {
    const auto row = reader->next();
    if (!row) return std::unexpected(row.error());
    if (*row == nullptr) return {};
    if (const auto* begun = std::get_if<RoundBegun>(*row)) {
      state.next_pipeline_no = begun->next_pipeline_no;
      state.next_workflow_no = begun->next_workflow_no;
      state.next_key_no = begun->next_key_no;
    } else if (const auto* kept = std::get_if<WorkflowKept>(*row)) {
      const WorkflowDefined& record = kept->workflow;
      state.workflows.insert_or_assign(record.workflow_no,
                                       WorkflowImage{.name = std::string(record.name),
                                                     .version = record.version,
                                                     .tasks = {record.tasks.begin(), record.tasks.end()},
                                                     .definition = std::string(record.definition),
                                                     .last_needed = kept->last_needed});
    } else if (const auto* key = std::get_if<KeyKept>(*row)) {
      state.keys.insert_or_assign(key->key.key_no, std::string(key->key.key));
    } else if (const auto* pause = std::get_if<PauseKept>(*row)) {
      state.pauses.insert_or_assign({pause->scope, std::string(pause->what)},
                                    PauseImage{pause->since_ns, std::string(pause->reason)});
    } else if (const auto* submission = std::get_if<SubmissionKept>(*row)) {
      state.submissions.insert_or_assign(std::string(submission->key),
                                         SubmissionImage{submission->pipeline, submission->ends_ns});
    } else if (const auto* schedule = std::get_if<ScheduleKept>(*row)) {
      const ScheduleChanged& record = schedule->schedule;
      state.schedules.insert_or_assign(std::string(record.name),
                                       ScheduleImage{.version = record.version,
                                                     .paused = record.paused,
                                                     .cursor_ns = record.cursor_ns,
                                                     .last_ns = record.last_ns,
                                                     .queued_ns = record.queued_ns,
                                                     .definition = std::string(record.definition)});
    } else if (auto* pipeline = std::get_if<PipelineImage>(*row)) {
      // One that was carried on meanwhile comes twice: the later row counts.
      pipeline->folded_to = reader->sequence();
      pipeline->open_tasks = open_among(pipeline->tasks);
      const std::uint64_t number = pipeline->pipeline_no;
      if (pipeline->state != PipelineState::Paused) state.pauses.erase(pause_of(*pipeline));
      state.next_pipeline_no = std::max(state.next_pipeline_no, number + 1);
      state.pipelines.insert_or_assign(number, std::move(*pipeline));
    } else if (auto* more = std::get_if<TasksKept>(*row)) {
      const auto begun_row = state.pipelines.find(more->pipeline_no);
      if (begun_row == state.pipelines.end() || begun_row->second.tasks.size() != more->first) {
        return std::unexpected(StoreError{
            StoreErrorCode::Damaged,
            "checkpoint slice " + std::to_string(first_sequence) + ": tasks without their pipeline's row"});
      }
      begun_row->second.open_tasks += open_among(more->tasks);
      for (TaskImage& task : more->tasks) begun_row->second.tasks.push_back(std::move(task));
    }
  }
}

std::unexpected<StoreError> StoreImage::Fold::refuse(State& state, std::uint64_t first_sequence,
                                                     std::string_view what) {
  state.refused = true;
  return std::unexpected(StoreError{StoreErrorCode::Damaged,
                                    "commit " + std::to_string(first_sequence) + " " + std::string(what)});
}

std::expected<void, StoreError> StoreImage::Fold::apply(State& state, CommitReader& reader,
                                                        const OnEvent& on_event) {
  std::uint64_t sequence = reader.header().first_sequence;
  for (;;) {
    const auto group = reader.next();
    if (!group) {
      state.refused = true;
      return std::unexpected(group.error());
    }
    if (*group == nullptr) return {};
    Fold fold(state, on_event, sequence, (*group)->time_ns);
    const char* const wrong = std::visit(fold, (*group)->record);
    if (wrong != nullptr && wrong != kFolded) return refuse(state, reader.header().first_sequence, wrong);
    sequence += (*group)->transitions;
  }
}

std::expected<void, StoreError> StoreImage::carry(std::uint64_t first_sequence,
                                                  std::span<const std::byte> commit,
                                                  const OnEvent& on_event) {
  auto reader = CommitReader::open(first_sequence, commit);
  if (!reader) return std::unexpected(std::move(reader.error()));
  state_->carries = true;
  auto done = Fold::apply(*state_, *reader, on_event);
  state_->carries = false;
  return done;
}

std::expected<void, StoreError> StoreImage::apply(std::uint64_t first_sequence,
                                                  std::span<const std::byte> commit,
                                                  const OnEvent& on_event) {
  State& state = *state_;
  const auto refuse = [&](std::string_view what) { return Fold::refuse(state, first_sequence, what); };
  if (state.refused) return refuse("follows one that was refused");
  auto reader = CommitReader::open(first_sequence, commit);
  if (!reader) {
    state.refused = true;
    return std::unexpected(std::move(reader.error()));
  }
  const CommitHeader& header = reader->header();
  if (state.end_sequence != 0 && header.previous_end() != state.end_sequence) {
    return refuse("follows number " + std::to_string(header.previous_end()) + ", but what is there ends at " +
                  std::to_string(state.end_sequence) + ": commits are missing");
  }
  // Behind a round's minimum the link of the first commit leads to what is gone; the round's hash holds it.
  const bool knows_link = state.hash != 0 || state.end_sequence == 0;
  if (knows_link && header.link && *header.link != state.hash) {
    return refuse("is not linked to the commit before it: one of them was exchanged");
  }
  if (header.epoch < state.epoch) return refuse("comes from an earlier opening than the one before it");
  if (auto done = Fold::apply(state, *reader, on_event); !done) return done;
  state.end_sequence = header.end_sequence();
  state.hash = header.hash;
  if (state.round_hash != 0 && state.end_sequence == state.round_end && state.hash != state.round_hash) {
    return refuse("is not the one with which the checkpoint's round was complete");
  }
  state.epoch = header.epoch;
  state.folded_bytes += commit.size();
  return {};
}

const std::map<std::uint64_t, PipelineImage>& StoreImage::pipelines() const noexcept {
  return state_->pipelines;
}

std::map<std::uint64_t, PipelineImage> StoreImage::take_pipelines() noexcept {
  return std::exchange(state_->pipelines, {});
}

const std::map<std::uint32_t, WorkflowImage>& StoreImage::workflows() const noexcept {
  return state_->workflows;
}
const std::map<std::uint32_t, std::string>& StoreImage::keys() const noexcept {
  return state_->keys;
}
const PauseImages& StoreImage::pauses() const noexcept {
  return state_->pauses;
}
const SubmissionImages& StoreImage::submissions() const noexcept {
  return state_->submissions;
}
const std::map<std::string, ScheduleImage>& StoreImage::schedules() const noexcept {
  return state_->schedules;
}
std::uint64_t StoreImage::next_pipeline_no() const noexcept {
  return state_->next_pipeline_no;
}
std::uint32_t StoreImage::next_workflow_no() const noexcept {
  return state_->next_workflow_no;
}
std::uint32_t StoreImage::next_key_no() const noexcept {
  return state_->next_key_no;
}
std::uint64_t StoreImage::end_sequence() const noexcept {
  return state_->end_sequence;
}
std::uint64_t StoreImage::hash() const noexcept {
  return state_->hash;
}
std::uint64_t StoreImage::folded_bytes() const noexcept {
  return state_->folded_bytes;
}
std::uint64_t StoreImage::epoch() const noexcept {
  return state_->epoch;
}

}  // namespace leat
