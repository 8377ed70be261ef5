#include "pattern.h"

#include <gtest/gtest.h>

#include <string>

namespace leat {
namespace {

std::string normal_form(std::string_view text) {
  return Pattern::parse(text)->text();
}

RouteErrorCode refusal(std::string_view text) {
  return Pattern::parse(text).error().code;
}

std::string repeat(const std::string& part, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += (i == 0 ? "" : "::") + part;
  return text;
}

TEST(Pattern, SplitsAtDoubleColonsFromLeftToRight) {
  const Pattern pattern = *Pattern::parse("a:::b::c:d");
  ASSERT_EQ(pattern.segments().size(), 3u);
  EXPECT_EQ(pattern.segments()[1].text, ":b");
  EXPECT_EQ(pattern.segments()[2].text, "c:d");
}

TEST(Pattern, TellsTheFourKindsOfSegmentsApart) {
  const Pattern pattern = *Pattern::parse("a::b*::*::**::c");
  EXPECT_EQ(pattern.segments()[0].kind, SegmentKind::Literal);
  EXPECT_EQ(pattern.segments()[1].kind, SegmentKind::Glob);
  EXPECT_EQ(pattern.segments()[2].kind, SegmentKind::Any);
  EXPECT_EQ(pattern.segments()[3].kind, SegmentKind::AnyRun);
}

TEST(Pattern, ReadsThreeStarsAloneAsOneSegment) {
  EXPECT_EQ(normal_form("a::****"), "a::*");
}

TEST(Pattern, ReadsStarsInsideASegmentAsOne) {
  EXPECT_EQ(normal_form("a**b***c"), "a*b*c");
}

TEST(Pattern, LeavesOneDoubleStarOfNeighbours) {
  EXPECT_EQ(normal_form("a::**::**::b"), "a::**::b");
}

TEST(Pattern, PutsDoubleStarsBehindTheSingleOnesBetweenOthers) {
  EXPECT_EQ(normal_form("a::**::*::b"), "a::*::**::b");
  EXPECT_EQ(normal_form("**::*"), "*::**");
}

TEST(Pattern, PutsALeadingDoubleStarInFrontOfSingleOnes) {
  EXPECT_EQ(normal_form("*::**::b"), "**::*::b");
}

TEST(Pattern, RefusesEmptySegmentsWithTheirPosition) {
  EXPECT_EQ(refusal("::a"), RouteErrorCode::EmptySegment);
  EXPECT_EQ(Pattern::parse("a::").error().position, 3u);
  EXPECT_EQ(Pattern::parse("a::::b").error().position, 3u);
  EXPECT_EQ(refusal(""), RouteErrorCode::EmptyPattern);
}

TEST(Pattern, TakesSixtyFourSegmentsAndNoMore) {
  EXPECT_TRUE(Pattern::parse(repeat("a", 64)).has_value());
  EXPECT_EQ(refusal(repeat("a", 65)), RouteErrorCode::TooManySegments);
}

TEST(Pattern, TakesFiveHundredAndTwelveBytesAndNoMore) {
  EXPECT_TRUE(Pattern::parse(std::string(512, 'a')).has_value());
  EXPECT_EQ(refusal(std::string(513, 'a')), RouteErrorCode::TooLong);
}

}  // namespace
}  // namespace leat
