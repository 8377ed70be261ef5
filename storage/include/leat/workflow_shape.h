// The two parts of what a store keeps as a workflow's definition: the text that its definer gave, and its shape,
// for who looks at a store without the program that writes it. Stores of older programs have no shapes.
#pragma once

#include <string_view>

namespace leat {

/// How a shape begins: `{"leat_shape":1,"tasks":[...]}`, in the order of the tasks, of each what is not as by
/// default: "after" (numbers of tasks), "trigger" (as TriggerRule has it), "signal", "executor".
inline constexpr std::string_view kShapeBegins = "{\"leat_shape\":1";

struct StoredDefinition {
  std::string_view given;
  std::string_view shape;  ///< JSON text; empty: the store does not know it
};

/// @param stored  the given text; then, where the shape is known, a zero byte and the shape
inline StoredDefinition split_definition(std::string_view stored) noexcept {
  const std::size_t end = stored.rfind('\0');
  if (end == std::string_view::npos || !stored.substr(end + 1).starts_with(kShapeBegins)) return {stored, {}};
  return {stored.substr(0, end), stored.substr(end + 1)};
}

}  // namespace leat
