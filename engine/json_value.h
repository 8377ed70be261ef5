// JSON values as the engine handles them: read within bounds, compared exactly, merged. The one
// private home of nlohmann::json; what needs no value includes json_text.h instead, which compiles in
// a tenth of the time.
#pragma once

#include <compare>
#include <expected>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "leat/context.h"
#include "leat/error.h"

namespace leat {

using Json = nlohmann::json;  // objects are ordered by the bytes of their keys: texts are canonical

/// What a context owns.
struct Context::Object {
  Json members = Json::object();
};

/// The engine's look at a context's values without a copy.
class ContextReader {
 public:
  /// @return the value, valid until the context changes; null: the key is absent
  static const Json* find(const Context& context, std::string_view key) noexcept;
};

/// Reads one value; never overflows the stack, whatever the text.
///
/// @return the value, or InvalidArgument with the byte (from 1) where the text is wrong
std::expected<Json, Error> parse_json(std::string_view text, std::size_t depth_max = kJsonDepthMax);

/// The canonical text: no spaces, keys in the order of their bytes, numbers at full precision.
std::string json_text(const Json& value);

/// Same kind, same value: 1 and 1.0 differ, as do 0.0 and -0.0.
bool json_equal(const Json& a, const Json& b);

/// Compares two numbers by their exact values, whatever their kinds; unordered where one is no number.
std::partial_ordering compare_numbers(const Json& a, const Json& b) noexcept;

/// Context::merge() for any two values.
void merge_json(Json& into, const Json& later);

}  // namespace leat
