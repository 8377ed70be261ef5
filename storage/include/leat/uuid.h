// Identifiers of pipelines and task executions: RFC 9562 UUIDs, version 7 (time-ordered).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace leat {

/// 16 bytes, most significant first, so that byte order is time order for version 7.
struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  /// @return 36 characters, lower case: 8-4-4-4-12
  std::string to_string() const;

  /// @param text  the form that to_string() gives; upper case is accepted
  static std::optional<Uuid> parse(std::string_view text) noexcept;

  /// A version 7 identifier from its parts.
  ///
  /// @param unix_ms   milliseconds since the Unix epoch, 48 bits
  /// @param counter   12 bits: orders identifiers of one millisecond
  /// @param random    62 bits: tells apart identifiers of different makers
  static Uuid make_v7(std::uint64_t unix_ms, std::uint32_t counter, std::uint64_t random) noexcept;

  /// @return whether every byte is zero
  bool is_nil() const noexcept;

  /// @return a well-mixed 64-bit hash, the same on every machine and run
  std::uint64_t hash() const noexcept;

  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

}  // namespace leat

template <>
struct std::hash<leat::Uuid> {
  std::size_t operator()(const leat::Uuid& id) const noexcept { return static_cast<std::size_t>(id.hash()); }
};
