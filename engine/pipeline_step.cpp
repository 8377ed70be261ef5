// The step: what follows when an attempt ends. Runs under the pipeline's ownership, so it is written as if
// there were one thread.
#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "check.h"
#include "crash_traces.h"
#include "lane.h"
#include "leat/retry_policy.h"
#include "leat/trigger_rule.h"
#include "pipeline.h"

namespace leat {
namespace {

Lane::Outcome outcome_of(TaskState to) noexcept {
  switch (to) {
    case TaskState::Ready:
      return Lane::Outcome::Retried;
    case TaskState::Completed:
      return Lane::Outcome::Completed;
    default:
      return Lane::Outcome::Failed;
  }
}

}  // namespace

void Pipeline::finish_attempt(Attempt& attempt) noexcept {
  if (cancelling_) attempt.listener->heeded(attempt);
  if (attempt.unknown_elsewhere) return give_up_adoption(attempt);
  const std::uint32_t index = attempt.task.event.task_number;
  --outstanding_;
  if (is_current(attempt)) {
    // relaxed: only the step reads it from here on.
    tasks_[index].running.store(nullptr, std::memory_order_relaxed);
    tasks_[index].key_no = attempt.lane->journal_key();
    Ending ending = judge(attempt);
    ending.lane = attempt.lane;
    attempt.lane->count(attempt, outcome_of(ending.to), identity_.level != Durability::Memory,
                        attempt.result.error_class);
    conclude(index, std::move(ending), attempt.journal_credits);
  } else {
    attempt.lane->count(attempt, Lane::Outcome::Late);
  }
  give_back(attempt);
}

void Pipeline::finish_overdue(Attempt& attempt) noexcept {
  const std::uint32_t index = attempt.task.event.task_number;
  attempt.timed_out = true;
  if (attempt.interrupted) {
    if (is_current(attempt)) interrupt(index, &attempt);
  } else if (is_current(attempt)) {
    tasks_[index].running.store(nullptr, std::memory_order_relaxed);  // relaxed: as above
    tasks_[index].key_no = attempt.lane->journal_key();
    const TaskDefinition& definition = workflow_->definitions[index];
    const bool total = limits() != nullptr && limits()[index].total_over;
    const auto limit = total ? definition.total_timeout : definition.timeout;
    const std::string error =
        (total ? "timeout: the task took longer in all than " : "timeout: the attempt ran longer than ") +
        std::to_string(limit.count() / 1'000'000) + " ms";
    // An executor that has not come back may still be adding to the output.
    const std::string_view output = attempt.came_back ? std::string_view(attempt.output) : std::string_view();
    Ending ending = judge_failure(
        attempt, {.message = error, .output = output, .error_class = TaskError::Class::Timeout});
    ending.lane = attempt.lane;
    attempt.lane->count(attempt, outcome_of(ending.to), identity_.level != Durability::Memory,
                        TaskError::Class::Timeout);
    conclude(index, ending, attempt.journal_credits);
  }
  const bool came_back = attempt.came_back;
  attempt.settle();
  if (came_back) take_back(attempt);  // the end's reference keeps the record
}

void Pipeline::take_back(Attempt& attempt) noexcept {
  // The executor, told to stop, can come back before the word that told it: the task's end, and the
  // pipeline's, wait for that word.
  if (attempt.overdue && !attempt.timed_out) {
    attempt.came_back = true;
    return;
  }
  if (cancelling_) attempt.listener->heeded(attempt);
  const bool begun = attempt.overdue;
  const auto index = attempt.task.event.task_number;
  const auto number = static_cast<std::uint32_t>(attempt.task.event.attempt);
  attempt.unknown_elsewhere = false;
  const bool home = !begun && rare_ != nullptr && belongs_home(index, number);
  if (attempt.timed_out) attempt.lane->count(attempt, Lane::Outcome::Late);
  if (!begun) attempt.lane->count(attempt, home ? Lane::Outcome::Held : Lane::Outcome::Dropped);
  give_back(attempt);
  home ? come_home(index) : static_cast<void>(--outstanding_);
}

void Pipeline::give_back(Attempt& attempt) noexcept {
  if (attempt.journal_credits > 0) host_.journal()->release(std::exchange(attempt.journal_credits, 0));
  if (identity_.level != Durability::Memory) {
    if (attempt.line != nullptr) attempt.line->clear();
    waits_for_others(attempt.task.event.task_number);
  }
  attempt.settle();
}

bool Pipeline::is_current(const Attempt& attempt) const noexcept {
  const std::uint32_t index = attempt.task.event.task_number;
  const auto number = static_cast<std::uint32_t>(attempt.task.event.attempt);
  // relaxed: out of Running only the step itself leads.
  return tasks_[index].word.load(std::memory_order_relaxed) == word_of(TaskState::Running, number) &&
         tasks_[index].running.load(std::memory_order_relaxed) == &attempt;
}

Pipeline::Ending Pipeline::judge(Attempt& attempt) const noexcept {
  const ExecutionResult& result = attempt.result;
  Ending completed{.to = TaskState::Completed, .cause = TaskEnded::Cause::Result, .output = attempt.output};
  if (attempt.staged_context) {
    completed.staged = &*attempt.staged_context;
  } else if (result.status == ExecutionStatus::Completed) {
    // A task that did not look fails by what it cannot hand on as one that did.
    if (auto input = handed_on(attempt.task.event.task_number)) {
      completed.handed_on = std::move(*input);
    } else {
      attempt.result = ExecutionResult::failed(attempt.task.event.task_execution_id,
                                               "Context build failed: " + input.error().message)
                           .as(TaskError::Class::Validation);
    }
  }
  if (result.status != ExecutionStatus::Completed) {
    return judge_failure(attempt, {.message = result.error_message,
                                   .output = attempt.output,
                                   .error_class = result.error_class,
                                   .permanent = result.status == ExecutionStatus::Failed,
                                   .retry_after = result.retry_after});
  }
  return completed;
}

Pipeline::Ending Pipeline::judge_failure(const Attempt& attempt, const Failure& failure) const noexcept {
  Ending ending{.to = TaskState::Failed,
                .cause = TaskEnded::Cause::Result,
                .error = failure.message,
                .output = failure.output};
  if (cancelling_) {
    ending.to = TaskState::Cancelled;
    ending.cause = TaskEnded::Cause::Cancel;
    return ending;
  }
  if (limits() != nullptr && limits()[attempt.task.event.task_number].total_over) return ending;
  const std::int32_t number = attempt.task.event.attempt;
  RetryPolicy policy = workflow_->definitions[attempt.task.event.task_number].retry;
  if (identity_.max_attempts > 0) policy.max_attempts = identity_.max_attempts;
  if (!should_retry(policy, number, failure.message, failure.error_class, failure.permanent)) return ending;
  const std::uint64_t random = host_.rng().next();
  const auto delay = failure.retry_after ? spread_delay(policy, *failure.retry_after, random)
                                         : retry_delay(policy, number, random, failure.error_class);
  const std::int64_t due_ns = time_after(host_.clock().unix_ns(), delay);
  if (policy.max_age.count() > 0 && due_ns > time_after(age_begins_ns(), policy.max_age)) return ending;
  ending.to = TaskState::Ready;
  ending.cause = TaskEnded::Cause::Retry;
  ending.retry_at_ns = due_ns;
  return ending;
}

/// Ends a Running (or, by a limit, a Ready) task as decided, with all that follows, in one group. Uses up the
/// credit.
void Pipeline::conclude(std::uint32_t index, Ending ending, std::uint32_t& credits) noexcept {
  Task& task = tasks_[index];
  const std::uint32_t attempt = attempt_of(task.word.load(std::memory_order_relaxed));  // relaxed: as above
  Step step;
  task.begun.store(false, std::memory_order_relaxed);  // relaxed: the task has no worker now
  if (elsewhere() != nullptr) elsewhere()->names.erase(index);
  started_ = started_ || ending.from == TaskState::Running;
  if (rare_ != nullptr || !ending.error.empty()) note_error(index, ending.to, ending.error);
  if (ending.to == TaskState::Ready) {
    drop_limits(index);  // make_ready() begins that of the next wait
    task.retry_at_ns = ending.retry_at_ns;
    make_ready(index, step, ending.cause == TaskEnded::Cause::Retry ? attempt + 1 : attempt);
  } else {
    set_state(index, ending.to, attempt);
    count_terminal(ending.to);
    drop_limits(index);
    if (ending.to == TaskState::Completed) {
      if (ending.staged != nullptr && !is_input(index, *ending.staged)) {
        save_context(index, std::make_shared<const SharedContext>(*ending.staged));
      } else if (ending.handed_on != nullptr) {
        task.context = std::move(ending.handed_on);
      } else {
        save_context(index, nullptr);
      }
      last_completed_ = index;
    }
    follow(index, step);
  }
  const std::string_view told = end_to_tell();
  if (identity_.level == Durability::Memory) return publish({}, step, 0);
  LEAT_CHECK(credits > 0);
  --credits;
  if (open_ == 0) keep_result();
  TransitionGroup group(
      host_.clock().unix_ns(),
      TaskEnded{
          .pipeline_no = identity_.pipeline_no,
          .task = index,
          .attempt = attempt,
          .from = ending.from,
          .to = ending.to,
          .cause = ending.cause,
          .retry_at_ns = ending.retry_at_ns,
          .successors = step.successors,
          .pipeline = open_ == 0 && !cancelling_ ? std::optional(end_state()) : std::nullopt,
          .error = ending.error,
          .context = task.staged && ending.staged != nullptr ? ContextView(*ending.staged) : ContextView(),
          .output = ending.output,
          .told = told});
  if (may_forget(index, step)) {
    publish_unwaited(std::move(group), step, ending.lane);
  } else {
    publish(std::move(group), step, 0, ending.lane);
  }
}

/// Whether what the step releases may begin before the step is in the store: its task and all that the
/// released ones wait for are at level Memory, so that nobody relies on what may be lost. The pipeline's end
/// is waited for.
bool Pipeline::may_forget(std::uint32_t index, const Step& step) const noexcept {
  const auto definitions = workflow_->definitions;
  if (!definitions[index].at_memory || open_ == 0) return false;
  for (std::uint32_t task = step.first; task != kNone; task = tasks_[task].next) {
    for (const std::uint32_t dependency : definitions[task].after) {
      if (!definitions[dependency].at_memory) return false;
    }
  }
  return true;
}

/// Counts a task's end at its successors: who waits for nothing more becomes Ready or Skipped, and so on.
void Pipeline::follow(std::uint32_t index, Step& step) noexcept {
  const auto definitions = workflow_->definitions;
  std::vector<std::uint32_t> skipped;  // whose successors are still to be looked at
  for (;;) {
    for (const std::uint32_t successor : definitions[index].successors) {
      if (--tasks_[successor].waiting > 0 || state_of(successor) != TaskState::NotStarted) continue;
      if (rare_ != nullptr && keep_for_signal(successor)) continue;
      if (verdict(successor)) {
        make_ready(successor, step);
        note(successor, TaskState::Ready, step);
      } else {
        set_state(successor, TaskState::Skipped, 1);
        count_terminal(TaskState::Skipped);
        note(successor, TaskState::Skipped, step);
        skipped.push_back(successor);
      }
    }
    if (skipped.empty()) return;
    index = skipped.back();
    skipped.pop_back();
  }
}

/// For the journal.
void Pipeline::note(std::uint32_t task, TaskState state, Step& step) const {
  if (identity_.level != Durability::Memory) step.successors.push_back({task, state});
}

void Pipeline::end_unstarted(std::uint32_t index, TaskState to, Step& step) noexcept {
  set_state(index, to, attempt_of(tasks_[index].word.load(std::memory_order_relaxed)));  // relaxed: owned
  count_terminal(to);
  drop_limits(index);
  if (rare_ != nullptr) leave_home(index);
  note(index, to, step);
  step.ended_any = true;
  if (to == TaskState::Skipped) follow(index, step);
}

/// The task's trigger rule, now that all its dependencies have ended.
bool Pipeline::verdict(std::uint32_t index) const noexcept {
  const TaskDefinition& definition = workflow_->definitions[index];
  DependencyCounts counts;
  for (const std::uint32_t dependency : definition.after) {
    switch (state_of(dependency)) {
      case TaskState::Completed:
        ++counts.completed;
        break;
      case TaskState::Failed:
        ++counts.failed;
        break;
      case TaskState::Skipped:
        ++counts.skipped;
        break;
      default:
        ++counts.cancelled;
        break;
    }
  }
  if (definition.after.empty() && definition.trigger.kind() <= TriggerRule::Kind::NoneFailed) return true;
  if (const auto decided = definition.trigger.decide(counts)) return *decided;
  std::optional<Context> merged;
  const TriggerFacts facts{
      .counts = counts,
      .state_of = [this](std::string_view name) { return state_of(*workflow_->workflow.find(name)); },
      .load_context = [&]() -> std::expected<const Context*, Error> {
        const auto input = input_context(index);
        if (!input) return std::unexpected(input.error());
        std::string read;
        const auto text = read_text(**input, read);
        auto parsed = text ? Context::parse(*text) : std::unexpected(text.error());
        if (!parsed) return std::unexpected(parsed.error());
        merged = std::move(*parsed);
        return &*merged;
      }};
  // A context that cannot be loaded: the task becomes Ready and fails by that, with the reason on record.
  return definition.trigger.evaluate(facts).value_or(true);
}

void Pipeline::make_ready(std::uint32_t index, Step& step, std::uint32_t attempt) noexcept {
  set_state(index, TaskState::Ready, attempt);
  ++outstanding_;
  begin_limits(index);
  if (rare_ != nullptr && hold(index)) return;
  add_released(index, step);
}

/// The step's commit will release the task.
void Pipeline::add_released(std::uint32_t index, Step& step) noexcept {
  tasks_[index].next = kNone;
  if (step.first == kNone) {
    step.first = index;
  } else {
    tasks_[step.last].next = index;
  }
  step.last = index;
}

void Pipeline::count_terminal(TaskState state) noexcept {
  ++ended_[place_of(state)];
  if (--open_ == 0 && rare_ != nullptr) drop_deadline();
}

PipelineState Pipeline::end_state() const noexcept {
  if (overdue_ || given_up_) return PipelineState::Failed;
  if (cancelling_ || ended(TaskState::Cancelled) > 0) return PipelineState::Cancelled;
  return ended(TaskState::Failed) > 0 ? PipelineState::Failed : PipelineState::Completed;
}

/// A task that a dead process left Running: it runs again, unless it has been there too often.
/// Uses up a credit.
void Pipeline::rescue(std::uint32_t index, std::uint32_t& credits) noexcept {
  std::string abandoned;
  Ending ending{.to = TaskState::Ready, .cause = TaskEnded::Cause::Rescue};
  const std::uint32_t deaths = adoption_deaths(index);
  if (cancelling_) {
    ending = {.to = TaskState::Cancelled, .cause = TaskEnded::Cause::Cancel};
  } else if (host_.closed_cleanly() && elsewhere() != nullptr && elsewhere()->remembered.contains(index)) {
    ending.cause = TaskEnded::Cause::Interrupted;  // a stop left it to its executor
  } else if (const std::uint32_t most = workflow_->definitions[index].rescues_max;
             tasks_[index].rescues + deaths >= most) {
    abandoned =
        "ABANDONED: the process died during each of " + std::to_string(most + 1) + " runs of this task";
    ending = {.to = TaskState::Failed, .cause = TaskEnded::Cause::Abandoned, .error = abandoned};
    host_.quarantined(identity_.id, index,
                      {.task = std::string(std::string_view(workflow_->tasks[index].name)),
                       .attempt = task_attempt(index),
                       .rescues = tasks_[index].rescues,
                       .since_ns = host_.clock().unix_ns(),
                       .error = abandoned});
  } else {
    tasks_[index].suspect = ++tasks_[index].rescues + deaths >= kSuspectedRescues && !paused() &&
                            host_.expect_suspect(workflow_->tasks[index]);
  }
  conclude(index, ending, credits);
}

/// Uses up a credit, where the level needs one.
/// @param overdue  because the deadline has passed
void Pipeline::cancel_tasks(bool overdue) noexcept {
  if (open_ == 0 || cancelling_) {
    if (identity_.level != Durability::Memory) host_.journal()->release(1);
    return;
  }
  cancelling_ = true;
  overdue_ = overdue;
  Step step;
  for (std::uint32_t i = 0; i < workflow_->tasks.size(); ++i) {
    // (7) acquire: pairs with (6) of begin().
    std::uint32_t word = tasks_[i].word.load(std::memory_order_acquire);
    const std::uint32_t cancelled = word_of(TaskState::Cancelled, attempt_of(word));
    if (state_in(word) == TaskState::NotStarted ||
        (state_in(word) == TaskState::Ready &&
         // (7), or a begin() that was first: then the word says Running now.
         tasks_[i].word.compare_exchange_strong(word, cancelled, std::memory_order_acq_rel,
                                                std::memory_order_acquire))) {
      // A Ready one stays outstanding until its lane lets go of it.
      end_unstarted(i, TaskState::Cancelled, step);
    } else if (state_in(word) == TaskState::Running) {
      // relaxed: seen with Running (7); the step alone clears it.
      if (Attempt* attempt = tasks_[i].running.load(std::memory_order_relaxed)) {
        attempt->listener->told(*attempt);  // its end, in time or late, is a message to this step
        attempt->request_stop(attempt->generation());
      }
    }
  }
  publish_change(step, overdue ? "deadline" : "cancelled");
  if (workflow_->starts_children) host_.cancel_children(*this);
}

void Pipeline::interrupt_tasks() noexcept {
  // Each attempt brings its own credit.
  for (std::uint32_t i = 0; i < workflow_->tasks.size(); ++i) {
    if (state_of(i) != TaskState::Running) continue;
    // (9) acquire: pairs with (8): a worker is between the two steps of begin() for a few instructions only.
    while (!tasks_[i].begun.load(std::memory_order_acquire)) std::this_thread::yield();
    // (26) acquire: pairs with (23), an adopted task's; another's was seen with (8).
    interrupt(i, tasks_[i].running.load(std::memory_order_acquire));
  }
}

/// @param attempt  null: the task's work elsewhere is not adopted yet, and now never: the next process sees
///                 to it
void Pipeline::interrupt(std::uint32_t index, Attempt* attempt) noexcept {
  if (attempt != nullptr && attempt->line != nullptr && identity_.level != Durability::Memory)
    attempt->line->end_task();
  if (stays_elsewhere(index, attempt) || attempt == nullptr) return;
  // relaxed: only the step reads it from here on.
  tasks_[index].running.store(nullptr, std::memory_order_relaxed);
  tasks_[index].key_no = attempt->lane->journal_key();
  const Ending interrupted{.to = TaskState::Ready, .cause = TaskEnded::Cause::Interrupted};
  const Ending cancelled{.to = TaskState::Cancelled, .cause = TaskEnded::Cause::Cancel};
  conclude(index, cancelling_ ? cancelled : interrupted, attempt->journal_credits);
}

/// Publishes tasks that ended without having run, where there are any, and a cancel in any case.
/// Uses up a credit.
void Pipeline::publish_change(const Step& step, std::string_view reason) noexcept {
  if (!step.ended_any && !cancelling_) {
    if (identity_.level != Durability::Memory) host_.journal()->release(1);
    return;
  }
  const std::string_view told = end_to_tell();
  if (identity_.level == Durability::Memory) return publish({}, step, 0);
  // A cancelled pipeline is so at once, though tasks of it may still run: a crash must not revive it.
  const PipelineState going_on = paused() ? PipelineState::Paused : PipelineState::Running;
  const PipelineState to = cancelling_ || open_ == 0 ? end_state() : going_on;
  if (open_ == 0) keep_result();
  const std::int64_t now = host_.clock().unix_ns();
  started_ = true;  // the journal says Running from here on
  if (open_ > 0 && is_terminal(to) && identity_.level != Durability::Memory) rare().finished_ns = now;
  publish({now, PipelineChanged{identity_.pipeline_no, to, step.successors, reason, told}}, step, 0);
}

}  // namespace leat
