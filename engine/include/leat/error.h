// Errors of the calls that configure and steer: a code to decide on, one line to read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace leat {

enum class ErrorCode : std::uint8_t {
  InvalidArgument,  ///< the message names what, where and the accepted values
  InvalidState,     ///< not now: the message says in which state the call is allowed
  NotFound,
  AlreadyExists,
  Timeout,
  WouldDeadlock,  ///< a call that waits, made from inside a task
  Stopped,        ///< the Runner has stopped or is stopping
  Storage,        ///< the store refused or failed
  Locked,         ///< another process has the store open
  Damaged,        ///< acknowledged data is missing or altered
  Cancelled,      ///< who waits was told to end
  WrongType,      ///< a value is there, of another type than was asked for
};

/// @return the enumerator's name
std::string_view to_string(ErrorCode code) noexcept;

struct Error {
  ErrorCode code;
  std::string message;
};

}  // namespace leat
