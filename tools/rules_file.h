// Files of routing rules: TOML, or one `pattern<TAB>key` a line. Reads their form only; what a rule may say
// is the Router's to judge.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "leat/route_error.h"
#include "leat/routing_config.h"

namespace leat::tools {

/// [routing] and [[route]], with the places of what they hold ("file.toml:12:1").
struct RouteSection {
  std::optional<std::string> default_key;
  std::string default_place;
  std::vector<RoutingRule> rules;
  std::vector<std::string> places;  ///< of the rules
};

struct RulesFile {
  std::string path;
  RouteSection routes;
  std::vector<std::string> executor_keys;  ///< of [executors.KEY]; empty if the file has none

  /// @param default_key  goes before the file's own; neither: "default"
  [[nodiscard]] RoutingConfig config(const std::optional<std::string>& default_key = {}) const;

  /// @return  the error's line, with the place of its rule in front
  [[nodiscard]] std::string located(const RouteError& error) const;

  /// @param rule  from 1
  [[nodiscard]] const std::string& place(std::size_t rule) const { return routes.places[rule - 1]; }
};

/// Reads a file of rules; TOML where its name ends in `.toml`.
///
/// @return  the rules in file order, or one line "file:line: what (accepted: ...)"
[[nodiscard]] std::expected<RulesFile, std::string> read_rules_file(const std::string& path);

/// Reads rules in TOML. A workflow's file will do as well: its tasks are not looked at.
///
/// @param path  names the file in messages
[[nodiscard]] std::expected<RulesFile, std::string> parse_rules_toml(const std::string& path,
                                                                     std::string_view text);

/// `left<TAB>right` with the number of its line.
struct TabbedLine {
  std::string left;
  std::string right;
  std::size_t line;
};

/// Reads lines of two fields. Nothing is trimmed; empty lines and those that start with `#` are skipped.
///
/// @param form  how a line looks, for the message: "pattern<TAB>key"
[[nodiscard]] std::expected<std::vector<TabbedLine>, std::string> read_tabbed_file(const std::string& path,
                                                                                   const std::string& form);

}  // namespace leat::tools
