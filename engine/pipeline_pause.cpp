// Pausing a pipeline: its Ready tasks are marked, so that no worker can begin them; whoever meets one lets it
// go, and it waits here until the pipeline goes on.
#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "pipeline.h"

namespace leat {

std::expected<void, Error> Pipeline::pause(std::string_view reason) {
  if (reason.size() > kReasonBytesMax) {
    return std::unexpected(Error{ErrorCode::InvalidArgument, "a reason of " + std::to_string(reason.size()) +
                                                                 " bytes (accepted: up to " +
                                                                 std::to_string(kReasonBytesMax) + ")"});
  }
  return ask(PipelineMessage::Kind::Pause, reason);
}

std::expected<void, Error> Pipeline::resume() {
  return ask(PipelineMessage::Kind::Resume, {});
}

/// Uses up a credit, where the level needs one.
void Pipeline::pause_tasks(AskMessage& message) noexcept {
  const auto held = std::move(message.self);
  if (open_ == 0 || cancelling_) {
    message.refused = Error{ErrorCode::InvalidState, "the pipeline has ended already"};
  }
  if (message.refused || paused()) {
    if (identity_.level != Durability::Memory) host_.journal()->release(1);
    return message.handled.release();
  }
  const std::int64_t now = host_.clock().unix_ns();
  rare().pause = {now, std::string(message.text)};
  for (std::uint32_t task = 0; task < workflow_->tasks.size(); ++task) {
    // (29) acquire: pairs with (6) of begin().
    std::uint32_t word = tasks_[task].word.load(std::memory_order_acquire);
    if (state_in(word) != TaskState::Ready) continue;
    // (29), or a begin() that was first: then the task runs.
    if (tasks_[task].word.compare_exchange_strong(word, word | kHeld, std::memory_order_acq_rel,
                                                  std::memory_order_relaxed)) {
      rare().at_home.insert_or_assign(task, false);
    }
  }
  if (identity_.keyed && !has_begun()) host_.gate().step_aside(*this);
  state_.store(PipelineState::Paused, std::memory_order_relaxed);  // relaxed: a value to look at
  leave_front();  // else its line would stand behind it
  TransitionGroup group;
  if (identity_.level != Durability::Memory) {
    group = {now, PipelineChanged{.pipeline_no = identity_.pipeline_no,
                                  .to = PipelineState::Paused,
                                  .reason = rare_->pause->reason}};
  }
  publish(std::move(group), Step(), 0);
  message.handled.release();
}

/// Uses up a credit, where the level needs one.
void Pipeline::resume_tasks(AskMessage& message) noexcept {
  const auto held = std::move(message.self);
  if (!paused() || open_ == 0 || cancelling_) {
    if (identity_.level != Durability::Memory) host_.journal()->release(1);
    message.refused = Error{ErrorCode::InvalidState, "the pipeline is not paused"};
    return message.handled.release();
  }
  rare_->pause.reset();
  // It stepped aside: what lanes still have of it passes the gate anew, on its way from home.
  const bool was_aside = identity_.keyed && !has_begun();
  Step step;
  for (auto place = rare_->at_home.begin(); place != rare_->at_home.end();) {
    const auto [task, home] = *place;
    // relaxed: a held task is the step's alone.
    const std::uint32_t word = tasks_[task].word.load(std::memory_order_relaxed);
    if ((word & kHeld) != 0 && (home || !was_aside)) set_state(task, TaskState::Ready, attempt_of(word));
    if (home) add_released(task, step);
    place = home ? rare_->at_home.erase(place) : std::next(place);
  }
  if (was_aside) host_.gate().step_up(*this);
  state_.store(PipelineState::Running, std::memory_order_relaxed);  // relaxed: a value to look at
  started_ = true;                                                  // the journal says Running from here on
  TransitionGroup group;
  if (identity_.level != Durability::Memory) {
    group = {host_.clock().unix_ns(),
             PipelineChanged{.pipeline_no = identity_.pipeline_no, .to = PipelineState::Running}};
  }
  publish(std::move(group), step, 0);
  message.handled.release();
}

/// Whether some task has ever run. @pre none can begin meanwhile
bool Pipeline::has_begun() const noexcept {
  return std::ranges::any_of(std::span(tasks_, workflow_->tasks.size()), [](const Task& task) {
    const std::uint32_t word = task.word.load(std::memory_order_relaxed);  // relaxed: see @pre
    const TaskState state = state_in(word);
    return state == TaskState::Running || state == TaskState::Completed || state == TaskState::Failed ||
           attempt_of(word) > 1 || task.rescues > 0 || task.key_no != 0;
  });
}

/// Keeps a task that has just become Ready from being released. @return false: it need not be
bool Pipeline::hold(std::uint32_t task) noexcept {
  if (!paused()) return false;
  const std::uint32_t word = tasks_[task].word.load(std::memory_order_relaxed);  // relaxed: nobody has it yet
  tasks_[task].word.store(word | kHeld, std::memory_order_relaxed);              // relaxed: as above
  rare_->at_home.insert_or_assign(task, true);
  return true;
}

/// A lane lets go of an attempt that it could not begin. @return whether the task is still to run: by the
/// lane again, or once the pipeline goes on
bool Pipeline::belongs_home(std::uint32_t task, std::uint32_t attempt) const noexcept {
  // relaxed: no lane has it.
  const std::uint32_t word = tasks_[task].word.load(std::memory_order_relaxed);
  return rare_->at_home.contains(task) && state_in(word) == TaskState::Ready && attempt_of(word) == attempt;
}

/// @pre belongs_home()
void Pipeline::come_home(std::uint32_t task) noexcept {
  const auto place = rare_->at_home.find(task);
  const std::uint32_t word = tasks_[task].word.load(std::memory_order_relaxed);  // relaxed: no lane has it
  if ((word & kHeld) != 0 && paused()) {
    place->second = true;
  } else {
    if ((word & kHeld) != 0) set_state(task, TaskState::Ready, attempt_of(word));
    rare_->at_home.erase(place);
    release_task(task, Slots());
  }
}

/// The task ends without having run.
void Pipeline::leave_home(std::uint32_t task) noexcept {
  const auto place = rare_->at_home.find(task);
  if (place == rare_->at_home.end()) return;
  if (place->second) --outstanding_;
  rare_->at_home.erase(place);
}

}  // namespace leat
