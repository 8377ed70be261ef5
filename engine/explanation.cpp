// Runner::explain(): the pipeline says what it knows, then the gates are asked in the order in which a task
// passes them.
#include "leat/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "completion.h"
#include "lane.h"
#include "pipeline.h"
#include "runner_state.h"
#include "scheduler.h"

namespace leat {

std::string_view to_string(TaskExplanation::Cause cause) noexcept {
  using Cause = TaskExplanation::Cause;
  switch (cause) {
    case Cause::Ended:
      return "Ended";
    case Cause::Running:
      return "Running";
    case Cause::Dependencies:
      return "Dependencies";
    case Cause::Signal:
      return "Signal";
    case Cause::RetryTime:
      return "RetryTime";
    case Cause::PausedPipeline:
      return "PausedPipeline";
    case Cause::PausedName:
      return "PausedName";
    case Cause::PausedExecutor:
      return "PausedExecutor";
    case Cause::ConcurrencyKey:
      return "ConcurrencyKey";
    case Cause::Suspects:
      return "Suspects";
    case Cause::NoExecutor:
      return "NoExecutor";
    case Cause::Deferred:
      return "Deferred";
    case Cause::LaneFull:
      return "LaneFull";
    case Cause::RateLimit:
      return "RateLimit";
    case Cause::Queued:
      return "Queued";
  }
  return "";
}

std::optional<TaskExplanation> Pipeline::explain(std::uint32_t task) {
  if (over()) return explained(task);
  if (const auto before = host_.place_in_store(*this)) {
    const TaskState state = state_of(task);
    using Cause = TaskExplanation::Cause;
    return TaskExplanation{
        .state = state,
        .cause = state == TaskState::Ready ? Cause::LaneFull : Cause::Dependencies,
        .text = fmt::format("its pipeline waits in the store, behind {} of its line", *before)};
  }
  const auto message = std::make_shared<ExplainMessage>();
  message->kind = PipelineMessage::Kind::Explain;
  message->task = task;
  message->self = message;
  post(*message);
  message->handled.acquire();
  return std::move(message->answer);
}

/// @return  empty: the task is Ready, and nothing in its pipeline holds it. @pre owned, or the pipeline has
///          ended
std::optional<TaskExplanation> Pipeline::explained(std::uint32_t task) const {
  using Cause = TaskExplanation::Cause;
  const TaskState state = state_of(task);
  const auto awaited = [this](std::uint32_t signal) {
    const std::string& name = workflow_->signals[signal].name;
    return workflow_->signals[signal].is_child && signals()->awaits_child(signal)
               ? fmt::format("waits for the end of the child '{}', {}", name, child_id(signal).to_string())
               : fmt::format("waits for the signal '{}'", name);
  };
  const auto because = [state](Cause cause, std::string text) {
    return TaskExplanation{.state = state, .cause = cause, .text = std::move(text)};
  };
  if (state == TaskState::Skipped) return because(Cause::Ended, skipping(task));
  if (is_terminal(state)) return because(Cause::Ended, "it has ended");
  if (state == TaskState::Running) {
    const Attempt* const attempt = running(task, static_cast<std::int32_t>(task_attempt(task)));
    if (attempt == nullptr) return because(Cause::Running, "its work is elsewhere");
    const Cause cause = attempt->deferred() ? Cause::Deferred : Cause::Running;
    const auto signal = signals() == nullptr ? std::nullopt : signals()->awaited_by(task);
    if (signal) return because(cause, awaited(*signal));
    return because(cause, attempt->lane->describe(*attempt));
  }
  if (const auto signal = workflow_->definitions[task].signal;
      state == TaskState::NotStarted && tasks_[task].waiting == 0 && signal) {
    return because(Cause::Signal, awaited(*signal));
  }
  if (state == TaskState::NotStarted) {
    std::string names;
    for (const std::uint32_t dependency : workflow_->definitions[task].after) {
      if (is_terminal(state_of(dependency))) continue;
      names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", workflow_->definitions[dependency].name,
                           to_string(state_of(dependency)));
    }
    return because(Cause::Dependencies, "waits for " + names);
  }
  if (paused()) return because(Cause::PausedPipeline, "its pipeline is paused: " + rare_->pause->reason);
  const std::int64_t delay_ns = tasks_[task].retry_at_ns - host_.clock().unix_ns();
  if (delay_ns > 0) {
    return because(Cause::RetryTime, fmt::format("attempt {} is due in {:.3f} s", task_attempt(task),
                                                 static_cast<double>(delay_ns) / 1e9));
  }
  return std::nullopt;
}

