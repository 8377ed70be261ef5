#include "world.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <set>
#include <string>
#include <utility>

#include "backlog.h"
#include "leat/context.h"
#include "leat/waiting.h"
#include "runner_state.h"
#include "sim_store.h"

namespace leat::sim {
namespace {

constexpr std::uint32_t kWorkers = 2;
constexpr std::size_t kCellsMin = 16;  // of the ring: few, so that it is full at times

std::set<std::string> keys_of(const Workflow& workflow) {
  std::set<std::string> keys = {"default"};
  for (const TaskDefinition& task : workflow.tasks()) {
    if (!task.executor.empty()) keys.insert(task.executor);
  }
  return keys;
}

/// Pipelines that wait in the store alone.
std::set<Uuid> rows_in(StateStore& store) {
  std::set<Uuid> ids;
  const auto lines = store.waiting_lines();
  if (!lines) return ids;
  for (const WaitingBounds& line : *lines) {
    const auto read = store.replay_waiting(
        line.line, line.begin,
        [&](std::uint64_t, std::span<const std::byte> row) -> std::expected<bool, StoreError> {
          return decode_waiting(
              row, [&](std::int64_t, const PipelineCreated& created) { ids.insert(created.id); });
        });
    if (!read) ids.clear();  // then those that are there are missed
  }
  return ids;
}

}  // namespace

World::World(const Workflow& workflow, Stage& stage, std::uint64_t seed, const Invariant& invariant,
             const Plant& plant)
    : workflow_(workflow),
      stage_(stage),
      invariant_(invariant),
      plant_(plant),
      rng_(make_seeded_rng(seed)),
      has_children_(std::ranges::any_of(workflow.signals(), &SignalDefinition::is_child)) {
  constexpr std::uint32_t kDeaths[] = {0, 20, 100, 500};
  constexpr std::uint32_t kFaults[] = {0, 100, 1000};
  stage_.death_per_10000 = kDeaths[stage_.choices.pick(4)];
  stage_.fault_per_10000 = kFaults[stage_.choices.pick(3)];
  constexpr std::uint64_t kCheckpoints[] = {std::uint64_t{64} << 20, 200, 1000};
  stage_.checkpoint_bytes = kCheckpoints[stage_.choices.pick(3)];
  constexpr std::size_t kRows[] = {64, 1, 3};
  stage_.checkpoint_rows = kRows[stage_.choices.pick(3)];
  constexpr std::size_t kCommits[] = {std::size_t{4} << 20, 1, 300};  // 1: a group, or a row, is a commit
  stage_.commit_bytes = kCommits[stage_.choices.pick(3)];
  constexpr std::uint64_t kBudgets[] = {0, 1, 4000};
  if (stage_.uses(Uses::MemoryBudget)) stage_.memory_budget = kBudgets[stage_.choices.pick(3)];
  constexpr std::size_t kBacklogs[] = {Backlog::kMin, 1, 2};
  stage_.backlog_min = kBacklogs[stage_.choices.pick(3)];
  stage_.hear = [this] { hear(); };
  stage_.meanwhile = [this] { go_on_meanwhile(); };
  schedule_over_ = schedule_gone_ = !stage_.uses(Uses::Schedules);
}

World::~World() {
  stage_.hear = nullptr;
  stage_.meanwhile = nullptr;
}

void World::run() {
  while (!stage_.ledger.violation()) {
    be_born();
    live();
    const bool ended = stage_.alive;
    bury();
    if (ended) return;
  }
}

void World::be_born() {
  stage_.choices.next_step();
  stage_.ledger.step_begins(stage_.clock->steady_ns());
  stage_.alive = true;
  stage_.note("a process starts", stage_.crashes + 1);
  earliest_ns_ = stage_.clock->unix_ns();
  executor_ = plant_.executor ? plant_.executor(stage_) : std::make_shared<SimExecutor>(stage_);
  auto opened = open_sim_store(stage_);
  if (!opened) {
    stage_.ledger.violate(Rule::Opens, opened.error().message);
    return stage_.die(Death::Kill);
  }
  std::unique_ptr<StateStore> store = std::move(*opened);
  if (plant_.store) store = plant_.store(std::move(store), stage_);
  const std::set<std::string> keys = keys_of(workflow_);
  const std::uint32_t concurrent =
      stage_.options.limits.max_concurrent > 0 ? stage_.options.limits.max_concurrent : kWorkers;
  Runner::Builder builder;
  builder.state_store(std::move(store))
      .clock(stage_.clock)
      .rng(rng_)
      .lent_threads()
      .workers(kWorkers)
      .memory_budget(stage_.memory_budget)
      .log_sink([](Severity, std::string_view) {});
  for (const std::string& key : keys) builder.register_executor(key, executor_, stage_.options.limits);
  auto& parts = RunnerState::parts(builder);
  parts.order = this;
  parts.stall_after = {};
  parts.checkpoint = {.journal_bytes = stage_.checkpoint_bytes, .rows_per_step = stage_.checkpoint_rows};
  parts.backlog_min = stage_.backlog_min;
  parts.journal.commit_bytes_max = stage_.commit_bytes;
  parts.journal.cells =
      std::bit_ceil(2 * std::max(kCellsMin, concurrent * keys.size() + 2));  // half for what is deferred
  const auto refused = [this](const Error& error) {
    const bool sick = (runner_ != nullptr && !runner_->health()) || is_refusal(error.message);
    if (stage_.alive && !sick) stage_.ledger.violate(Rule::Opens, error.message);
    if (stage_.alive) stage_.die(Death::Kill);
  };
  auto built = builder.build();
  if (!built) return refused(built.error());
  runner_ = std::make_unique<Runner>(std::move(*built));
  if (auto registered = runner_->register_workflow(workflow_); !registered)
    return refused(registered.error());
  for (const Workflow& child : children_) {
    if (auto registered = runner_->register_workflow(child); !registered) return refused(registered.error());
  }
  if (stage_.uses(Uses::LoneTasks)) {
    const auto alone = runner_->register_task(kAlone, [](TaskContext& task) { task.set("alone", true); });
    if (!alone) return refused(alone.error());
    alone_ = *alone;
  }
  if (auto started = runner_->start(); !started) return refused(started.error());
  if (stage_.alive) stage_.ledger.opened(earliest_ns_);
  handles_ = runner_->resumed();
  keep_schedule();
}

void World::live() {
  while (stage_.alive && !stage_.ledger.violation()) {
    RunnerState& state = RunnerState::of(*runner_);
    // Tasks that were cancelled while queued leave their lane when a worker takes them.
    const auto empty = [](const Lane* lane) { return lane->flow().waiting == 0; };
    if (over() && executor_->pending() == 0 && !state.lent_committer.has_work() &&
        std::ranges::all_of(state.lanes.lanes(), empty)) {
      look_at_engine(state, true);
      return;
    }
    stage_.choices.next_step();
    act();
    check();
    stage_.ledger.step_begins(stage_.clock->steady_ns());
    if (steps_ > stage_.options.steps_max)
      stage_.ledger.violate(Rule::Progress, "the run does not come to its end");
  }
}

void World::bury() {
  stage_.alive = false;
  if (executor_ != nullptr) executor_->drop_all();
  // Coroutines that sleep: told to end, they go no further, since the process is dead.
  if (runner_ != nullptr && executor_->pending() > 0)
    static_cast<void>(runner_->stop(std::chrono::nanoseconds(0)));
  runner_.reset();
  handles_.clear();
  executor_.reset();
}

bool World::over() const {
  return submitted_ == stage_.options.pipelines && schedule_gone_ && stage_.ledger.over();
}

/// One step of the outside world, or of the engine.
void World::act() {
  RunnerState& state = RunnerState::of(*runner_);
  if (state.journal->failure() != nullptr && stage_.choices.pick(2) == 0) return replace();
  if (submitted_ < stage_.options.pipelines && stage_.choices.pick(4) == 0) return submit();
  if (stage_.strikes(Faults::CleanStop, 30) && stage_.crashes < stage_.options.crashes_max)
    return stop_cleanly();
  if (!handles_.empty() && stage_.strikes(Faults::Cancel, 30)) {
    PipelineHandle& handle = handles_[stage_.choices.pick(static_cast<std::uint32_t>(handles_.size()))];
    stage_.note("a pipeline is cancelled", handle.id().hash());
    stage_.ledger.cancelled(handle.id());
    static_cast<void>(handle.cancel());  // it may have ended already
    return;
  }
  if (stage_.uses(Uses::Pauses)) {
    if (stage_.choices.happens(100)) return pause_something();
    if (stage_.choices.happens(200) && resume_something()) return;
  }
  if (!schedule_gone_ && change_schedule()) return;
  const bool may_signal = !workflow_.signals().empty() || has_children_;
  if (may_signal && stage_.choices.pick(8) == 0 && signal()) return;
  outermost_ = true;
  state.lent.help(stage_.clock->steady_ns(), 0);
}

/// Takes a look at what can be done. @return how much it is, an executor's end included
std::uint32_t World::count_ready(const std::vector<LentWork*>& works, bool may_begin) {
  ready_.clear();
  for (LentWork* const work : works) {
    if (work->kind() == LentWork::Kind::Watch || (!may_begin && work->kind() == LentWork::Kind::Tasks))
      continue;
    if (work->has_work()) ready_.push_back(work);
  }
  const auto due = executor_->due_ns();
  const bool ends = due && *due <= stage_.clock->steady_ns();
  return static_cast<std::uint32_t>(ready_.size() + (ends ? 1 : 0));
}

void World::do_one(std::uint32_t chosen) {
  if (chosen >= ready_.size()) return executor_->end_one();
  LentWork& work = *ready_[chosen];
  stage_.note_with(work.name(), 0, [&] { return fmt::format("  step: {}", work.name()); });
  work.run(1);
}

/// A sync is in flight: others go on, though none that would wait for the committer, which stands below them
/// on the stack.
void World::go_on_meanwhile() {
  if (works_ == nullptr || runner_ == nullptr || meanwhile_) return;
  Journal& journal = *RunnerState::of(*runner_).journal;
  const std::size_t credits = 2 * (workflow_.tasks().size() + 2);  // what a step takes at most
  meanwhile_ = true;
  for (std::uint32_t left = stage_.choices.pick(4); left > 0 && stage_.alive && !stage_.ledger.violation();
       --left) {
    if (!journal.try_reserve(credits)) break;
    journal.release(credits);
    const std::uint32_t count = count_ready(*works_, may_begin_ && !has_children_);
    if (count == 0) break;
    do_one(stage_.choices.pick(count));
  }
  meanwhile_ = false;
}

void World::help(const std::vector<LentWork*>& works, bool may_begin) noexcept {
  const auto* const around = std::exchange(works_, &works);
  const bool may_begin_around = std::exchange(may_begin_, may_begin);
  step(works, may_begin);
  works_ = around;
  may_begin_ = may_begin_around;
}

void World::step(const std::vector<LentWork*>& works, bool may_begin) {
  const bool outermost = std::exchange(outermost_, false);
  ++steps_;
  if (!stage_.alive) {  // a ghost unwinds: nothing of this is seen by anybody
    executor_->drop_all();
    for (LentWork* const work : works) {
      if (may_begin || work->kind() != LentWork::Kind::Tasks) work->run(1);
    }
    return;
  }
  meet_scheduled();
  meet_children();
  if (stage_.may_die_here("between two steps")) return;
  if (stage_.strikes(Faults::ClockJump, 30)) {
    const std::int64_t seconds = std::int64_t{stage_.choices.pick(7200)} - 3600;
    stage_.note("the wall clock jumps", static_cast<std::uint64_t>(seconds));
    stage_.clock->jump(seconds * 1'000'000'000);
    earliest_ns_ = std::min(earliest_ns_, stage_.clock->unix_ns());
  }
  const std::uint32_t count = count_ready(works, may_begin);
  const bool slow = stage_.choices.happens(300);  // time passes though there is work
  if (count == 0 || slow) {
    if (let_time_pass(works) || count > 0) return;
    if (!runner_->health()) return replace();
    if (outermost && stage_.uses(Uses::Pauses) && resume_something()) return;
    if (outermost && submitted_ < stage_.options.pipelines) return submit();
    if (outermost && signal()) return;
    if (outermost && !schedule_gone_) return remove_schedule();
    if (over()) return;
    stage_.ledger.stand_still();
    if (executor_->end_hanging()) return;
    stage_.ledger.violate(Rule::Progress, "nothing can be done, and not every pipeline has ended");
    return stage_.die(Death::Kill);
  }
  do_one(stage_.choices.pick(count));
}

/// @return whether something is due
bool World::let_time_pass(const std::vector<LentWork*>& works) {
  std::optional<std::int64_t> due = executor_->due_ns();
  for (LentWork* const work : works) {
    const auto next = work->kind() == LentWork::Kind::Watch ? std::nullopt : work->due_ns();
    if (next && (!due || *next < *due)) due = next;
  }
  if (!due) return false;
  const std::int64_t now = stage_.clock->steady_ns();
  if (*due > now) stage_.clock->advance(*due - now);
  return true;
}

/// A pipeline, an executor key, or one of the workflow's tasks in every pipeline.
void World::pause_something() {
  const std::uint32_t scope = stage_.choices.pick(3);
  std::expected<void, Error> done;
  Paused what;
  if (scope == 0 && !handles_.empty()) {
    PipelineHandle& handle = handles_[stage_.choices.pick(static_cast<std::uint32_t>(handles_.size()))];
    what = {PauseScope::Pipeline, handle.id().to_string()};
    done = handle.pause();
  } else {
    const TaskDefinition& task =
        workflow_.tasks()[stage_.choices.pick(static_cast<std::uint32_t>(workflow_.tasks().size()))];
    const bool key = scope == 1;
    what = key ? Paused{PauseScope::ExecutorKey, task.executor.empty() ? "default" : task.executor}
               : Paused{PauseScope::Namespaces, std::string(task.namespace_name)};
    done = key ? runner_->pause_executor(what.second) : runner_->pause_namespaces(what.second);
  }
  if (!stage_.alive || !done) return;
  stage_.note_with("paused", what.second.size(), [&] { return what.second + " is paused"; });
  stage_.ledger.paused(std::move(what));
}

/// @return false: nothing is paused
bool World::resume_something() {
  std::vector<Paused> by_name;
  for (const Pause& pause : runner_->pauses()) by_name.emplace_back(pause.scope, pause.what);
  std::vector<PipelineHandle*> pipelines;
  for (PipelineHandle& handle : handles_) {
    if (handle.state() == PipelineState::Paused) pipelines.push_back(&handle);
  }
  const std::size_t count = by_name.size() + pipelines.size();
  if (count == 0) return false;
  const std::size_t chosen = stage_.choices.pick(static_cast<std::uint32_t>(count));
  const bool named = chosen < by_name.size();
  const Paused what =
      named ? by_name[chosen]
            : Paused{PauseScope::Pipeline, pipelines[chosen - by_name.size()]->id().to_string()};
  stage_.note_with("resumed", what.second.size(), [&] { return what.second + " goes on"; });
  stage_.ledger.resuming(what);
  // What is refused has ended, or the store has failed: both are looked at elsewhere.
  if (!named) {
    static_cast<void>(pipelines[chosen - by_name.size()]->resume());
  } else if (what.first == PauseScope::ExecutorKey) {
    static_cast<void>(runner_->resume_executor(what.second));
  } else {
    static_cast<void>(runner_->resume_namespaces(what.second));
  }
  return true;
}

/// Tells some pipeline something that it has not been told. @return false: there is nothing of that kind
bool World::signal() {
  std::vector<std::pair<PipelineHandle, std::uint32_t>> missing;
  for (const PipelineHandle& handle : handles_) {
    const Pipeline& pipeline = Pipeline::of(handle);
    if (pipeline.over() || pipeline.signals() == nullptr) continue;
    const auto signals = pipeline.workflow().signals;
    for (std::uint32_t i = 0; i < signals.size(); ++i) {
      if (!signals[i].is_child && pipeline.signals()->value(i) == nullptr) missing.emplace_back(handle, i);
    }
  }
  if (missing.empty()) return false;
  auto& [handle, number] = missing[stage_.choices.pick(static_cast<std::uint32_t>(missing.size()))];
  const std::string& name = Pipeline::of(handle).workflow().signals[number].name;
  stage_.note("a signal is sent", handle.id().hash());
  const auto told = handle.signal(name);  // the pipeline may have ended already
  if (told && stage_.alive) stage_.ledger.signalled(handle.id(), name);
  return true;
}

void World::stop_cleanly() {
  stage_.note("the process is stopped");
  stage_.ledger.stopping();
  const bool clean = runner_->stop(std::chrono::nanoseconds(0)).has_value();
  if (stage_.alive) stage_.die(clean ? Death::CleanStop : Death::Kill);
}

/// What somebody does whose store has failed.
void World::replace() {
  stage_.note("the store has failed: the process is replaced");
  stage_.die(Death::Kill);
}

void World::check() {
  if (stage_.alive) {
    meet_scheduled();  // a stop may be next
    meet_children();
    meet(RunnerState::of(*runner_));
    look_at_engine(RunnerState::of(*runner_), false);
  }
  if (!invariant_ || stage_.ledger.violation()) return;
  const std::vector<PipelineView> pipelines = stage_.ledger.pipelines();
  const Moment now{.over = over(),
                   .crashes = stage_.crashes,
                   .time_ns = stage_.clock->steady_ns() - VirtualClock::kBeginNs,
                   .pipelines = pipelines};
  if (auto wrong = invariant_(now)) stage_.ledger.violate(Rule::Yours, std::move(*wrong));
}

/// What is true in the middle of a step as well.
void World::hear() {
  for (const PipelineHandle& handle : handles_) {
    if (Pipeline::of(handle).acknowledged()) stage_.ledger.acknowledged(handle.id());
  }
}

/// Tasks that were dispatched alone and do not run, nor have told their end.
std::uint64_t World::waiting_alone() const {
  return static_cast<std::uint64_t>(std::ranges::count_if(handles_, [](const PipelineHandle& handle) {
    const Pipeline& pipeline = Pipeline::of(handle);
    return std::string_view(pipeline.workflow().tasks[0].name) == kAlone && !pipeline.over() &&
           pipeline.task_state(0) != TaskState::Running;
  }));
}

void World::look_at_engine(RunnerState& state, bool idle) {
  stage_.looks = true;
  std::vector<LaneView> lanes;
  for (Lane* const lane : state.lanes.lanes()) {
    const std::uint64_t parked = lane->parked();
    std::uint64_t holding = lane->returning();
    const std::uint64_t reserved = lane->key() == "default" ? waiting_alone() : 0;
    lane->for_each_attempt([&](const Attempt& attempt) { holding += attempt.slot.count(); });
    lanes.push_back({lane->key(), lane->in_flight(), lane->slots(), lane->flow().waiting - parked, holding,
                     reserved, parked, lane->looks_soon() || !lane->executor().has_capacity()});
  }
  stage_.ledger.look_at(lanes, idle);
  const bool settled = state.journal->failure() == nullptr && !state.lent_committer.has_work();
  std::vector<EngineView> pipelines;
  for (const PipelineHandle& handle : handles_) {
    Pipeline& pipeline = Pipeline::of(handle);
    EngineView view{.id = pipeline.id(),
                    .level = pipeline.level(),
                    .acknowledged = pipeline.acknowledged(),
                    .waits_in_store = pipeline.is_out()};
    if (const auto result = handle.wait(std::chrono::nanoseconds(0))) {
      view.end = result->state;
    } else if (result.error().code != ErrorCode::Timeout && state.journal->failure() == nullptr) {
      view.end = pipeline.state();  // the context that it ended with could not be read
    }
    for (std::uint32_t i = 0; i < pipeline.workflow().tasks.size(); ++i) {
      view.tasks.push_back({pipeline.task_state(i), pipeline.task_attempt(i)});
    }
    const bool open =
        std::ranges::any_of(view.tasks, [](const auto& task) { return !is_terminal(task.state); });
    if (settled && open && view.level != Durability::Memory) view.image = pipeline.image();
    pipelines.push_back(std::move(view));
  }
  stage_.ledger.look_at(pipelines, settled, settled ? rows_in(*state.store) : std::set<Uuid>());
  if (settled && stage_.uses(Uses::Schedules)) stage_.ledger.look_at(runner_->schedules());
  stage_.looks = false;
}

}  // namespace leat::sim
