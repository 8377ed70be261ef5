// `leat inspect events`: every task transition that the store keeps, with when it was safe.
#pragma once

#include "inspect.h"
#include "inspect_filter.h"

namespace leat::tools {

/// Writes to standard output, while the store is read, so that no log is too long.
///
/// @return  the exit status
int inspect_events(const InspectOptions& options, const InspectFilter& filter);

}  // namespace leat::tools
