// The words of a store's errors and conditions.
#include "leat/store_error.h"

#include <array>
#include <cstddef>

#include "leat/store_health.h"

namespace leat {

std::string_view to_string(StoreErrorCode code) noexcept {
  constexpr std::array<std::string_view, 10> kNames = {"NotFound",  "NotWritable", "Locked",   "NewerFormat",
                                                       "NotAStore", "Damaged",     "DiskFull", "Io",
                                                       "Closed",    "Refused"};
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : "?";
}

std::string_view to_string(StoreHealth health) noexcept {
  switch (health) {
    case StoreHealth::Healthy:
      return "Healthy";
    case StoreHealth::Degraded:
      return "Degraded";
    case StoreHealth::ReadOnly:
      return "ReadOnly";
    case StoreHealth::Failed:
      return "Failed";
  }
  return "?";
}

}  // namespace leat
