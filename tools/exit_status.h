// How a command ends: what the process returns, and the one line that says why.
#pragma once

#include <string>

#include "leat/error.h"
#include "leat/store_error.h"

namespace leat::tools {

inline constexpr int kGood = 0;
inline constexpr int kFailed = 1;        ///< it ran, but something failed or was found
inline constexpr int kBadInput = 2;      ///< nothing was written
inline constexpr int kStoreFailure = 3;  ///< the store is damaged, or failed while running

/// Why a command ended early.
struct Failure {
  int exit_status = kBadInput;
  std::string message;
};

/// Of an error before anything ran: what can be mended by other input is bad input.
Failure opening_failure(const Error& error);
Failure opening_failure(const StoreError& error);

/// Prints "leat: message" on standard error, on one line whatever the message holds.
///
/// @return failure.exit_status
int fail(const Failure& failure);

}  // namespace leat::tools
