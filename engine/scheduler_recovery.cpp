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

/// How a pipeline with a concurrency key that is carried on comes to the gate.
ConcurrencyGate::Joins joins_as(const PipelineImage& image, std::int64_t now_ns) {
  using Joins = ConcurrencyGate::Joins;
  if (has_begun(image)) return Joins::Inside;
  if (image.state == PipelineState::Paused) return Joins::Paused;
  const auto is_later = [now_ns](const TaskImage& task) { return task.retry_at_ns > now_ns; };
  const auto is_due = [&](const TaskImage& task) {
    return task.state == TaskState::Ready && !is_later(task);
  };
  return std::ranges::any_of(image.tasks, is_later) && std::ranges::none_of(image.tasks, is_due)
             ? Joins::Later
             : Joins::Due;
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
    remembered_.emplace(number, Remembered{workflow, {}, {}});
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
    if (const std::int64_t at_ns = pipeline.traits->deadline_ns; at_ns != 0 && !is_terminal(pipeline.state))
      deadlines_.emplace(at_ns, pipeline.workflow_no, pipeline.pipeline_no);
    auto& of_workflow = remembered_.at(pipeline.workflow_no).pipelines;
    of_workflow.insert(of_workflow.end(), std::move(moved));
  }
}

/// Carries on the unfinished pipelines of a workflow.
std::expected<void, Error> Scheduler::adopt(const Registered& workflow) {
  bool freed = false;
  if (!adopt_resident(workflow, true, freed)) return journal_closed();
  waiting_.open(workflow);  // they came later
  return freed ? adopt_freed() : std::expected<void, Error>();
}

/// Children that waited for their parents, of whichever workflows.
std::expected<void, Error> Scheduler::adopt_freed() {
  for (bool freed = true; std::exchange(freed, false);) {
    for (const Registered& workflow : known_workflows()) {
      if (!adopt_resident(workflow, true, freed)) return journal_closed();
    }
  }
  return {};
}

/// The same by who must not wait. @return  false: the journal has no room now
bool Scheduler::try_adopt_freed() {
  for (bool freed = true; std::exchange(freed, false);) {
    for (const Registered& workflow : known_workflows()) {
      if (!adopt_resident(workflow, false, freed)) return false;
    }
  }
  return true;
}

/// @param may_wait  for credits; else what is left stays remembered where there are none
/// @param freed     set where children wait for nothing more
/// @return          false: there are none
bool Scheduler::adopt_resident(const Registered& workflow, bool may_wait, bool& freed) {
  std::map<std::uint64_t, PipelineImage> images;
  {
    MutexLock lock(mutex_);
    const auto found = remembered_.find(workflow->workflow_no);
    if (found == remembered_.end()) return true;
    images.swap(found->second.pipelines);
    hold_back_children(images, found->second.pipelines);
    ++adopting_;
  }
  const Adopting adopting(*this);
  for (; !images.empty(); images.erase(images.begin())) {
    PipelineImage& image = images.begin()->second;
    std::vector<BoardLine::Task> starts;
    {
      MutexLock lock(mutex_);
      const auto found = unrecorded_starts_.find(image.pipeline_no);
      const bool has_starts = found != unrecorded_starts_.end();
      // Each takes one for its record, and one as a task that is Running then.
      const std::size_t credits = credits_of(image) + (has_starts ? 2 * found->second.size() : 0);
      if (!may_wait && !journal_->try_reserve(credits)) {
        remembered_.at(workflow->workflow_no).pipelines.merge(images);
        return false;
      }
      if (has_starts) {
        starts = std::move(found->second);
        unrecorded_starts_.erase(found);
      }
    }
    if (may_wait && !journal_->reserve(credits_of(image) + 2 * starts.size())) return false;
    record_starts(image, starts);
    if (!carry_on(workflow, std::move(image), starts, {}, freed)) return false;
  }
  return true;
}

/// That carrying it on takes.
std::size_t Scheduler::credits_of(const PipelineImage& image) {
  const auto running = std::ranges::count(image.tasks, TaskState::Running, &TaskImage::state);
  return static_cast<std::size_t>(running) + 1;
}

/// Its credits are reserved, and used up.
///
/// @param end    how it ends at once, where the workflow only stands for one that is not registered
/// @param freed  set where children wait for nothing more
/// @return       false: the Runner has stopped
bool Scheduler::carry_on(const Registered& workflow, PipelineImage&& image,
                         std::span<const BoardLine::Task> starts, const Pipeline::EndAtOnce& end,
                         bool& freed) {
  const bool ends = end.by != Pipeline::EndAtOnce::By::None;
  PauseImage pause;
  {
    MutexLock lock(mutex_);
    if (const PauseImage* const found = find_pause(image)) pause = *found;
    if (ends) freed |= parents_waiting_.erase(image.pipeline_no) > 0;
  }
  const std::size_t credits = credits_of(image);
  Pipeline& pipeline = Pipeline::make(*this, workflow,
                                      {.id = image.id,
                                       .pipeline_no = image.pipeline_no,
                                       .level = image.level,
                                       .priority = image.priority,
                                       .keyed = !image.traits->concurrency_key.empty(),
                                       .scheduled = !image.traits->schedule.empty(),
                                       .is_child = !image.traits->parent.empty()},
                                      {image.context, ContextPlace::of_pipeline(image.pipeline_no)});
  if (pipeline.keyed())
    gate_.join(pipeline, image.traits->concurrency_key, joins_as(image, clock_.unix_ns()));
  const PipelineHandle handle = pipeline.handle();
  const Rare<TraitsImage> traits = pipeline.has_kin() ? image.traits : Rare<TraitsImage>();
  if (pipeline.is_child()) pipeline.set_parent(traits->parent);
  if (pipeline.scheduled()) {
    schedules_.join(handle, image.pipeline_no, image.traits->schedule, image.traits->scheduled_ns);
  }
  if (!add_live(pipeline)) {
    journal_->release(credits);
    pipeline.abandon(true);
    return false;
  }
  if (!ends) {
    MutexLock lock(mutex_);
    resumed_.push_back(handle);
  }
  if (pipeline.has_kin() && !ends) freed |= join_kin(pipeline, *traits);
  pipeline.restore(std::move(image), starts, pause, end);
  return true;
}

void Scheduler::forget_starts() noexcept {
  MutexLock lock(mutex_);
  if (board_ == nullptr) return;
  for (BoardLine& line : board_->left_behind()) {
    if (!unrecorded_starts_.contains(line.task().pipeline_no)) line.end_task();
  }
}

/// Records the starts that only the board knows, so that each is rescued as one that the journal knew. Two
/// credits for each are reserved: one is used up, the other one for its end, where it is recorded.
void Scheduler::record_starts(PipelineImage& image, std::span<const BoardLine::Task> starts) {
  for (const BoardLine::Task& start : starts) {
    TaskImage& task = image.tasks[start.task];
    if (task.state == TaskState::Running) {  // two lines of one start, or an adoption's
      journal_->release(2);
      continue;
    }
    journal_->publish(
        {clock_.unix_ns(), TaskStarted{start.pipeline_no, start.task, start.attempt, start.key_no}},
        image.level, nullptr, 0);
    task.state = TaskState::Running;
    task.key_no = start.key_no;
  }
}

}  // namespace leat
