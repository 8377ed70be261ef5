#include "ledger.h"

#include <algorithm>
#include <utility>

namespace leat::sim {
namespace {

bool survives(Durability level, Death death) noexcept {
  switch (level) {
    case Durability::Memory:
      return false;
    case Durability::Process:
      return death != Death::PowerCut;
    case Durability::Disk:
      return true;
  }
  return true;
}

std::string name_of(const Uuid& pipeline, std::uint32_t task) {
  return "task " + std::to_string(task) + " of pipeline " + pipeline.to_string();
}
std::string name_of(const AttemptKey& key) {
  return "attempt " + std::to_string(key.attempt) + " of " + name_of(key.pipeline, key.task);
}

/// What a person should look at first.
std::string difference(const PipelineImage& a, const PipelineImage& b) {
  for (std::uint32_t i = 0; i < a.tasks.size() && i < b.tasks.size(); ++i) {
    const TaskImage& one = a.tasks[i];
    const TaskImage& other = b.tasks[i];
    if (one == other) continue;
    const char* const what = one.state != other.state || one.attempt != other.attempt ? "state or attempt"
                             : one.context != other.context                           ? "context"
                             : one.error != other.error                               ? "error"
                             : one.retry_at_ns != other.retry_at_ns                   ? "due time"
                             : one.rescues != other.rescues                           ? "rescues"
                                                            : "key or name elsewhere";
    return "task " + std::to_string(i) + ": " + what;
  }
  return a.state != b.state ? "its state" : "what is not a task's";
}

}  // namespace

void Ledger::violate(Rule rule, std::string message) {
  if (!violation_) violation_ = Violation{rule, std::move(message)};
}

bool Ledger::submitted(const Uuid& pipeline, SubmissionTerms terms) {
  if (!terms.idempotency_key.empty()) {
    const auto [known, first] = submissions_.try_emplace(terms.idempotency_key, pipeline);
    if (!first && known->second == pipeline) return false;
    const Uuid before = std::exchange(known->second, pipeline);
    if (before != pipeline && !pipelines_[before].lost) {
      violate(Rule::KeysHold, "an idempotency key led to pipeline " + before.to_string() + ", and leads to " +
                                  pipeline.to_string());
    }
  }
  order_.push_back(pipeline);
  pipelines_[pipeline].terms = std::move(terms);
  return true;
}

void Ledger::refused(const std::string& idempotency_key) {
  const auto known = submissions_.find(idempotency_key);
  if (known != submissions_.end() && !pipelines_[known->second].lost) return;
  violate(Rule::KeysHold,
          "idempotency key " + idempotency_key + " is said to be used, and no pipeline has it");
}

const TaskTerms& Ledger::terms_of(const Seen& seen, std::uint32_t task) const {
  return seen.terms.tasks != nullptr ? (*seen.terms.tasks)[task] : tasks_[task];
}

/// As the store has it; at level Memory as the engine said.
bool Ledger::ended(const Uuid& pipeline, const Seen& seen) const {
  if (seen.lost || seen.end) return true;
  const PipelineImage* const stored = find(written_, pipeline);
  return stored != nullptr && is_terminal(stored->state);
}

/// Pause, times and concurrency key: what keeps an attempt from beginning though its dependencies have ended.
void Ledger::check_gates(const AttemptKey& key, Seen& seen, std::int64_t latest_ns) {
  const TaskTerms& terms = terms_of(seen, key.task);
  for (const Paused& what :
       {Paused{PauseScope::Pipeline, key.pipeline.to_string()},
        Paused{PauseScope::ExecutorKey, terms.executor}, Paused{PauseScope::Namespaces, terms.name}}) {
    if (paused_.contains(what))
      violate(Rule::PausesHold, name_of(key) + " begins, and " + what.second + " is paused");
  }
  const PipelineImage* const stored = find(written_, key.pipeline);
  const bool waited = stored != nullptr && stored->tasks[key.task].attempt == key.attempt;
  const std::int64_t due_ns =
      std::max(seen.terms.start_at_ns, waited ? stored->tasks[key.task].retry_at_ns : 0);
  if (seen.late)
    violate(Rule::DeadlinesHold, name_of(key) + " begins, and its pipeline's deadline has passed");
  if (latest_ns < due_ns) {
    violate(Rule::NotTooEarly, name_of(key) + " begins " + std::to_string((due_ns - latest_ns) / 1'000'000) +
                                   " ms before its time");
  }
  if (seen.terms.concurrency_key.empty() || std::exchange(seen.inside, true)) return;
  for (const auto& [id, other] : pipelines_) {
    if (!other.inside || id == key.pipeline || ended(id, other) ||
        other.terms.concurrency_key != seen.terms.concurrency_key) {
      continue;
    }
    violate(Rule::KeysHold, name_of(key) + " begins, and pipeline " + id.to_string() +
                                " with the same concurrency key is under way");
  }
}

void Ledger::started(const AttemptKey& key, std::int64_t latest_ns, std::int64_t steady_ns) {
  ++attempts_;
  running_.insert(key);
  const auto [run, fresh] = runs_.try_emplace(key);
  if (!fresh && !run->second.may_repeat) {
    violate(Rule::Repeats, name_of(key) + " runs again, though it was not in flight at a crash");
  }
  run->second.may_repeat = false;
  run->second.started_ns = steady_ns;
  run->second.failure.reset();
  run->second.loaded.reset();
  run->second.saved.reset();
  Seen& seen = pipelines_[key.pipeline];
  check_gates(key, seen, latest_ns);
  const Durability level = seen.terms.level;
  if (level == Durability::Memory) return;
  const PipelineImage* const stored = find(level == Durability::Disk ? durable_ : written_, key.pipeline);
  if (stored == nullptr) {
    return violate(Rule::DurableDependencies,
                   name_of(key) + " runs before its pipeline has reached its level");
  }
  for (const std::uint32_t dependency : terms_of(seen, key.task).after) {
    if (is_terminal(stored->tasks[dependency].state) || terms_of(seen, dependency).at_memory) continue;
    violate(Rule::DurableDependencies, name_of(key) + " runs before the end of task " +
                                           std::to_string(dependency) + " has reached its level");
  }
}

void Ledger::loaded(const AttemptKey& key, std::string_view context) {
  runs_[key].loaded = context;
}

void Ledger::saved(const AttemptKey& key, std::string_view context) {
  runs_[key].saved = context;
}

void Ledger::told(const AttemptKey& key, const ExecutionResult& result) {
  Run& run = runs_[key];
  if (result.status == ExecutionStatus::Completed) {
    run.completed = true;
  } else {
    run.failure = result;
  }
}

void Ledger::context_missing(const AttemptKey& key, const std::string& why) {
  violate(Rule::AcknowledgedKept, name_of(key) + " has begun, and its context is not there: " + why);
}

void Ledger::appended(std::uint64_t first_sequence, std::span<const std::byte> commit, std::int64_t latest_ns,
                      std::int64_t steady_ns) {
  const auto applied = written_.apply(first_sequence, commit, [&](const TransitionEvent& event) {
    const PipelineImage& pipeline = *event.pipeline;
    numbers_[pipeline.id] = pipeline.pipeline_no;
    const TraitsImage& traits = *pipeline.traits;
    if (!event.from && event.task == 0 && !traits.schedule.empty()) fired(pipeline.id, traits.scheduled_ns);
    const TaskImage& task = pipeline.tasks[event.task];
    transition({.pipeline = pipeline.id,
                .task = event.task,
                .attempt = event.attempt,
                .from = event.from,
                .to = event.to,
                .reason = event.reason,
                .time_ns = event.time_ns,
                .retry_at_ns = task.retry_at_ns,
                .rescues = task.rescues,
                .context = task.context.view(),
                .place = ContextPlace::of_task(pipeline.pipeline_no, event.task)},
               latest_ns, steady_ns);
  });
  if (!applied) violate(Rule::TransitionTable, applied.error().message);
  unsynced_.push_back({first_sequence, 0, {commit.begin(), commit.end()}});
}

void Ledger::synced() {
  for (const MemoryMedium::Commit& commit : unsynced_) {
    static_cast<void>(durable_.apply(commit.first_sequence, commit.bytes));  // written_ took it
  }
  unsynced_.clear();
}

void Ledger::died(Death death, const MemoryMedium& medium) {
  const StoreImage& least = death == Death::PowerCut ? durable_ : written_;
  for (const AttemptKey& key : running_) {
    const PipelineImage* const stored = find(least, key.pipeline);
    const TaskImage* const task = stored == nullptr ? nullptr : &stored->tasks[key.task];
    const bool ended = task != nullptr && (task->attempt > key.attempt || is_terminal(task->state));
    if (!ended) runs_[key].may_repeat = runs_[key].cut_off = true;
  }
  running_.clear();
  stopping_ = false;
  opened_ns_ = step_ns_;
  for (auto& [id, seen] : pipelines_) seen.waits.clear();
  rebuild(medium);
  check_kept(death);
  check_pauses_kept(death);
  check_contexts(medium);
  check_schedule_kept();
}

void Ledger::opened(std::int64_t earliest_ns) {
  for (auto& [id, seen] : pipelines_) {
    const std::int64_t deadline_ns = seen.terms.deadline_ns;
    seen.late = deadline_ns != 0 && deadline_ns <= earliest_ns;
  }
}

/// Each one of which the store has the mark alone must lie beside it.
void Ledger::check_contexts(const MemoryMedium& medium) {
  std::map<ContextPlace, std::string_view> texts(medium.contexts.begin(), medium.contexts.end());
  for (const MemoryMedium::Commit& commit : medium.commits) {
    texts.insert(commit.contexts.begin(), commit.contexts.end());
  }
  const auto check = [&](const Uuid& pipeline, const ContextPlace& place, const ContextImage& context) {
    if (!context.view().is_apart()) return;
    const auto text = texts.find(place);
    if (text != texts.end() && mark_of(text->second, place) == context.mark()) return;
    violate(Rule::AcknowledgedKept, "a context of pipeline " + pipeline.to_string() + " at place " +
                                        std::to_string(place.place) + " is not where its mark says");
  };
  for (const auto& [number, pipeline] : written_.pipelines()) {
    check(pipeline.id, ContextPlace::of_pipeline(number), pipeline.context);
    for (std::uint32_t i = 0; i < pipeline.tasks.size(); ++i) {
      check(pipeline.id, ContextPlace::of_task(number, i), pipeline.tasks[i].context);
    }
  }
}

/// That of a pipeline is remembered at the pipeline's level, any other on disk.
void Ledger::check_pauses_kept(Death death) {
  const auto gone = [&](const Paused& paused) {
    if (paused.first != PauseScope::Pipeline) return false;
    const auto seen = std::ranges::find(order_, paused.second, &Uuid::to_string);
    const PipelineImage* const stored = find(written_, *seen);
    return stored == nullptr || is_terminal(stored->state) || !survives(pipelines_[*seen].terms.level, death);
  };
  std::erase_if(paused_, gone);
  for (const Paused& paused : paused_) {
    if (!written_.pauses().contains(paused))
      violate(Rule::AcknowledgedKept, "the pause of " + paused.second + " was acknowledged and is lost");
  }
}

/// The store is what the death has left.
void Ledger::rebuild(const MemoryMedium& medium) {
  written_ = StoreImage(StoreImage::Keep::Everything);
  for (const MemoryMedium::Commit& commit : medium.commits) {
    const auto applied = written_.apply(commit.first_sequence, commit.bytes);
    if (!applied) violate(Rule::AcknowledgedKept, applied.error().message);
  }
  durable_ = StoreImage(StoreImage::Keep::Everything);
  unsynced_ = medium.commits;  // opening the store makes it durable, see opened()
  stored_.clear();
  for (const auto& [number, pipeline] : written_.pipelines()) {
    for (std::uint32_t i = 0; i < pipeline.tasks.size(); ++i) {
      stored_.emplace(TaskKey{pipeline.id, i}, pipeline.tasks[i].state);
    }
  }
}

void Ledger::check_kept(Death death) {
  for (const Uuid& id : order_) {
    Seen& seen = pipelines_[id];
    if (seen.lost) continue;
    const PipelineImage* const stored = find(written_, id);
    const bool must = seen.acknowledged && survives(seen.terms.level, death);
    // Whoever has begun in a dead process is under way if the store says so.
    seen.inside = stored != nullptr && std::ranges::any_of(stored->tasks, [](const TaskImage& task) {
                    return task.key_no != 0 || task.rescues > 0;
                  });
    if (stored == nullptr) {
      if (must)
        violate(Rule::AcknowledgedKept, "pipeline " + id.to_string() + " was acknowledged and is lost");
      seen.lost = true;
      continue;
    }
    if (must && seen.end && stored->state != *seen.end) {
      violate(Rule::AcknowledgedKept, "the end of pipeline " + id.to_string() + " was acknowledged as " +
                                          std::string(to_string(*seen.end)) + " and is lost");
    }
    for (const std::string& signal : std::exchange(seen.signals, {})) {
      if (stored->traits->signals.contains(signal)) {
        seen.signals.push_back(signal);
      } else if (survives(seen.terms.level, death)) {
        violate(Rule::AcknowledgedKept,
                "signal " + signal + " of pipeline " + id.to_string() + " was acknowledged and is lost");
      }
    }
    // Memory may have been ahead of the store, or behind it: whoever asks again is told what the store says.
    seen.end.reset();
    if (is_terminal(stored->state) && stored->open_tasks == 0) seen.end = stored->state;
    seen.tasks.clear();
    for (const TaskImage& task : stored->tasks) seen.tasks.push_back(task.state);
  }
}

void Ledger::look_at(std::span<const LaneView> lanes, bool over) {
  for (const LaneView& lane : lanes) {
    const std::string counts = "lane " + lane.key + ": " + std::to_string(lane.admitted) + " of " +
                               std::to_string(lane.limit) + " slots admitted, " +
                               std::to_string(lane.queued) + " queued, " + std::to_string(lane.holding) +
                               " held, " + std::to_string(lane.parked) + " parked";
    const std::uint64_t seen = lane.queued + lane.holding;
    if (lane.admitted > lane.limit || lane.admitted < seen || lane.admitted > seen + lane.reserved_max ||
        (over && (lane.admitted > 0 || lane.parked > 0))) {
      violate(Rule::Conservation, counts);
    }
    if (lane.parked > 0 && lane.admitted < lane.limit && !lane.braked) violate(Rule::NoIdleSlot, counts);
  }
}

void Ledger::look_at(std::span<const EngineView> pipelines, bool settled, const std::set<Uuid>& rows) {
  std::set<Uuid> in_memory;
  for (const EngineView& engine : pipelines) {
    Seen& seen = pipelines_[engine.id];
    seen.acknowledged |= engine.acknowledged;
    if (engine.end) seen.end = engine.end;
    seen.tasks.resize(engine.tasks.size());
    seen.waits.resize(engine.tasks.size());
    for (std::uint32_t i = 0; i < engine.tasks.size(); ++i) {
      const TaskState before = std::exchange(seen.tasks[i], engine.tasks[i].state);
      if (engine.tasks[i].state == TaskState::Ready && before != TaskState::Ready) {
        seen.waits[i].ready_ns = step_ns_;
        if (before == TaskState::NotStarted) seen.waits[i].first_ns = step_ns_;
      }
      if (is_terminal(before) && engine.tasks[i].state != before) {
        violate(Rule::OneEnd, name_of(engine.id, i) + " left " + std::string(to_string(before)));
      }
      if (engine.tasks[i].state == TaskState::Running &&
          !running_.contains({engine.id, i, engine.tasks[i].attempt})) {
        violate(Rule::DeadEpoch, name_of(engine.id, i) + " is Running, and this process has not begun it");
      }
    }
    in_memory.insert(engine.id);
    if (settled && engine.waits_in_store != rows.contains(engine.id)) {
      violate(Rule::RestartEquality,
              "pipeline " + engine.id.to_string() + " is in memory and waits in the store, or neither");
    }
    if (!settled || engine.level == Durability::Memory) continue;
    if (const PipelineImage* const stored = find(written_, engine.id)) {
      compare(engine, *stored);
    } else {
      violate(Rule::RestartEquality, "pipeline " + engine.id.to_string() + " is not in the store");
    }
  }
  if (settled) compare(in_memory, rows);
}

/// What no view shows: it has ended, or waits in the store alone.
void Ledger::compare(const std::set<Uuid>& in_memory, const std::set<Uuid>& rows) {
  for (const auto& [number, stored] : written_.pipelines()) {
    const bool over = is_terminal(stored.state) && stored.open_tasks == 0;
    const bool has_row = rows.contains(stored.id);
    if (over && has_row) {
      violate(Rule::RestartEquality,
              "pipeline " + stored.id.to_string() + " has ended, and waits in the store");
    }
    if (in_memory.contains(stored.id)) continue;
    if (over) {
      pipelines_[stored.id].end = stored.state;  // it came, and ended, while nobody looked
    } else if (!has_row) {
      violate(Rule::RestartEquality,
              "pipeline " + stored.id.to_string() + " is unfinished in the store alone");
    }
  }
}

void Ledger::compare(const EngineView& engine, const PipelineImage& stored) {
  if (engine.image && !is_terminal(stored.state)) {
    // What a row leaves out: see PipelineImage and TaskImage.
    PipelineImage row = stored;
    row.folded_to = engine.image->folded_to;
    row.open_tasks = engine.image->open_tasks;
    for (TaskImage& task : row.tasks) task.output = {};
    // Of children whose ends are on their way: a round of the checkpoint is not complete before they arrive.
    if (!row.traits->child_ends.empty()) row.traits.touch().child_ends = engine.image->traits->child_ends;
    if (row != *engine.image) {
      violate(Rule::RestartEquality, "pipeline " + engine.id.to_string() +
                                         " in memory differs from the store's in " +
                                         difference(*engine.image, row));
    }
  }
  for (std::uint32_t i = 0; i < engine.tasks.size(); ++i) {
    if (engine.tasks[i].state == stored.tasks[i].state &&
        (engine.tasks[i].attempt == stored.tasks[i].attempt || is_terminal(stored.tasks[i].state))) {
      continue;
    }
    violate(Rule::RestartEquality, name_of(engine.id, i) + " is " +
                                       std::string(to_string(engine.tasks[i].state)) + " in memory and " +
                                       std::string(to_string(stored.tasks[i].state)) + " in the store");
  }
}

void Ledger::stand_still() {
  for (const Uuid& id : order_) {
    const Seen& seen = pipelines_[id];
    if (seen.lost || seen.end) continue;
    if (seen.terms.deadline_ns != 0) {
      violate(Rule::DeadlinesHold, "nothing waits for the deadline of pipeline " + id.to_string());
    }
    for (std::uint32_t i = 0; i < seen.tasks.size(); ++i) {
      const bool waits = seen.tasks[i] == TaskState::Ready || seen.tasks[i] == TaskState::Running;
      if (waits && terms_of(seen, i).total_timeout_ns > 0) {
        violate(Rule::DeadlinesHold, "nothing waits for the limit of " + name_of(id, i));
      }
    }
  }
}

const PipelineImage* Ledger::find(const StoreImage& image, const Uuid& pipeline) const {
  const auto number = numbers_.find(pipeline);
  if (number == numbers_.end()) return nullptr;
  const auto found = image.pipelines().find(number->second);
  // Where a power cut took it, another one has its number now.
  return found == image.pipelines().end() || found->second.id != pipeline ? nullptr : &found->second;
}

std::vector<PipelineView> Ledger::pipelines() const {
  std::vector<PipelineView> views;
  for (const Uuid& id : order_) {
    const Seen& seen = pipelines_.at(id);
    PipelineView& view = views.emplace_back(id, seen.acknowledged, seen.end, seen.tasks);
    for (std::uint32_t task = 0; task < seen.tasks.size(); ++task) {
      const bool completed = seen.tasks[task] == TaskState::Completed;
      view.contexts.push_back(completed ? context_left(id, task) : std::string_view());
    }
  }
  return views;
}

/// What the latest attempt that an executor called done has left.
std::string_view Ledger::context_left(const Uuid& pipeline, std::uint32_t task) const {
  for (auto run = runs_.upper_bound({pipeline, task, UINT32_MAX}); run != runs_.begin();) {
    const auto& [key, made] = *--run;
    if (key.pipeline != pipeline || key.task != task) break;
    if (made.completed) return made.saved ? std::string_view(*made.saved) : std::string_view();
  }
  return {};
}

bool Ledger::over() const {
  return std::ranges::all_of(order_, [this](const Uuid& id) {
    const Seen& seen = pipelines_.at(id);
    return seen.lost || seen.end.has_value();
  });
}

}  // namespace leat::sim
