// Builds a workflow: copies what the builder collected into one definition and checks it on the way. Every
// pass is linear in tasks and edges and none recurses.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "json_text.h"
#include "leat/workflow.h"
#include "workflow_definition.h"

namespace leat {
namespace {

constexpr std::size_t kShownNameBytes = 64;
constexpr std::size_t kShownCycleTasks = 32;
constexpr std::size_t kSeparatorBytes = 2;

using Code = WorkflowErrorCode;
using Failure = std::optional<WorkflowError>;  // empty: all is well

Failure fail(Code code, std::string message) {
  return WorkflowError{code, std::move(message)};
}

/// A name for a message: quoted, bounded.
std::string shown(std::string_view name) {
  if (name.size() <= kShownNameBytes) return fmt::format("'{}'", name);
  return fmt::format("'{}...' ({} bytes)", name.substr(0, kShownNameBytes), name.size());
}

/// A ':' at either end would move the border between two segments of the namespace.
Failure check_name(std::string_view what, std::string_view name) {
  if (name.empty()) return fail(Code::InvalidName, fmt::format("the {}'s name is empty", what));
  if (name.find("::") != name.npos) {
    return fail(Code::InvalidName, fmt::format("the {}'s name {} holds \"::\"", what, shown(name)));
  }
  if (name.front() == ':' || name.back() == ':') {
    return fail(Code::InvalidName,
                fmt::format("the {}'s name {} starts or ends with ':'", what, shown(name)));
  }
  return {};
}

bool is_finite_not_negative(double value) noexcept {
  return std::isfinite(value) && value >= 0;
}

/// Of what a policy and its part for one class share.
template <class Policy>
std::string_view wrong_with_attempts(const Policy& policy) noexcept {
  if (policy.max_attempts < 1) return "max_attempts must be at least 1: it counts the first try";
  if (policy.initial.count() < 0) return "the initial delay is negative";
  if (policy.cap.count() < 0) return "the cap is negative";
  if (!is_finite_not_negative(policy.multiplier)) return "the multiplier must be a number from 0";
  if (!is_finite_not_negative(policy.base)) return "the base must be a number from 0";
  return {};
}

/// @return what is wrong with the policy; empty: nothing
std::string_view wrong_with(const RetryPolicy& policy) noexcept {
  if (const auto wrong = wrong_with_attempts(policy); !wrong.empty()) return wrong;
  if (policy.max_age.count() < 0) return "max_age is negative";
  for (auto own = policy.classes.begin(); own != policy.classes.end(); ++own) {
    if (const auto wrong = wrong_with_attempts(*own); !wrong.empty()) return wrong;
    if (std::ranges::count(policy.classes.begin(), own, own->error_class, &ClassRetry::error_class) > 0)
      return "a class of errors is there twice";
  }
  if (std::ranges::any_of(policy.patterns, &std::string::empty))
    return "a pattern is empty: it would be in every error";
  return {};
}

/// Copies a task's options, apart from its dependencies.
Failure take_options(std::string_view name, const TaskOptions& options, TaskDefinition& task) {
  if (const std::string_view wrong = wrong_with(options.retry); !wrong.empty()) {
    return fail(Code::InvalidOption, fmt::format("task {}: retry: {}", shown(name), wrong));
  }
  if (std::min({options.timeout, options.queue_timeout, options.total_timeout, options.signal_timeout})
          .count() < 0) {
    return fail(Code::InvalidOption, fmt::format("task {}: the timeout is negative", shown(name)));
  }
  if (const auto fits = check_context_size(options.config.size()); !fits) {
    return fail(Code::InvalidOption, fmt::format("task {}: the config has {} bytes, the limit is {}",
                                                 shown(name), options.config.size(), kContextBytesMax));
  }
  auto config = canonical_json(options.config);
  if (!config)
    return fail(Code::InvalidOption, fmt::format("task {}: config: {}", shown(name), config.error().message));
  task.retry = options.retry;
  task.timeout = options.timeout;
  task.queue_timeout = options.queue_timeout;
  task.total_timeout = options.total_timeout;
  task.signal_timeout = options.signal_timeout;
  task.rescues_max = options.rescues_max;
  if (constexpr std::uint32_t kMost = 1'000; options.rescues_max > kMost) {
    return fail(Code::InvalidOption, fmt::format("task {}: rescues_max: {} (accepted: at most {})",
                                                 shown(name), options.rescues_max, kMost));
  }
  task.trigger = options.trigger;
  task.executor = options.executor;
  task.config = std::move(*config);
  if (options.durability && *options.durability != Durability::Memory) {
    return fail(Code::InvalidOption,
                fmt::format("task {}: durability: {} (accepted: memory; else it has the pipeline's)",
                            shown(name), to_string(*options.durability)));
  }
  task.at_memory = options.durability.has_value();  // see raise_levels()
  return {};
}

}  // namespace

std::string_view to_string(WorkflowErrorCode code) noexcept {
  switch (code) {
    case Code::EmptyWorkflow:
      return "EmptyWorkflow";
    case Code::DuplicateTask:
      return "DuplicateTask";
    case Code::MissingDependency:
      return "MissingDependency";
    case Code::DuplicateDependency:
      return "DuplicateDependency";
    case Code::CyclicDependency:
      return "CyclicDependency";
    case Code::InvalidName:
      return "InvalidName";
    case Code::InvalidOption:
      return "InvalidOption";
    case Code::InvalidTrigger:
      return "InvalidTrigger";
    case Code::LimitExceeded:
      return "LimitExceeded";
  }
  return "unknown";
}

/// One build: the passes in the order in which they run. Each fills its part of the definition or says
/// what is wrong.
class WorkflowBuild {
 public:
  explicit WorkflowBuild(const Workflow::Builder& builder)
      : builder_(builder), definition_(std::make_shared<Workflow::Definition>()), result_(*definition_) {}

