#include "completion.h"

#include "lane.h"
#include "leat/retry_policy.h"
#include "pipeline.h"

namespace leat {

Pipeline* pipeline_of(const TaskReadyEvent& event) noexcept {
  return static_cast<Pipeline*>(event.origin);
}

std::optional<ExecutorKeyId> executor_of(const TaskReadyEvent& event) noexcept {
  const Pipeline* const pipeline = pipeline_of(event);
  if (pipeline == nullptr) return std::nullopt;
  return pipeline->workflow().tasks[event.task_number].executor;
}

bool Completion::begin(Attempt& attempt) noexcept {
  Pipeline* const pipeline = pipeline_of(attempt.task.event);
  if (pipeline == nullptr) return true;
  const TaskDefinition& task = pipeline->workflow().definitions[attempt.task.event.task_number];
  const std::uint32_t generation = attempt.generation();
  // Before the task is Running: from then on a limit on the whole task may end the attempt.
  attempt.shared = task.timeout.count() > 0 || task.total_timeout.count() > 0;
  attempt.timer = {};
  if (!pipeline->begin(attempt)) return false;
  if (task.timeout.count() > 0) {
    attempt.timer = timers_.schedule(time_after(clock_.steady_ns(), task.timeout), attempt, generation);
  }
  return true;
}

void Completion::end(Attempt& attempt) noexcept {
  Pipeline* const pipeline = pipeline_of(attempt.task.event);
  if (pipeline == nullptr) return end_alone(attempt);
  if (attempt.shared) timers_.cancel(attempt.timer);
  attempt.end_message.kind = PipelineMessage::Kind::AttemptEnded;
  pipeline->post(attempt.end_message);
}

void Completion::overdue(Attempt& attempt) noexcept {
  // First the task's end, then the wish to the executor, which may complete at once. Only tasks of
  // pipelines have a run-time limit.
  pipeline_of(attempt.task.event)->post(attempt.overdue_message);
  stuck_.told(attempt);
  attempt.request_stop(attempt.generation());
  attempt.settle();
}

void Completion::returned(Attempt& attempt) noexcept {
  if (attempt.shared) timers_.cancel(attempt.timer);  // where another limit ended the task
  if (attempt.overdue) stuck_.came_back(attempt);
  attempt.end_message.kind = PipelineMessage::Kind::AttemptReturned;
  // Only tasks of pipelines are overdue, or kept from beginning.
  pipeline_of(attempt.task.event)->post(attempt.end_message);
}

bool Completion::may_defer(const Attempt& attempt) noexcept {
  const Pipeline* const pipeline = pipeline_of(attempt.task.event);
  return pipeline == nullptr || pipeline->may_defer();
}

std::expected<void, Error> Completion::refer(Attempt& attempt, std::string_view external_ref) {
  Pipeline* const pipeline = pipeline_of(attempt.task.event);
  if (pipeline == nullptr) return {};  // nothing is remembered of it
  return pipeline->refer(attempt, external_ref);
}

TaskReadyEvent Completion::event_of(void* pipeline, std::uint32_t task) const noexcept {
  return static_cast<Pipeline*>(pipeline)->event_of(task);
}

void Completion::end_alone(Attempt& attempt) noexcept {
  const TaskReadyEvent& event = attempt.task.event;
  const ExecutionResult& result = attempt.result;
  Lane::Outcome outcome = Lane::Outcome::Completed;
  if (result.status != ExecutionStatus::Completed) {
    outcome = Lane::Outcome::Failed;
    if (result.status == ExecutionStatus::Retry && event.attempt < event.max_attempts) {
      outcome = Lane::Outcome::Retried;
      retry_later(attempt);
    }
  }
  attempt.lane->count(attempt, outcome, false, result.error_class);
  attempt.settle();
}

void Completion::retry_later(const Attempt& attempt) {
  TaskReadyEvent event = attempt.task.event;
  const auto delay = attempt.result.retry_after ? *attempt.result.retry_after
                                                : retry_delay(RetryPolicy{}, event.attempt, rng_.next());
  ++event.attempt;
  std::uint64_t token;
  {
    MutexLock lock(mutex_);
    token = next_delayed_++;
    delayed_.emplace(token, Delayed{attempt.lane, event});
  }
  timers_.schedule(time_after(clock_.steady_ns(), delay), *this, token);
}

void Completion::on_timer(std::uint64_t token) noexcept {
  Delayed due;
  {
    MutexLock lock(mutex_);
    due = delayed_.at(token);
  }
  due.lane->admit_or_park(due.event, Slots());
  MutexLock lock(mutex_);
  delayed_.erase(token);  // only now: whoever looks for work in progress finds it here or in the lane
}

std::size_t Completion::delayed() const {
  MutexLock lock(mutex_);
  return delayed_.size();
}

}  // namespace leat
