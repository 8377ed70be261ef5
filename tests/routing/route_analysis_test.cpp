#include "leat/route_analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "leat/router.h"

namespace leat {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<RouteFinding> findings_of(const RoutingConfig& config) {
  return *lint(config);
}

TEST(RouteExplain, NamesTheWinnerTheOthersThatMatchAndWhyTheRestDoNot) {
  const auto config = RoutingConfig("cpu")
                          .with_rule("etl::**", "io")
                          .with_rule("ml::*::train_*", "gpu")
                          .with_rule("ml::*", "small")
                          .with_rule("ml::**", "ml");
  const Explanation explanation = *explain(config, "ml::a::train_x");
  EXPECT_EQ(explanation.winner, 2u);
  EXPECT_EQ(explanation.destination, "gpu");
  EXPECT_THAT(explanation.also_matching, ElementsAre(4u));
  ASSERT_EQ(explanation.mismatches.size(), 2u);
  EXPECT_EQ(explanation.mismatches[0].rule, 1u);
  EXPECT_EQ(explanation.mismatches[0].segment, 1u);
  EXPECT_THAT(explanation.mismatches[0].reason, HasSubstr("'ml' does not match 'etl'"));
  EXPECT_EQ(explanation.mismatches[1].rule, 3u);
  EXPECT_THAT(explanation.mismatches[1].reason, HasSubstr("more segments"));
}

TEST(RouteExplain, FallsBackToTheDefault) {
  const Explanation explanation = *explain(RoutingConfig("cpu").with_rule("a", "b"), "c");
  EXPECT_FALSE(explanation.winner.has_value());
  EXPECT_EQ(explanation.destination, "cpu");
}

TEST(RouteExplain, SaysThatNoSegmentIsLeftForAStar) {
  const Explanation explanation =
      *explain(RoutingConfig("cpu").with_rule("**::d::*::**::e", "b"), "a::b::c::d");
  ASSERT_EQ(explanation.mismatches.size(), 1u);
  EXPECT_EQ(explanation.mismatches[0].reason, "no segment is left for '*'");
}

TEST(RouteExplain, OfARouterIsThatOfItsRules) {
  NamespaceTable names;
  const auto router = *Router::make(RoutingConfig("cpu").with_rule("a::**", "b"), names);
  const Explanation explanation = *router->explain("a::x");
  EXPECT_EQ(explanation.winner, 1u);
  EXPECT_EQ(explanation.destination, "b");
}

TEST(RouteExplain, RefusesAName) {
  EXPECT_EQ(explain(RoutingConfig(), "a::").error().code, RouteErrorCode::EmptySegment);
}

TEST(RouteLint, FindsNothingWrongWithGoodRules) {
  EXPECT_THAT(findings_of(RoutingConfig()
                              .with_rule("public::embedded::ml::train", "a")
                              .with_rule("public::embedded::ml::*", "b")
                              .with_rule("**::heavy_*", "c")
                              .with_rule("*::*::*::*", "d")),
              IsEmpty());
}

TEST(RouteLint, FindsADuplicateInAnotherSpelling) {
  const auto findings = findings_of(RoutingConfig().with_rule("a::**::*", "x").with_rule("a::*::**", "y"));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, FindingKind::Duplicate);
  EXPECT_THAT(findings[0].causes, ElementsAre(1u));
}

TEST(RouteLint, FindsARuleThatSeveralTogetherCover) {
  const auto findings = findings_of(RoutingConfig()
                                        .with_rule("a::b::c::*", "w")
                                        .with_rule("a::*b::**", "x")
                                        .with_rule("a::*::**::c", "y")
                                        .with_rule("a::b::*::d", "z")
                                        .with_rule("a::*b::*::c", "never"));
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].rule, 4u);
  EXPECT_THAT(findings[0].causes, ElementsAre(2u));
  EXPECT_EQ(findings[1].rule, 5u);
  const auto union_findings = findings_of(RoutingConfig()
                                              .with_rule("*::b::**", "x")
                                              .with_rule("a::*::*::c", "y")
                                              .with_rule("*::*::*::c::*", "y")
                                              .with_rule("a::b*::*::c", "z")
                                              .with_rule("a::**", "rest")
                                              .with_rule("**::c", "ends")
                                              .with_rule("a::*::c", "covered"));
  EXPECT_EQ(union_findings.back().rule, 7u);
  EXPECT_EQ(union_findings.back().kind, FindingKind::Shadowed);
}

TEST(RouteLint, NeedsEveryCauseOfAUnion) {
  const auto config = RoutingConfig()
                          .with_rule("*::*", "two")
                          .with_rule("*", "one")
                          .with_rule("*::*::*::**", "more")
                          .with_rule("**", "k");
  const auto findings = findings_of(config);
  EXPECT_EQ(findings.back().kind, FindingKind::Shadowed);
  EXPECT_EQ(findings.back().rule, 4u);
  EXPECT_THAT(findings.back().causes, ElementsAre(1u, 2u, 3u));
}

