#include "route.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <expected>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "exit_status.h"
#include "leat/route_analysis.h"
#include "leat/router.h"
#include "rules_file.h"
#include "text_file.h"

namespace leat::tools {
namespace {

/// Rules that were read and compiled.
struct LoadedRules {
  RulesFile file;
  RoutingConfig config;
  std::unique_ptr<NamespaceTable> names;
  std::unique_ptr<Router> router;
};

std::expected<LoadedRules, std::string> load_rules(const std::string& path,
                                                   const std::optional<std::string>& default_key) {
  auto file = read_rules_file(path);
  if (!file) return std::unexpected(std::move(file.error()));
  LoadedRules rules{*std::move(file), RoutingConfig(), std::make_unique<NamespaceTable>(), nullptr};
  rules.config = rules.file.config(default_key);
  auto router = Router::make(rules.config, *rules.names);
  if (!router) return std::unexpected(rules.file.located(router.error()));
  rules.router = *std::move(router);
  return rules;
}

int refuse(std::string message) {
  return fail({kBadInput, std::move(message)});
}

std::expected<std::string, std::string> read_names(const std::string& path) {
  if (path != "-") return read_text_file(path);
  std::string text;
  char buffer[1 << 16];
  for (std::size_t bytes; (bytes = std::fread(buffer, 1, sizeof buffer, stdin)) > 0;)
    text.append(buffer, bytes);
  return text;
}

/// Rule 3 'a::**'
std::string rule_text(const RoutingConfig& config, std::uint32_t rule) {
  return fmt::format("rule {} '{}'", rule, config.rules()[rule - 1].pattern);
}

std::string rule_or_default(const std::optional<std::uint32_t>& rule, const std::string& pattern) {
  return rule ? fmt::format("rule {} '{}'", *rule, pattern) : "the default";
}

/// Where a rule sends its names, for a person.
std::string destination(const RoutingConfig& config, std::optional<std::uint32_t> rule) {
  return rule ? destination_of(config.rules()[*rule - 1]) : config.default_key();
}

bool goes_to(const RoutingConfig& config, std::optional<std::uint32_t> rule, const std::string& key) {
  if (destination(config, rule) == key) return true;
  return rule && std::ranges::any_of(config.rules()[*rule - 1].split,
                                     [&](const Share& share) { return share.key == key; });
}

}  // namespace

int route_resolve(const RouteResolveOptions& options) {
  const auto rules = load_rules(options.rules, options.default_key);
  if (!rules) return refuse(rules.error());
  const auto names = read_names(options.names);
  if (!names) return refuse(names.error());
  int status = kGood;
  std::string_view rest = *names;
  for (std::size_t line = 1; !rest.empty(); ++line) {
    const std::string_view name = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    const auto key = rules->router->resolve(name, options.sticky);
    if (!key) {
      status = fail(
          {kFailed, fmt::format("{}:{}: name '{}' {}", options.names, line, name, describe(key.error()))});
    }
    fmt::print("{}\n", key ? rules->router->key(*key) : "");
  }
  return status;
}

int route_explain(const RouteExplainOptions& options) {
  const auto rules = load_rules(options.rules, options.default_key);
  if (!rules) return refuse(rules.error());
  const auto explanation = rules->router->explain(options.name);
  if (!explanation) return refuse(explanation.error().message);
  const auto line = [&](std::uint32_t rule, std::string_view what) {
    fmt::print("{}: {} {}\n", rules->file.place(rule), rule_text(rules->config, rule), what);
  };
  fmt::print("{}\n", explanation->destination);
  if (explanation->winner) {
    line(*explanation->winner, "wins");
  } else {
    fmt::print("no rule matches: the default\n");
  }
  for (const std::uint32_t rule : explanation->also_matching) line(rule, "matches too, but comes later");
  for (const RuleMismatch& miss : explanation->mismatches) {
    line(miss.rule, fmt::format("does not match: segment {}: {}", miss.segment, miss.reason));
  }
  return kGood;
}

int route_check(const RouteCheckOptions& options) {
  const auto rules = load_rules(options.rules, {});
  if (!rules) return refuse(rules.error());
  std::vector<std::string> keys = rules->file.executor_keys;
  if (!keys.empty()) {
    keys.emplace_back("default");  // the thread executor has it by itself
    if (const auto known = check_keys(rules->config, keys); !known)
      return refuse(rules->file.located(known.error()));
  }
  const auto findings = lint(rules->config, rules->file.executor_keys);
  if (!findings) return refuse(rules->file.located(findings.error()));
  bool found = false;
  for (const RouteFinding& finding : *findings) {
    found = found || finding.kind != FindingKind::Undecided;
    fmt::print("{}: {}: {}\n", finding.rule ? rules->file.place(*finding.rule) : options.rules,
               to_string(finding.kind), finding.message);
  }
  return options.strict && found ? kFailed : kGood;
}

int route_diff(const RouteDiffOptions& options) {
  const auto before = load_rules(options.old_rules, {});
  if (!before) return refuse(before.error());
  const auto after = load_rules(options.new_rules, {});
  if (!after) return refuse(after.error());
  const auto differences = diff(before->config, after->config);
  if (!differences) return refuse(differences.error().message);
  for (const RouteDifference& each : *differences) {
    fmt::print("{} -> {}: names that old {} and new {} take{}\n", each.from, each.to,
               rule_or_default(each.from_rule, each.from_pattern),
               rule_or_default(each.to_rule, each.to_pattern),
               each.decided() ? fmt::format(", like '{}'", each.witness) : ", if there are any: undecided");
  }
  return differences->empty() ? kGood : kFailed;
}

int route_test(const RouteTestOptions& options) {
  const auto rules = load_rules(options.rules, options.default_key);
  if (!rules) return refuse(rules.error());
  const auto cases = read_tabbed_file(options.cases, "name<TAB>key");
  if (!cases) return refuse(cases.error());
  std::vector<bool> covered(rules->config.rules().size());
  std::size_t failed = 0;
  for (const TabbedLine& each : *cases) {
    const auto rule = rules->router->winner(each.left);
    if (rule && *rule) covered[**rule - 1] = true;
    if (rule && goes_to(rules->config, *rule, each.right)) continue;
    ++failed;
    const std::string got = rule ? fmt::format("goes to '{}'", destination(rules->config, *rule))
                                 : fmt::format("is no name: it {}", describe(rule.error()));
    fmt::print("{}:{}: '{}' {}; expected '{}'\n", options.cases, each.line, each.left, got, each.right);
  }
  for (std::uint32_t rule = 1; rule <= covered.size(); ++rule) {
    if (!covered[rule - 1])
      fmt::print("{}: no case covers {}\n", rules->file.place(rule), rule_text(rules->config, rule));
  }
  fmt::print("{} cases, {} failed\n", cases->size(), failed);
  return failed == 0 ? kGood : kFailed;
}

}  // namespace leat::tools
