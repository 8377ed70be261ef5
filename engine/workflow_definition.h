// What the copies of a workflow share. Built in one place (workflow_build.cpp), never moved: its parts
// view each other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "leat/workflow.h"

namespace leat {

struct Workflow::Definition {
  Definition() = default;
  Definition(const Definition&) = delete;
  Definition& operator=(const Definition&) = delete;

  std::string tenant;
  std::string package;
  std::string name;
  std::string full_name;
  std::string text;  ///< as given to Builder::definition()
  std::vector<std::string> warnings;
  std::string version_tag;
  std::uint64_t version = 0;

  std::string namespaces;  ///< all tasks' full names, one after the other
  std::vector<TaskDefinition> tasks;
  std::unordered_map<std::string_view, std::uint32_t> index;  ///< by task name
  std::vector<std::uint32_t> after;                           ///< all tasks' dependencies, task by task
  std::vector<std::uint32_t> successors;                      ///< all tasks' successors, task by task
  std::vector<std::uint32_t> order;
  std::vector<std::uint32_t> roots;
  std::vector<SignalDefinition> signals;
  std::unordered_map<std::string, std::uint32_t> signal_index;  ///< by name

  /// @param task  a task's name, or its whole namespace
  std::optional<std::uint32_t> find(std::string_view task) const noexcept;
};

/// A hash over everything in `definition` but the functions, the same on every machine.
/// Source: XXH3, Yann Collet, https://github.com/Cyan4973/xxHash
std::uint64_t hash_definition(const Workflow::Definition& definition);

}  // namespace leat
