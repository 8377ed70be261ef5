#include "exit_status.h"

#include <fmt/format.h>

#include <cstdio>

namespace leat::tools {

Failure opening_failure(const Error& error) {
  return {error.code == ErrorCode::Damaged ? kStoreFailure : kBadInput, error.message};
}

Failure opening_failure(const StoreError& error) {
  const bool failing = error.code == StoreErrorCode::Damaged || error.code == StoreErrorCode::Io ||
                       error.code == StoreErrorCode::DiskFull;
  return {failing ? kStoreFailure : kBadInput, error.message};
}

int fail(const Failure& failure) {
  std::string line;
  for (const char c : failure.message) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte == 0x7f) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  fmt::print(stderr, "leat: {}\n", line);
  return failure.exit_status;
}

}  // namespace leat::tools
