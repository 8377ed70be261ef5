// A store's error in the words of the engine.
#pragma once

#include <expected>

#include "leat/error.h"
#include "leat/store_error.h"

namespace leat {

inline Error to_error(const StoreError& error) {
  switch (error.code) {
    case StoreErrorCode::Locked:
      return {ErrorCode::Locked, error.message};
    case StoreErrorCode::Damaged:
      return {ErrorCode::Damaged, error.message};
    case StoreErrorCode::NotFound:
      return {ErrorCode::NotFound, error.message};
    case StoreErrorCode::NotWritable:
    case StoreErrorCode::NewerFormat:
    case StoreErrorCode::NotAStore:
    case StoreErrorCode::Refused:
      return {ErrorCode::InvalidArgument, error.message};
    case StoreErrorCode::Closed:
      return {ErrorCode::Stopped, error.message};
    case StoreErrorCode::DiskFull:
    case StoreErrorCode::Io:
      break;
  }
  return {ErrorCode::Storage, error.message};
}

/// What it means that the journal gives no credit.
inline std::unexpected<Error> journal_closed() {
  return std::unexpected(Error{
      ErrorCode::Stopped, "the journal takes nothing more: the Runner is stopping or its store has failed"});
}

}  // namespace leat
