// `leat run`: runs the workflows of files to their end.
#pragma once

#include "run_input.h"

namespace leat::tools {

/// Prints the result on standard output. @return the exit status
int run(const RunOptions& options);

}  // namespace leat::tools
