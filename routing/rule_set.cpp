#include "rule_set.h"

#include <algorithm>
#include <optional>

namespace leat {
namespace {

// So that the place of a compiled rule, of at most 772 bytes, fits 32 bits, and a node's number fits 31.
constexpr std::size_t kRulesMax = std::size_t{1} << 22;

RouteError refused(const RoutingRule& rule, std::size_t index, RouteErrorCode code, std::size_t position) {
  std::string message = "rule " + std::to_string(index + 1);
  if (!rule.pattern.empty()) message += " '" + rule.pattern + "'";
  message += " at position " + std::to_string(position + 1) + " " + std::string(describe(code));
  return {code, std::move(message), static_cast<std::uint32_t>(index + 1), position + 1};
}

std::optional<RouteErrorCode> check_destination(const RoutingRule& rule) {
  if (rule.split.empty()) {
    return rule.key.empty() ? std::optional(RouteErrorCode::EmptyKey) : std::nullopt;
  }
  std::uint64_t percent = 0;
  for (auto share = rule.split.begin(); share != rule.split.end(); ++share) {
    if (share->key.empty()) return RouteErrorCode::EmptyKey;
    const auto same_key = [&](const Share& other) { return other.key == share->key; };
    if (std::any_of(rule.split.begin(), share, same_key)) return RouteErrorCode::BadSplit;
    percent += share->percent;
  }
  return percent == 100 && rule.key.empty() ? std::nullopt : std::optional(RouteErrorCode::BadSplit);
}

}  // namespace

std::expected<std::vector<Pattern>, RouteError> parse_rules(const RoutingConfig& config) {
  if (config.default_key().empty()) {
    return std::unexpected(RouteError{RouteErrorCode::EmptyKey, "the default executor key is empty"});
  }
  std::vector<Pattern> patterns;
  patterns.reserve(config.rules().size());
  for (std::size_t i = 0; i < config.rules().size(); ++i) {
    const RoutingRule& rule = config.rules()[i];
    if (i == kRulesMax) return std::unexpected(refused(rule, i, RouteErrorCode::TooManyRules, 0));
    auto pattern = Pattern::parse(rule.pattern);
    if (!pattern) return std::unexpected(refused(rule, i, pattern.error().code, pattern.error().position));
    if (const auto code = check_destination(rule)) {
      return std::unexpected(refused(rule, i, *code, rule.pattern.size()));
    }
    patterns.push_back(*std::move(pattern));
  }
  return patterns;
}

std::string destination_of(const RoutingRule& rule) {
  if (rule.split.empty()) return rule.key;
  std::string text;
  for (const Share& share : rule.split) {
    text += (text.empty() ? "{" : ", ") + share.key + " = " + std::to_string(share.percent);
  }
  return text + "}";
}

}  // namespace leat
