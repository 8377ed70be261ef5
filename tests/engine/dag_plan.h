// Random workflows of which it is known beforehand what each task will do, and a program without threads that
// tells what must come of it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "leat/states.h"
#include "leat/trigger_rule.h"
#include "seed.h"

namespace leat {

/// A trigger rule, kept apart from the library's so that the two can be compared.
struct RulePlan {
  enum Kind {
    kAllSuccess,
    kAllDone,
    kOneSuccess,
    kNoneFailed,
    kAll,
    kAny,
    kNone,
    kSuccess,
    kFailed,
    kSkipped,
    kKey
  };
  Kind kind = kAllSuccess;
  std::uint32_t task = 0;
  std::vector<RulePlan> parts = {};
};

struct TaskPlan {
  enum class Failure { Returned, Thrown, ForGood, Overrun };
  std::vector<std::uint32_t> after = {};
  RulePlan rule = {};
  Failure failure = Failure::Returned;
  std::int32_t failures = 0;  ///< attempts that fail, from the first on
  std::int32_t max_attempts = 1;
  bool looks = false;   ///< at its context
  bool writes = false;  ///< a key of its own, and one that all share
};

using Values = std::map<std::string, std::int64_t>;

/// What must come of a task.
struct Fate {
  TaskState state = TaskState::NotStarted;
  std::int32_t attempts = 0;
  Values input;
  Values saved;  ///< where Completed
};

struct DagPlan {
  std::vector<TaskPlan> tasks;
  std::vector<std::uint32_t> order;  ///< every task after those that it waits for

