// How much an acknowledgement promises. Every layer above storage uses these words, so they stand alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace leat {

/// What an acknowledged state change survives. A higher level includes the lower ones.
enum class Durability : std::uint8_t {
  Memory,   ///< nothing: it is gone when the process ends
  Process,  ///< the death of the process (kill -9): the record is in the operating system's page cache
  Disk,     ///< a power cut: the record is synced to the device
};

/// @return "memory", "process" or "disk"
std::string_view to_string(Durability level) noexcept;

/// @param text  one of the words that to_string(Durability) gives, exactly
std::optional<Durability> parse_durability(std::string_view text) noexcept;

}  // namespace leat
