// The route table against the plain recursive matcher: a million random (rules, name) cases.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "pattern.h"
#include "random_routes.h"
#include "reference_matcher.h"
#include "route_table.h"
#include "split_name.h"

namespace leat {
namespace {

struct Rules {
  std::vector<std::string> texts;
  std::vector<Pattern> patterns;
  std::vector<reference::Segments> expected;
};

Rules make_rules(RandomRoutes& random, std::uint32_t count, std::uint32_t segments) {
  Rules rules;
  while (rules.texts.size() < count) {
    const std::string text = random.pattern(segments);
    auto pattern = Pattern::parse(text);
    const auto split = reference::split(text);
    EXPECT_EQ(pattern.has_value(), split.has_value()) << text;
    if (!pattern || !split) continue;
    rules.texts.push_back(text);
    rules.patterns.push_back(*std::move(pattern));
    rules.expected.push_back(*split);
  }
  return rules;
}

std::string describe(const Rules& rules) {
  std::string text;
  for (const std::string& each : rules.texts) text += "\n  " + each;
  return text;
}

/// @return  cases that were compared
std::size_t compare(RandomRoutes& random, std::uint32_t rule_count, std::uint32_t segments,
                    std::size_t names) {
  const Rules rules = make_rules(random, rule_count, segments);
  const RouteTable table(rules.patterns);
  for (std::size_t i = 0; i < names; ++i) {
    const std::string name = random.name(segments + 1);
    const auto expected_segments = reference::split(name);
    SplitName split;
    EXPECT_EQ(split.split(name).has_value(), !expected_segments.has_value()) << name;
    if (!expected_segments) continue;
    const auto expected = reference::first_match(rules.expected, *expected_segments);
    const std::uint32_t found = table.match(split);
    EXPECT_EQ(found, expected ? static_cast<std::uint32_t>(*expected) : RouteTable::kNoRule)
        << "name " << name << describe(rules);
    if (testing::Test::HasFailure()) break;
  }
  return names;
}

TEST(RouteTable, AgreesWithTheReferenceOnAMillionRandomCases) {
  RandomRoutes random(test_seed());
  std::size_t cases = 0;
  while (cases < 1'000'000 && !HasFailure()) {
    cases += compare(random, 1 + random.below(6), 5, 100);
    cases += compare(random, 20 + random.below(40), 4, 100);
  }
}

TEST(RouteTable, AgreesWithTheReferenceOnLongNamesAndManyDoubleStars) {
  RandomRoutes random(test_seed());
  for (int i = 0; i < 200 && !HasFailure(); ++i) compare(random, 10, 9, 50);
}

}  // namespace
}  // namespace leat
