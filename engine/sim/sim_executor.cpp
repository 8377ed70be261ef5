#include "sim_executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "leat/task_context.h"
#include "task_result.h"

namespace leat::sim {
namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr const char* kNoException = "the task threw something that is not a std::exception";
constexpr const char* kDropped = "the executor dropped the task without completing it";

AttemptKey key_of(const TaskReadyEvent& event) {
  return {event.pipeline_execution_id, event.task_number, static_cast<std::uint32_t>(event.attempt)};
}

/// What a lane makes of the exception that is being handled.
ExecutionResult thrown(const TaskReadyEvent& event) {
  try {
    throw;
  } catch (const std::exception& error) {
    return ExecutionResult::retry(event.task_execution_id, error.what());
  } catch (...) {
    return ExecutionResult::retry(event.task_execution_id, kNoException).as(TaskError::Class::Unknown);
  }
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

/// One that has begun.
class SimExecutor::Coroutine final : public CoroutineWatch {
 public:
  Coroutine(SimExecutor& executor, const TaskReadyEvent& event) : executor_(executor), event_(event) {}

  bool alive() const override { return executor_.stage_.alive; }
  void stepped() override {
    if (!alive()) return;
    executor_.note("has run up to here", event_);
    static_cast<void>(executor_.stage_.may_die_here("after a step of a task's coroutine"));
  }
  void ended(TaskContext& context, const std::expected<void, TaskError>& outcome) override {
    const ExecutionResult result = task_result(context, outcome);
    executor_.missed(context, event_);
    executor_.say(event_, result);
  }
  void gone() noexcept override {
    executor_.coroutines_.remove_if([this](const Coroutine& other) { return &other == this; });
  }

 private:
  SimExecutor& executor_;
  const TaskReadyEvent event_;
};

SimExecutor::SimExecutor(Stage& stage) : stage_(stage), heard_(*this) {}
SimExecutor::~SimExecutor() = default;

std::expected<std::string, Error> SimExecutor::Heard::load_context(const TaskReadyEvent& event) const {
  auto text = executor_.services().load_context(event);
  if (text && executor_.stage_.alive) executor_.stage_.ledger.loaded(key_of(event), *text);
  return text;
}
std::expected<void, Error> SimExecutor::Heard::stage_context(const TaskReadyEvent& event,
                                                             std::string_view json) {
  if (executor_.stage_.alive) executor_.stage_.ledger.saved(key_of(event), json);
  return executor_.services().stage_context(event, json);
}
const TaskFunction* SimExecutor::Heard::find_task(const TaskReadyEvent& event) const noexcept {
  return executor_.services().find_task(event);
}
std::string_view SimExecutor::Heard::task_config(const TaskReadyEvent& event) const noexcept {
  return executor_.services().task_config(event);
}
const TaskFunction* SimExecutor::Heard::find_task(Namespace task) const {
  return executor_.services().find_task(task);
}
std::string_view SimExecutor::Heard::task_config(Namespace task) const {
  return executor_.services().task_config(task);
}
void SimExecutor::Heard::capacity_changed() noexcept {
  executor_.services().capacity_changed();
}
bool SimExecutor::Heard::has_slots() const noexcept {
  return executor_.services().has_slots();
}
bool SimExecutor::Heard::stopping() const noexcept {
  return executor_.services().stopping();
}
ExecutorMetrics SimExecutor::Heard::metrics() const {
  return executor_.services().metrics();
}

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

/// What executors throw is told as the lane tells it.
void SimExecutor::throw_something(const TaskReadyEvent& event, const char* when) {
  note(when, event);
  const bool is_exception = stage_.choices.pick(2) == 0;
  try {
    if (is_exception) throw std::runtime_error("simulated");
    throw 1;
  } catch (...) {
    if (stage_.alive) stage_.ledger.told(key_of(event), thrown(event));
    throw;
  }
}

/// What begins the task, where it is a coroutine.
const CoroutineFunction* SimExecutor::coroutine_of(const TaskReadyEvent& event) const {
  const TaskFunction* const function = services().find_task(event);
  const BeginCoroutine* const begins = function == nullptr ? nullptr : function->target<BeginCoroutine>();
  return begins == nullptr ? nullptr : &begins->make;
}

void SimExecutor::begin(const CoroutineFunction& function, const TaskReadyEvent& event,
                        CompletionToken token) {
  if (stage_.may_die_here("before a task's function")) return;
  Coroutine& coroutine = coroutines_.emplace_back(*this, event);
  try {
    begin_coroutine(function, event, heard_, std::move(token), coroutine);
  } catch (...) {  // out of the function that makes it
    coroutine.gone();
    if (stage_.alive) stage_.ledger.told(key_of(event), thrown(event));
    throw;
  }
}

void SimExecutor::start(const TaskReadyEvent& event, CompletionToken token) {
  if (!stage_.alive) return;
  stage_.ledger.started(key_of(event), stage_.clock->latest_unix_ns(), stage_.clock->steady_ns());
  note("begins", event);
  const CoroutineFunction* const coroutine = coroutine_of(event);
  if (stage_.strikes(Faults::TaskThrows, stage_.fault_per_10000)) {
    const bool after = coroutine == nullptr && stage_.choices.pick(2) == 1;
    if (after) static_cast<void>(run(event, token));
    throw_something(event, after ? "throws, its work done" : "throws");
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
  // Its waits are in the task itself.
  if (coroutine != nullptr && pending.fate != Fate::FailsBefore && pending.fate != Fate::Hangs)
    return begin(*coroutine, event, std::move(pending.token));
  const std::uint32_t later =
      stage_.choices.pick(3);  // 0: now; 1: runs now, ends later; 2: runs and ends later
  const bool runs_now = pending.fate == Fate::FailsAfter || (pending.fate != Fate::FailsBefore && later < 2);
  if (coroutine == nullptr && runs_now) {
    pending.result = run(event, pending.token);
    pending.has_run = true;
    if (!stage_.alive) return;
  }
  wait_for_end(std::move(pending), later == 0);
}

void SimExecutor::wait_for_end(Pending pending, bool at_once) {
  const std::int64_t now = stage_.clock->steady_ns();
  switch (pending.fate) {
    case Fate::Hangs:
      note("hangs", pending.event);
      break;
    case Fate::Late:
      pending.twice = stage_.choices.pick(2) == 1;
      pending.due_ns = now + std::int64_t{1 + stage_.choices.pick(2'000)} * kMs;
      break;
    default:
      if (at_once) return end(std::move(pending));
      pending.due_ns = now + std::int64_t{1 + stage_.choices.pick(20)} * kMs;
  }
  if (pending.fate != Fate::Late) {
    pending.token.on_cancel([this, number = pending.number] { told_to_stop(number); });
  }
  if (pending.fate != Fate::Hangs && stage_.choices.pick(4) == 1) {
    pending.deferred = pending.token.defer();
    if (pending.deferred) note("is deferred", pending.event);
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

/// As ThreadTaskExecutor runs it, and its lane.
ExecutionResult SimExecutor::run(const TaskReadyEvent& event, CompletionToken& token) {
  const Uuid& id = event.task_execution_id;
  if (stage_.may_die_here("before a task's function")) return ExecutionResult::failed(id, "dead");
  const TaskFunction* const function = services().find_task(event);
  ExecutionResult result =
      function == nullptr || !*function ? ExecutionResult::success(id) : call(*function, event, token);
  note("has run", event);
  static_cast<void>(stage_.may_die_here("after a task's function"));
  return result;
}

ExecutionResult SimExecutor::call(const TaskFunction& function, const TaskReadyEvent& event,
                                  CompletionToken& token) {
  TokenControl control(token);
  TaskContext context(event, heard_, &control);
  try {
    ExecutionResult result = task_result(context, function(context));
    missed(context, event);
    return result;
  } catch (...) {
    return thrown(event);
  }
}

/// Looks whether the attempt could not read what it was to begin with.
void SimExecutor::missed(const TaskContext& context, const TaskReadyEvent& event) {
  const auto& error = context.load_error();
  if (error && !is_refusal(error->message) && stage_.alive) {
    stage_.ledger.context_missing(key_of(event), error->message);
  }
}

void SimExecutor::end(Pending pending) {
  if (!stage_.alive) return;
  const bool fails = pending.fate == Fate::FailsBefore || pending.fate == Fate::FailsAfter;
  if (!fails && !pending.has_run) pending.result = run(pending.event, pending.token);
  if (!stage_.alive) return;
  const ExecutionResult result =
      fails ? ExecutionResult::retry(pending.event.task_execution_id, "simulated") : *pending.result;
  say(pending.event, result);
  pending.token.complete(result);
  if (pending.twice) pending.token.complete(result);
}

/// The attempt's end is about to be told.
void SimExecutor::say(const TaskReadyEvent& event, const ExecutionResult& result) {
  note(result.status == ExecutionStatus::Completed ? "is said to be done" : "is said to have failed", event);
  stage_.ledger.told(key_of(event), result);
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
  stage_.ledger.told(key_of(hanging->event),
                     ExecutionResult::retry(hanging->event.task_execution_id, kDropped)
                         .as(TaskError::Class::Infrastructure));
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
