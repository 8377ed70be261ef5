// `leat verify`: is everything that a store acknowledged there, and unaltered?
#pragma once

#include <string>

namespace leat::tools {

struct VerifyOptions {
  std::string store = "./leat.db";
  bool repair = false;
  bool json = false;
};

/// Writes what was done and what was found to standard output. @return the exit status
int verify(const VerifyOptions& options);

}  // namespace leat::tools