  Failure run() {
    using Pass = Failure (WorkflowBuild::*)();
    for (const Pass pass :
         {&WorkflowBuild::name_workflow, &WorkflowBuild::name_tasks, &WorkflowBuild::link_after,
          &WorkflowBuild::sort, &WorkflowBuild::raise_levels, &WorkflowBuild::declare_signals}) {
      if (Failure failure = (this->*pass)()) return failure;
    }
    result_.version = hash_definition(result_);
    return {};
  }

  std::shared_ptr<const Workflow::Definition> definition() const noexcept { return definition_; }

 private:
  Failure name_workflow() {
    const auto& b = builder_;
    if (auto wrong = check_name("tenant", b.tenant_)) return wrong;
    if (auto wrong = check_name("package", b.package_)) return wrong;
    if (auto wrong = check_name("workflow", b.name_)) return wrong;
    result_.tenant = b.tenant_;
    result_.package = b.package_;
    result_.name = b.name_;
    result_.full_name = fmt::format("{}::{}::{}", b.tenant_, b.package_, b.name_);
    result_.text = b.definition_;
    result_.version_tag = b.version_tag_;
    return {};
  }

  Failure name_tasks() {
    const auto& given = builder_.tasks_;
    if (given.empty())
      return fail(Code::EmptyWorkflow, fmt::format("workflow {} has no task", shown(result_.name)));
    if (given.size() > kWorkflowTasksMax) {
      return fail(Code::LimitExceeded,
                  fmt::format("{} tasks, the limit is {}", given.size(), kWorkflowTasksMax));
    }
    const std::size_t prefix = result_.full_name.size() + kSeparatorBytes;
    std::size_t bytes = 0;
    for (const auto& task : given) bytes += prefix + task.name.size();
    result_.namespaces.reserve(bytes);  // once: the tasks' names view it
    result_.tasks.resize(given.size());
    result_.index.reserve(given.size());
    for (std::uint32_t i = 0; i < given.size(); ++i) {
      if (auto wrong = name_task(given[i], i, prefix)) return wrong;
    }
    return {};
  }

  Failure name_task(const Workflow::Builder::Task& given, std::uint32_t number, std::size_t prefix) {
    TaskDefinition& task = result_.tasks[number];
    if (auto wrong = check_name("task", given.name)) return wrong;
    if (prefix + given.name.size() > kTaskNamespaceBytesMax) {
      return fail(Code::InvalidName,
                  fmt::format("the namespace of task {} has {} bytes, the limit is {}", shown(given.name),
                              prefix + given.name.size(), kTaskNamespaceBytesMax));
    }
    const std::size_t begin = result_.namespaces.size();
    result_.namespaces.append(result_.full_name).append("::").append(given.name);
    task.namespace_name = std::string_view(result_.namespaces).substr(begin);
    task.name = task.namespace_name.substr(prefix);
    if (!result_.index.emplace(task.name, number).second) {
      return fail(Code::DuplicateTask, fmt::format("task {} is defined twice", shown(given.name)));
    }
    task.function = given.function;
    return take_options(given.name, given.options, task);
  }

