// The part of a TOML file that holds routing rules. Apart from rules_file.h, because toml++ is large.
#pragma once

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <expected>
#include <initializer_list>
#include <string>
#include <string_view>

#include "rules_file.h"

namespace leat::tools {

/// Refuses keys of `table` that are not among `accepted`.
///
/// @param where  names the table in the message: "[[route]]"
[[nodiscard]] std::expected<void, std::string> accept_only(const toml::table& table, std::string_view where,
                                                           std::initializer_list<std::string_view> accepted,
                                                           const std::string& path);

/// Reads `[routing] default` and `[[route]] pattern, executor | split`; the file's other keys are not looked
/// at.
///
/// @param path  names the file in messages
[[nodiscard]] std::expected<RouteSection, std::string> read_route_section(const toml::table& root,
                                                                          const std::string& path);

}  // namespace leat::tools