  static std::string name(std::uint32_t task) { return "t" + std::to_string(task); }
  static constexpr const char* kShared = "last";
};

/// The text that a Context of these values has.
inline std::string to_json(const Values& values) {
  std::string text = "{";
  for (const auto& [key, value] : values) {
    text += (text.size() > 1 ? ",\"" : "\"") + key + "\":" + std::to_string(value);
  }
  return text + "}";
}

inline TriggerRule to_rule(const RulePlan& plan) {
  std::vector<TriggerRule> parts;
  for (const RulePlan& part : plan.parts) parts.push_back(to_rule(part));
  switch (plan.kind) {
    case RulePlan::kAllSuccess:
      return TriggerRule::all_success();
    case RulePlan::kAllDone:
      return TriggerRule::all_done();
    case RulePlan::kOneSuccess:
      return TriggerRule::one_success();
    case RulePlan::kNoneFailed:
      return TriggerRule::none_failed();
    case RulePlan::kAll:
      return TriggerRule::all(std::move(parts));
    case RulePlan::kAny:
      return TriggerRule::any(std::move(parts));
    case RulePlan::kNone:
      return TriggerRule::none(std::move(parts));
    case RulePlan::kSuccess:
      return TriggerRule::task_success(DagPlan::name(plan.task));
    case RulePlan::kFailed:
      return TriggerRule::task_failed(DagPlan::name(plan.task));
    case RulePlan::kSkipped:
      return TriggerRule::task_skipped(DagPlan::name(plan.task));
    default:
      return *TriggerRule::context_value(DagPlan::name(plan.task), TriggerOperator::Exists);
  }
}

inline bool holds(const RulePlan& rule, const TaskPlan& task, const Values& input,
                  const std::vector<Fate>& fates) {
  const auto count = [&](TaskState state) {
    return std::ranges::count(task.after, state,
                              [&](std::uint32_t dependency) { return fates[dependency].state; });
  };
  const auto part_holds = [&](const RulePlan& part) { return holds(part, task, input, fates); };
  switch (rule.kind) {
    case RulePlan::kAllSuccess:
      return count(TaskState::Completed) == std::ssize(task.after);
    case RulePlan::kAllDone:
      return true;
    case RulePlan::kOneSuccess:
      return task.after.empty() || count(TaskState::Completed) > 0;
    case RulePlan::kNoneFailed:
      return count(TaskState::Failed) == 0;
    case RulePlan::kAll:
      return std::ranges::all_of(rule.parts, part_holds);
    case RulePlan::kAny:
      return std::ranges::any_of(rule.parts, part_holds);
    case RulePlan::kNone:
      return std::ranges::none_of(rule.parts, part_holds);
    case RulePlan::kSuccess:
      return fates[rule.task].state == TaskState::Completed;
    case RulePlan::kFailed:
      return fates[rule.task].state == TaskState::Failed;
    case RulePlan::kSkipped:
      return fates[rule.task].state == TaskState::Skipped;
    default:
      return input.contains(DagPlan::name(rule.task));
  }
}

/// What must come of every task, whatever the threads do.
inline std::vector<Fate> tell(const DagPlan& plan, const Values& initial) {
  std::vector<Fate> fates(plan.tasks.size());
  for (const std::uint32_t number : plan.order) {
    const TaskPlan& task = plan.tasks[number];
    Fate& fate = fates[number];
    if (task.after.empty()) fate.input = initial;
    for (const std::uint32_t dependency : task.after) {
      for (const auto& [key, value] : fates[dependency].saved) fate.input[key] = value;
    }
    if (!holds(task.rule, task, fate.input, fates)) {
      fate.state = TaskState::Skipped;
      continue;
    }
    const bool for_good = task.failure == TaskPlan::Failure::ForGood && task.failures > 0;
    fate.attempts = for_good ? 1 : std::min(task.failures + 1, task.max_attempts);
    fate.state = for_good || task.failures >= task.max_attempts ? TaskState::Failed : TaskState::Completed;
    if (fate.state != TaskState::Completed) continue;
    fate.saved = fate.input;
    if (task.writes) fate.saved[DagPlan::name(number)] = fate.saved[DagPlan::kShared] = number;
  }
  return fates;
}

/// ancestors[t]: all that t waits for, directly or not.
inline std::vector<std::vector<std::uint32_t>> ancestors(const DagPlan& plan) {
  std::vector<std::vector<std::uint32_t>> all(plan.tasks.size());
  for (const std::uint32_t number : plan.order) {
    for (const std::uint32_t dependency : plan.tasks[number].after) {
      all[number].push_back(dependency);
      all[number].insert(all[number].end(), all[dependency].begin(), all[dependency].end());
    }
    std::ranges::sort(all[number]);
    const auto [first, last] = std::ranges::unique(all[number]);
    all[number].erase(first, last);
  }
  return all;
}

inline RulePlan random_rule(std::mt19937_64& random, const std::vector<std::uint32_t>& after, int depth = 0) {
  if (depth == 0 && pick(random, 3) > 0) return {static_cast<RulePlan::Kind>(pick(random, 4))};
  if (!after.empty() && (depth == 3 || pick(random, 2) == 0)) {
    const auto kind = static_cast<RulePlan::Kind>(RulePlan::kSuccess + pick(random, 4));
    return {kind, after[pick(random, static_cast<std::uint32_t>(after.size()))]};
  }
  RulePlan group{static_cast<RulePlan::Kind>(RulePlan::kAll + pick(random, 3))};
  for (std::uint32_t parts = depth == 3 ? 0 : pick(random, 4); parts > 0; --parts) {
    group.parts.push_back(random_rule(random, after, depth + 1));
  }
  return group;
}

inline TaskPlan random_task(std::mt19937_64& random) {
  TaskPlan task;
  task.max_attempts = 1 + static_cast<std::int32_t>(pick(random, 4));
  if (pick(random, 3) == 0) task.failures = static_cast<std::int32_t>(pick(random, 5));
  task.failure = static_cast<TaskPlan::Failure>(pick(random, 3));
  if (pick(random, 100) == 0) {
    task.failure = TaskPlan::Failure::Overrun;
    task.failures = task.max_attempts = 1 + static_cast<std::int32_t>(pick(random, 2));
  }
  task.writes = pick(random, 2) == 0;
  task.looks = task.writes || pick(random, 2) == 0;
  return task;
}

inline DagPlan random_dag(std::mt19937_64& random) {
  DagPlan plan;
  const std::uint32_t size = 1 + pick(random, pick(random, 4) == 0 ? 60 : 12);
  for (std::uint32_t i = 0; i < size; ++i) {
    plan.tasks.push_back(random_task(random));
    plan.order.push_back(i);
  }
  std::ranges::shuffle(plan.order, random);
  const std::uint32_t sparse = 1 + pick(random, size);
  for (std::uint32_t i = 0; i < size; ++i) {
    TaskPlan& task = plan.tasks[plan.order[i]];
    for (std::uint32_t j = 0; j < i; ++j) {
      if (pick(random, sparse) == 0) task.after.push_back(plan.order[j]);
    }
    std::ranges::shuffle(task.after, random);
    task.rule = random_rule(random, task.after);
  }
  return plan;
}

}  // namespace leat
