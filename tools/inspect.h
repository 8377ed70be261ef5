// `leat inspect`: what a store remembers, read beside whoever writes it.
#pragma once

#include <string>

#include "inspect_filter.h"
#include "row_writer.h"

namespace leat::tools {

struct InspectOptions {
  std::string store = "./leat.db";
  std::string what = "pipelines";  ///< or "tasks", "events", "pauses", "schedules", "pipeline"
  std::string pipeline;            ///< its id, for "pipeline"
  InspectWords words;
  RowFormat format = RowFormat::Table;
};

/// Writes to standard output. @return the exit status
int inspect(const InspectOptions& options);

}  // namespace leat::tools
