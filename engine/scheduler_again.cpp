// Doing tasks of an ended pipeline again: a new pipeline of the same workflow that takes over what stays, with
// its contexts. The old one remains as it ended.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "scheduler.h"

namespace leat {
namespace {

std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

/// Adds to the tasks that are to be done again those that depend on them.
void add_dependents(const Workflow& workflow, std::vector<bool>& again) {
  for (const std::uint32_t task : workflow.topological_order()) {
    if (!again[task]) continue;
    for (const std::uint32_t successor : workflow.tasks()[task].successors) again[successor] = true;
  }
}

}  // namespace

std::expected<std::string, Error> Pipeline::done_but(const std::vector<bool>& again) const {
  std::vector<TaskDone> done;
  std::vector<std::string> read(again.size());  // contexts that are in the store alone
  for (const std::uint32_t task : workflow_->workflow.topological_order()) {
    if (again[task]) continue;
    std::expected<std::string_view, Error> context;
    if (tasks_[task].staged) context = read_text(*tasks_[task].context, read[task]);
    if (!context) return std::unexpected(std::move(context.error()));
    done.push_back({.task = task, .state = state_of(task), .context = *context});
  }
  return encode_done(done);
}

std::expected<PipelineHandle, Error> Scheduler::submit_again(const PipelineHandle& ended,
                                                             std::optional<std::string_view> from) {
  Pipeline& old = Pipeline::of(ended);
  if (!old.belongs_to(*this)) return fail(ErrorCode::InvalidArgument, "the pipeline is of another Runner");
  if (!accepting()) return fail(ErrorCode::Stopped, "the Runner has not started, or is stopping");
  if (!ended.wait(std::chrono::nanoseconds(0))) {
    return fail(ErrorCode::InvalidState, "the pipeline has not ended: its tasks cannot be done again yet");
  }
  const Workflow& workflow = old.workflow().workflow;
  std::vector<bool> again(workflow.tasks().size());
  for (std::uint32_t task = 0; task < again.size(); ++task) {
    const TaskState state = old.task_state(task);
    again[task] = state == TaskState::Cancelled || (!from && state == TaskState::Failed);
  }
  if (from) {
    const auto task = workflow.find(*from);
    if (!task) {
      return fail(ErrorCode::NotFound, "workflow '" + std::string(workflow.full_name()) + "' has no task '" +
                                           std::string(*from) + "'");
    }
    again[*task] = true;
  }
  add_dependents(workflow, again);
  if (std::ranges::none_of(again, [](bool one) { return one; })) {
    return fail(ErrorCode::InvalidState, "no task of the pipeline failed or was cancelled");
  }
  const auto done = old.done_but(again);
  if (!done) return std::unexpected(done.error());
  auto context = old.initial_context();
  if (!context) return std::unexpected(std::move(context.error()));
  const std::string signals = old.signals() == nullptr ? std::string() : encode_signals(old.signal_values());
  if (done->size() > kGroupBytesMax / 2) {
    return fail(ErrorCode::InvalidArgument, "the contexts of what stays take " + std::to_string(done->size()) +
                                                " bytes; at most " + std::to_string(kGroupBytesMax / 2) +
                                                " can be taken over");
  }
  if (old.level() != Durability::Memory && !journal_->admits()) {
    return fail(ErrorCode::Storage, journal_->condition().reason);
  }
  auto pipeline =
      begin(old.workflow().shared_from_this(), ids_.next(),
            {.level = old.level(), .context = std::move(*context), .traits = {.tasks_done = *done, .signals = signals}});
  if (!pipeline) return fail(ErrorCode::Stopped, "the journal takes nothing more");
  return std::move(*pipeline);
}

}  // namespace leat
