// `leat route`: what it prints, and the status with which it ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "command_line.h"

namespace leat::tests {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class RouteCommand : public CommandLineTest {};

TEST_F(RouteCommand, ResolvesNamesByLinesOrByToml) {
  write_file("rules.tsv", "# a comment\n\nml::train\tgpu\nml::*\tsmall\n");
  write_file("rules.toml",
             "[routing]\ndefault = \"default\"\n"
             "[[route]]\npattern = \"ml::train\"\nexecutor = \"gpu\"\n"
             "[[route]]\npattern = \"ml::*\"\nexecutor = \"small\"\n");
  write_file("names.txt", "ml::train\nml::x\netl");
  for (const std::string rules : {"rules.tsv", "rules.toml"}) {
    const auto result = leat({"route", "resolve", "--rules", rules, "--names", "names.txt"});
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.out, "gpu\nsmall\ndefault\n") << rules;
  }
}

TEST_F(RouteCommand, PrefersTheDefaultOfTheCommandLine) {
  write_file("rules.toml", "[routing]\ndefault = \"cpu\"\n");
  write_file("names.txt", "a\n");
  EXPECT_EQ(leat({"route", "resolve", "--rules", "rules.toml", "--names", "names.txt"}).out, "cpu\n");
  EXPECT_EQ(leat({"route", "resolve", "--rules", "rules.toml", "--names", "names.txt", "--default", "x"}).out,
            "x\n");
}

TEST_F(RouteCommand, GivesAnEmptyLineForAnInvalidNameAndFailsAtTheEnd) {
  write_file("rules.tsv", "**\tk\n");
  write_file("names.txt", "a\na::\nb\n");
  const auto result = leat({"route", "resolve", "--rules", "rules.tsv", "--names", "names.txt"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out, "k\n\nk\n");
  EXPECT_THAT(result.err, HasSubstr("names.txt:2: name 'a::' has an empty segment"));
}

TEST_F(RouteCommand, TrimsNothing) {
  write_file("rules.tsv", " a\t key \n");
  write_file("names.txt", " a\na\n");
  EXPECT_EQ(leat({"route", "resolve", "--rules", "rules.tsv", "--names", "names.txt"}).out,
            " key \ndefault\n");
}

TEST_F(RouteCommand, RefusesABadRuleWithItsFileAndLine) {
  write_file("rules.tsv", "a\tk\na::::b\tk\n");
  const auto result = leat({"route", "check", "--rules", "rules.tsv"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.out, IsEmpty());
  EXPECT_THAT(result.err, HasSubstr("rules.tsv:2: rule 2 'a::::b' at position 4 has an empty segment"));
}

TEST_F(RouteCommand, RefusesTomlThatItDoesNotKnowWithTheAcceptedWords) {
  const auto refusal = [&](std::string_view text) {
    write_file("rules.toml", text);
    const auto result = leat({"route", "check", "--rules", "rules.toml"});
    EXPECT_EQ(result.status, 2) << text;
    return result.err;
  };
  EXPECT_THAT(
      refusal("[[route]]\npattern = \"a\"\nkey = \"b\"\n"),
      HasSubstr("rules.toml:3:1: unknown key 'key' in [[route]] (accepted: pattern, executor, split)"));
  EXPECT_THAT(refusal("[[route]]\npattern = 7\nexecutor = \"b\"\n"),
              HasSubstr("rules.toml:2:11: 'pattern' is not"));
  EXPECT_THAT(refusal("[[route]]\npattern = \"a\"\n"),
              HasSubstr("rules.toml:1:1: a route has one destination"));
  EXPECT_THAT(refusal("[[route]]\npattern = \"a\"\nsplit = {a = 90, b = 11}\n"), HasSubstr("add up to 101"));
  EXPECT_THAT(refusal("[routing]\ndefault = 1\n"), HasSubstr("rules.toml:2:11: 'default' is not a string"));
  EXPECT_THAT(refusal("[[route]\n"), HasSubstr("rules.toml:1:"));
}

TEST_F(RouteCommand, ExplainsANameByEveryRule) {
  write_file("rules.tsv", "a::*\tone\n**\tall\nb\ttwo\n");
  const auto result = leat({"route", "explain", "--rules", "rules.tsv", "a::x"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, HasSubstr("one\n"));
  EXPECT_THAT(result.out, HasSubstr("rules.tsv:1: rule 1 'a::*' wins"));
  EXPECT_THAT(result.out, HasSubstr("rules.tsv:2: rule 2 '**' matches too"));
  EXPECT_THAT(result.out, HasSubstr("rules.tsv:3: rule 3 'b' does not match: segment"));
}

TEST_F(RouteCommand, FailsAStrictCheckOnly) {
  write_file("rules.tsv", "a::**\tone\na::*::b::c\ttwo\n");
  const auto lenient = leat({"route", "check", "--rules", "rules.tsv"});
  EXPECT_EQ(lenient.status, 0);
  EXPECT_THAT(lenient.out, HasSubstr("rules.tsv:2: shadowed: rule 2 'a::*::b::c'"));
  EXPECT_EQ(leat({"route", "check", "--rules", "rules.tsv", "--strict"}).status, 1);
  write_file("good.tsv", "a::**\tone\n");
  EXPECT_EQ(leat({"route", "check", "--rules", "good.tsv", "--strict"}).status, 0);
}

TEST_F(RouteCommand, TellsRuleSetsApart) {
  write_file("old.tsv", "a::**\tone\n");
  write_file("new.tsv", "a::b\ttwo\na::**\tone\n");
  EXPECT_EQ(leat({"route", "diff", "old.tsv", "old.tsv"}).status, 0);
  const auto result = leat({"route", "diff", "old.tsv", "new.tsv"});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out,
            "one -> two: names that old rule 1 'a::**' and new rule 1 'a::b' take, like 'a::b'\n");
}

TEST_F(RouteCommand, TestsCasesAndNamesTheRulesThatNoneCovers) {
  write_file("rules.tsv", "a::*\tone\nb\ttwo\n");
  write_file("good.tsv", "a::x\tone\nq\tdefault\n");
  const auto good = leat({"route", "test", "--rules", "rules.tsv", "--cases", "good.tsv"});
  EXPECT_EQ(good.status, 0);
  EXPECT_EQ(good.out, "rules.tsv:2: no case covers rule 2 'b'\n2 cases, 0 failed\n");
  write_file("bad.tsv", "b\tone\na::\tone\n");
  const auto bad = leat({"route", "test", "--rules", "rules.tsv", "--cases", "bad.tsv"});
  EXPECT_EQ(bad.status, 1);
  EXPECT_THAT(bad.out, HasSubstr("bad.tsv:1: 'b' goes to 'two'; expected 'one'"));
  EXPECT_THAT(bad.out, HasSubstr("bad.tsv:2: 'a::' is no name: it has an empty segment"));
}

TEST_F(RouteCommand, RefusesWordsThatItDoesNotKnow) {
  EXPECT_EQ(leat({"route"}).status, 2);
  EXPECT_EQ(leat({"route", "resolve"}).status, 2);
  EXPECT_EQ(leat({"route", "resolve", "--rules", "absent.tsv"}).status, 2);
}

}  // namespace
}  // namespace leat::tests
