// Pipelines that go to the store because memory is bounded, as the scheduler sees them.
#include <string>
#include <utility>

#include "scheduler.h"

namespace leat {

/// Uses up one of two credits and gives the other back, where it does. @return false: the pipeline is to
/// begin in memory
bool Scheduler::set_aside(Pipeline& pipeline, const Beginning& how) {
  if (how.slot.count() > 0 || how.writes != nullptr || !pipeline.may_be_set_aside(how.traits)) return false;
  const std::uint32_t root = pipeline.workflow().workflow.roots().front();
  const TaskReadyEvent event = pipeline.event_of(root);
  const WaitingLine line{
      .workflow_no = pipeline.workflow().workflow_no,
      .key_no = lanes_.lane_of(event, pipeline.workflow().tasks[root].executor).journal_key(),
      .priority = event.priority};
  if (!waiting_.set_aside(pipeline, line, how.traits)) return false;
  journal_->release(1);
  return true;
}

Pipeline& Scheduler::remake(const Registered& workflow, const PipelineCreated& created,
                            std::int64_t created_ns) {
  Pipeline& pipeline = Pipeline::make(*this, workflow,
                                      {.id = created.id,
                                       .pipeline_no = created.pipeline_no,
                                       .level = created.level,
                                       .priority = created.traits.priority},
                                      std::string(created.context.text));
  pipeline.remake(created_ns);
  return pipeline;
}

void Scheduler::lives(Pipeline& pipeline) noexcept {
  static_cast<void>(add_live(pipeline));  // the lines are closed before the list is
}

}  // namespace leat
