#include "rules_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "text_file.h"

namespace leat::tools {

std::expected<std::vector<TabbedLine>, std::string> read_tabbed_file(const std::string& path,
                                                                     const std::string& form) {
  const auto text = read_text_file(path);
  if (!text) return std::unexpected(text.error());
  std::vector<TabbedLine> lines;
  std::string_view rest = *text;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.empty() || line.front() == '#') continue;
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos || line.find('\t', tab + 1) != std::string_view::npos) {
      return std::unexpected(fmt::format("{}:{}: {} tab in the line (accepted: {})", path, number,
                                         tab == std::string_view::npos ? "no" : "more than one", form));
    }
    lines.push_back({std::string(line.substr(0, tab)), std::string(line.substr(tab + 1)), number});
  }
  return lines;
}

std::expected<RulesFile, std::string> read_rules_file(const std::string& path) {
  if (path.ends_with(".toml")) {
    const auto text = read_text_file(path);
    return text ? parse_rules_toml(path, *text) : std::unexpected(text.error());
  }
  auto lines = read_tabbed_file(path, "pattern<TAB>key; TOML in a file named *.toml");
  if (!lines) return std::unexpected(std::move(lines.error()));
  RulesFile file{path, {}, {}};
  for (TabbedLine& line : *lines) {
    file.routes.rules.emplace_back(std::move(line.left), std::move(line.right));
    file.routes.places.push_back(fmt::format("{}:{}", path, line.line));
  }
  return file;
}

RoutingConfig RulesFile::config(const std::optional<std::string>& default_key) const {
  RoutingConfig config(default_key ? *default_key : routes.default_key.value_or("default"));
  for (const RoutingRule& rule : routes.rules) config.with_rule(rule);
  return config;
}

std::string RulesFile::located(const RouteError& error) const {
  const std::string& where = error.rule                     ? place(*error.rule)
                             : routes.default_place.empty() ? path
                                                            : routes.default_place;
  return fmt::format("{}: {}", where, error.message);
}

}  // namespace leat::tools
