// What the ledger holds each transition in the store to: somebody asked for it, and it was due.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "ledger.h"

namespace leat::sim {
namespace {

bool is_at(std::string_view whole, std::string_view name) {
  return whole == name ||
         (whole.ends_with(name) && whole.substr(0, whole.size() - name.size()).ends_with("::"));
}

/// What a time-out amounts to.
ExecutionResult timed_out() {
  return ExecutionResult::retry({}, "timeout").as(TaskError::Class::Timeout);
}

}  // namespace

std::string Ledger::words_of(const Transition& made) {
  return "task " + std::to_string(made.task) + " of pipeline " + made.pipeline.to_string() + ": " +
         (made.from ? std::string(to_string(*made.from)) : "nothing") + " -> " +
         std::string(to_string(made.to)) + " (" + std::string(to_string(made.reason)) + ")";
}

void Ledger::transition(const Transition& made, std::int64_t latest_ns, std::int64_t steady_ns) {
  const auto found = pipelines_.find(made.pipeline);
  if (found == pipelines_.end())
    return violate(Rule::NothingInvented, words_of(made) + ", which nobody submitted");
  const Seen& seen = found->second;
  const auto [stored, fresh] = stored_.try_emplace({made.pipeline, made.task}, made.to);
  if (fresh != !made.from) violate(Rule::TransitionTable, words_of(made) + ", created twice or not at all");
  if (!made.from || fresh) return;
  const TaskState before = std::exchange(stored->second, made.to);
  if (is_terminal(before))
    violate(Rule::OneEnd, words_of(made) + " after its end in " + std::string(to_string(before)));
  if (before != *made.from || !may_become(*made.from, made.to))
    violate(Rule::TransitionTable, words_of(made) + ", out of " + std::string(to_string(before)));
  const AttemptKey key{made.pipeline, made.task, made.attempt};
  switch (made.to) {
    case TaskState::Running:
      if (!runs_.contains(key)) violate(Rule::NothingInvented, words_of(made) + ", which no executor began");
      return;
    case TaskState::Completed:
      return check_completed(made, runs_[key]);
    case TaskState::Failed:
      return check_failed(made, seen, latest_ns, steady_ns);
    case TaskState::Ready:
      if (before == TaskState::Running) return check_again(made, seen, steady_ns);
      return check_dependencies(made, seen);
    case TaskState::Skipped:
      return check_dependencies(made, seen);
    case TaskState::Cancelled:
      return check_cancelled(made, seen, latest_ns);
    default:
      return;
  }
}

/// An executor said so, and the store has the context that its task saved. A large one that is what the task
/// began with is not written once more.
void Ledger::check_completed(const Transition& made, const Run& run) {
  if (!run.completed) return violate(Rule::NothingInvented, words_of(made) + ", which no executor said");
  bool kept = false;
  if (made.context.empty()) {
    kept = !run.saved || run.saved == run.loaded;
  } else {
    kept = run.saved && (made.context.is_apart() ? mark_of(*run.saved, made.place) == made.context.mark
                                                 : *run.saved == made.context.text);
  }
  if (!kept) violate(Rule::NothingInvented, words_of(made) + ", with another context than its task saved");
}

/// Whether another attempt is due to one that has failed so.
bool Ledger::may_follow(const Seen& seen, const AttemptKey& failed, const ExecutionResult& failure) const {
  return should_retry(terms_of(seen, failed.task).retry, static_cast<std::int32_t>(failed.attempt),
                      failure.error_message, failure.error_class, failure.status == ExecutionStatus::Failed);
}

bool Ledger::may_be_last(const Seen& seen, const AttemptKey& failed, const ExecutionResult& failure) const {
  return !may_follow(seen, failed, failure);
}

/// Whether the run-time limit of the attempt has passed.
bool Ledger::over_time(const Run& run, const TaskTerms& terms, std::int64_t steady_ns) const {
  return terms.timeout_ns > 0 && steady_ns - run.started_ns >= terms.timeout_ns;
}

/// Whether the task's limit on waiting for a worker, or on all of its time, may have passed.
bool Ledger::waited_too_long(const Transition& made, const Seen& seen, bool in_all,
                             std::int64_t steady_ns) const {
  const TaskTerms& terms = terms_of(seen, made.task);
  const std::int64_t limit = in_all ? terms.total_timeout_ns : terms.queue_timeout_ns;
  const Wait wait = made.task < seen.waits.size() ? seen.waits[made.task] : Wait();
  const std::int64_t since = (in_all ? wait.first_ns : wait.ready_ns).value_or(opened_ns_);
  return limit > 0 && steady_ns - since >= limit;
}

/// For good: by an attempt that said so, or was over its time, and has no successor; by a limit on all of the
/// task's time; or since its process died with it too often.
void Ledger::check_failed(const Transition& made, const Seen& seen, std::int64_t latest_ns,
                          std::int64_t steady_ns) {
  const TaskTerms& terms = terms_of(seen, made.task);
  const bool limited = terms.timeout_ns > 0 || terms.queue_timeout_ns > 0 || terms.total_timeout_ns > 0;
  const Rule unasked = limited ? Rule::NotTooEarly : Rule::NothingInvented;
  if (waited_too_long(made, seen, true, steady_ns)) return;
  if (made.from == TaskState::Ready) {
    if (!waited_too_long(made, seen, false, steady_ns))
      violate(unasked, words_of(made) + ", and no limit on its time has passed");
    return;
  }
  if (made.from == TaskState::NotStarted) {
    const PipelineImage* const stored = find(written_, made.pipeline);
    const std::int64_t begin_ns =
        std::max(stored == nullptr ? 0 : stored->created_ns, seen.terms.start_at_ns);
    if (terms.signal_timeout_ns == 0 || was_told(made, terms.signal))
      return violate(Rule::NothingInvented, words_of(made) + ", and it waits for no signal");
    if (latest_ns - begin_ns < terms.signal_timeout_ns)
      violate(Rule::NotTooEarly, words_of(made) + ", before the time for its signal has passed");
    return;
  }
  if (made.reason == TransitionReason::Abandoned) {
    if (made.rescues < terms.rescues_max)
      violate(Rule::NothingInvented, words_of(made) + ", after " + std::to_string(made.rescues) + " rescues");
    return;
  }
  const AttemptKey key{made.pipeline, made.task, made.attempt};
  const Run& run = runs_[key];
  const bool late = over_time(run, terms, steady_ns);
  if (!run.failure && !late) return violate(unasked, words_of(made) + ", which no executor said");
  const bool for_good =
      (run.failure && may_be_last(seen, key, *run.failure)) || (late && may_be_last(seen, key, timed_out()));
  if (!for_good) violate(Rule::NothingInvented, words_of(made) + ", and another attempt is due to it");
}

/// Ready once more: another attempt, after the pause that its policy asks for; or the same one, since its
/// process died or was stopped.
void Ledger::check_again(const Transition& made, const Seen& seen, std::int64_t steady_ns) {
  const TaskTerms& terms = terms_of(seen, made.task);
  if (made.reason == TransitionReason::Rescue) {
    // It may have begun again before this: where its end is not waited for, this is not either.
    if (!runs_[{made.pipeline, made.task, made.attempt}].cut_off)
      violate(Rule::NothingInvented, words_of(made) + ", and no process died with it");
    if (made.rescues > terms.rescues_max)
      violate(Rule::NothingInvented, words_of(made) + ", once more than it may");
    return;
  }
  if (made.reason == TransitionReason::Interrupted) {
    if (!stopping_) violate(Rule::NothingInvented, words_of(made) + ", and nobody stops the process");
    return;
  }
  if (made.reason != TransitionReason::Retry || made.attempt < 2)
    return violate(Rule::NothingInvented, words_of(made) + ", for no reason");
  const AttemptKey failed{made.pipeline, made.task, made.attempt - 1};
  const Run& run = runs_[failed];
  const auto shortest = [&](const ExecutionResult& failure) {
    return failure.retry_after
               ? failure.retry_after->count()
               : retry_delay(terms.retry, static_cast<std::int32_t>(failed.attempt), 0).count();
  };
  std::int64_t pause_ns = INT64_MAX;
  if (run.failure && may_follow(seen, failed, *run.failure)) pause_ns = shortest(*run.failure);
  if (over_time(run, terms, steady_ns) && may_follow(seen, failed, timed_out()))
    pause_ns = std::min(pause_ns, shortest(timed_out()));
  if (pause_ns == INT64_MAX)
    return violate(terms.timeout_ns > 0 && !run.failure ? Rule::NotTooEarly : Rule::NothingInvented,
                   words_of(made) + ", and no attempt before it has failed that another may follow");
  if (made.retry_at_ns - made.time_ns < pause_ns)
    violate(Rule::NotTooEarly, words_of(made) + ", without the pause that its policy asks for");
}

/// All that it waited for has ended, and its trigger rule says so.
void Ledger::check_dependencies(const Transition& made, const Seen& seen) {
  const TaskTerms& terms = terms_of(seen, made.task);
  const bool ready = made.to == TaskState::Ready;
  if (ready && !terms.signal.empty() && !was_told(made, terms.signal))
    violate(Rule::NothingInvented, words_of(made) + ", and its signal has not come");
  const bool ended = std::ranges::all_of(terms.after, [&](std::uint32_t dependency) {
    const auto stored = stored_.find({made.pipeline, dependency});
    return stored != stored_.end() && is_terminal(stored->second);
  });
  if (!ended) return violate(Rule::NothingInvented, words_of(made) + ", before its dependencies' ends");
  if (const auto runs = verdict(made, seen); runs && *runs != ready)
    violate(Rule::NothingInvented, words_of(made) + ", against its trigger rule");
}

/// @return nothing: it takes the context to tell
std::optional<bool> Ledger::verdict(const Transition& made, const Seen& seen) const {
  const TaskTerms& terms = terms_of(seen, made.task);
  const auto state_of = [&](std::uint32_t task) {
    const auto stored = stored_.find({made.pipeline, task});
    return stored == stored_.end() ? TaskState::NotStarted : stored->second;
  };
  const auto count = [&](TaskState state) {
    return static_cast<std::uint32_t>(std::ranges::count(terms.after, state, state_of));
  };
  if (terms.after.empty() && terms.trigger.kind() <= TriggerRule::Kind::NoneFailed) return true;
  const DependencyCounts counts{.completed = count(TaskState::Completed),
                                .failed = count(TaskState::Failed),
                                .skipped = count(TaskState::Skipped),
                                .cancelled = count(TaskState::Cancelled)};
  if (const auto decided = terms.trigger.decide(counts)) return decided;
  const auto asked = terms.trigger.evaluate(
      {.counts = counts,
       .state_of =
           [&](std::string_view name) {
             for (const std::uint32_t task : terms.after) {
               if (is_at(terms_of(seen, task).name, name)) return state_of(task);
             }
             return TaskState::NotStarted;
           },
       .load_context = []() -> std::expected<const Context*, Error> { return std::unexpected(Error{}); }});
  return asked ? std::optional(*asked) : std::nullopt;
}

/// Whether its pipeline has this signal; true where nothing of it is in the store.
bool Ledger::was_told(const Transition& made, const std::string& signal) const {
  const PipelineImage* const stored = find(written_, made.pipeline);
  return stored == nullptr || stored->traits->signals.contains(signal);
}

/// Somebody asked for it; or its deadline has passed; or its parent has ended.
void Ledger::check_cancelled(const Transition& made, const Seen& seen, std::int64_t latest_ns) {
  if (seen.cancelled) return;
  if (const auto parent = pipelines_.find(seen.terms.parent); parent != pipelines_.end()) {
    const PipelineImage* const stored = find(written_, parent->first);
    const bool over = stored != nullptr && is_terminal(stored->state);
    if (over || parent->second.end || parent->second.lost || parent->second.cancelled) return;
  }
  if (seen.terms.deadline_ns == 0)
    return violate(Rule::NothingInvented, words_of(made) + ", which nobody asked for");
  if (latest_ns < seen.terms.deadline_ns)
    violate(Rule::NotTooEarly, words_of(made) + ", before its pipeline's deadline");
}

void Ledger::child_begun(const Uuid& pipeline, SubmissionTerms terms) {
  const auto known = pipelines_.find(pipeline);
  if (known != pipelines_.end() && !known->second.lost) return;
  if (known == pipelines_.end()) order_.push_back(pipeline);
  pipelines_[pipeline] = {.terms = std::move(terms)};
}

}  // namespace leat::sim
