#include "route_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pattern.h"
#include "split_name.h"

namespace leat {
namespace {

std::uint32_t first_match(const std::vector<std::string>& texts, const std::string& name) {
  std::vector<Pattern> patterns;
  for (const std::string& text : texts) patterns.push_back(*Pattern::parse(text));
  SplitName split;
  EXPECT_FALSE(split.split(name).has_value());
  return RouteTable(patterns).match(split);
}

std::string repeat(const std::string& part, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += part;
  return text;
}

TEST(RouteTable, HasNoRuleForAnyNameIfItIsEmpty) {
  EXPECT_EQ(first_match({}, "a::b"), RouteTable::kNoRule);
}

TEST(RouteTable, PrefersAnEarlierBackwardRuleToALaterForwardOne) {
  EXPECT_EQ(first_match({"z", "**::b", "a::b"}, "a::b"), 1u);
  EXPECT_EQ(first_match({"z", "a::b", "**::b"}, "a::b"), 1u);
}

TEST(RouteTable, FindsGlobsByPrefixSuffixAndPiece) {
  const std::vector<std::string> rules{"a*", "*z", "m*n", "*middle*", "*x*y*"};
  EXPECT_EQ(first_match(rules, "abc"), 0u);
  EXPECT_EQ(first_match(rules, "jazz"), 1u);
  EXPECT_EQ(first_match(rules, "mn"), 2u);
  EXPECT_EQ(first_match(rules, "in_the_middle_of"), 3u);
  EXPECT_EQ(first_match(rules, "qxqyq"), 4u);
  EXPECT_EQ(first_match(rules, "qyqxq"), RouteTable::kNoRule);
}

TEST(RouteTable, TellsGlobsApartThatAreFoundByTheSamePiece) {
  const std::vector<std::string> rules{"*longest_piece*b*", "*longest_piece*c*", "*longest_piece*d*::t"};
  EXPECT_EQ(first_match(rules, "longest_piece_b"), 0u);
  EXPECT_EQ(first_match(rules, "longest_piece_c"), 1u);
  EXPECT_EQ(first_match(rules, "longest_piece_d::t"), 2u);
  EXPECT_EQ(first_match(rules, "longest_piece_e"), RouteTable::kNoRule);
}

TEST(RouteTable, ReachesTheLastOfSixtyFourSegments) {
  const std::string name = repeat("a::", 63) + "b";
  EXPECT_EQ(first_match({"x::**", repeat("a::", 63) + "b"}, name), 1u);
  EXPECT_EQ(first_match({"x::**", repeat("*::", 63) + "b"}, name), 1u);
  EXPECT_EQ(first_match({"x::**", "**::b", "a::**"}, name), 1u);
  EXPECT_EQ(first_match({"x::**", repeat("a::", 62) + "a::**"}, name), 1u);
}

// The following would not come to an end, were a node visited once for every way that leads to it.

TEST(RouteTable, VisitsANodeOnceHoweverManyWaysLeadThroughDoubleStars) {
  const std::string stem = repeat("a::**::", 12);
  const std::string name = repeat("a::", 63) + "a";
  EXPECT_EQ(first_match({stem + "y", stem + "z"}, name), RouteTable::kNoRule);
  EXPECT_EQ(first_match({"**::" + stem + "y", "**::" + stem + "z", "**::" + stem + "a"}, name), 2u);
}

TEST(RouteTable, VisitsANodeOnceHoweverOftenAGlobMatches) {
  const std::string name = repeat("aaaaaa::", 63) + "aaaaaa";
  for (const std::string glob : {"*a*", "a*", "*a", "a*a"}) {
    const std::string stem = repeat(glob + "::**::", 12);
    EXPECT_EQ(first_match({stem + "y", stem + "z"}, name), RouteTable::kNoRule) << glob;
    EXPECT_EQ(first_match({stem + "y", stem + "z", stem + "*aa*"}, name), 2u) << glob;
  }
}

TEST(RouteTable, ComparesOneRuleInTheProductOfItsLengthAndTheNames) {
  EXPECT_EQ(first_match({repeat("a::**::", 30) + "z"}, repeat("a::", 63) + "a"), RouteTable::kNoRule);
}

TEST(RouteTable, StaysUnder256BytesARule) {
  std::vector<Pattern> patterns;
  for (int i = 0; i < 10'000; ++i) {
    const std::string n = std::to_string(i);
    patterns.push_back(*Pattern::parse("tenant_" + std::to_string(i % 500) + "::pkg_" +
                                       std::to_string(i % 37) + "::flow_" + n +
                                       (i % 3 == 0 ? "::*" : "::task_" + n)));
  }
  EXPECT_LT(RouteTable(patterns).hot_bytes(), 256 * patterns.size());
}

}  // namespace
}  // namespace leat
