// Routing rules as the user writes them: an ordered list of patterns, and where the rest goes. A plain
// value; nothing is checked before a Router compiles it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace leat {

/// One executor key's part of a split rule.
struct Share {
  std::string key;
  std::uint32_t percent;  ///< 0 to 100; the shares of a rule add up to 100
};

/// Sends the names that match `pattern` to the executor key `key`, or to several keys by percentage.
///
/// Segments are separated by `::`. `*` is exactly one segment, `**` zero or more; a `*` inside a segment
/// stands for any run of bytes within it (`heavy_*`, `*_gpu`, `a*b*c`). All else is compared byte by byte.
struct RoutingRule {
  RoutingRule(std::string pattern_text, std::string executor_key)
      : pattern(std::move(pattern_text)), key(std::move(executor_key)) {}

  /// A canary: each pipeline goes to one of the keys, always the same one, chosen by its id.
  RoutingRule(std::string pattern_text, std::vector<Share> shares)
      : pattern(std::move(pattern_text)), split(std::move(shares)) {}

  std::string pattern;
  std::string key;           ///< empty where `split` is given
  std::vector<Share> split;  ///< empty where `key` is given
};

/// Where a rule sends its names, for a person: "gpu", or "{a = 90, b = 10}".
[[nodiscard]] std::string destination_of(const RoutingRule& rule);

/// An ordered list of rules, of which the first that matches wins, and the key of names that none matches.
class RoutingConfig {
 public:
  explicit RoutingConfig(std::string default_key = "default") : default_key_(std::move(default_key)) {}

  RoutingConfig& with_rule(RoutingRule rule) & {
    rules_.push_back(std::move(rule));
    return *this;
  }
  RoutingConfig& with_rule(std::string pattern, std::string key) & {
    return with_rule(RoutingRule(std::move(pattern), std::move(key)));
  }
  RoutingConfig&& with_rule(RoutingRule rule) && { return std::move(with_rule(std::move(rule))); }
  RoutingConfig&& with_rule(std::string pattern, std::string key) && {
    return std::move(with_rule(RoutingRule(std::move(pattern), std::move(key))));
  }

  [[nodiscard]] const std::vector<RoutingRule>& rules() const noexcept { return rules_; }
  [[nodiscard]] const std::string& default_key() const noexcept { return default_key_; }

 private:
  std::string default_key_;
  std::vector<RoutingRule> rules_;
};

}  // namespace leat
