// What can go wrong with a store, as a code to decide on and one line to read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace leat {

enum class StoreErrorCode : std::uint8_t {
  NotFound,     ///< no store at this place
  NotWritable,  ///< the directory cannot be made or written
  Locked,       ///< another process has it open
  NewerFormat,  ///< written by a later leat
  NotAStore,    ///< the directory holds something that is not a leat store
  Damaged,      ///< acknowledged data is missing or altered; nothing was changed
  DiskFull,     ///< no space left
  Io,           ///< the device or the file system refused
  Closed,       ///< used after close()
  Refused,      ///< with it promises could not be kept, or the store is too large for this machine
};

/// @return the enumerator's name
std::string_view to_string(StoreErrorCode code) noexcept;

struct StoreError {
  StoreErrorCode code;
  std::string message;  ///< one line: what, where, what is accepted or what to do
};

}  // namespace leat
