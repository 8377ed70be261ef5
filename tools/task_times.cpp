#include "task_times.h"

namespace leat::tools {

void TaskTimes::note(const TransitionEvent& event) {
  Pipeline& pipeline = pipelines_[event.pipeline->pipeline_no];
  pipeline.tasks.resize(event.pipeline->tasks.size());
  Times& times = pipeline.tasks[event.task];
  // What an end releases follows it in its group.
  if (event.from == TaskState::NotStarted) times.released_by = pipeline.last_ended;
  if (event.to == TaskState::Ready) times = {.ready_ns = event.time_ns, .released_by = times.released_by};
  if (event.to == TaskState::Running) times.started_ns = event.time_ns;
  if (is_terminal(event.to)) {
    times.finished_ns = event.time_ns;
    pipeline.last_ended = event.task;
  }
}

TaskTimes::Times TaskTimes::of(std::uint64_t pipeline_no, std::uint32_t task) const {
  const auto found = pipelines_.find(pipeline_no);
  return found == pipelines_.end() ? Times() : found->second.tasks.at(task);
}

}  // namespace leat::tools
