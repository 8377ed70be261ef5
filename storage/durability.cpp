// The words of the durability levels.
#include "leat/durability.h"

#include <array>
#include <cstddef>

namespace leat {
namespace {
constexpr std::array<std::string_view, 3> kNames = {"memory", "process", "disk"};
}

std::string_view to_string(Durability level) noexcept {
  const auto index = static_cast<std::size_t>(level);
  return index < kNames.size() ? kNames[index] : "?";
}

std::optional<Durability> parse_durability(std::string_view text) noexcept {
  for (std::size_t index = 0; index < kNames.size(); ++index) {
    if (text == kNames[index]) return static_cast<Durability>(index);
  }
  return std::nullopt;
}

}  // namespace leat
