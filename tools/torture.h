// `leat torture`: lives that are killed, one after the other, on one store, and an observer that holds what
// they acknowledged against what is left.
#pragma once

#include <cstdint>
#include <string>

namespace leat::tools {

struct TortureOptions {
  double minutes = 1;
  std::string store;
  std::uint64_t seed = 0;  ///< 0: a new one, which is printed
};

/// @return 0: nothing was found; 1: something was, and the store is left as it is; 2: bad input
int torture(const TortureOptions& options);

}  // namespace leat::tools
