// `leat inspect`: what a store remembers, read beside whoever writes it.
#pragma once

#include <string>

#include "row_writer.h"

namespace leat::tools {

struct InspectOptions {
  std::string store = "./leat.db";
  std::string what = "pipelines";  ///< "pipelines", "tasks" or "events"
  RowFormat format = RowFormat::Table;
};

/// Writes to standard output. @return the exit status
int inspect(const InspectOptions& options);

}  // namespace leat::tools