  Failure link_after() {
    std::size_t edges = 0;
    for (const auto& task : builder_.tasks_) edges += task.options.after.size();
    if (edges > kWorkflowEdgesMax) {
      return fail(Code::LimitExceeded,
                  fmt::format("{} dependencies, the limit is {}", edges, kWorkflowEdgesMax));
    }
    result_.after.reserve(edges);  // once: the tasks' spans view it
    std::vector<std::uint32_t> seen_by(result_.tasks.size(), kNobody);
    for (std::uint32_t i = 0; i < result_.tasks.size(); ++i) {
      if (auto wrong = link_task(i, seen_by)) return wrong;
    }
    link_successors();
    return {};
  }

  /// @param seen_by  by dependency: the last task that named it
  Failure link_task(std::uint32_t number, std::vector<std::uint32_t>& seen_by) {
    TaskDefinition& task = result_.tasks[number];
    const std::size_t begin = result_.after.size();
    for (const std::string& name : builder_.tasks_[number].options.after) {
      const auto dependency = result_.index.find(name);
      if (dependency == result_.index.end()) {
        return fail(Code::MissingDependency, fmt::format("task {} waits for {}, which is not in the workflow",
                                                         shown(task.name), shown(name)));
      }
      if (std::exchange(seen_by[dependency->second], number) == number) {
        return fail(Code::DuplicateDependency,
                    fmt::format("task {} names its dependency {} twice", shown(task.name), shown(name)));
      }
      result_.after.push_back(dependency->second);
    }
    task.after = std::span(result_.after).subspan(begin);
    return check_trigger(task, number, seen_by);
  }

  Failure check_trigger(const TaskDefinition& task, std::uint32_t number,
                        const std::vector<std::uint32_t>& seen_by) {
    if (task.trigger.depth() > kTriggerDepthMax) {
      return fail(Code::InvalidTrigger,
                  fmt::format("task {}: the trigger rule is nested deeper than {} levels", shown(task.name),
                              kTriggerDepthMax));
    }
    for (const std::string_view name : task.trigger.task_names()) {
      const auto other = result_.find(name);
      if (other && seen_by[*other] == number) continue;
      return fail(Code::InvalidTrigger,
                  fmt::format("task {}: the trigger rule asks about {}, which is not one of its dependencies",
                              shown(task.name), shown(name)));
    }
    return {};
  }

  /// A counting sort of the edges by dependency; ascending because the tasks are visited so.
  void link_successors() {
    std::vector<std::size_t> end(result_.tasks.size() + 1, 0);
    for (const std::uint32_t dependency : result_.after) ++end[dependency + 1];
    for (std::size_t i = 1; i < end.size(); ++i) end[i] += end[i - 1];
    result_.successors.resize(result_.after.size());
    for (std::size_t i = 0; i < result_.tasks.size(); ++i) {
      result_.tasks[i].successors = std::span(result_.successors).subspan(end[i], end[i + 1] - end[i]);
    }
    for (std::uint32_t i = 0; i < result_.tasks.size(); ++i) {
      for (const std::uint32_t dependency : result_.tasks[i].after) result_.successors[end[dependency]++] = i;
    }
  }

  /// Source: Kahn, "Topological sorting of large networks", CACM 5 (1962).
  Failure sort() {
    std::vector<std::uint32_t> waiting(result_.tasks.size());
    for (std::uint32_t i = 0; i < waiting.size(); ++i) {
      waiting[i] = static_cast<std::uint32_t>(result_.tasks[i].after.size());
      if (waiting[i] == 0) result_.roots.push_back(i);
    }
    result_.order.reserve(waiting.size());
    result_.order = result_.roots;
    for (std::size_t next = 0; next < result_.order.size(); ++next) {
      for (const std::uint32_t successor : result_.tasks[result_.order[next]].successors) {
        if (--waiting[successor] == 0) result_.order.push_back(successor);
      }
    }
    if (result_.order.size() == waiting.size()) return {};
    return fail(Code::CyclicDependency, "tasks wait for each other: " + show_cycle(waiting));
  }

  /// A task may forget its end only if all that depend on it may.
  Failure raise_levels() {
    for (std::size_t i = result_.order.size(); i-- > 0;) {
      TaskDefinition& task = result_.tasks[result_.order[i]];
      const auto keeps = [this](std::uint32_t successor) { return !result_.tasks[successor].at_memory; };
      if (!task.at_memory) continue;
      const auto keeper = std::ranges::find_if(task.successors, keeps);
      if (keeper == task.successors.end()) continue;
      task.at_memory = false;
      result_.warnings.push_back(
          fmt::format("task {} asks for durability memory, and {}, which depends on it, does not: it has the "
                      "pipeline's",
                      shown(task.name), shown(result_.tasks[*keeper].name)));
    }
    return {};
  }

