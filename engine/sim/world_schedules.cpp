// The schedule of a simulated run: it begins some pipelines, is paused and goes on, and is removed in the
// end.
#include <algorithm>
#include <chrono>
#include <utility>

#include "runner_state.h"
#include "world.h"

namespace leat::sim {
namespace {

constexpr const char* kName = "by the clock";
constexpr std::uint32_t kFirings = 3;  // then it goes
constexpr std::uint32_t kLooksMax =
    300;  // and then: it may be that nothing fires any more, whatever is chosen

}  // namespace

ScheduleOptions World::choose_schedule() {
  constexpr Overlap kOverlaps[] = {Overlap::Allow, Overlap::Skip, Overlap::QueueOne, Overlap::CancelOther};
  constexpr Misfire kMisfires[] = {Misfire::CatchUp, Misfire::FireOnce, Misfire::Skip};
  const Durability level = choose_level();
  return {.cron = "*/10 * * * *",
          .overlap = kOverlaps[stage_.choices.pick(4)],
          .misfire = kMisfires[stage_.choices.pick(3)],
          .context = stage_.options.context,
          .durability = level == Durability::Memory ? Durability::Process : level};
}

/// A process is born that is to have the schedule; the one before may have died before it was kept.
void World::keep_schedule() {
  if (schedule_over_ || !stage_.alive) return;
  if (!schedule_) schedule_ = choose_schedule();
  const auto kept = runner_->schedule(kName, workflow_, *schedule_);
  if (!kept || !stage_.alive) return;
  stage_.note("a schedule is kept");
  const Overlap overlap = schedule_->overlap;
  stage_.ledger.schedule_kept({.name = kName,
                               .period_ns = std::chrono::nanoseconds(std::chrono::minutes(10)).count(),
                               .alone = overlap == Overlap::Skip || overlap == Overlap::QueueOne,
                               .complete = schedule_->misfire == Misfire::CatchUp &&
                                           (overlap == Overlap::Allow || overlap == Overlap::CancelOther)});
}

/// @return false: it was left as it is
bool World::change_schedule() {
  if (schedule_over_ || stage_.ledger.firings() >= kFirings || ++schedule_looks_ > kLooksMax ||
      stage_.choices.happens(50)) {
    remove_schedule();
    return true;
  }
  if (!stage_.uses(Uses::Pauses) || !stage_.choices.happens(100)) return false;
  if (stage_.choices.pick(2) == 1) {
    stage_.note("the schedule goes on");
    stage_.ledger.schedule_resuming();
    static_cast<void>(
        runner_->resume_schedule(kName));  // refused: the store has failed, which is seen elsewhere
    return true;
  }
  stage_.note("the schedule is paused");
  stage_.ledger.schedule_changing(false);
  if (runner_->pause_schedule(kName) && stage_.alive) stage_.ledger.schedule_quiet();
  return true;
}

void World::remove_schedule() {
  stage_.note("the schedule is removed");
  stage_.ledger.schedule_changing(true);
  schedule_over_ = true;
  const auto removed = runner_->remove_schedule(kName);
  const bool unknown = !removed && removed.error().code == ErrorCode::NotFound && runner_->health();
  if (!stage_.alive || (!removed && !unknown)) return;
  schedule_gone_ = true;
  stage_.ledger.schedule_quiet();
}

/// Takes note of what the schedule has begun.
void World::meet_scheduled() {
  if (runner_ == nullptr || !stage_.uses(Uses::Schedules)) return;
  Scheduler& scheduler = RunnerState::of(*runner_).scheduler;
  for (const PipelineHandle& handle : scheduler.live()) {
    const Pipeline& pipeline = Pipeline::of(handle);
    auto [schedule, time_ns] = scheduler.schedules().firing_of(pipeline.number());
    if (schedule.empty() || std::ranges::find(handles_, handle.id(), &PipelineHandle::id) != handles_.end())
      continue;
    stage_.note("the schedule begins a pipeline", handle.id().hash());
    stage_.ledger.scheduled(handle.id(), {.level = pipeline.level(), .schedule = std::move(schedule)},
                            time_ns, stage_.clock->latest_unix_ns());
    if (schedule_->overlap == Overlap::CancelOther) stage_.ledger.cancelled(handle.id());  // some day
    handles_.push_back(handle);
  }
}

}  // namespace leat::sim
