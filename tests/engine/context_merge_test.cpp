// Merging contexts: what a task with several dependencies sees.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "json_value.h"
#include "leat/context.h"
#include "seed.h"

namespace leat {
namespace {

using testing::HasSubstr;

std::string merged(std::initializer_list<std::string_view> texts) {
  const auto result = Context::merge(std::span(texts.begin(), texts.size()));
  return result ? *result : "error: " + result.error().message;
}

struct Case {
  int row;
  const char* earlier;
  const char* later;
  const char* expected;
};

class MergeValues : public testing::TestWithParam<Case> {};

TEST_P(MergeValues, UnderOneKey) {
  const auto& [row, earlier, later, expected] = GetParam();
  const auto under_key = [](std::string text) { return "{\"k\":" + text + "}"; };
  EXPECT_EQ(merged({under_key(earlier), under_key(later)}), under_key(expected)) << "row " << row;
  Context context = *Context::parse(under_key(earlier));
  context.merge(*Context::parse(under_key(later)));
  EXPECT_EQ(context.to_json(), under_key(expected)) << "row " << row;
}

std::string row_name(const testing::TestParamInfo<Case>& test) {
  return "Row" + std::to_string(test.param.row) + "_" + std::to_string(test.index);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, MergeValues,
    testing::Values(Case{109, "42", "99", "99"}, Case{110, R"("old")", R"("new")", R"("new")"},
                    Case{111, "42", R"("now_a_string")", R"("now_a_string")"},
                    Case{112, "42", "null", "null"}, Case{113, "true", "false", "false"},
                    Case{114, "[1,2,3]", "[2,3,4,5]", "[1,2,3,4,5]"},
                    Case{115, R"(["a","b"])", R"(["c","d"])", R"(["a","b","c","d"])"},
                    Case{116, "[1,2,3]", "[1,2,3]", "[1,2,3]"},
                    Case{117, R"({"a":1,"b":2})", R"({"c":3,"d":4})", R"({"a":1,"b":2,"c":3,"d":4})"},
                    Case{118, R"({"a":1,"b":"old"})", R"({"b":"new","c":3})", R"({"a":1,"b":"new","c":3})"},
                    Case{119, R"({"n":{"x":1,"y":2}})", R"({"n":{"y":99,"z":3}})",
                         R"({"n":{"x":1,"y":99,"z":3}})"},
                    Case{120, R"({"items":[1,2]})", R"({"items":[2,3]})", R"({"items":[1,2,3]})"},
                    Case{121, "[1,1]", "[1,2,2]", "[1,1,2]"}, Case{102, "[1]", "[1.0]", "[1,1.0]"},
                    Case{111, "[1]", R"({"a":1})", R"({"a":1})"}, Case{111, "null", "[1]", "[1]"}),
    row_name);

TEST(Merge, FollowsTheDeclaredOrder) {  // rows 122, 124
  EXPECT_EQ(merged({R"({"k":"early"})", R"({"k":"middle"})", R"({"k":"late"})"}), R"({"k":"late"})");
  EXPECT_EQ(merged({R"({"k":"late"})", R"({"k":"early"})"}), R"({"k":"early"})");
}

TEST(Merge, NothingMakesAnEmptyContext) {
  EXPECT_EQ(merged({}), "{}");
}

TEST(Merge, EmptyContextsChangeNothing) {
  EXPECT_EQ(merged({"{}", R"({"a":1})", "{}"}), R"({"a":1})");
  EXPECT_EQ(merged({"{}", "{}"}), "{}");
}

TEST(Merge, OneTextIsGivenBackUnread) {
  EXPECT_EQ(merged({R"({ "a": 1 })", R"({ "a": 1 })", "{}"}), R"({ "a": 1 })");
}

TEST(Merge, DamageIsAnErrorThatNamesTheText) {  // row 125
  EXPECT_THAT(merged({R"({"a":1})", R"({"a":)", R"({"b":1})"}), HasSubstr("context 1:"));
  EXPECT_THAT(merged({R"({"a":1})", "[]"}), HasSubstr("a context is a JSON object"));
}

Json random_value(std::mt19937_64& random, int depth) {
  const auto size = pick(random, 4);
  switch (pick(random, depth > 0 ? 6 : 4)) {
    case 0:
      return pick(random, 3);
    case 1:
      return static_cast<double>(pick(random, 3));
    case 2:
      return std::string(1, static_cast<char>('a' + pick(random, 2)));
    case 3:
      return nullptr;
    case 4: {
      Json array = Json::array();
      for (std::uint32_t i = 0; i < size; ++i) array.push_back(random_value(random, depth - 1));
      return array;
    }
    default: {
      Json object = Json::object();
      for (std::uint32_t i = 0; i < size; ++i) {
        object[std::string(1, static_cast<char>('k' + pick(random, 3)))] = random_value(random, depth - 1);
      }
      return object;
    }
  }
}

/// The same kinds and values all the way down; the library's own == takes 1 for 1.0.
bool same(const Json& a, const Json& b) {
  return a.type_name() == std::string(b.type_name()) && a.dump() == b.dump();
}

/// The rules, word by word and without regard to cost.
Json model_merge(const Json& earlier, const Json& later) {
  Json result = earlier;
  if (earlier.is_object() && later.is_object()) {
    for (auto member = later.begin(); member != later.end(); ++member) {
      result[member.key()] =
          earlier.contains(member.key()) ? model_merge(earlier[member.key()], *member) : *member;
    }
    return result;
  }
  if (!earlier.is_array() || !later.is_array()) return later;
  for (const Json& item : later) {
    bool known = false;
    for (const Json& old : result) known |= same(old, item);
    if (!known) result.push_back(item);
  }
  return result;
}

TEST(Merge, DoesWhatTheRulesSayForRandomContexts) {
  auto random = seeded_generator();
  for (int i = 0; i < 5'000; ++i) {
    std::vector<std::string> texts;
    Json expected = Json::object();
    for (std::uint32_t count = pick(random, 4); count > 0; --count) {
      const Json context = {{"a", random_value(random, 3)}, {"b", random_value(random, 3)}};
      texts.push_back(context.dump());
      expected = model_merge(expected, context);
    }
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const auto result = Context::merge(views);
    ASSERT_TRUE(result);
    ASSERT_EQ(*result, expected.dump());
  }
}

TEST(Merge, LargeArraysCostLinearTime) {  // two nested loops would take minutes
  std::string earlier = "{\"k\":[0";
  std::string later = "{\"k\":[0";
  for (int i = 1; i < 100'000; ++i) {
    earlier += "," + std::to_string(i);
    later += "," + std::to_string(i + 50'000);
  }
  earlier += "]}";
  later += "]}";
  const auto result = Context::merge(std::vector<std::string_view>{earlier, later});
  ASSERT_TRUE(result);
  EXPECT_EQ(Json::parse(*result)["k"].size(), 150'000u);
}

}  // namespace
}  // namespace leat
