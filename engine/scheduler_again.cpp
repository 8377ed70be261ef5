// Doing tasks of an ended pipeline again: a new pipeline of the same workflow that takes over what stays,
// with its contexts. The old one remains as it ended.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "refusal.h"
#include "scheduler.h"
#include "store_failure.h"

namespace leat {
namespace {

/// Adds to the tasks that are to be done again those that depend on them.
void add_dependents(const Workflow& workflow, std::vector<bool>& again) {
  for (const std::uint32_t task : workflow.topological_order()) {
    if (!again[task]) continue;
    for (const std::uint32_t successor : workflow.tasks()[task].successors) again[successor] = true;
  }
}

}  // namespace

std::expected<std::string, Error> Pipeline::saved_context(std::uint32_t task) const {
  if (!tasks_[task].staged) return std::string();
  std::string read;
  const auto text = read_text(*tasks_[task].context, read);
  if (!text) return std::unexpected(text.error());
  return std::string(*text);
}

std::expected<PipelineHandle, Error> Scheduler::submit_again(const PipelineHandle& ended,
                                                             std::optional<std::string_view> from) {
  const Pipeline& old = Pipeline::of(ended);
  if (!old.belongs_to(*this)) return fail(ErrorCode::InvalidArgument, "the pipeline is of another Runner");
  if (!admitting()) return fail(ErrorCode::Stopped, "the Runner has not started, or is stopping");
  if (!ended.wait(std::chrono::nanoseconds(0))) {
    return fail(ErrorCode::InvalidState, "the pipeline has not ended: its tasks cannot be done again yet");
  }
  auto context = old.initial_context();
  if (!context) return std::unexpected(std::move(context.error()));
  Ended how{.workflow = old.workflow().shared_from_this(),
            .level = old.level(),
            .priority = old.priority(),
            .context = std::move(*context),
            .signals = old.signals() == nullptr ? std::string() : encode_signals(old.signal_values()),
            .states = ended.task_states(),
            .saved = [&old](std::uint32_t task) { return old.saved_context(task); }};
  return begin_again(how, from);
}

/// @return  refers to `remembered`; InvalidState: it has not ended, or its version is not registered
std::expected<Scheduler::Ended, Error> Scheduler::ended_of(const RememberedPipeline& remembered) const {
  const PipelineImage& image = remembered.pipeline;
  const std::string id = image.id.to_string();
  if (!is_terminal(image.state) || image.open_tasks > 0) {
    return fail(ErrorCode::InvalidState,
                "pipeline " + id + " has not ended: its tasks cannot be done again yet");
  }
  const auto text_of = [this](const ContextImage& context,
                              const ContextPlace& place) -> std::expected<std::string, Error> {
    if (!context.is_apart()) return std::string(std::string_view(context));
    auto text = journal_->read_context(place, context.mark());
    if (!text) return std::unexpected(to_error(text.error()));
    return std::move(*text);
  };
  auto context = text_of(image.context, ContextPlace::of_pipeline(image.pipeline_no));
  if (!context) return std::unexpected(std::move(context.error()));
  Ended old{.workflow = find_version(remembered.workflow.version),
            .level = image.level,
            .priority = image.priority,
            .context = std::move(*context),
            .signals = encode_signals(image.traits->signals),
            .states = {},
            .saved = [&image, text_of](std::uint32_t task) {
              return text_of(image.tasks[task].context, ContextPlace::of_task(image.pipeline_no, task));
            }};
  if (old.workflow == nullptr) {
    return fail(ErrorCode::InvalidState, "pipeline " + id + " is of a version of workflow '" +
                                             remembered.workflow.name + "' that is not registered");
  }
  for (const TaskImage& task : image.tasks) old.states.push_back(task.state);
  return old;
}

std::expected<PipelineHandle, Error> Scheduler::submit_again(const RememberedPipeline& remembered,
                                                             std::optional<std::string_view> from) {
  const auto old = ended_of(remembered);
  if (!old) return std::unexpected(old.error());
  return begin_again(*old, from);
}

std::expected<PipelineHandle, Error> Scheduler::redrive(const RememberedPipeline& remembered,
                                                        std::string_view task) {
  const auto old = ended_of(remembered);
  if (!old) return std::unexpected(old.error());
  const Uuid& id = remembered.pipeline.id;
  std::expected<PipelineHandle, Error> begun =
      fail(ErrorCode::NotFound,
           "task '" + std::string(task) + "' of pipeline " + id.to_string() + " is not in quarantine");
  const auto number = old->workflow->workflow.find(task);
  if (!number) return begun;
  quarantine_.take(id, *number, [&] {
    begun = begin_again(*old, task, {id, *number});
    return begun.has_value();
  });
  return begun;
}

/// A journal credit is reserved, and used up.
std::expected<void, Error> Scheduler::forget_quarantined(const Uuid& pipeline, std::string_view task) {
  const auto number = quarantine_.find(pipeline, task);
  const bool taken = number && quarantine_.take(pipeline, *number, [&] {
    journal_->publish({clock_.unix_ns(), QuarantineLeft{pipeline, *number}}, Durability::Disk, nullptr, 0);
    return true;
  });
  if (taken) return {};
  if (journal_ != nullptr) journal_->release(1);
  return fail(ErrorCode::NotFound, "task '" + std::string(task) + "' of pipeline " + pipeline.to_string() +
                                       " is not in quarantine");
}

/// @param from      the task from which on all is done again; nothing: what failed
/// @param redriven  leaves the quarantine with it
std::expected<PipelineHandle, Error> Scheduler::begin_again(const Ended& old,
                                                            std::optional<std::string_view> from,
                                                            const QuarantineLeft& redriven) {
  if (!admitting()) return fail(ErrorCode::Stopped, "the Runner has not started, or is stopping");
  const Workflow& workflow = old.workflow->workflow;
  std::vector<bool> again(workflow.tasks().size());
  for (std::uint32_t task = 0; task < again.size(); ++task) {
    const TaskState state = old.states[task];
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
  std::vector<TaskDone> stays;
  std::vector<std::string> saved(again.size());
  for (const std::uint32_t task : workflow.topological_order()) {
    if (again[task]) continue;
    auto context = old.saved(task);
    if (!context) return std::unexpected(std::move(context.error()));
    saved[task] = std::move(*context);
    stays.push_back({.task = task, .state = old.states[task], .context = saved[task]});
  }
  SignalValues signals;
  static_cast<void>(decode_signals(old.signals, signals));  // encoded by this process
  for (std::uint32_t task = 0; task < again.size(); ++task) {
    if (!again[task]) continue;
    for (const std::uint32_t child : workflow.tasks()[task].children)
      signals.erase(workflow.signals()[child].name);
  }
  const std::string kept_signals = encode_signals(signals);
  const std::string done = encode_done(stays);
  if (done.size() > kGroupBytesMax / 2) {
    return fail(ErrorCode::InvalidArgument, "the contexts of what stays take " + std::to_string(done.size()) +
                                                " bytes; at most " + std::to_string(kGroupBytesMax / 2) +
                                                " can be taken over");
  }
  if (old.level != Durability::Memory && !journal_->admits()) {
    return fail(ErrorCode::Storage, journal_->condition().reason);
  }
  auto pipeline = begin(old.workflow, ids_.next(),
                        {.level = old.level,
                         .context = old.context,
                         .traits = {.tasks_done = done,
                                    .priority = old.priority,
                                    .redriven = redriven,
                                    .signals = kept_signals}});
  if (!pipeline) return fail(ErrorCode::Stopped, "the journal takes nothing more");
  return std::move(*pipeline);
}

}  // namespace leat
