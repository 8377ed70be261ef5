// `leat resume`: carries on what earlier runs left unfinished, each as it was begun.
#pragma once

#include <string>
#include <vector>

namespace leat::tools {

struct ResumeOptions {
  std::string store = "./leat.db";
  std::string keep_events;           ///< see parse_retention(); empty: as the run was told
  std::string keep_history;          ///< the same
  std::vector<std::string> signals;  ///< PIPELINE:NAME or PIPELINE:NAME=VALUE, sent once all is carried on
  bool json = false;
};

/// Prints the result on standard output. @return the exit status
int resume(const ResumeOptions& options);

}  // namespace leat::tools
