#include "rules_toml.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace leat::tools {
namespace {

/// Reads the routes of one file; what a step cannot read, it tells in one line.
class RouteReader {
 public:
  explicit RouteReader(const std::string& path) : path_(path) {}

  std::expected<RouteSection, std::string> read(const toml::table& root) {
    if (const toml::node* routing = root.get("routing")) {
      if (!routing->is_table()) return wrong(*routing, "'routing' is not a table (accepted: [routing])");
      if (auto step = read_routing(*routing->as_table()); !step) return std::unexpected(step.error());
    }
    const toml::node* routes = root.get("route");
    if (routes == nullptr) return std::move(section_);
    if (!routes->is_array()) return wrong(*routes, "'route' is not a list of tables (accepted: [[route]])");
    for (const toml::node& route : *routes->as_array()) {
      if (!route.is_table()) return wrong(route, "not a route (accepted: [[route]])");
      if (auto step = read_route(*route.as_table()); !step) return std::unexpected(step.error());
    }
    return std::move(section_);
  }

 private:
  using Step = std::expected<void, std::string>;

  std::string place(const toml::node& node) const {
    return fmt::format("{}:{}:{}", path_, node.source().begin.line, node.source().begin.column);
  }
  std::unexpected<std::string> wrong(const toml::node& node, std::string_view what) const {
    return std::unexpected(fmt::format("{}: {}", place(node), what));
  }

  Step read_routing(const toml::table& routing) {
    if (auto step = accept_only(routing, "[routing]", {"default"}, path_); !step) return step;
    const toml::node* key = routing.get("default");
    if (key == nullptr) return {};
    if (!key->is_string()) return wrong(*key, "'default' is not a string (accepted: an executor key)");
    section_.default_key = **key->as_string();
    section_.default_place = place(*key);
    return {};
  }

  Step read_route(const toml::table& route) {
    if (auto step = accept_only(route, "[[route]]", {"pattern", "executor", "split"}, path_); !step)
      return step;
    const toml::node* pattern = route.get("pattern");
    if (pattern == nullptr) return wrong(route, "a route has no 'pattern' (accepted: pattern = \"a::**\")");
    if (!pattern->is_string()) return wrong(*pattern, "'pattern' is not a string (accepted: \"a::**\")");
    const toml::node* executor = route.get("executor");
    const toml::node* split = route.get("split");
    if ((executor == nullptr) == (split == nullptr)) {
      return wrong(route,
                   "a route has one destination (accepted: executor = \"key\" or split = {a = 90, b = 10})");
    }
    section_.places.push_back(place(*pattern));
    if (executor != nullptr) {
      if (!executor->is_string())
        return wrong(*executor, "'executor' is not a string (accepted: an executor key)");
      section_.rules.emplace_back(**pattern->as_string(), **executor->as_string());
      return {};
    }
    auto shares = read_split(*split);
    if (!shares) return std::unexpected(std::move(shares.error()));
    section_.rules.emplace_back(**pattern->as_string(), *std::move(shares));
    return {};
  }

  std::expected<std::vector<Share>, std::string> read_split(const toml::node& split) const {
    constexpr std::string_view kAccepted = "(accepted: {a = 90, b = 10}, whole percents that add up to 100)";
    if (!split.is_table() || split.as_table()->empty()) {
      return wrong(split, fmt::format("'split' is not a table of keys {}", kAccepted));
    }
    std::vector<std::pair<toml::source_position, Share>> shares;
    std::int64_t total = 0;
    for (const auto& [key, node] : *split.as_table()) {
      const auto percent = node.value_exact<std::int64_t>();
      if (!percent || *percent < 0 || *percent > 100) {
        return wrong(node, fmt::format("the share of '{}' is not a percentage {}", key.str(), kAccepted));
      }
      total += *percent;
      shares.push_back({key.source().begin, {std::string(key.str()), static_cast<std::uint32_t>(*percent)}});
    }
    if (total != 100) return wrong(split, fmt::format("the shares add up to {} {}", total, kAccepted));
    // A TOML table is sorted by key; the order in the file says who gives way when a share grows.
    std::ranges::sort(shares, [](const auto& a, const auto& b) {
      return std::pair(a.first.line, a.first.column) < std::pair(b.first.line, b.first.column);
    });
    std::vector<Share> ordered;
    for (auto& [position, share] : shares) ordered.push_back(std::move(share));
    return ordered;
  }

