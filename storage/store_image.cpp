// Folds transition groups into the image of a store, checking each against the transition tables.
#include "leat/store_image.h"

#include <utility>
#include <variant>

#include "commit.h"

namespace leat {

struct StoreImage::State {
  Keep keep;
  bool refused = false;
  std::uint64_t end_sequence = 0;
  std::uint64_t epoch = 0;
  std::uint64_t next_pipeline_no = 1;
  std::map<std::uint64_t, PipelineImage> pipelines;
  std::map<std::uint32_t, WorkflowImage> workflows;
  std::map<std::uint32_t, std::string> keys;
};

/// The fold of one group. Each overload returns what is wrong with its record, or null.
class StoreImage::Fold {
 public:
  Fold(State& state, const OnEvent& on_event, std::uint64_t sequence, std::int64_t time_ns)
      : state_(state), on_event_(on_event), sequence_(sequence), time_ns_(time_ns) {}

  const char* operator()(const WorkflowDefined& record);
  const char* operator()(const KeyDefined& record);
  const char* operator()(const PipelineCreated& record);
  const char* operator()(const TaskStarted& record);
  const char* operator()(const TaskEnded& record);
  const char* operator()(const PipelineChanged& record);
  const char* operator()(const TaskReferred& record);

 private:
  const char* find(std::uint64_t pipeline_no);
  const char* find(std::uint64_t pipeline_no, std::uint32_t task);
  const char* change_pipeline(PipelineState to);
  const char* apply(std::span<const Successor> successors);
  void move_task(std::uint32_t number, TaskState to, std::uint32_t attempt);
  void emit(std::uint32_t task, std::uint32_t attempt, std::optional<TaskState> from, TaskState to);
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
  if (found == state_.pipelines.end()) return "names an unknown pipeline";
  pipeline_ = &found->second;
  return nullptr;
}

const char* StoreImage::Fold::find(std::uint64_t pipeline_no, std::uint32_t task) {
  if (const char* wrong = find(pipeline_no)) return wrong;
  if (task >= pipeline_->tasks.size()) return "names a task that its pipeline does not have";
  task_ = &pipeline_->tasks[task];
  return nullptr;
}

void StoreImage::Fold::emit(std::uint32_t task, std::uint32_t attempt, std::optional<TaskState> from,
                            TaskState to) {
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
             .executor = key == state_.keys.end() ? std::string_view() : std::string_view(key->second)});
}

/// @pre  may_become(the task's state, to)
void StoreImage::Fold::move_task(std::uint32_t number, TaskState to, std::uint32_t attempt) {
  TaskImage& task = pipeline_->tasks[number];
  const TaskState from = std::exchange(task.state, to);
  task.sequence = sequence_;
  task.attempt = attempt;
  task.external_ref.clear();
  if (is_terminal(to)) --pipeline_->open_tasks;
  emit(number, attempt, from, to);
}

const char* StoreImage::Fold::apply(std::span<const Successor> successors) {
  for (const Successor& successor : successors) {
    if (successor.task >= pipeline_->tasks.size()) return "names a successor that its pipeline does not have";
    const TaskImage& task = pipeline_->tasks[successor.task];
    const bool waits = task.state == TaskState::NotStarted || successor.state == TaskState::Cancelled;
    if (!waits || task.state == TaskState::Running || !may_become(task.state, successor.state)) {
      return "moves a successor to a state that may not follow";
    }
    move_task(successor.task, successor.state, task.attempt);
  }
  return nullptr;
}

const char* StoreImage::Fold::change_pipeline(PipelineState to) {
  if (to == pipeline_->state && !is_terminal(to)) return nullptr;  // its tasks were taken along, it goes on
  if (!may_become(pipeline_->state, to)) return "moves a pipeline to a state that may not follow";
  pipeline_->state = to;
  if (is_terminal(to)) pipeline_->finished_ns = time_ns_;
  return nullptr;
}

void StoreImage::Fold::forget_if_finished() {
  if (state_.keep == Keep::Everything || !is_terminal(pipeline_->state) || pipeline_->open_tasks > 0) return;
  state_.pipelines.erase(pipeline_->pipeline_no);
}

const char* StoreImage::Fold::operator()(const WorkflowDefined& record) {
  WorkflowImage workflow{.name = std::string(record.name),
                         .version = record.version,
                         .tasks = {record.tasks.begin(), record.tasks.end()},
                         .definition = std::string(record.definition)};
  const bool is_new = state_.workflows.try_emplace(record.workflow_no, std::move(workflow)).second;
  return is_new ? nullptr : "defines a workflow number twice";
}

const char* StoreImage::Fold::operator()(const KeyDefined& record) {
  const bool is_new = record.key_no != 0 && state_.keys.try_emplace(record.key_no, record.key).second;
  return is_new ? nullptr : "defines an executor key's number twice, or as 0";
}

