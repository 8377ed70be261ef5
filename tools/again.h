// `leat retry` and `leat redrive`: do tasks of a pipeline that has ended again, as its run was begun.
#pragma once

#include <string>

namespace leat::tools {

struct AgainOptions {
  std::string pipeline;
  std::string task;      ///< empty: all that failed or was cancelled
  bool redrive = false;  ///< the task is in quarantine, and leaves it
  std::string store = "./leat.db";
  bool json = false;
};

/// Prints the result on standard output. @return the exit status
int again(const AgainOptions& options);

}  // namespace leat::tools
