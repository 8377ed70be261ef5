// Signals: what a pipeline is told by name, once each, as durably as its submission. A task that declares one
// has a dependency more, which no task is; a coroutine listens for it.
#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "json_text.h"
#include "leat/clock.h"
#include "leat/context.h"
#include "pipeline.h"
#include "refusal.h"

namespace leat {
namespace {

std::string names_of(std::span<const SignalDefinition> signals) {
  constexpr std::size_t kShownMax = 10;
  std::string names;
  for (std::size_t i = 0; i < std::min(signals.size(), kShownMax); ++i)
    names += (i == 0 ? "" : ", ") + signals[i].name;
  if (signals.size() > kShownMax) names += ", ...";
  return names.empty() ? "none" : names;
}

}  // namespace

std::expected<std::uint32_t, Error> Pipeline::find_signal(std::string_view name) const {
  if (const auto known = workflow_->workflow.find_signal(name)) return *known;
  return fail(ErrorCode::NotFound, "workflow '" + std::string(workflow_->workflow.full_name()) +
                                       "' declares no signal '" + std::string(name) +
                                       "' (accepted: " + names_of(workflow_->signals) + ")");
}

std::expected<void, Error> Pipeline::signal(std::string_view name, std::string_view value) {
  if (const auto known = find_signal(name); !known) return std::unexpected(known.error());
  if (value.size() > kSignalBytesMax) {
    return fail(ErrorCode::InvalidArgument, "a signal of " + std::to_string(value.size()) +
                                                " bytes (accepted: up to " + std::to_string(kSignalBytesMax) +
                                                ")");
  }
  const auto json = canonical_json(value);
  if (!json) return fail(ErrorCode::InvalidArgument, "the signal's value: " + json.error().message);
  return ask(PipelineMessage::Kind::Signal, name, *json);
}

/// Whether nothing but its signal keeps the task from being decided about. @pre its dependencies have ended
bool Pipeline::waits_for_signal(std::uint32_t index) const noexcept {
  const TaskDefinition& definition = workflow_->definitions[index];
  if (!definition.signal || signals()->value(*definition.signal) != nullptr) return false;
  return definition.trigger.needs_context() || verdict(index);
}

/// The dependencies of a task have ended. @return whether it goes on waiting, for its signal
bool Pipeline::keep_for_signal(std::uint32_t index) noexcept {
  if (!gated(index)) return false;
  begin_signal_limit(index);
  return true;
}

/// Uses up a credit, where the level needs one.
void Pipeline::take_signal(AskMessage& message) noexcept {
  const auto held = std::move(message.self);
  const std::uint32_t signal = *workflow_->workflow.find_signal(message.text);
  const Signals::Value& known = signals()->value(signal);
  const bool of_child = message.kind == PipelineMessage::Kind::ChildEnded;  // few, and bounded
  if (open_ == 0 || cancelling_) {
    message.refused = Error{ErrorCode::InvalidState, "the pipeline has ended already"};
  } else if (known != nullptr && *known != message.value) {
    message.refused = Error{ErrorCode::AlreadyExists,
                            "signal '" + std::string(message.text) + "' has come with another value"};
  } else if (known == nullptr && !of_child && signals()->bytes + message.value.size() > kSignalsBytesMax) {
    message.refused = Error{ErrorCode::InvalidArgument, "the pipeline's signals take more than " +
                                                            std::to_string(kSignalsBytesMax) + " bytes"};
  }
  if (message.refused || known != nullptr) {
    if (identity_.level != Durability::Memory) host_.journal()->release(1);
    return message.handled.release();
  }
  signals()->take(signal, std::make_shared<const std::string>(message.value));
  if (!of_child) signals()->bytes += message.value.size();
  const std::int64_t now = host_.clock().unix_ns();
  const std::int64_t start_at_ns = signals()->start_at_ns > now ? signals()->start_at_ns : 0;
  Step step;
  for (const std::uint32_t task : workflow_->signals[signal].tasks) {
    if (tasks_[task].waiting > 0 || state_of(task) != TaskState::NotStarted) continue;
    drop_signal_limit(task);
    if (verdict(task)) {
      tasks_[task].retry_at_ns = start_at_ns;
      make_ready(task, step);
      note(task, TaskState::Ready, step);
    } else {
      end_unstarted(task, TaskState::Skipped, step);
    }
  }
  const std::string_view told = end_to_tell();
  TransitionGroup group;
  if (identity_.level != Durability::Memory) {
    group = {now, PipelineSignalled{.pipeline_no = identity_.pipeline_no,
                                    .name = message.text,
                                    .value = message.value,
                                    .successors = step.successors,
                                    .start_at_ns = start_at_ns,
                                    .pipeline = open_ == 0 ? std::optional(end_state()) : std::nullopt,
                                    .told = told}};
  }
  publish(std::move(group), step, flags_of_signal(signal));
  message.handled.release();
}

/// Those that an earlier process was told, or the pipeline whose tasks are done again. @pre nobody else knows
/// it
void Pipeline::remember_signals(const SignalValues& values, std::int64_t start_at_ns) {
  if (signals() == nullptr) return;
  signals()->start_at_ns = start_at_ns;
  for (const auto& [name, value] : values) {
    const auto signal = workflow_->workflow.find_signal(name);
    if (!signal) continue;  // refused when it was sent, so never
    signals()->take(*signal, std::make_shared<const std::string>(value));
    if (!workflow_->signals[*signal].is_child) signals()->bytes += value.size();
    signals()->tell(*signal);
  }
}

SignalValues Pipeline::signal_values() const {
  SignalValues values;
  for (std::uint32_t i = 0; i < workflow_->signals.size(); ++i) {
    if (const Signals::Value& value = signals()->value(i)) values.emplace(workflow_->signals[i].name, *value);
  }
  return values;
}

/// @pre the task waits for the signal alone
void Pipeline::begin_signal_limit(std::uint32_t index) noexcept {
  const auto timeout = workflow_->definitions[index].signal_timeout;
  if (timeout.count() == 0) return;
  // The wall clock may jump, and the steady one stand still in a suspend: it is asked again now and then.
  constexpr std::chrono::nanoseconds kLook = std::chrono::minutes(1);
  const std::int64_t left = signal_due_ns(index) - host_.clock().unix_ns();
  const auto wait = std::clamp(std::chrono::nanoseconds(left), std::chrono::nanoseconds(0), kLook);
  limits()[index].signal =
      host_.timers().schedule(time_after(host_.clock().steady_ns(), wait), *this, kSignalLimit | index);
  ++outstanding_;
}

void Pipeline::drop_signal_limit(std::uint32_t index) noexcept {
  if (limits() != nullptr && host_.timers().cancel(limits()[index].signal)) --outstanding_;
}

std::int64_t Pipeline::signal_due_ns(std::uint32_t index) const noexcept {
  return time_after(std::max(created_ns_, signals()->start_at_ns),
                    workflow_->definitions[index].signal_timeout);
}

/// The time is up, or a minute of it. Uses up the credit, where it does something.
void Pipeline::reach_signal_limit(std::uint32_t index, std::uint32_t& credits) noexcept {
  if (state_of(index) != TaskState::NotStarted || cancelling_) return;  // the signal was faster
  if (signal_due_ns(index) > host_.clock().unix_ns()) return begin_signal_limit(index);
  const TaskDefinition& definition = workflow_->definitions[index];
  const std::string error = "timeout: signal '" + workflow_->signals[*definition.signal].name +
                            "' did not come within " +
                            std::to_string(definition.signal_timeout.count() / 1'000'000) + " ms";
  conclude(index,
           {.to = TaskState::Failed,
            .cause = TaskEnded::Cause::Result,
            .from = TaskState::NotStarted,
            .error = error},
           credits);
}

/// The context of a task with the value of its signal, where it has one.
std::expected<std::shared_ptr<const SharedContext>, Error> Pipeline::with_signal(
    std::uint32_t task, std::shared_ptr<const SharedContext> before) const {
  const auto signal = workflow_->definitions[task].signal;
  if (!signal || signals()->value(*signal) == nullptr) return before;
  std::string read;
  const auto text = read_text(*before, read);
  if (!text) return std::unexpected(text.error());
  auto context = Context::parse(*text);
  if (!context) return std::unexpected(std::move(context.error()));
  if (auto set = context->set_json(workflow_->signals[*signal].name, *signals()->value(*signal)); !set)
    return std::unexpected(std::move(set.error()));
  std::string with_value = context->to_json();
  if (auto fits = check_context_size(with_value.size()); !fits)
    return std::unexpected(Error{fits.error().code, "with its signal, " + fits.error().message});
  return std::make_shared<const SharedContext>(std::move(with_value));
}

std::expected<void, Error> PipelineHandle::signal(std::string_view name, std::string_view value) {
  return pipeline_->signal(name, value);
}

}  // namespace leat
