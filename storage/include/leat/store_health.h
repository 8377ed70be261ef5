// How well a store can serve, as a word to decide on and one line to read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace leat {

enum class StoreHealth : std::uint8_t {
  Healthy,
  Degraded,  ///< it serves, but writes are slowed down, or space is getting short
  ReadOnly,  ///< nothing new is admitted, so that what was admitted can end; it may pass
  Failed,    ///< nothing is written or acknowledged any more; it must be opened anew
};

/// @return the enumerator's name
std::string_view to_string(StoreHealth health) noexcept;

struct StoreCondition {
  StoreHealth health = StoreHealth::Healthy;
  std::string reason;  ///< one line: what, where, what to do; empty while Healthy
};

}  // namespace leat
