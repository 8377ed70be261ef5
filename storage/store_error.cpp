// The words of the store's error codes.
#include "leat/store_error.h"

#include <array>
#include <cstddef>

namespace leat {

std::string_view to_string(StoreErrorCode code) noexcept {
  constexpr std::array<std::string_view, 9> kNames = {
      "NotFound", "NotWritable", "Locked", "NewerFormat", "NotAStore", "Damaged", "DiskFull", "Io", "Closed"};
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : "?";
}

}  // namespace leat