const char* StoreImage::Fold::operator()(const PipelineCreated& record) {
  const auto workflow = state_.workflows.find(record.workflow_no);
  if (workflow == state_.workflows.end()) return "names an unknown workflow";
  if (workflow->second.tasks.size() != record.task_count) return "creates other tasks than its workflow has";
  // Numbers are given out before groups are ordered, so that they rise only nearly.
  const auto [place, is_new] = state_.pipelines.try_emplace(record.pipeline_no);
  if (!is_new) return "creates a pipeline twice";
  state_.next_pipeline_no = std::max(state_.next_pipeline_no, record.pipeline_no + 1);
  pipeline_ = &place->second;
  pipeline_->pipeline_no = record.pipeline_no;
  pipeline_->id = record.id;
  pipeline_->workflow_no = record.workflow_no;
  pipeline_->level = record.level;
  pipeline_->created_ns = time_ns_;
  pipeline_->open_tasks = record.task_count;
  pipeline_->context = record.context;
  pipeline_->tasks.resize(record.task_count);
  for (std::uint32_t task = 0; task < record.task_count; ++task) {
    emit(task, 1, std::nullopt, TaskState::NotStarted);
  }
  for (const std::uint32_t task : record.ready) {
    if (pipeline_->tasks[task].state != TaskState::NotStarted) return "makes a task Ready twice";
    move_task(task, TaskState::Ready, 1);
  }
  return nullptr;
}

const char* StoreImage::Fold::operator()(const TaskStarted& record) {
  if (const char* wrong = find(record.pipeline_no, record.task)) return wrong;
  if (!state_.keys.contains(record.key_no)) return "names an unknown executor key";
  if (!may_become(task_->state, TaskState::Running)) return "starts a task that is not Ready";
  if (record.attempt != task_->attempt) return "starts another attempt than is due";
  if (pipeline_->state == PipelineState::Pending) pipeline_->state = PipelineState::Running;
  task_->key_no = record.key_no;
  task_->retry_at_ns = 0;
  move_task(record.task, TaskState::Running, record.attempt);
  return nullptr;
}

const char* StoreImage::Fold::operator()(const TaskEnded& record) {
  using Cause = TaskEnded::Cause;
  if (const char* wrong = find(record.pipeline_no, record.task)) return wrong;
  if (record.from != task_->state || !may_become(record.from, record.to) || record.to == TaskState::Running) {
    return "ends a task in a state that may not follow";
  }
  if (record.attempt != task_->attempt) return "ends another attempt than runs";
  task_->retry_at_ns = record.retry_at_ns;
  if (record.cause == Cause::Rescue) ++task_->rescues;
  if (!record.error.empty() || record.to == TaskState::Completed) task_->error = record.error;
  if (!record.context.empty()) task_->context = record.context;
  if (!record.output.empty()) task_->output = record.output;
  const bool is_retry = record.to == TaskState::Ready && record.cause == Cause::Retry;
  move_task(record.task, record.to, is_retry ? record.attempt + 1 : record.attempt);
  if (const char* wrong = apply(record.successors)) return wrong;
  if (record.pipeline) {
    if (const char* wrong = change_pipeline(*record.pipeline)) return wrong;
  }
  forget_if_finished();
  return nullptr;
}

const char* StoreImage::Fold::operator()(const PipelineChanged& record) {
  if (const char* wrong = find(record.pipeline_no)) return wrong;
  if (const char* wrong = change_pipeline(record.to)) return wrong;
  if (const char* wrong = apply(record.successors)) return wrong;
  forget_if_finished();
  return nullptr;
}

const char* StoreImage::Fold::operator()(const TaskReferred& record) {
  if (const char* wrong = find(record.pipeline_no, record.task)) return wrong;
  if (task_->state != TaskState::Running || record.attempt != task_->attempt) {
    return "names the work of another attempt than runs";
  }
  task_->external_ref = record.external_ref;
  return nullptr;
}

StoreImage::StoreImage(Keep keep) : state_(std::make_unique<State>()) {
  state_->keep = keep;
}
StoreImage::StoreImage(StoreImage&&) noexcept = default;
StoreImage& StoreImage::operator=(StoreImage&&) noexcept = default;
StoreImage::~StoreImage() = default;

std::expected<void, StoreError> StoreImage::apply(std::uint64_t first_sequence,
                                                  std::span<const std::byte> commit,
                                                  const OnEvent& on_event) {
  State& state = *state_;
  const auto refuse = [&](std::string_view what) -> std::expected<void, StoreError> {
    state.refused = true;
    return std::unexpected(StoreError{StoreErrorCode::Damaged,
                                      "commit " + std::to_string(first_sequence) + " " + std::string(what)});
  };
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
  if (header.epoch < state.epoch) return refuse("comes from an earlier opening than the one before it");
  std::uint64_t sequence = first_sequence;
  for (;;) {
    const auto group = reader->next();
    if (!group) {
      state.refused = true;
      return std::unexpected(group.error());
    }
    if (*group == nullptr) break;
    Fold fold(state, on_event, sequence, (*group)->time_ns);
    if (const char* wrong = std::visit(fold, (*group)->record)) return refuse(wrong);
    sequence += (*group)->transitions;
  }
  state.end_sequence = header.end_sequence();
  state.epoch = header.epoch;
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
std::uint64_t StoreImage::next_pipeline_no() const noexcept {
  return state_->next_pipeline_no;
}
std::uint64_t StoreImage::end_sequence() const noexcept {
  return state_->end_sequence;
}
std::uint64_t StoreImage::epoch() const noexcept {
  return state_->epoch;
}

}  // namespace leat
