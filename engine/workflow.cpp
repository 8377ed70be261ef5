// Looking at a built workflow. No walk recurses: a chain may have a million tasks.
#include "leat/workflow.h"

#include <algorithm>
#include <utility>

#include "workflow_definition.h"

namespace leat {
namespace {

/// Marks the task and all that it waits for, directly or not.
std::vector<bool> mark_upstream(std::span<const TaskDefinition> tasks, std::uint32_t task) {
  std::vector<bool> marked(tasks.size());
  std::vector<std::uint32_t> open = {task};
  marked[task] = true;
  while (!open.empty()) {
    const std::uint32_t current = open.back();
    open.pop_back();
    for (const std::uint32_t dependency : tasks[current].after) {
      if (marked[dependency]) continue;
      marked[dependency] = true;
      open.push_back(dependency);
    }
  }
  return marked;
}

}  // namespace

std::optional<std::uint32_t> Workflow::Definition::find(std::string_view task) const noexcept {
  if (task.starts_with(full_name) && task.substr(full_name.size()).starts_with("::")) {
    task.remove_prefix(full_name.size() + 2);
  }
  const auto found = index.find(task);
  if (found == index.end()) return std::nullopt;
  return found->second;
}

Workflow::Workflow(std::shared_ptr<const Definition> definition) noexcept
    : definition_(std::move(definition)) {}

std::string_view Workflow::tenant() const noexcept {
  return definition_->tenant;
}
std::string_view Workflow::package() const noexcept {
  return definition_->package;
}
std::string_view Workflow::name() const noexcept {
  return definition_->name;
}
std::string_view Workflow::full_name() const noexcept {
  return definition_->full_name;
}
std::uint64_t Workflow::version() const noexcept {
  return definition_->version;
}
std::string_view Workflow::definition() const noexcept {
  return definition_->text;
}
std::span<const std::string> Workflow::warnings() const noexcept {
  return definition_->warnings;
}
std::span<const TaskDefinition> Workflow::tasks() const noexcept {
  return definition_->tasks;
}
std::span<const std::uint32_t> Workflow::roots() const noexcept {
  return definition_->roots;
}
std::span<const std::uint32_t> Workflow::topological_order() const noexcept {
  return definition_->order;
}

std::optional<std::uint32_t> Workflow::find(std::string_view task) const noexcept {
  return definition_->find(task);
}
std::span<const SignalDefinition> Workflow::signals() const noexcept {
  return definition_->signals;
}
std::optional<std::uint32_t> Workflow::find_signal(std::string_view name) const noexcept {
  const auto found = definition_->signal_index.find(std::string(name));
  if (found == definition_->signal_index.end()) return std::nullopt;
  return found->second;
}

std::vector<std::vector<std::uint32_t>> Workflow::levels() const {
  std::vector<std::uint32_t> level(tasks().size(), 0);
  std::uint32_t deepest = 0;
  for (const std::uint32_t task : topological_order()) {
    for (const std::uint32_t dependency : tasks()[task].after)
      level[task] = std::max(level[task], level[dependency] + 1);
    deepest = std::max(deepest, level[task]);
  }
  std::vector<std::vector<std::uint32_t>> levels(deepest + std::size_t{1});
  for (std::uint32_t task = 0; task < level.size(); ++task) levels[level[task]].push_back(task);
  return levels;
}

bool Workflow::are_parallel(std::uint32_t a, std::uint32_t b) const {
  return !mark_upstream(tasks(), a)[b] && !mark_upstream(tasks(), b)[a];
}

std::vector<std::uint32_t> Workflow::subgraph(std::uint32_t task) const {
  const std::vector<bool> marked = mark_upstream(tasks(), task);
  std::vector<std::uint32_t> members;
  for (std::uint32_t i = 0; i < marked.size(); ++i) {
    if (marked[i]) members.push_back(i);
  }
  return members;
}

}  // namespace leat
