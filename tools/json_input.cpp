#include "json_input.h"

#include <fmt/format.h>

namespace leat::tools {

using Json = nlohmann::json;

std::expected<Json, std::string> parse_json_input(std::string_view text) {
  bool is_deep = false;
  const auto keep = [&is_deep](int depth, Json::parse_event_t event, const Json&) {
    const bool opens =
        event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    is_deep = is_deep || (opens && depth >= kJsonDepthMax);
    return !is_deep;
  };
  try {
    Json json = Json::parse(text, keep);
    if (is_deep) return std::unexpected(fmt::format("nested deeper than {} levels", kJsonDepthMax));
    return json;
  } catch (const Json::parse_error& error) {
    return std::unexpected(fmt::format("byte {}: not JSON", error.byte));
  } catch (const Json::exception&) {
    return std::unexpected("a number that no double holds");
  }
}

}  // namespace leat::tools
