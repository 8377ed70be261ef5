// What a round of the checkpoint writes down: the workflows and keys that something still needs, the
// pipelines that wait for their workflow to be registered, and those that live. In slices, so that nobody
// waits long.
#include <algorithm>
#include <utility>

#include "leat/checkpoint.h"
#include "scheduler.h"

namespace leat {

RoundBegun Scheduler::begin_round(std::uint64_t generation, std::size_t rows_per_step) {
  // Before the look at what lives: a pipeline that is not met began later, so that all of it is in the
  // journal from here on.
  const std::uint64_t minimum = journal_->written();
  // relaxed: a number that is given out meanwhile is used in the journal behind the minimum, or never
  const std::uint64_t next_pipeline_no = next_pipeline_no_.load(std::memory_order_relaxed);
  const std::vector<Registered> known = known_workflows();
  std::vector<std::string> schedules = schedules_.names();
  MutexLock lock(mutex_);
  round_ = Round();
  round_.phase = Round::Phase::Submissions;
  round_.generation = generation;
  round_.minimum = minimum;
  round_.rows_per_step = rows_per_step;
  round_.registered = {known.rbegin(), known.rend()};
  for (const auto& [number, workflow] : remembered_) round_.remembered.push_back(number);
  // In an order of their own, so that a simulated run does not depend on that of a hash table.
  std::ranges::sort(round_.remembered, std::greater());
  round_.waiting = round_.remembered;
  round_.schedules = std::move(schedules);
  round_.keys.assign(key_numbers_.begin(), key_numbers_.end());
  std::ranges::sort(round_.keys, std::greater(), &std::pair<std::string, std::uint32_t>::second);
  for (const auto& [place, pause] : pauses_) {
    if (place.first != PauseScope::Pipeline) round_.pauses.push_back(place);
  }
  rows_bytes_.store(0, std::memory_order_relaxed);  // relaxed: only this thread reads it, in all_kept()
  return {.generation = generation,
          .minimum = minimum,
          .next_pipeline_no = next_pipeline_no,
          .next_workflow_no = next_workflow_no_,
          .next_key_no = next_key_no_};
}

bool Scheduler::keep_some(std::uint64_t remembered_from) {
  switch (round_.phase) {
    case Round::Phase::Submissions:
      return keep_submissions();
    case Round::Phase::Definitions:
      return keep_definition(remembered_from);
    case Round::Phase::Remembered:
      return keep_remembered();
    case Round::Phase::Live:
      return keep_live();
    case Round::Phase::Quarantine:
      return keep_quarantine();
    case Round::Phase::Done:
      return false;
  }
  return false;
}

bool Scheduler::all_kept(std::uint64_t& bytes) const noexcept {
  // (10) acquire: what the pipelines published precedes what the caller publishes; pairs with (11).
  if (round_.phase != Round::Phase::Done || rows_due_.load(std::memory_order_acquire) > 0) return false;
  bytes = rows_bytes_.load(std::memory_order_relaxed);  // relaxed: ordered by (10)
  return true;
}

void Scheduler::kept(std::size_t bytes) noexcept {
  rows_bytes_.fetch_add(bytes, std::memory_order_relaxed);  // relaxed: ordered by (11)
  rows_due_.fetch_sub(1, std::memory_order_release);        // (11) pairs with (10)
}

/// Uses up a credit.
void Scheduler::keep_row(TransitionGroup&& row) noexcept {
  rows_bytes_.fetch_add(row.bytes().size(), std::memory_order_relaxed);  // relaxed: this thread reads it
  journal_->publish(std::move(row), Durability::Process, nullptr, 0);
}

/// One definition: they may be large.
bool Scheduler::keep_definition(std::uint64_t remembered_from) {
  if (!journal_->try_reserve(1)) return false;
  if (!round_.keys.empty()) {
    const auto& [key, number] = round_.keys.back();
    keep_row(make_row(KeyKept{round_.generation, {number, key}}));
    round_.keys.pop_back();
    return true;
  }
  if (!round_.pauses.empty()) {
    keep_pause();
    return true;
  }
  if (!round_.schedules.empty()) {
    const bool kept = schedules_.keep(round_.schedules.back(), round_.generation,
                                      [this](TransitionGroup&& row) { keep_row(std::move(row)); });
    if (!kept) journal_->release(1);
    round_.schedules.pop_back();
    return true;
  }
  if (!round_.registered.empty()) {
    const Registered registered = std::move(round_.registered.back());
    round_.registered.pop_back();
    const Workflow& workflow = registered->workflow;
    std::vector<std::string_view> names;
    for (const TaskDefinition& task : workflow.tasks()) names.push_back(task.name);
    keep_row(make_row(WorkflowKept{round_.generation,
                                   round_.minimum,
                                   {registered->workflow_no, workflow.full_name(), workflow.version(), names,
                                    registered->stored_definition}}));
    return true;
  }
  if (round_.remembered.empty()) {
    journal_->release(1);
    round_.phase = Round::Phase::Remembered;
    return true;
  }
  const auto in_store = waiting_.unopened();
  MutexLock lock(mutex_);
  const std::uint32_t number = round_.remembered.back();
  round_.remembered.pop_back();
  const auto known = remembered_.find(number);
  const WorkflowImage& workflow = known->second.workflow;
  const auto registered = workflows_.find(workflow.version);
  const bool is_registered = registered != workflows_.end() && registered->second->workflow_no == number;
  const bool is_live = is_registered || known->second.stand_in != nullptr ||
                       !known->second.pipelines.empty() || in_store.contains(number);
  if (!is_live && workflow.last_needed < remembered_from) {
    // From here on it is unknown, should somebody register it.
    if (const auto by_version = remembered_numbers_.find(workflow.version);
        by_version != remembered_numbers_.end() && by_version->second == number) {
      remembered_numbers_.erase(by_version);
    }
    remembered_.erase(known);
    journal_->release(1);
    return true;
  }
  const std::vector<std::string_view> names(workflow.tasks.begin(), workflow.tasks.end());
  keep_row(make_row(WorkflowKept{round_.generation,
                                 is_live ? round_.minimum : workflow.last_needed,
                                 {number, workflow.name, workflow.version, names, workflow.definition}}));
  return true;
}

bool Scheduler::keep_remembered() {
  // What a child has for a parent that waits is in the parent's row, or behind the round's minimum.
  // (13) acquire: pairs with (11).
  if (!round_.waiting.empty() && rows_due_.load(std::memory_order_acquire) > 0) return false;
  MutexLock lock(mutex_);
  for (std::size_t count = 0; count < round_.rows_per_step && !round_.waiting.empty();) {
    const auto known = remembered_.find(round_.waiting.back());
    const bool over = known == remembered_.end() || known->second.pipelines.empty() ||
                      known->second.pipelines.rbegin()->first < round_.next_pipeline;
    if (over) {
      round_.waiting.pop_back();
      round_.next_pipeline = 0;
      continue;
    }
    const auto next = known->second.pipelines.lower_bound(round_.next_pipeline);
    const PipelineImage& pipeline = next->second;
    std::vector<TransitionGroup> rows =
        make_rows(PipelineKept{round_.generation, pipeline, find_pause(pipeline)});
    if (!journal_->try_reserve(rows.size())) return count > 0;
    for (TransitionGroup& row : rows) keep_row(std::move(row));
    round_.next_pipeline = next->first + 1;
    ++count;
  }
  if (!round_.waiting.empty()) return true;
  if (adopting_ > 0) return false;  // what they hold is met in a backlog, or as live ones
  if (round_.backlog < backlogs_.size()) return keep_backlogs();
  live_.begin_walk();
  round_.phase = Round::Phase::Live;
  return true;
}

/// What leaves them meanwhile is met as a live one.
bool Scheduler::keep_backlogs() {
  bool has_room = true;
  for (std::size_t count = 0; has_room && count < round_.rows_per_step; ++count) {
    const auto keep = [&](const PipelineImage& pipeline) {
      std::vector<TransitionGroup> rows = make_rows(PipelineKept{round_.generation, pipeline, nullptr});
      has_room = journal_->try_reserve(rows.size());
      for (TransitionGroup& row : rows) {
        if (has_room) keep_row(std::move(row));
      }
    };
    const auto number = backlogs_[round_.backlog]->look(round_.next_pipeline, keep);
    if (!has_room) return count > 0;
    round_.next_pipeline = number ? *number + 1 : 0;
    if (!number && ++round_.backlog == backlogs_.size()) return true;
  }
  return true;
}

bool Scheduler::keep_live() {
  std::vector<PipelineHandle> pipelines;
  bool is_over = false;
  while (pipelines.size() < round_.rows_per_step && journal_->try_reserve(1)) {
    auto pipeline = live_.walk();
    if (!pipeline) {
      journal_->release(1);
      is_over = true;
      break;
    }
    pipelines.push_back(std::move(*pipeline));
  }
  // relaxed: counted up before anybody can count down
  rows_due_.fetch_add(pipelines.size(), std::memory_order_relaxed);
  for (const PipelineHandle& handle : pipelines) Pipeline::of(handle).post_keep(round_.generation);
  if (is_over) round_.phase = Round::Phase::Quarantine;
  return is_over || !pipelines.empty();
}

/// Behind the rows of all pipelines: what ended without one is in the list by now.
bool Scheduler::keep_quarantine() {
  // (12) acquire: pairs with (11).
  if (rows_due_.load(std::memory_order_acquire) > 0 || !journal_->try_reserve(1)) return false;
  const bool kept = quarantine_.keep(round_.last_quarantined, round_.generation,
                                     [this](TransitionGroup&& row) { keep_row(std::move(row)); });
  if (kept) return true;
  journal_->release(1);
  round_.phase = Round::Phase::Done;
  return true;
}

}  // namespace leat
