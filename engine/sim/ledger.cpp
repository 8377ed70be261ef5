#include "ledger.h"

#include <algorithm>

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

}  // namespace

void Ledger::violate(Rule rule, std::string message) {
  if (!violation_) violation_ = Violation{rule, std::move(message)};
}

void Ledger::submitted(const Uuid& pipeline, Durability level) {
  order_.push_back(pipeline);
  pipelines_[pipeline].level = level;
}

void Ledger::started(const AttemptKey& key) {
  ++attempts_;
  running_.insert(key);
  const auto [run, fresh] = runs_.try_emplace(key);
  if (!fresh && !run->second.may_repeat) {
    violate(Rule::Repeats, name_of(key) + " runs again, though it was not in flight at a crash");
  }
  run->second.may_repeat = false;
  const Durability level = pipelines_[key.pipeline].level;
  if (level == Durability::Memory) return;
  const PipelineImage* const stored = find(level == Durability::Disk ? durable_ : written_, key.pipeline);
  if (stored == nullptr) {
    return violate(Rule::DurableDependencies,
                   name_of(key) + " runs before its pipeline has reached its level");
  }
  for (const std::uint32_t dependency : after_[key.task]) {
    if (is_terminal(stored->tasks[dependency].state)) continue;
    violate(Rule::DurableDependencies, name_of(key) + " runs before the end of task " +
                                           std::to_string(dependency) + " has reached its level");
  }
}

void Ledger::told(const AttemptKey& key, ExecutionStatus status) {
  if (status == ExecutionStatus::Completed) runs_[key].completed = true;
}

void Ledger::appended(std::uint64_t first_sequence, std::span<const std::byte> commit) {
  const auto applied = written_.apply(first_sequence, commit, [this](const TransitionEvent& event) {
    numbers_[event.pipeline->id] = event.pipeline->pipeline_no;
    transition(event.pipeline->id, event.task, event.attempt, event.from, event.to);
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

void Ledger::transition(const Uuid& pipeline, std::uint32_t task, std::uint32_t attempt,
                        std::optional<TaskState> from, TaskState to) {
  const auto seen = pipelines_.find(pipeline);
  const auto said = [&] {
    return name_of(pipeline, task) + ": " + (from ? std::string(to_string(*from)) : "nothing") + " -> " +
           std::string(to_string(to));
  };
  if (seen == pipelines_.end()) return violate(Rule::NothingInvented, said() + ", which nobody submitted");
  const auto [stored, fresh] = stored_.try_emplace({pipeline, task}, to);
  if (fresh != !from) violate(Rule::TransitionTable, said() + ", created twice or not at all");
  if (!from || fresh) return;
  const TaskState before = std::exchange(stored->second, to);
  if (is_terminal(before))
    violate(Rule::OneEnd, said() + " after its end in " + std::string(to_string(before)));
  if (before != *from || !may_become(*from, to)) {
    violate(Rule::TransitionTable, said() + ", out of " + std::string(to_string(before)));
  }
  const AttemptKey key{pipeline, task, attempt};
  if (to == TaskState::Running && !runs_.contains(key)) {
    violate(Rule::NothingInvented, said() + ", which no executor began");
  }
  if (to == TaskState::Completed && !runs_[key].completed) {
    violate(Rule::NothingInvented, said() + ", which no executor said");
  }
  if (to == TaskState::Cancelled && !seen->second.cancelled) {
    violate(Rule::NothingInvented, said() + ", which nobody asked for");
  }
}

void Ledger::died(Death death, const MemoryMedium& medium) {
  const StoreImage& least = death == Death::PowerCut ? durable_ : written_;
  for (const AttemptKey& key : running_) {
    const PipelineImage* const stored = find(least, key.pipeline);
    const TaskImage* const task = stored == nullptr ? nullptr : &stored->tasks[key.task];
    const bool ended = task != nullptr && (task->attempt > key.attempt || is_terminal(task->state));
    if (!ended) runs_[key].may_repeat = true;
  }
  running_.clear();
  rebuild(medium);
  check_kept(death);
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
    const bool must = seen.acknowledged && survives(seen.level, death);
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
    if (lane.admitted > lane.limit || lane.admitted != lane.queued + lane.holding ||
        (over && (lane.admitted > 0 || lane.parked > 0))) {
      violate(Rule::Conservation, counts);
    }
    if (lane.parked > 0 && lane.admitted < lane.limit && !lane.braked) violate(Rule::NoIdleSlot, counts);
  }
}

void Ledger::look_at(std::span<const EngineView> pipelines, bool settled) {
  std::set<Uuid> in_memory;
  for (const EngineView& engine : pipelines) {
    Seen& seen = pipelines_[engine.id];
    seen.acknowledged |= engine.acknowledged;
    if (engine.end) seen.end = engine.end;
    seen.tasks.resize(engine.tasks.size());
    for (std::uint32_t i = 0; i < engine.tasks.size(); ++i) {
      const TaskState before = std::exchange(seen.tasks[i], engine.tasks[i].state);
      if (is_terminal(before) && engine.tasks[i].state != before) {
        violate(Rule::OneEnd, name_of(engine.id, i) + " left " + std::string(to_string(before)));
      }
      if (engine.tasks[i].state == TaskState::Running &&
          !running_.contains({engine.id, i, engine.tasks[i].attempt})) {
        violate(Rule::DeadEpoch, name_of(engine.id, i) + " is Running, and this process has not begun it");
      }
    }
    in_memory.insert(engine.id);
    if (!settled || engine.level == Durability::Memory) continue;
    if (const PipelineImage* const stored = find(written_, engine.id)) {
      compare(engine, *stored);
    } else {
      violate(Rule::RestartEquality, "pipeline " + engine.id.to_string() + " is not in the store");
    }
  }
  if (!settled) return;
  for (const auto& [number, stored] : written_.pipelines()) {
    if ((is_terminal(stored.state) && stored.open_tasks == 0) || in_memory.contains(stored.id)) continue;
    violate(Rule::RestartEquality, "pipeline " + stored.id.to_string() + " is unfinished in the store alone");
  }
}

void Ledger::compare(const EngineView& engine, const PipelineImage& stored) {
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

const PipelineImage* Ledger::find(const StoreImage& image, const Uuid& pipeline) const {
  const auto number = numbers_.find(pipeline);
  if (number == numbers_.end()) return nullptr;
  const auto found = image.pipelines().find(number->second);
  return found == image.pipelines().end() ? nullptr : &found->second;
}

std::vector<PipelineView> Ledger::pipelines() const {
  std::vector<PipelineView> views;
  for (const Uuid& id : order_) {
    const Seen& seen = pipelines_.at(id);
    views.push_back({id, seen.acknowledged, seen.end, seen.tasks});
  }
  return views;
}

bool Ledger::over() const {
  return std::ranges::all_of(order_, [this](const Uuid& id) {
    const Seen& seen = pipelines_.at(id);
    return seen.lost || seen.end.has_value();
  });
}

}  // namespace leat::sim
