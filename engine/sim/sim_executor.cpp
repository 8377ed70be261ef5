#include "sim_executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "leat/task_context.h"

namespace leat::sim {
namespace {

constexpr std::int64_t kMs = 1'000'000;

AttemptKey key_of(const TaskReadyEvent& event) {
  return {event.pipeline_execution_id, event.task_number, static_cast<std::uint32_t>(event.attempt)};
}

/// An attempt that may end after its start() has returned: its token is its control.
class TokenControl final : public AttemptControl {
 public:
  explicit TokenControl(CompletionToken& token) : token_(token) {}
  std::stop_token stop_token() override { return token_.stop_token(); }
  void append_output(std::string_view text) override { token_.append_output(text); }

 private:
  CompletionToken& token_;
};

}  // namespace

void SimExecutor::note(const char* what, const TaskReadyEvent& event) {
  const std::uint64_t number = event.pipeline_execution_id.hash() ^ event.task_number;
  stage_.note_with(what, number, [&] {
    const std::string_view whole = event.task_namespace;
    return fmt::format("{}, attempt {} of pipeline {}: {}", whole.substr(whole.rfind(':') + 1), event.attempt,
                       event.pipeline_execution_id.to_string().substr(24), what);
  });
}

SimExecutor::Fate SimExecutor::choose() {
  const std::uint32_t often = stage_.fault_per_10000;
  if (stage_.strikes(Faults::TaskFails, often)) {
    return stage_.choices.pick(2) == 0 ? Fate::FailsBefore : Fate::FailsAfter;
  }
  if (stage_.strikes(Faults::TaskHangs, often / 2)) return Fate::Hangs;
  if (stage_.strikes(Faults::TaskLate, often / 2)) return Fate::Late;
  return Fate::Succeeds;
}

void SimExecutor::start(const TaskReadyEvent& event, CompletionToken token) {
  if (!stage_.alive) return;
  stage_.ledger.started(key_of(event), stage_.clock->latest_unix_ns());
  note("begins", event);
  if (stage_.strikes(Faults::TaskThrows, stage_.fault_per_10000)) {
    const bool after = stage_.choices.pick(2) == 1;
    if (after) static_cast<void>(run(event, token));
    note(after ? "throws, its work done" : "throws", event);
    throw std::runtime_error("simulated");
  }
  Pending pending{.number = ++started_,
                  .event = event,
                  .token = std::move(token),
                  .fate = choose(),
                  .has_run = false,
                  .twice = false,
                  .deferred = false,
                  .due_ns = {},
                  .result = {}};
  const std::uint32_t later =
      stage_.choices.pick(3);  // 0: now; 1: runs now, ends later; 2: runs and ends later
  if (pending.fate == Fate::FailsAfter || (pending.fate != Fate::FailsBefore && later < 2)) {
    pending.result = run(event, pending.token);
    pending.has_run = true;
    if (!stage_.alive) return;
  }
  const std::int64_t now = stage_.clock->steady_ns();
  switch (pending.fate) {
    case Fate::Hangs:
      note("hangs", event);
      break;
    case Fate::Late:
      pending.twice = stage_.choices.pick(2) == 1;
      pending.due_ns = now + std::int64_t{1 + stage_.choices.pick(2'000)} * kMs;
      break;
    default:
      if (later == 0) return end(std::move(pending));
      pending.due_ns = now + std::int64_t{1 + stage_.choices.pick(20)} * kMs;
  }
  if (pending.fate != Fate::Late) {
    pending.token.on_cancel([this, number = pending.number] { told_to_stop(number); });
  }
  if (pending.fate != Fate::Hangs && stage_.choices.pick(4) == 1) {
    pending.deferred = pending.token.defer();
    if (pending.deferred) note("is deferred", event);
  }
  pending_.push_back(std::move(pending));
}

/// A deferred attempt ends once it has slot and permit again, or at once: as executors may.
void SimExecutor::come_back(Pending pending) {
  pending.deferred = false;
  if (stage_.choices.pick(4) == 1) return end(std::move(pending));
  const std::uint64_t number = pending.number;
  returning_.push_back(std::move(pending));
  returning_.back().token.take_again([this, number] {
    const auto back = std::ranges::find(returning_, number, &Pending::number);
    if (back == returning_.end()) return;  // the process is dead
    Pending returned = std::move(*back);
    returning_.erase(back);
    end(std::move(returned));
  });
}

/// As ThreadTaskExecutor runs it.
ExecutionResult SimExecutor::run(const TaskReadyEvent& event, CompletionToken& token) {
  const Uuid& id = event.task_execution_id;
  if (stage_.may_die_here("before a task's function")) return ExecutionResult::failed(id, "dead");
  const TaskFunction* const function = services().find_task(event);
  ExecutionResult result = ExecutionResult::success(id);
  if (function != nullptr) {
    TokenControl control(token);
    TaskContext context(event, services(), &control);
    const auto done = (*function)(context);
    if (const auto& error = context.load_error(); error && stage_.alive) {
      stage_.ledger.context_missing(key_of(event), error->message);
    }
    if (!done) {
      result = ExecutionResult::failed(id, done.error().message, !done.error().permanent);
      result.error_class = done.error().error_class;
      result.retry_after = done.error().retry_after;
    } else if (auto saved = context.save(); !saved) {
      result = ExecutionResult::failed(id, saved.error().message);
    }
  }
  note("has run", event);
  static_cast<void>(stage_.may_die_here("after a task's function"));
  return result;
}

void SimExecutor::end(Pending pending) {
  if (!stage_.alive) return;
  const bool fails = pending.fate == Fate::FailsBefore || pending.fate == Fate::FailsAfter;
  if (!fails && !pending.has_run) pending.result = run(pending.event, pending.token);
  if (!stage_.alive) return;
  const ExecutionResult result =
      fails ? ExecutionResult::retry(pending.event.task_execution_id, "simulated") : *pending.result;
  note(result.status == ExecutionStatus::Completed ? "is said to be done" : "is said to have failed",
       pending.event);
  stage_.ledger.told(key_of(pending.event), result.status);
  pending.token.complete(result);
  if (pending.twice) pending.token.complete(result);
}

std::optional<std::int64_t> SimExecutor::due_ns() const {
  std::optional<std::int64_t> due;
  for (const Pending& pending : pending_) {
    if (pending.due_ns && (!due || *pending.due_ns < *due)) due = pending.due_ns;
  }
  return due;
}

void SimExecutor::end_one() {
  const std::int64_t now = stage_.clock->steady_ns();
  std::vector<std::size_t> due;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    if (pending_[i].due_ns && *pending_[i].due_ns <= now) due.push_back(i);
  }
  if (due.empty()) return;
  const auto chosen =
      static_cast<std::ptrdiff_t>(due[stage_.choices.pick(static_cast<std::uint32_t>(due.size()))]);
  Pending pending = std::move(pending_[static_cast<std::size_t>(chosen)]);
  pending_.erase(pending_.begin() + chosen);
  pending.deferred ? come_back(std::move(pending)) : end(std::move(pending));
}

bool SimExecutor::end_hanging() {
  const auto hanging = std::ranges::find_if(pending_, [](const Pending& pending) { return !pending.due_ns; });
  if (hanging == pending_.end()) return false;
  note("is given up", hanging->event);
  Pending pending = std::move(*hanging);
  pending_.erase(hanging);
  return true;  // its token, dropped, ends it
}

void SimExecutor::told_to_stop(std::uint64_t number) {
  const auto told = std::ranges::find(pending_, number, &Pending::number);
  if (told == pending_.end()) return;
  told->fate = told->has_run ? told->fate : Fate::FailsBefore;
  if (told->fate == Fate::Hangs) told->fate = Fate::FailsAfter;
  told->due_ns = stage_.clock->steady_ns();
}

void SimExecutor::drop_all() {
  const std::vector<Pending> gone = std::exchange(pending_, {});
  const std::vector<Pending> returning = std::exchange(returning_, {});
}

}  // namespace leat::sim
