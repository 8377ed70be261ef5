#include "leat/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "attempt.h"
#include "leat/route_analysis.h"
#include "metrics_text.h"
#include "runner_state.h"
#include "store_failure.h"

namespace leat {
namespace {

using SteadyClock = std::chrono::steady_clock;

// How long an interrupted task gets to come back before its thread is given up.
constexpr std::chrono::seconds kInterruptGrace{5};

/// Looks again and again, at first often; for the ends of things, where nothing is in a hurry. Where threads
/// are lent this one is, too.
template <class Condition>
bool wait_until(const Condition& met, SteadyClock::time_point deadline, RunnerState& state) {
  for (std::chrono::microseconds pause(50); !met();
       pause = std::min(pause * 2, std::chrono::microseconds(2000))) {
    if (SteadyClock::now() >= deadline) return met();
    if (state.lent.empty()) {
      std::this_thread::sleep_for(pause);
    } else if (state.lent.help(state.clock->steady_ns(), std::chrono::nanoseconds(pause).count())) {
      pause = std::chrono::microseconds(25);
    }
  }
  return true;
}

SteadyClock::time_point after(std::chrono::nanoseconds time) {
  const auto now = SteadyClock::now();
  return time > SteadyClock::time_point::max() - now ? SteadyClock::time_point::max() : now + time;
}

/// What only an error of the engine's own leaves behind.
std::string leaks(const SlotAudit& audit) {
  return fmt::format(
      "executor '{}' has leaked: {} slot(s) are taken and {} found, {} permit(s) taken and {} found",
      audit.key, audit.slots_taken, audit.slots_found, audit.permits_taken, audit.permits_found);
}

std::unexpected<Error> refused(RouteError error) {
  return std::unexpected(Error{ErrorCode::InvalidArgument, std::move(error.message)});
}

}  // namespace

Runner::Builder Runner::builder() {
  return Builder();
}

Runner::Runner(std::unique_ptr<RunnerState> state) noexcept : state_(std::move(state)) {}
Runner::Runner(Runner&&) noexcept = default;

Runner::~Runner() {
  if (state_ == nullptr) return;
  const auto stopped = stop(std::chrono::seconds(30));
  const bool inside_a_task = !stopped && stopped.error().code == ErrorCode::WouldDeadlock;
  if (inside_a_task || state_->phase == RunnerState::Phase::Stuck) {
    // A task never came back, or is this very one: a thread still uses the engine, so the engine
    // must outlive it.
    if (inside_a_task) state_->log(Severity::Warning, "~Runner inside a task: its threads are given up");
    static_cast<void>(state_.release());  // NOLINT(bugprone-unused-return-value): leaked on purpose
  }
}

std::expected<void, Error> Runner::start() {
  MutexLock lock(state_->phase_mutex);
  if (state_->phase != RunnerState::Phase::Built) {
    return std::unexpected(Error{ErrorCode::InvalidState, "start() is allowed once, after build()"});
  }
  if (auto known = check_keys(state_->router->config(), executor_keys()); !known)
    return refused(known.error());
  if (auto known = state_->scheduler.check_executors(); !known) return known;
  if (auto lent = state_->lanes.start(); !lent) return lent;
  state_->scheduler.committer_starts();
  state_->start_threads();
  state_->phase = RunnerState::Phase::Started;
  return state_->scheduler.start();
}

std::expected<void, Error> Runner::stop(std::chrono::nanoseconds deadline) {
  RunnerState& state = *state_;
  state.scheduler.close();
  state.lanes.close();
  if (running_attempt() != nullptr) {
    return std::unexpected(Error{ErrorCode::WouldDeadlock,
                                 "stop() inside a task: the stop has begun, but the task "
                                 "cannot wait for its own end"});
  }
  MutexLock lock(state.phase_mutex);
  if (state.phase == RunnerState::Phase::Stopped || state.phase == RunnerState::Phase::Stuck) return {};
  // What is deferred ends at once: it may wait for hours. Asked at every look, since what runs may be
  // deferred yet.
  const auto none_runs = [&] {
    for (Lane* const lane : state.lanes.lanes()) lane->interrupt_deferred();
    return state.lanes.quiet();
  };
  // Seen once is enough: a worker that looks at its closed lane has a permit for a moment, and
  // begins nothing.
  bool quiet = wait_until(none_runs, after(deadline), state);
  if (!quiet) {
    state.scheduler.interrupt();
    // Asked at every look: a worker that had taken its permit before the lane was closed begins only now.
    const auto all_told = [&] {
      for (Lane* const lane : state.lanes.lanes()) {
        lane->for_each_attempt([](Attempt& attempt) { attempt.request_stop(attempt.generation()); });
      }
      return none_runs();
    };
    quiet = wait_until(all_told, SteadyClock::now() + kInterruptGrace, state);
  }
  if (quiet) state.lanes.stop();
  state.stop_threads();
  std::expected<void, StoreError> closed;
  if (state.store != nullptr && state.journal->failure() == nullptr) {
    state.scheduler.forget_starts();
    MutexLock reading(state.reading);
    state.store_closed = true;
    closed = state.store->close();
  }
  if (quiet) {
    state.continuations->close();
    state.lanes.carry_on_rest();
  }
  state.scheduler.abandon(quiet);
  state.phase = quiet ? RunnerState::Phase::Stopped : RunnerState::Phase::Stuck;
  if (!quiet) {
    std::string message = fmt::format(
        "{} task(s) neither ended nor heeded the stop; their threads are given up", state.lanes.unended());
    constexpr std::size_t kNamed = 8;
    std::size_t named = 0;
    for (const SlotAudit& audit : this->audit()) {
      for (const auto* const lines : {&audit.holders, &audit.deferred}) {
        for (const std::string& line : *lines) {
          if (named++ < kNamed) message += "; " + line;
        }
      }
    }
    state.log(Severity::Warning, message);
    return std::unexpected(Error{ErrorCode::Timeout, message});
  }
  for (const SlotAudit& audit : this->audit()) {
    if (quiet && !audit.balanced()) state.log(Severity::Error, leaks(audit));
  }
  if (auto healthy = health(); !healthy) return healthy;
  if (!closed) return std::unexpected(to_error(closed.error()));
  return {};
}

std::expected<void, Error> Runner::drain(std::chrono::nanoseconds deadline) {
  if (running_attempt() != nullptr) {
    return std::unexpected(Error{ErrorCode::WouldDeadlock, "drain() inside a task would wait for that task"});
  }
  RunnerState& state = *state_;
  state.scheduler.drain();
  auto drained = wait_idle(deadline);
  const std::uint64_t left = state.scheduler.resident() + state.scheduler.waiting().waiting();
  if (auto stopped = stop(std::chrono::nanoseconds(0)); !stopped) return stopped;
  if (drained || drained.error().code != ErrorCode::Timeout) return drained;
  return std::unexpected(Error{
      ErrorCode::Timeout,
      fmt::format("{} pipeline(s) had not ended: those above level memory go on at the next start", left)});
}

std::expected<void, Error> Runner::register_workflow(const Workflow& workflow) {
  auto registered = state_->scheduler.register_workflow(workflow);
  if (!registered) return std::unexpected(std::move(registered.error()));
  return {};
}

std::expected<PipelineHandle, Error> Runner::submit(const Workflow& workflow, SubmitOptions options) {
  if (running_attempt() != nullptr && options.durability != Durability::Memory) {
    return std::unexpected(
        Error{ErrorCode::WouldDeadlock, "submit() waits; inside a task use submit_async()"});
  }
  auto handle = submit_async(workflow, std::move(options));
  if (!handle) return handle;
  if (auto ack = handle->acknowledged(); !ack) return std::unexpected(std::move(ack.error()));
  return handle;
}

std::expected<PipelineHandle, Error> Runner::submit_async(const Workflow& workflow, SubmitOptions options) {
  return state_->scheduler.submit(workflow, std::move(options));
}

std::expected<std::vector<PipelineHandle>, Error> Runner::submit_bulk(
    const Workflow& workflow, std::span<const SubmitOptions> options) {
  const auto waits = [](const SubmitOptions& one) { return one.durability != Durability::Memory; };
  if (running_attempt() != nullptr && std::ranges::any_of(options, waits)) {
    return std::unexpected(
        Error{ErrorCode::WouldDeadlock, "submit_bulk() waits; inside a task use submit_async()"});
  }
  auto handles = state_->scheduler.submit_bulk(workflow, {options.begin(), options.end()});
  if (!handles) return handles;
  for (const PipelineHandle& handle : *handles) {
    if (auto ack = handle.acknowledged(); !ack) return std::unexpected(std::move(ack.error()));
  }
  return handles;
}

std::expected<void, Error> Runner::signal(const Uuid& pipeline, std::string_view name,
                                          std::string_view value) {
  auto handle = state_->scheduler.find_live(pipeline);
  if (!handle) return std::unexpected(std::move(handle.error()));
  return handle->signal(name, value);
}

std::expected<void, Error> Runner::cancel(const Uuid& pipeline) {
  return state_->scheduler.cancel(pipeline);
}

std::expected<std::size_t, Error> Runner::fail_unfinished(std::string_view workflow, std::uint64_t version,
                                                          std::string_view reason) {
  if (running_attempt() != nullptr) {
    return std::unexpected(
        Error{ErrorCode::WouldDeadlock, "fail_unfinished() waits for the disk; not inside a task"});
  }
  auto ended = state_->scheduler.fail_unfinished(workflow, version, reason);
  if (!ended) return ended;
  if (auto flushed = flush(); !flushed) return std::unexpected(std::move(flushed.error()));
  return ended;
}

std::expected<Namespace, Error> Runner::add_task(std::string_view name, TaskFunction function) {
  return state_->scheduler.register_task(name, std::move(function));
}

TaskReadyEvent Runner::make_event(Namespace task, std::int32_t max_attempts) noexcept {
  TaskReadyEvent event;
  make_events(task, {&event, 1}, max_attempts);
  return event;
}

void Runner::make_events(Namespace task, std::span<TaskReadyEvent> events,
                         std::int32_t max_attempts) noexcept {
  state_->scheduler.make_events(task, events, max_attempts);
}

Dispatcher& Runner::dispatcher() noexcept {
  return state_->dispatcher;
}

std::expected<void, Error> Runner::register_executor(std::string_view key,
                                                     std::shared_ptr<TaskExecutor> executor,
                                                     ExecutorLimits limits) {
  return state_->dispatcher.register_executor(key, std::move(executor), std::move(limits));
}

std::expected<void, Error> Runner::unregister_executor(std::string_view key) {
  return state_->dispatcher.unregister_executor(key);
}

std::expected<RouteReport, Error> Runner::set_routing(const RoutingConfig& config) {
  if (auto known = check_keys(config, executor_keys()); !known) return refused(known.error());
  auto report = state_->router->swap(config);
  if (!report) return refused(report.error());
  if (!state_->lanes.reroute(executor_of))
    return std::unexpected(Error{ErrorCode::Stopped, "the Runner is stopping"});
  return std::move(*report);
}

std::expected<void, Error> Runner::pause_executor(std::string_view key, std::string_view reason) {
  return state_->scheduler.pause(PauseScope::ExecutorKey, key, reason);
}
std::expected<void, Error> Runner::resume_executor(std::string_view key) {
  return state_->scheduler.resume(PauseScope::ExecutorKey, key);
}
std::expected<void, Error> Runner::pause_namespaces(std::string_view pattern, std::string_view reason) {
  return state_->scheduler.pause(PauseScope::Namespaces, pattern, reason);
}
std::expected<void, Error> Runner::resume_namespaces(std::string_view pattern) {
  return state_->scheduler.resume(PauseScope::Namespaces, pattern);
}

std::vector<Pause> Runner::pauses() const {
  std::vector<Pause> pauses;
  for (auto& [place, pause] : state_->scheduler.pauses())
    pauses.push_back({place.first, place.second, pause.since_ns, pause.reason});
  return pauses;
}

std::expected<void, Error> Runner::flush() {
  if (running_attempt() != nullptr) {
    return std::unexpected(Error{ErrorCode::WouldDeadlock, "flush() must not be called inside a task"});
  }
  if (state_->journal == nullptr) return {};
  if (auto flushed = state_->journal->flush(Durability::Disk); !flushed) {
    return std::unexpected(to_error(flushed.error()));
  }
  return {};
}

std::expected<void, Error> Runner::wait_idle(std::chrono::nanoseconds timeout) {
  if (running_attempt() != nullptr) {
    return std::unexpected(Error{ErrorCode::WouldDeadlock, "wait_idle() must not be called inside a task"});
  }
  const std::vector<Lane*> lanes = state_->lanes.lanes();
  const auto executed = [&] {
    std::uint64_t sum = 0;
    for (const Lane* const lane : lanes) sum += lane->executed();
    return sum;
  };
  // Work moves from place to place while they are looked at one after the other, but never without an
  // attempt's end: that none ended meanwhile makes the looks one. (Parked before in flight: a task is in
  // both while it moves.)
  const auto idle = [&] {
    const std::uint64_t before = executed();
    return state_->scheduler.idle() && state_->completion.delayed() == 0 &&
           state_->lanes.gate().held() == 0 &&
           std::ranges::all_of(lanes,
                               [](const Lane* lane) {
                                 return lane->parked() == 0 && lane->in_flight() == 0 && lane->quiet();
                               }) &&
           executed() == before;
  };
  // What a stop or a failed store leaves queued will never run: not to be waited for.
  // One look decides: at the next, a worker may hold a permit for a moment to look for work.
  bool seen_idle = false;
  const auto over = [&] {
    seen_idle = idle();
    return seen_idle || !state_->scheduler.accepting() || !health();
  };
  const bool in_time = wait_until(over, after(timeout), *state_);
  if (seen_idle) return {};
  if (auto healthy = health(); !healthy) return healthy;
  if (in_time) return std::unexpected(Error{ErrorCode::Stopped, "the Runner is stopping"});
  return std::unexpected(Error{ErrorCode::Timeout, "tasks are still queued, due or running"});
}

std::expected<void, Error> Runner::run_until_idle(std::chrono::nanoseconds timeout) {
  if (auto lends = check_lends(); !lends) return lends;
  return wait_idle(timeout);
}

std::expected<std::size_t, Error> Runner::run_some(std::size_t tasks_max) {
  if (auto lends = check_lends(); !lends) return std::unexpected(std::move(lends.error()));
  return state_->lent.run_some(tasks_max);
}

std::expected<void, Error> Runner::check_lends() const {
  if (running_attempt() != nullptr) {
    return std::unexpected(Error{ErrorCode::WouldDeadlock, "a task's thread is lent already"});
  }
  if (state_->lent.empty()) {
    return std::unexpected(Error{ErrorCode::InvalidState,
                                 "nothing to lend a thread to: the Runner has not started, or has neither "
                                 "lent_threads() nor an executor of Backend::Lent"});
  }
  return {};
}

std::vector<std::string> Runner::executor_keys() const {
  return state_->lanes.keys();
}

ExecutorMetrics Runner::metrics(std::string_view key) const {
  for (const Lane* const lane : state_->lanes.lanes()) {
    if (lane->key() == key) return lane->metrics();
  }
  return {};
}

std::vector<SlotAudit> Runner::audit() const {
  std::vector<SlotAudit> audits;
  for (const Lane* const lane : state_->lanes.lanes()) audits.push_back(lane->audit());
  return audits;
}

std::string Runner::metrics_text() const {
  RunnerState& state = *state_;
  state.watchdog.look();  // so that the ages are those of now
  const WaitingLines& waiting = state.scheduler.waiting();
  return leat::metrics_text(state.lanes.lanes(),
                            {.resident = state.scheduler.resident(),
                             .resident_bytes = waiting.resident_bytes(),
                             .waiting = waiting.waiting()},
                            state.timers.size(), state.journal.get());
}

std::vector<UnfinishedWorkflow> Runner::unfinished() const {
  return state_->scheduler.unfinished();
}
std::vector<PipelineHandle> Runner::resumed() const {
  return state_->scheduler.resumed();
}

StoreCondition Runner::store_condition() const {
  return state_->journal == nullptr ? StoreCondition() : state_->journal->condition();
}

std::expected<void, Error> Runner::health() const {
  if (state_->journal == nullptr || state_->journal->failure() == nullptr) return {};
  return std::unexpected(Error{ErrorCode::Storage, state_->journal->failure()->message});
}

}  // namespace leat
