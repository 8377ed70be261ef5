// WfFormat 1.5, the JSON form of WfCommons' workflow traces: https://github.com/wfcommons/WfFormat. Tasks
// become sleeps of their recorded run times.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "workflow_plan.h"

namespace leat::tools {

/// @param path  names the file in messages; its stem becomes the package
/// @return      the workflow, or one line with the file and the byte or JSON pointer where it is wrong
std::expected<WorkflowPlan, std::string> parse_wfformat(const std::string& path, std::string_view text);

}  // namespace leat::tools
