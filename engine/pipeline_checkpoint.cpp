// A pipeline as a row of the checkpoint: what the journal amounts to for it, from the engine's own state, so
// that nothing has to be folded.
#include <tuple>
#include <utility>

#include "lane.h"
#include "leat/checkpoint.h"
#include "leat/history.h"
#include "pipeline.h"

namespace leat {

void Pipeline::post_keep(std::uint64_t generation) {
  auto message = std::make_unique<KeepMessage>();
  message->kind = PipelineMessage::Kind::Keep;
  message->generation = generation;
  post(*message.release());  // handle() deletes it
}

/// Publishes the row as of all groups that the pipeline published before. Uses up a credit.
void Pipeline::keep(std::uint64_t generation) noexcept {
  Journal& journal = *host_.journal();
  if (open_ == 0) {  // its end is in the ring
    journal.release(1);
    return host_.kept(0);
  }
  std::vector<TransitionGroup> rows =
      make_rows(PipelineKept{generation, image(), paused() ? &*rare_->pause : nullptr});
  std::size_t bytes = 0;
  for (TransitionGroup& row : rows) {
    bytes += row.bytes().size();
    // Without a credit for a later row the round stays incomplete: the journal is stopped.
    if (&row != rows.data() && !journal.reserve(1)) return;
    journal.publish(std::move(row), Durability::Process, nullptr, 0);
  }
  host_.kept(bytes);
}

PipelineImage Pipeline::image() noexcept {
  PipelineImage image;
  image.pipeline_no = identity_.pipeline_no;
  image.id = identity_.id;
  image.workflow_no = workflow_->workflow_no;
  image.level = identity_.level;
  image.priority = identity_.priority;
  image.created_ns = created_ns_;
  if (rare_ != nullptr) image.finished_ns = rare_->finished_ns;
  image.context = as_remembered(remembered_context(), ContextPlace::of_pipeline(identity_.pipeline_no));
  if (identity_.keyed) image.traits.touch().concurrency_key = host_.gate().key_of(*this);
  if (identity_.scheduled) {
    TraitsImage& traits = image.traits.touch();
    std::tie(traits.schedule, traits.scheduled_ns) = host_.firing_of(*this);
  }
  if (rare_ != nullptr && rare_->deadline.at_ns != 0)
    image.traits.touch().deadline_ns = rare_->deadline.at_ns;
  if (signals() != nullptr) {
    TraitsImage& traits = image.traits.touch();
    traits.signals = signal_values();
    traits.start_at_ns = signals()->start_at_ns;
  }
  if (rare_ != nullptr && rare_->start_at_ns != 0) image.traits.touch().start_at_ns = rare_->start_at_ns;
  if (identity_.is_child) image.traits.touch().parent = parent();
  if (identity_.max_attempts > 1)
    image.traits.touch().attempts_max = static_cast<std::uint32_t>(identity_.max_attempts);
  if (last_completed_ != kNone) image.last_completed = last_completed_;
  const auto count = static_cast<std::uint32_t>(workflow_->tasks.size());
  for (std::uint32_t task = 0; task < count; ++task) image.tasks.push_back(image_of(task));
  if (cancelling_) {
    image.state = end_state();
  } else if (paused()) {
    image.state = PipelineState::Paused;
  } else {
    image.state = started_ ? PipelineState::Running : PipelineState::Pending;
  }
  return image;
}

TaskImage Pipeline::image_of(std::uint32_t index) noexcept {
  const Task& task = tasks_[index];
  const std::uint32_t word = task.word.load(std::memory_order_relaxed);  // relaxed: see state_of()
  TaskImage image;
  image.state = state_in(word);
  image.attempt = attempt_of(word);
  image.rescues = task.rescues;
  image.key_no = task.key_no;
  if (image.state == TaskState::Running) {
    // A worker that has just begun it has not published that yet: in the journal it may still be Ready. Where
    // it was published before the row, the fold finds the record below the row's number, see StoreImage.
    // (24) acquire: the start's record precedes the row in the ring; pairs with (8).
    if (task.begun.load(std::memory_order_acquire)) {
      started_ = true;
      // (25) acquire: pairs with (23). Null: the work is elsewhere, and its key is that of before.
      const Attempt* const attempt = task.running.load(std::memory_order_acquire);
      if (attempt != nullptr) image.key_no = attempt->lane->journal_key();
      if (elsewhere() != nullptr) {
        const auto name = elsewhere()->names.find(index);
        if (name != elsewhere()->names.end()) image.external_ref = name->second;
      }
    } else {
      image.state = TaskState::Ready;
    }
  }
  if (image.state == TaskState::Ready) image.retry_at_ns = task.retry_at_ns;
  if (task.staged) {
    image.context =
        as_remembered(task.context->view(), ContextPlace::of_task(identity_.pipeline_no, index));
  }
  if (rare_ != nullptr) {
    if (const auto error = rare_->errors.find(index); error != rare_->errors.end())
      image.error = error->second;
  }
  return image;
}

/// For the history: how the pipeline went that this group finishes.
void Pipeline::summarize(TransitionGroup& group) noexcept {
  PipelineSummary summary{.id = identity_.id,
                          .workflow_no = workflow_->workflow_no,
                          .state = end_state(),
                          .tasks = static_cast<std::uint32_t>(workflow_->tasks.size()),
                          .completed = ended(TaskState::Completed),
                          .failed = ended(TaskState::Failed),
                          .skipped = ended(TaskState::Skipped),
                          .created_ns = created_ns_,
                          .finished_ns = group.time_ns()};
  if (rare_ != nullptr) {
    if (rare_->finished_ns != 0) summary.finished_ns = rare_->finished_ns;
    for (const auto& [task, error] : rare_->errors) {
      if (state_of(task) != TaskState::Failed) continue;
      summary.error = error;
      break;
    }
  }
  group.add_summary(summary);
}

/// As the journal's fold remembers errors: the latest one, until the task completes.
void Pipeline::note_error(std::uint32_t task, TaskState to, std::string_view error) {
  if (identity_.level == Durability::Memory && !identity_.is_child) return;
  if (!error.empty()) {
    rare().errors[task] = error;
  } else if (to == TaskState::Completed && rare_ != nullptr) {
    rare_->errors.erase(task);
  }
}

/// What only the checkpoint asks for.
void Pipeline::restore_rest(const PipelineImage& image) {
  created_ns_ = image.created_ns;
  remember_signals(image.traits->signals, image.traits->start_at_ns);
  if (workflow_->limits_age && image.traits->start_at_ns != 0) {
    rare().start_at_ns = image.traits->start_at_ns;
  }
  started_ = image.state != PipelineState::Pending;
  if (image.finished_ns != 0) rare().finished_ns = image.finished_ns;
  for (std::uint32_t index = 0; index < image.tasks.size(); ++index) {
    const TaskImage& task = image.tasks[index];
    tasks_[index].key_no = task.key_no;
    if (!task.error.empty()) rare().errors[index] = task.error;
  }
}

Pipeline::Rare& Pipeline::rare() {
  if (rare_ == nullptr) rare_ = std::make_unique<Rare>();
  return *rare_;
}

}  // namespace leat
