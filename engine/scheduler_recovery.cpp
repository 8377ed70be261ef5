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

/// Of what is carried on, those that stay images, and how many of them stand before each of the others: so
/// all are parked in the order of their submission.
struct Scheduler::LeftInBacklog {
  Lane* lane = nullptr;
  std::string_view tenant = {};
  Backlog* backlog = nullptr;  // null: none does
  std::vector<std::pair<std::uint64_t, std::uint32_t>> before = {};  // by pipeline_no, the last one first

  void park_up_to(std::uint64_t pipeline_no) {
    for (; !before.empty() && before.back().first <= pipeline_no; before.pop_back())
      lane->park(*backlog, before.back().second, Priority::Normal, tenant);
  }
};

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
  LeftInBacklog left = leave_in_backlog(workflow, images);
  for (; !images.empty(); images.erase(images.begin())) {
    PipelineImage& image = images.begin()->second;
    left.park_up_to(image.pipeline_no);
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
  left.park_up_to(~std::uint64_t{0});
  return true;
}

Scheduler::LeftInBacklog Scheduler::leave_in_backlog(const Registered& workflow, Backlog::Images& images) {
  const auto roots = workflow->workflow.roots();
  if (images.size() < backlog_min_ || roots.size() != 1 || waiting_.in_use() || isolation_.holding() ||
      !workflow->signals.empty() || workflow->limits_waiting || workflow->limits_age) {
    return {};
  }
  const RegisteredWorkflow::Task& root = workflow->tasks[roots.front()];
  LeftInBacklog left{.lane = lanes_.lane_of_all(root.name, root.executor), .tenant = root.name.tenant()};
  if (left.lane == nullptr) return {};
  const MutexLock lock(mutex_);
  Backlog::Images others;
  std::uint32_t count = 0;
  for (auto next = images.begin(); next != images.end();) {
    const auto image = next++;
    if (may_stay_image(*workflow, image->second)) {
      ++count;
      continue;
    }
    if (count > 0) left.before.emplace_back(image->first, std::exchange(count, 0));
    others.insert(others.end(), images.extract(image));
  }
  if (images.size() < backlog_min_) {
    images.merge(others);
    return {};
  }
  if (count > 0) left.before.emplace_back(~std::uint64_t{0}, count);
  std::ranges::reverse(left.before);
  // relaxed: before anything of them can end
  unfinished_.fetch_add(images.size(), std::memory_order_relaxed);
  const auto make = [this](const Registered& its, PipelineImage&& image) {
    return make_waiting(its, std::move(image));
  };
  left.backlog =
      backlogs_.emplace_back(std::make_unique<Backlog>(workflow, std::move(images), make)).get();
  images = std::move(others);
  return left;
}

/// Whether the image says no more than that it was submitted.
bool Scheduler::may_stay_image(const RegisteredWorkflow& workflow, const PipelineImage& image) const {
  const std::uint32_t root = workflow.workflow.roots().front();
  const auto is_plain = [&image, root](std::uint32_t number) {
    const TaskImage& task = image.tasks[number];
    return task.state == (number == root ? TaskState::Ready : TaskState::NotStarted) && task.attempt == 1 &&
           task.rescues == 0 && task.key_no == 0 && task.retry_at_ns == 0 && task.error.empty();
  };
  bool plain = image.state == PipelineState::Pending && image.priority == Priority::Normal &&
               (image.traits.untouched() || *image.traits == TraitsImage()) &&
               !unrecorded_starts_.contains(image.pipeline_no);
  for (std::uint32_t task = 0; plain && task < image.tasks.size(); ++task) plain = is_plain(task);
  return plain;
}

/// Under the mutex of its backlog, so that nobody sees it as neither image nor pipeline.
Pipeline* Scheduler::make_waiting(const Registered& workflow, PipelineImage&& image) {
  Pipeline& pipeline = make_resumed(workflow, image);
  pipeline.restore_waiting(image.created_ns);  // first: from add_live() on it is told things
  const PipelineHandle handle = pipeline.handle();
  if (!add_live(pipeline)) {
    pipeline.abandon(true);
    return nullptr;
  }
  unfinished_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: it has been counted as an image, too
  resumed_.add(handle);
  return &pipeline;
}

Pipeline& Scheduler::make_resumed(const Registered& workflow, const PipelineImage& image) {
  return Pipeline::make(*this, workflow,
                        {.id = image.id,
                         .pipeline_no = image.pipeline_no,
                         .level = image.level,
                         .priority = image.priority,
                         .keyed = !image.traits->concurrency_key.empty(),
                         .scheduled = !image.traits->schedule.empty(),
                         .is_child = !image.traits->parent.empty(),
                         .resumed = true,
                         .max_attempts = static_cast<std::int32_t>(image.traits->attempts_max)},
                        {image.context, ContextPlace::of_pipeline(image.pipeline_no)});
}

std::vector<Backlog*> Scheduler::backlogs() const {
  const MutexLock lock(mutex_);
  std::vector<Backlog*> all;
  for (const auto& backlog : backlogs_) all.push_back(backlog.get());
  return all;
}

std::optional<PipelineHandle> Scheduler::find_in_backlog(const Uuid& id) const {
  for (Backlog* const backlog : backlogs()) {
    if (auto made = backlog->make(id)) return made;
  }
  return std::nullopt;
}

std::vector<PipelineHandle> Scheduler::resumed() {
  for (Backlog* const backlog : backlogs()) backlog->make_all();
  return resumed_.all();
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
  Pipeline& pipeline = make_resumed(workflow, image);
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
  if (!ends) resumed_.add(handle);
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
