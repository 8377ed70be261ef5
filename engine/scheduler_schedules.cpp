// What the scheduler does for schedules.
#include <utility>

#include "scheduler.h"

namespace leat {

std::shared_ptr<const RegisteredWorkflow> Scheduler::find_workflow(
    const ScheduleDefinition& definition) const {
  const MutexLock lock(mutex_);
  if (const auto exact = workflows_.find(definition.workflow_version); exact != workflows_.end()) {
    return exact->second;
  }
  Registered latest;
  for (const auto& [version, workflow] : workflows_) {
    if (workflow->workflow.full_name() != definition.workflow) continue;
    if (latest == nullptr || workflow->workflow_no > latest->workflow_no) latest = workflow;
  }
  return latest;
}

std::optional<PipelineHandle> Scheduler::fire(Registered workflow, const ScheduleDefinition& definition,
                                              const ScheduleFiring& firing, std::string context) {
  const ScheduleOptions& options = definition.options;
  return begin(
      std::move(workflow), ids_.next(),
      {.level = journal_ == nullptr ? Durability::Memory : options.durability,
       .context = std::move(context),
       .traits = {.concurrency_key = options.concurrency_key, .firing = firing, .priority = options.priority},
       .has_credits = true});
}

bool Scheduler::admits() {
  return admitting() && (journal_ == nullptr || (journal_->failure() == nullptr && journal_->admits()));
}

}  // namespace leat
