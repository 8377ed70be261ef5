// JSON from outside: a user's file, a store from elsewhere. Bounded, so that no text leads the library
// astray.
#pragma once

#include <expected>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace leat::tools {

/// What an array or object may be nested in, itself included: values are walked recursively.
inline constexpr int kJsonDepthMax = 128;

/// @return  the value, or what is wrong with the text, without its place: "byte 7: not JSON"
std::expected<nlohmann::json, std::string> parse_json_input(std::string_view text);

}  // namespace leat::tools
