// What the ledger holds a schedule to.
#include <algorithm>
#include <utility>

#include "ledger.h"

namespace leat::sim {

void Ledger::schedule_kept(const ScheduleTerms& terms) {
  if (!schedule_) schedule_ = terms;
  schedule_acknowledged_ = true;
}

void Ledger::schedule_changing(bool removed) {
  if (schedule_) schedule_->complete = false;
  if (removed) schedule_acknowledged_ = false;
}

void Ledger::scheduled(const Uuid& pipeline, SubmissionTerms terms, std::int64_t time_ns,
                       std::int64_t latest_ns) {
  if (pipelines_.contains(pipeline)) return;
  if (latest_ns < time_ns)
    violate(Rule::NotTooEarly, "pipeline " + pipeline.to_string() + " is begun before its scheduled time");
  submitted(pipeline, std::move(terms));
}

void Ledger::fired(const Uuid& pipeline, std::int64_t time_ns) {
  const std::int64_t before = std::exchange(fired_ns_, time_ns);
  ++firings_;
  const std::string name = "pipeline " + pipeline.to_string();
  if (schedule_quiet_) violate(Rule::PausesHold, name + " is begun by a schedule that is paused or gone");
  if (before >= time_ns) violate(Rule::SchedulesHold, name + " stands for a time that was dealt with before");
  if (!schedule_) return;  // schedule() has not returned yet
  if (time_ns % schedule_->period_ns != 0)
    violate(Rule::SchedulesHold, name + " stands for a time that is none of its schedule's");
  if (schedule_->complete && before != 0 && time_ns > before + schedule_->period_ns)
    violate(Rule::SchedulesHold, "the time before that of " + name + " was left out");
  for (const auto& [id, other] : pipelines_) {
    if (!schedule_->alone || id == pipeline || other.terms.schedule != schedule_->name || ended(id, other))
      continue;
    violate(Rule::SchedulesHold, name + " is begun beside pipeline " + id.to_string());
  }
}

void Ledger::check_schedule_kept() {
  const auto stored = schedule_ ? written_.schedules().find(schedule_->name) : written_.schedules().end();
  const bool there = stored != written_.schedules().end();
  fired_ns_ = there ? stored->second.last_ns : 0;
  if (!schedule_acknowledged_) return;
  if (!there) return violate(Rule::AcknowledgedKept, "a schedule was acknowledged and is lost");
  if (schedule_quiet_ && !stored->second.paused)
    violate(Rule::AcknowledgedKept, "the pause of a schedule was acknowledged and is lost");
}

void Ledger::look_at(std::span<const ScheduleInfo> schedules) {
  const auto same = [](const ScheduleInfo& engine, const auto& stored) {
    return engine.name == stored.first && engine.paused == stored.second.paused &&
           engine.last_ns == stored.second.last_ns && engine.queued_ns == stored.second.queued_ns;
  };
  if (!std::ranges::equal(schedules, written_.schedules(), same))
    violate(Rule::RestartEquality, "the schedules in memory differ from the store's");
}

}  // namespace leat::sim
