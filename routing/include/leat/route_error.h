// Why a routing rule or a name was refused. Configuration errors carry a sentence for a person; the hot
// path returns the bare code. Knows nothing of executors: the engine finds out that a key has none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leat {

/// What is wrong with a rule, a key or a name.
enum class RouteErrorCode : std::uint8_t {
  EmptyName,
  EmptyPattern,
  EmptyKey,
  EmptySegment,
  TooManySegments,  ///< more than 64
  TooLong,          ///< more than 512 bytes
  NotFourSegments,  ///< a task's namespace is tenant::package::workflow::task
  BadSplit,         ///< shares that do not add up to 100, or a key twice
  UnknownKey,       ///< a rule names a key that no executor has
  TooManyRules,
};

/// @return what the code says, as half a sentence: "has an empty segment"
[[nodiscard]] std::string_view describe(RouteErrorCode code) noexcept;

/// A refused rule or name.
struct RouteError {
  RouteErrorCode code;
  std::string message;                       ///< one line: rule, position, reason
  std::optional<std::uint32_t> rule = {};    ///< number of the rule, from 1; none: the default key, a name
  std::optional<std::size_t> position = {};  ///< byte in the pattern or name, from 1
};

}  // namespace leat
