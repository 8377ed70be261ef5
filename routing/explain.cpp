#include <algorithm>
#include <string>
#include <utility>

#include "leat/route_analysis.h"
#include "leat/router.h"
#include "rule_set.h"
#include "rule_store.h"
#include "split_name.h"

namespace leat {
namespace {

std::string reason_of(const Pattern& pattern, std::size_t step, const SplitName& name) {
  const auto& segments = pattern.segments();
  if (step == segments.size()) return "the name has more segments than the pattern";
  if (name.count() < pattern.segments_min()) return "the name has fewer segments than the pattern";
  const PatternSegment& segment = segments[step];
  if (segment.kind == SegmentKind::AnyRun) return "the name has too few segments behind '**'";
  if (segment.kind == SegmentKind::Any) return "no segment is left for '*'";
  const bool searched = std::any_of(segments.begin(), segments.begin() + static_cast<std::ptrdiff_t>(step),
                                    [](const auto& s) { return s.kind == SegmentKind::AnyRun; });
  if (searched) return "no segment in its place matches '" + segment.text + "'";
  if (step >= name.count()) return "no segment is left for '" + segment.text + "'";
  return "'" + std::string(name.segment(step)) + "' does not match '" + segment.text + "'";
}

}  // namespace

std::expected<Explanation, RouteError> explain(const RoutingConfig& config, std::string_view name) {
  const auto patterns = parse_rules(config);
  if (!patterns) return std::unexpected(patterns.error());
  SplitName split;
  if (const auto code = split.split(name)) {
    return std::unexpected(
        RouteError{*code, "name '" + std::string(name) + "' " + std::string(describe(*code))});
  }
  RuleStore rules;
  Explanation explanation;
  explanation.destination = config.default_key();
  for (std::uint32_t i = 0; i < patterns->size(); ++i) {
    rules.add((*patterns)[i]);
    const RuleStore::Progress progress = rules.compare(i, split);
    if (!progress.matches) {
      explanation.mismatches.push_back({i + 1, static_cast<std::uint32_t>(progress.steps + 1),
                                        reason_of((*patterns)[i], progress.steps, split)});
    } else if (explanation.winner) {
      explanation.also_matching.push_back(i + 1);
    } else {
      explanation.winner = i + 1;
      explanation.destination = destination_of(config.rules()[i]);
    }
  }
  return explanation;
}

std::expected<void, RouteError> check_keys(const RoutingConfig& config,
                                           std::span<const std::string> executor_keys) {
  const auto known = [&](const std::string& key) {
    return std::find(executor_keys.begin(), executor_keys.end(), key) != executor_keys.end();
  };
  const auto unknown = [&](const std::string& where, const std::string& key) {
    std::string message = where + " names the executor key '" + key + "', which no executor has; known keys:";
    for (const std::string& each : executor_keys) message += " '" + each + "'";
    return RouteError{RouteErrorCode::UnknownKey, std::move(message)};
  };
  for (std::uint32_t i = 0; i < config.rules().size(); ++i) {
    const RoutingRule& rule = config.rules()[i];
    std::vector<std::string> keys;
    for (const Share& share : rule.split) keys.push_back(share.key);
    if (rule.split.empty()) keys.push_back(rule.key);
    const auto missing = std::find_if_not(keys.begin(), keys.end(), known);
    if (missing == keys.end()) continue;
    RouteError error = unknown("rule " + std::to_string(i + 1) + " '" + rule.pattern + "'", *missing);
    error.rule = i + 1;
    return std::unexpected(std::move(error));
  }
  if (!known(config.default_key()))
    return std::unexpected(unknown("the default route", config.default_key()));
  return {};
}

std::expected<Explanation, RouteError> Router::explain(std::string_view name) const {
  return leat::explain(config(), name);
}

}  // namespace leat
