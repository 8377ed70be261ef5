// What a call returns that refuses or fails: for functions that return std::expected<T, Error>.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "leat/error.h"

namespace leat {

/// @param message one line: what, where and what is accepted
inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

/// The same for an argument.
inline std::unexpected<Error> refuse(std::string message) {
  return fail(ErrorCode::InvalidArgument, std::move(message));
}

}  // namespace leat
