// Pipelines that the simulator did not submit itself: it meets them where they live.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runner_state.h"
#include "world.h"

namespace leat::sim {

std::vector<TaskTerms> terms_of(const Workflow& workflow) {
  std::vector<TaskTerms> terms;
  for (const TaskDefinition& task : workflow.tasks()) {
    terms.push_back({.after = {task.after.begin(), task.after.end()},
                     .executor = task.executor.empty() ? "default" : task.executor,
                     .name = std::string(task.namespace_name),
                     .at_memory = task.at_memory,
                     .trigger = task.trigger,
                     .retry = task.retry,
                     .timeout_ns = task.timeout.count(),
                     .queue_timeout_ns = task.queue_timeout.count(),
                     .total_timeout_ns = task.total_timeout.count(),
                     .rescues_max = task.rescues_max,
                     .signal = task.signal ? workflow.signals()[*task.signal].name : std::string(),
                     .signal_timeout_ns = task.signal_timeout.count()});
  }
  return terms;
}

/// Takes handles of what came from the store.
void World::meet(RunnerState& state) {
  if (!state.scheduler.waiting().in_use()) return;
  for (PipelineHandle& pipeline : state.scheduler.live()) {
    if (std::ranges::find(handles_, pipeline.id(), &PipelineHandle::id) == handles_.end())
      handles_.push_back(std::move(pipeline));
  }
}

/// Takes note of what tasks have begun, before any of it is in the store.
void World::meet_children() {
  if (runner_ == nullptr || !has_children_) return;
  for (const PipelineHandle& handle : RunnerState::of(*runner_).scheduler.live()) {
    const Pipeline& pipeline = Pipeline::of(handle);
    if (!pipeline.is_child() ||
        std::ranges::find(handles_, handle.id(), &PipelineHandle::id) != handles_.end())
      continue;
    const Workflow& workflow = pipeline.workflow().workflow;
    stage_.note("a child begins", handle.id().hash());
    stage_.ledger.child_begun(handle.id(),
                              {.level = pipeline.level(),
                               .tasks = std::make_shared<const std::vector<TaskTerms>>(terms_of(workflow)),
                               .parent = pipeline.parent().pipeline});
    handles_.push_back(handle);
    if (std::ranges::find(children_, workflow.version(), &Workflow::version) == children_.end())
      children_.push_back(workflow);
  }
}

}  // namespace leat::sim
