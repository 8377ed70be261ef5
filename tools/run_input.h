// From the command line's words to workflows and settings: reads every
// file before anything is opened or written.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "leat/durability.h"
#include "workflow_plan.h"

namespace leat::tools {

/// `leat run` as it was typed.
struct RunOptions {
  std::vector<std::string> files;
  std::optional<std::string> store;  ///< default: ./leat.db
  std::uint32_t workers = 0;         ///< 0: the CPUs that this process may use
  double time_scale = 1;
  Durability durability = Durability::Disk;
  std::optional<std::string> routes;
  std::uint32_t repeat = 1;
  std::string keep_events;   ///< see parse_retention(); empty: the library's default
  std::string keep_history;  ///< the same
  bool json = false;
};

struct RunInput {
  std::vector<Workflow> workflows;  ///< one for each file, in order
  std::vector<std::chrono::nanoseconds> deadlines;  ///< of each, from its submission on; 0: it has none
  RunSettings settings;
};

/// @return everything that the run needs, checked; or one line that names file and place
std::expected<RunInput, std::string> read_run_input(const RunOptions& options);

}  // namespace leat::tools