/// Which rule was false, and by which dependencies.
std::string Pipeline::skipping(std::uint32_t task) const {
  const TaskDefinition& definition = workflow_->definitions[task];
  std::string text = fmt::format("its trigger rule {} was false", definition.trigger.to_json());
  for (std::size_t i = 0; i < definition.after.size(); ++i) {
    constexpr std::size_t kNamed = 10;
    if (i == kNamed) return text + fmt::format(", and {} more", definition.after.size() - i);
    const std::uint32_t dependency = definition.after[i];
    text += fmt::format("{}{} is {}", i == 0 ? ": " : ", ", workflow_->definitions[dependency].name,
                        to_string(state_of(dependency)));
  }
  return text;
}

/// Empty: none was given, or it is not paused.
std::string Scheduler::reason_of_pause(PauseScope scope, const std::string& what) const {
  const MutexLock lock(mutex_);
  const auto pause = pauses_.find({scope, what});
  return pause == pauses_.end() || pause->second.reason.empty() ? std::string() : ": " + pause->second.reason;
}

/// What holds a Ready task on its way, or in its lane.
TaskExplanation Scheduler::explain(const TaskReadyEvent& event) {
  using Cause = TaskExplanation::Cause;
  const auto because = [](Cause cause, std::string text) {
    return TaskExplanation{.state = TaskState::Ready, .cause = cause, .text = std::move(text)};
  };
  const Pipeline& pipeline = *pipeline_of(event);
  if (gate_.waits(pipeline)) {
    return because(Cause::ConcurrencyKey,
                   fmt::format("waits for other pipelines of the key '{}'", gate_.key_of(pipeline)));
  }
  if (isolation_.holding() && pipeline.level() != Durability::Memory)
    return because(Cause::Suspects, "waits while suspects run alone");
  const Lane& lane = lanes_.lane_of(event, executor_of(event));
  const ExecutorMetrics metrics = lane.metrics();
  const std::string figures = fmt::format("'{}': {} of {} attempts run, {} of {} wait, {} are parked",
                                          lane.key(), metrics.active_tasks, metrics.max_concurrent,
                                          metrics.queued_tasks, metrics.max_queued, metrics.parked_tasks);
  if (const std::string pattern = lanes_.gate().pattern_of(event.task_namespace); !pattern.empty()) {
    return because(Cause::PausedName, fmt::format("its namespace is paused by '{}'{}", pattern,
                                                  reason_of_pause(PauseScope::Namespaces, pattern)));
  }
  if (lane.paused()) {
    const std::string key(lane.key());
    return because(Cause::PausedExecutor, fmt::format("executor '{}' is paused{}", key,
                                                      reason_of_pause(PauseScope::ExecutorKey, key)));
  }
  if (lane.closed()) {
    return because(Cause::NoExecutor, fmt::format("no executor is registered as '{}' now", lane.key()));
  }
  if (const auto before = lane.place_in_lot(event)) {
    return because(Cause::LaneFull, fmt::format("parked behind {} of its tenant at {}", *before, figures));
  }
  if (!lane.within_rate()) return because(Cause::RateLimit, "held to the rate of " + figures);
  return because(Cause::Queued, "queued at " + figures);
}

std::expected<TaskExplanation, Error> Runner::explain(const PipelineHandle& pipeline,
                                                      std::string_view task) const {
  if (telling_to_end()) {
    return std::unexpected(
        Error{ErrorCode::WouldDeadlock, "explain() must not be called in a callback of on_cancel()"});
  }
  Pipeline& live = Pipeline::of(pipeline);
  const auto number = live.workflow().workflow.find(task);
  if (!number) {
    return std::unexpected(
        Error{ErrorCode::NotFound,
              fmt::format("workflow '{}' has no task '{}'", live.workflow().workflow.full_name(), task)});
  }
  if (auto explained = live.explain(*number)) return std::move(*explained);
  return state_->scheduler.explain(live.event_of(*number));
}

}  // namespace leat