TEST(RouteLint, WarnsOfAPatternThatNoTaskCanMatch) {
  const auto findings =
      findings_of(RoutingConfig().with_rule("*::ml::*", "gpu").with_rule("a::*::*::**::*::b", "x"));
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].kind, FindingKind::NeverMatches);
  EXPECT_EQ(findings[0].witness, "x::ml::x");
  EXPECT_THAT(findings[0].message, HasSubstr("this takes 3"));
  EXPECT_THAT(findings[1].message, HasSubstr("at least 5"));
}

TEST(RouteLint, PointsAtASingleColon) {
  const auto findings = findings_of(RoutingConfig().with_rule("a::b:c::d::e", "x"));
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, FindingKind::SingleColon);
  EXPECT_EQ(findings[0].witness, "a::b:c::d::e");
}

TEST(RouteLint, NamesExecutorKeysThatNoRuleLeadsTo) {
  const auto config = RoutingConfig("cpu").with_rule("a::**", "gpu");
  const std::vector<std::string> keys{"cpu", "gpu", "spare"};
  const auto findings = *lint(config, keys);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, FindingKind::UnroutedKey);
  EXPECT_THAT(findings[0].message, HasSubstr("'spare'"));
}

TEST(RouteLint, OfARouterIsThatOfItsRules) {
  NamespaceTable names;
  const auto router = *Router::make(RoutingConfig().with_rule("a::**", "x").with_rule("a::**", "y"), names);
  const auto findings = router->lint();
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].kind, FindingKind::Duplicate);
}

TEST(RouteLint, HasAWordForEachKind) {
  const std::vector<std::string_view> words = {"duplicate",    "shadowed",     "never-matches",
                                               "single-colon", "unrouted-key", "undecided"};
  for (std::size_t kind = 0; kind < words.size(); ++kind)
    EXPECT_EQ(to_string(static_cast<FindingKind>(kind)), words[kind]);
}

TEST(RouteLint, SaysUndecidedInsteadOfGuessing) {
  // Globs over 63 bytes are beyond the search; the second rule is not covered.
  const std::string part(70, 'a');
  const auto findings =
      findings_of(RoutingConfig().with_rule(part + "*::**", "x").with_rule(part + "*b::**", "y"));
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[1].kind, FindingKind::Undecided);
}

TEST(RouteDiff, IsEmptyForRulesThatMeanTheSame) {
  const auto before = RoutingConfig().with_rule("a::**::*", "x").with_rule("a::b", "y").with_rule("c", "z");
  const auto after = RoutingConfig().with_rule("c", "z").with_rule("a::*::**", "x");
  EXPECT_THAT(*diff(before, after), IsEmpty());
}

TEST(RouteDiff, NamesRulesDestinationsAndAWitness) {
  const auto before = RoutingConfig("cpu").with_rule("a::**", "x");
  const auto after = RoutingConfig("cpu").with_rule("a::b::**", "y").with_rule("a::**", "x");
  const auto differences = *diff(before, after);
  ASSERT_EQ(differences.size(), 1u);
  EXPECT_EQ(differences[0].from_rule, 1u);
  EXPECT_EQ(differences[0].to_rule, 1u);
  EXPECT_EQ(differences[0].from, "x");
  EXPECT_EQ(differences[0].to, "y");
  EXPECT_EQ(differences[0].witness, "a::b");
}

TEST(RouteDiff, CountsAMovedRuleOnlyWhereItMatters) {
  const auto before = RoutingConfig().with_rule("a::*", "x").with_rule("*::b", "y");
  const auto after = RoutingConfig().with_rule("*::b", "y").with_rule("a::*", "x");
  const auto differences = *diff(before, after);
  ASSERT_EQ(differences.size(), 1u);
  EXPECT_EQ(differences[0].witness, "a::b");
}

TEST(CheckKeys, NamesTheRuleTheKeyAndTheKnownKeys) {
  const std::vector<std::string> keys{"default", "gpu"};
  const auto error =
      check_keys(RoutingConfig().with_rule("a", "gpu").with_rule("b::**", "tpu"), keys).error();
  EXPECT_EQ(error.code, RouteErrorCode::UnknownKey);
  EXPECT_EQ(error.rule, 2u);
  EXPECT_THAT(error.message, HasSubstr("rule 2 'b::**' names the executor key 'tpu'"));
  EXPECT_THAT(error.message, HasSubstr("'default' 'gpu'"));
  EXPECT_FALSE(check_keys(RoutingConfig("nowhere"), keys).has_value());
  EXPECT_TRUE(check_keys(RoutingConfig().with_rule("a", "gpu"), keys).has_value());
}

}  // namespace
}  // namespace leat