  const std::string& path_;
  RouteSection section_;
};

constexpr std::size_t kKeyPartsMax = 16;

/// The end of the string that begins at `at`, or of the text.
std::size_t string_end(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const std::string_view one = text.substr(at, 1);
  const bool is_long = text.substr(at).starts_with(quote == '"' ? R"(""")" : "'''");
  const std::string_view mark = is_long ? text.substr(at, 3) : one;
  for (at += mark.size(); at < text.size(); ++at) {
    if (quote == '"' && text[at] == '\\') {
      ++at;
    } else if (text.substr(at).starts_with(mark)) {
      return at + mark.size();
    } else if (!is_long && text[at] == '\n') {
      return at;  // not TOML
    }
  }
  return text.size();
}

/// The line of a key with more than kKeyPartsMax parts; 0: there is none. Strings count as one part of a key,
/// so that what stands in them does not count; floats have one dot, dates one or none.
std::size_t line_of_long_key(std::string_view text) {
  std::size_t line = 1;
  std::size_t dots = 0;
  for (std::size_t at = 0; at < text.size();) {
    const char byte = text[at];
    if (byte == '"' || byte == '\'') {
      const std::size_t end = string_end(text, at);
      line += static_cast<std::size_t>(std::ranges::count(text.substr(at, end - at), '\n'));
      at = end;
      continue;
    }
    ++at;
    if (byte == '#') at = std::min(text.find('\n', at), text.size());
    if (byte == '.' && ++dots >= kKeyPartsMax) return line;
    if (byte == '\n') ++line;
    if (byte == '\n' || byte == '=' || byte == ',' || byte == '[' || byte == '{') dots = 0;
  }
  return 0;
}

}  // namespace

std::expected<toml::table, std::string> parse_toml_input(const std::string& path, std::string_view text) {
  if (const std::size_t line = line_of_long_key(text)) {
    return std::unexpected(fmt::format("{}:{}:1: a key of more than {} parts (accepted: up to {})", path,
                                       line, kKeyPartsMax, kKeyPartsMax));
  }
  toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    const toml::source_position& at = parsed.error().source().begin;
    return std::unexpected(
        fmt::format("{}:{}:{}: {} (accepted: TOML)", path, at.line, at.column, parsed.error().description()));
  }
  return std::move(parsed).table();
}

std::expected<void, std::string> accept_only(const toml::table& table, std::string_view where,
                                             std::initializer_list<std::string_view> accepted,
                                             const std::string& path) {
  for (const auto& [key, value] : table) {
    if (std::ranges::find(accepted, key.str()) != accepted.end()) continue;
    const toml::source_position& at = key.source().begin;
    return std::unexpected(fmt::format("{}:{}:{}: unknown key '{}' in {} (accepted: {})", path, at.line,
                                       at.column, key.str(), where, fmt::join(accepted, ", ")));
  }
  return {};
}

std::expected<RouteSection, std::string> read_route_section(const toml::table& root,
                                                            const std::string& path) {
  return RouteReader(path).read(root);
}

std::expected<RulesFile, std::string> parse_rules_toml(const std::string& path, std::string_view text) {
  const auto parsed = parse_toml_input(path, text);
  if (!parsed) return std::unexpected(parsed.error());
  const toml::table& root = *parsed;
  const auto known =
      accept_only(root, "a file of routes", {"routing", "route", "executors", "workflow", "task"}, path);
  if (!known) return std::unexpected(known.error());
  auto routes = read_route_section(root, path);
  if (!routes) return std::unexpected(std::move(routes.error()));
  RulesFile file{path, *std::move(routes), {}};
  if (const toml::table* executors = root["executors"].as_table()) {
    for (const auto& [key, value] : *executors) file.executor_keys.emplace_back(key.str());
  }
  return file;
}

}  // namespace leat::tools
