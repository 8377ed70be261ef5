// Contexts as nlohmann::json values, for those who use that library anyway. No other header of
// leat includes it.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "leat/context.h"

namespace leat {

/// @return the context as a JSON object
inline nlohmann::json to_nlohmann(const Context& context) {
  return nlohmann::json::parse(context.to_json());
}

/// @return the context, or InvalidArgument where `value` is no object or is nested too deep
inline std::expected<Context, Error> from_nlohmann(const nlohmann::json& value) {
  return Context::parse(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

template <>
inline std::optional<nlohmann::json> Context::get<nlohmann::json>(std::string_view key) const {
  const std::optional<std::string> text = get_json(key);
  if (!text) return std::nullopt;
  return nlohmann::json::parse(*text);
}

}  // namespace leat