  Failure declare_signals() {
    for (std::uint32_t i = 0; i < result_.tasks.size(); ++i) {
      TaskDefinition& task = result_.tasks[i];
      const TaskOptions& options = builder_.tasks_[i].options;
      if (!options.signal.empty()) {
        std::uint32_t number = 0;
        if (auto wrong = declare_signal(task.name, options.signal, number)) return wrong;
        result_.signals[number].tasks.push_back(i);
        task.signal = number;
      } else if (options.signal_timeout.count() > 0) {
        return fail(Code::InvalidOption,
                    fmt::format("task {} has a signal_timeout, and no signal", shown(task.name)));
      }
      for (const std::string& name : options.awaits) {
        if (auto wrong = declare_signal(task.name, name, task.awaits.emplace_back())) return wrong;
      }
      for (const std::string& name : options.children) {
        if (auto wrong = declare_signal(task.name, name, task.children.emplace_back())) return wrong;
        result_.signals[task.children.back()].is_child = true;
      }
    }
    if (std::ranges::count(result_.signals, true, &SignalDefinition::is_child) >
        static_cast<std::ptrdiff_t>(kWorkflowChildrenMax)) {
      return fail(Code::LimitExceeded, fmt::format("more than {} names of children", kWorkflowChildrenMax));
    }
    return {};
  }

  Failure declare_signal(std::string_view task, const std::string& name, std::uint32_t& number) {
    if (name.empty() || name.size() > kSignalNameBytesMax) {
      return fail(Code::InvalidOption,
                  fmt::format("task {}: the signal {} has {} bytes (accepted: 1 to {})", shown(task),
                              shown(name), name.size(), kSignalNameBytesMax));
    }
    const auto [place, is_new] =
        result_.signal_index.try_emplace(name, static_cast<std::uint32_t>(result_.signals.size()));
    if (is_new) result_.signals.push_back({name, {}, false});
    if (result_.signals.size() > kWorkflowSignalsMax)
      return fail(Code::LimitExceeded, fmt::format("more than {} signals", kWorkflowSignalsMax));
    number = place->second;
    return {};
  }

  /// @param waiting  by task: how many of its dependencies could not be ordered. A task for which that is
  ///                 not 0 has such a dependency, so walking from one to the next must come back to a
  ///                 task seen before.
  std::string show_cycle(const std::vector<std::uint32_t>& waiting) const {
    const auto blocked = [&](std::uint32_t task) { return waiting[task] != 0; };
    std::vector<std::uint32_t> path;
    std::vector<std::uint32_t> place(waiting.size(), kNobody);  // in `path`
    auto task = static_cast<std::uint32_t>(std::ranges::find_if(waiting, std::identity{}) - waiting.begin());
    for (; place[task] == kNobody; task = *std::ranges::find_if(result_.tasks[task].after, blocked)) {
      place[task] = static_cast<std::uint32_t>(path.size());
      path.push_back(task);
    }
    std::vector<std::uint32_t> cycle(path.rbegin(), path.rend() - place[task]);  // in the order of running
    std::ranges::rotate(cycle, std::ranges::min_element(cycle));
    cycle.push_back(cycle.front());
    std::string text;
    for (std::size_t i = 0; i < cycle.size() && i < kShownCycleTasks; ++i) {
      text.append(i == 0 ? "" : " -> ").append(result_.tasks[cycle[i]].name);
    }
    if (cycle.size() > kShownCycleTasks) text += fmt::format(" -> ... ({} tasks)", cycle.size() - 1);
    return text;
  }

  static constexpr std::uint32_t kNobody = std::numeric_limits<std::uint32_t>::max();

  const Workflow::Builder& builder_;
  std::shared_ptr<Workflow::Definition> definition_;
  Workflow::Definition& result_;
};

Workflow::Builder::Builder(std::string name) : name_(std::move(name)) {}

Workflow::Builder& Workflow::Builder::tenant(std::string name) {
  tenant_ = std::move(name);
  return *this;
}

Workflow::Builder& Workflow::Builder::package(std::string name) {
  package_ = std::move(name);
  return *this;
}

Workflow::Builder& Workflow::Builder::definition(std::string text) {
  definition_ = std::move(text);
  return *this;
}

Workflow::Builder& Workflow::Builder::version_tag(std::string text) {
  version_tag_ = std::move(text);
  return *this;
}

Workflow::Builder& Workflow::Builder::add(std::string name, TaskFunction function, TaskOptions options) {
  tasks_.push_back({std::move(name), std::move(function), std::move(options)});
  return *this;
}

std::expected<Workflow, WorkflowError> Workflow::Builder::build() const {
  WorkflowBuild build(*this);
  if (Failure failure = build.run()) return std::unexpected(std::move(*failure));
  return Workflow(build.definition());
}

}  // namespace leat
