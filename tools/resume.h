// `leat resume`: carries on what earlier runs left unfinished, each as it was begun.
#pragma once

#include <string>

namespace leat::tools {

struct ResumeOptions {
  std::string store = "./leat.db";
  bool json = false;
};

/// Prints the result on standard output. @return the exit status
int resume(const ResumeOptions& options);

}  // namespace leat::tools
