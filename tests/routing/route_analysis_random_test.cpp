// The lint and the difference of rule sets against brute force over all names of a small alphabet.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "leat/route_analysis.h"
#include "random_routes.h"
#include "reference_matcher.h"

namespace leat {
namespace {

using reference::Segments;

/// All names of one to four segments over texts that tell the patterns below apart.
const std::vector<Segments>& universe() {
  static const std::vector<Segments> names = [] {
    const std::vector<std::string> texts{"a", "b", "c", "aa", "ab", "ac", "ba", "cb", "aab", "cac"};
    std::vector<Segments> all;
    std::vector<Segments> longest{{}};
    for (int size = 1; size <= 4; ++size) {
      std::vector<Segments> longer;
      for (const Segments& name : longest) {
        for (const std::string& text : texts) {
          longer.push_back(name);
          longer.back().push_back(text);
        }
      }
      all.insert(all.end(), longer.begin(), longer.end());
      longest = std::move(longer);
    }
    return all;
  }();
  return names;
}

RoutingConfig random_config(RandomRoutes& random) {
  static const std::vector<std::string> kSegments{"a",  "b",   "ab",  "*", "**", "a*",
                                                  "*b", "a*b", "*a*", "*", "**"};
  RoutingConfig config("default");
  for (std::uint32_t rules = 1 + random.below(6); rules > 0; --rules) {
    std::string pattern;
    for (std::uint32_t left = 1 + random.below(3); left > 0; --left) {
      pattern += (pattern.empty() ? "" : "::") +
                 kSegments[random.below(static_cast<std::uint32_t>(kSegments.size()))];
    }
    config.with_rule(pattern, "key" + std::to_string(random.below(3)));
  }
  return config;
}

std::vector<Segments> split_rules(const RoutingConfig& config) {
  std::vector<Segments> patterns;
  for (const RoutingRule& rule : config.rules()) patterns.push_back(*reference::split(rule.pattern));
  return patterns;
}

std::string describe(const RoutingConfig& config) {
  std::string text;
  for (const RoutingRule& rule : config.rules()) text += "\n  " + rule.pattern + " => " + rule.key;
  return text;
}

std::string destination(const RoutingConfig& config, const std::optional<std::size_t>& rule) {
  return rule ? config.rules()[*rule].key : config.default_key();
}

/// Whether there is a name, beyond the small universe, that the rule takes: one that moves if its key is
/// changed.
bool is_seen_to_win(const RoutingConfig& config, const std::vector<Segments>& patterns, std::uint32_t rule) {
  RoutingConfig changed(config.default_key());
  for (std::uint32_t i = 1; i <= config.rules().size(); ++i) {
    changed.with_rule(config.rules()[i - 1].pattern, i == rule ? "elsewhere" : config.rules()[i - 1].key);
  }
  const auto differences = diff(config, changed);
  return std::any_of(differences->begin(), differences->end(), [&](const RouteDifference& each) {
    const auto witness = reference::split(each.witness);
    return witness && reference::first_match(patterns, *witness) == rule - 1;
  });
}

TEST(RouteLint, CallsARuleUselessIfAndOnlyIfNoNameIsSeenToTakeIt) {
  RandomRoutes random(test_seed());
  for (int i = 0; i < 150; ++i) {
    const RoutingConfig config = random_config(random);
    const auto patterns = split_rules(config);
    std::set<std::uint32_t> winners;
    for (const Segments& name : universe()) {
      if (const auto rule = reference::first_match(patterns, name))
        winners.insert(static_cast<std::uint32_t>(*rule + 1));
    }
    std::set<std::uint32_t> alive;
    for (std::uint32_t rule = 1; rule <= patterns.size(); ++rule) alive.insert(rule);
    const auto findings = lint(config);
    ASSERT_TRUE(findings.has_value());
    for (const RouteFinding& finding : *findings) {
      ASSERT_NE(finding.kind, FindingKind::Undecided) << finding.message << describe(config);
      if (finding.kind != FindingKind::Shadowed && finding.kind != FindingKind::Duplicate) continue;
      alive.erase(*finding.rule);
      const auto witness = reference::split(finding.witness);
      ASSERT_TRUE(witness.has_value()) << finding.message;
      EXPECT_TRUE(reference::matches(patterns[*finding.rule - 1], *witness)) << finding.message;
      EXPECT_LT(reference::first_match(patterns, *witness), *finding.rule - 1) << finding.message;
    }
    for (const std::uint32_t rule : winners) ASSERT_TRUE(alive.contains(rule)) << rule << describe(config);
    for (const std::uint32_t rule : alive) {
      ASSERT_TRUE(winners.contains(rule) || is_seen_to_win(config, patterns, rule))
          << rule << describe(config);
    }
  }
}

TEST(RouteLint, NamesCausesThatTogetherCoverARule) {
  RandomRoutes random(test_seed());
  for (int i = 0; i < 150; ++i) {
    const RoutingConfig config = random_config(random);
    const auto patterns = split_rules(config);
    const auto findings = lint(config);
    for (const RouteFinding& finding : *findings) {
      if (finding.kind != FindingKind::Shadowed && finding.kind != FindingKind::Duplicate) continue;
      std::vector<Segments> causes;
      for (const std::uint32_t cause : finding.causes) {
        EXPECT_LT(cause, *finding.rule);
        causes.push_back(patterns[cause - 1]);
      }
      for (const Segments& name : universe()) {
        if (!reference::matches(patterns[*finding.rule - 1], name)) continue;
        ASSERT_TRUE(reference::first_match(causes, name)) << finding.message << describe(config);
      }
    }
  }
}

TEST(RouteDiff, ListsThePairsOfRulesBetweenWhichNamesMoveAndNoOthers) {
  RandomRoutes random(test_seed());
  using Pair = std::pair<std::optional<std::uint32_t>, std::optional<std::uint32_t>>;
  const auto number = [](const std::optional<std::size_t>& rule) {
    return rule ? std::optional(static_cast<std::uint32_t>(*rule + 1)) : std::nullopt;
  };
  for (int i = 0; i < 100; ++i) {
    const RoutingConfig before = random_config(random);
    const RoutingConfig after = random_config(random);
    const auto old_patterns = split_rules(before);
    const auto new_patterns = split_rules(after);
    std::set<Pair> expected;
    for (const Segments& name : universe()) {
      const auto from = reference::first_match(old_patterns, name);
      const auto to = reference::first_match(new_patterns, name);
      if (destination(before, from) != destination(after, to)) expected.insert({number(from), number(to)});
    }
    std::set<Pair> found;
    const auto differences = diff(before, after);
    for (const RouteDifference& each : *differences) {
      ASSERT_TRUE(each.decided()) << describe(before) << describe(after);
      const auto witness = *reference::split(each.witness);
      EXPECT_EQ(number(reference::first_match(old_patterns, witness)), each.from_rule) << each.witness;
      EXPECT_EQ(number(reference::first_match(new_patterns, witness)), each.to_rule) << each.witness;
      EXPECT_NE(each.from, each.to);
      found.insert({each.from_rule, each.to_rule});
    }
    for (const Pair& pair : expected) {
      ASSERT_TRUE(found.contains(pair)) << "old" << describe(before) << "\nnew" << describe(after);
    }
  }
}

}  // namespace
}  // namespace leat
