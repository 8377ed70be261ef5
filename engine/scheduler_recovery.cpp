// What the scheduler remembers of earlier processes, and how it carries that on.
#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "leat/context.h"
#include "scheduler.h"
#include "store_failure.h"

namespace leat {
namespace {

/// Whether some task of it has ever run. (Its state says Running also where roots were skipped.)
bool has_begun(const PipelineImage& image) {
  return std::ranges::any_of(image.tasks, [](const TaskImage& task) {
    return task.key_no != 0 || task.state == TaskState::Running;  // Running: known from the board alone
  });
}

}  // namespace

void Scheduler::remember(StoreImage&& image, InFlightBoard* board, bool closed) {
  remember_submissions(image.submissions());
  schedules_.remember(image);
  quarantine_.remember(image.quarantine());
  MutexLock lock(mutex_);
  closed_cleanly_ = closed;
  board_ = board;
  remember_pauses(image.pauses());
  remember_kin(image);
  if (board != nullptr) unrecorded_starts_ = unrecorded_starts(*board, image);
  suspects_remembered_ = has_suspects(image, unrecorded_starts_);
  next_pipeline_no_.store(image.next_pipeline_no(), std::memory_order_relaxed);  // relaxed: before any thread
  next_workflow_no_ = image.next_workflow_no();
  next_key_no_ = image.next_key_no();
  for (const auto& [number, workflow] : image.workflows()) {
    remembered_.emplace(number, Remembered{workflow, {}});
    remembered_numbers_.emplace(workflow.version, number);
  }
  for (const auto& [number, key] : image.keys()) key_numbers_.emplace(key, number);
  // Each moves where it is: millions may live, and two copies of them would be the peak of a start.
  for (auto pipelines = image.take_pipelines(); !pipelines.empty();) {
    auto moved = pipelines.extract(pipelines.begin());
    const PipelineImage& pipeline = moved.mapped();
    const bool begun = has_begun(pipeline) || unrecorded_starts_.contains(pipeline.pipeline_no);
    if (begun && !pipeline.traits->concurrency_key.empty())
      gate_.hold(pipeline.pipeline_no, pipeline.traits->concurrency_key);
    auto& of_workflow = remembered_.at(pipeline.workflow_no).pipelines;
    of_workflow.insert(of_workflow.end(), std::move(moved));
  }
}

/// Carries on the unfinished pipelines of a workflow.
std::expected<void, Error> Scheduler::adopt(const Registered& workflow) {
  if (auto adopted = adopt_resident(workflow); !adopted) return adopted;
  waiting_.open(workflow);  // they came later
  return {};
}

std::expected<void, Error> Scheduler::adopt_resident(const Registered& workflow) {
  std::map<std::uint64_t, PipelineImage> images;
  {
    MutexLock lock(mutex_);
    const auto found = remembered_.find(workflow->workflow_no);
    if (found == remembered_.end()) return {};
    images.swap(found->second.pipelines);
    hold_back_children(images, found->second.pipelines);
    ++adopting_;
  }
  bool has_freed = false;  // children of other workflows
  const Adopting adopting(*this);
  for (; !images.empty(); images.erase(images.begin())) {
    PipelineImage& image = images.begin()->second;
    std::vector<BoardLine::Task> starts;
    PauseImage pause;
    {
      MutexLock lock(mutex_);
      if (auto found = unrecorded_starts_.extract(image.pipeline_no)) starts = std::move(found.mapped());
      if (const PauseImage* const found = find_pause(image)) pause = *found;
    }
    if (!record_starts(image, starts)) return journal_closed();
    const auto running = std::ranges::count(image.tasks, TaskState::Running, &TaskImage::state);
    if (!journal_->reserve(static_cast<std::size_t>(running) + 1)) return journal_closed();
    Pipeline& pipeline = Pipeline::make(*this, workflow,
                                        {.id = image.id,
                                         .pipeline_no = image.pipeline_no,
                                         .level = image.level,
                                         .priority = image.priority,
                                         .keyed = !image.traits->concurrency_key.empty(),
                                         .scheduled = !image.traits->schedule.empty(),
                                         .is_child = !image.traits->parent.empty()},
                                        {image.context, ContextPlace::of_pipeline(image.pipeline_no)});
    if (pipeline.keyed()) gate_.join(pipeline, image.traits->concurrency_key, has_begun(image));
    const PipelineHandle handle = pipeline.handle();
    const Rare<TraitsImage> traits = pipeline.has_kin() ? image.traits : Rare<TraitsImage>();
    if (pipeline.is_child()) pipeline.set_parent(traits->parent);
    if (pipeline.scheduled()) {
      schedules_.join(handle, image.pipeline_no, image.traits->schedule, image.traits->scheduled_ns);
    }
    if (!add_live(pipeline)) {
      journal_->release(static_cast<std::size_t>(running) + 1);
      pipeline.abandon(true);
      return journal_closed();
    }
    {
      MutexLock lock(mutex_);
      resumed_.push_back(handle);
    }
    if (pipeline.has_kin()) has_freed |= join_kin(pipeline, *traits);
    pipeline.restore(std::move(image), starts, pause);
  }
  if (!has_freed) return {};
  for (const Registered& other : known_workflows()) {
    if (auto adopted = adopt(other); !adopted) return adopted;
  }
  return {};
}

void Scheduler::forget_starts() noexcept {
  MutexLock lock(mutex_);
  if (board_ == nullptr) return;
  for (BoardLine& line : board_->left_behind()) {
    if (!unrecorded_starts_.contains(line.task().pipeline_no)) line.end_task();
  }
}

/// Records the starts that only the board knows, so that each is rescued as one that the journal knew.
bool Scheduler::record_starts(PipelineImage& image, std::span<const BoardLine::Task> starts) {
  for (const BoardLine::Task& start : starts) {
    TaskImage& task = image.tasks[start.task];
    if (task.state == TaskState::Running) continue;  // two lines of one start, or an adoption's
    if (!journal_->reserve(1)) return false;
    journal_->publish(
        {clock_.unix_ns(), TaskStarted{start.pipeline_no, start.task, start.attempt, start.key_no}},
        image.level, nullptr, 0);
    task.state = TaskState::Running;
    task.key_no = start.key_no;
  }
  return true;
}

}  // namespace leat
