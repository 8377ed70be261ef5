// The part of a TOML file that holds routing rules. Apart from rules_file.h, because toml++ is large.
#pragma once

#define TOML_EXCEPTIONS 0
#define TOML_MAX_NESTED_VALUES 64  // arrays and inline tables are walked recursively
#include <toml++/toml.h>

#include <expected>
#include <initializer_list>
#include <string>
#include <string_view>

#include "rules_file.h"

namespace leat::tools {

/// Parses TOML from outside: refuses keys of more than 16 parts, which the library nests as deep as they are long.
///
/// @param path  names the file in messages
/// @return      the table, or one line "file:line:column: what (accepted: TOML)"
[[nodiscard]] std::expected<toml::table, std::string> parse_toml_input(const std::string& path,
                                                                       std::string_view text);

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
