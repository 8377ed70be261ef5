// leat's own workflow files, and the ROUTES.toml of `leat run --routes`. Every key that is not known here is
// refused: a misspelt option must not be a silent default.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rules_file.h"
#include "workflow_plan.h"

namespace leat::tools {

struct TomlFile {
  std::optional<WorkflowPlan> workflow;  ///< absent in a ROUTES.toml
  std::vector<ExecutorPlan> executors;
  RouteSection routes;
};

enum class TomlForm { Workflow, RoutesOnly };

/// @param path  names the file in messages
/// @return      its contents, or one line "file:line:column: what (accepted: ...)"
std::expected<TomlFile, std::string> parse_toml(const std::string& path, std::string_view text,
                                                TomlForm form);

}  // namespace leat::tools
