// What `leat run` is asked to do, as plain values. Both file forms end here; the store keeps it as JSON, from
// which `leat resume` starts again. Knows nothing of files.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "leat/durability.h"
#include "leat/routing_config.h"
#include "leat/workflow.h"

namespace leat::tools {

/// One task, with the place in its file that describes it ("file.toml:12:1").
struct TaskPlan {
  std::string name;
  TaskOptions options;
  std::string place;
};

struct WorkflowPlan {
  std::string tenant = "public";
  std::string package = "embedded";
  std::string name;
  std::string place;
  std::chrono::nanoseconds deadline{
      0};  ///< of a pipeline, from its submission on; 0: none. Not in the definition
  std::vector<TaskPlan> tasks;
};

struct ExecutorPlan {
  std::string key;
  std::uint32_t max_concurrent = 0;  ///< 0: as many as workers
  std::uint32_t max_queued = 1024;
  std::string place;
};

/// Everything about a run that is not a workflow.
struct RunSettings {
  std::string run_id;  ///< tells this run from all others
  RoutingConfig routing;
  std::vector<ExecutorPlan> executors;
  std::uint32_t workers = 0;  ///< 0: the CPUs that this process may use
  double time_scale = 1;
  Durability durability = Durability::Disk;
  std::string directory;  ///< where commands run
  std::string keep_events = {};   ///< see parse_retention(); empty: the library's defaults
  std::string keep_history = {};  ///< the same
};

/// What the store keeps of a run.
struct StoredRun {
  WorkflowPlan plan;
  RunSettings settings;
};

/// The JSON text that the store keeps with a workflow; equal runs give equal texts.
std::string to_definition(const WorkflowPlan& plan, const RunSettings& settings);

/// @return what to_definition() was given, places excepted; or one line that says why the text is none
std::expected<StoredRun, std::string> parse_definition(std::string_view definition);

/// @return the settings as JSON text, without the run's id: runs with equal texts can share one Runner
std::string settings_text(const RunSettings& settings);

/// @return the workflow, or one line that names the place
std::expected<Workflow, std::string> build_workflow(const WorkflowPlan& plan, std::string definition);

}  // namespace leat::tools
