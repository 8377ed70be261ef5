// Contexts: values by key, text in and out.
#include "leat/context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "json_value.h"
#include "leat/json.h"
#include "seed.h"

namespace leat {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

Context parsed(std::string_view text) {
  auto context = Context::parse(text);
  EXPECT_TRUE(context) << text << ": " << context.error().message;
  return context ? *context : Context();
}

TEST(Context, InsertTakesNewKeysOnly) {  // row 103
  Context context;
  EXPECT_TRUE(context.insert("name", "alice"));
  const auto again = context.insert("name", "bob");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::AlreadyExists);
  EXPECT_THAT(again.error().message, HasSubstr("KeyExists: 'name'"));
  EXPECT_EQ(context.get<std::string>("name"), "alice");
}

TEST(Context, UpdateTakesExistingKeysOnly) {  // row 104
  Context context;
  const auto missing = context.update("name", "alice");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::NotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("KeyNotFound: 'name'"));
  EXPECT_FALSE(context.contains("name"));
  context.set("name", "alice");
  EXPECT_TRUE(context.update("name", 7));
  EXPECT_EQ(context.get<std::int64_t>("name"), 7);
}

TEST(Context, ComesBackEqualFromJson) {  // row 105
  const Context context = parsed(R"({"z":[1,2.5,{"k":null}],"a":"\u00e9\n","t":true,"n":-7,"e":{}})");
  EXPECT_EQ(parsed(context.to_json()), context);
  EXPECT_EQ(context.to_json(),
            "{\"a\":\"\u00e9\\n\",\"e\":{},\"n\":-7,\"t\":true,\"z\":[1,2.5,{\"k\":null}]}");
}

TEST(Context, NumbersKeepTheirKindAndEveryBit) {
  Context context;
  context.set("min", kMin);
  context.set("max", kMax);
  context.set("unsigned", std::numeric_limits<std::uint64_t>::max());
  context.set("double", 0.1);
  context.set("whole", 1.0);
  const Context back = parsed(context.to_json());
  EXPECT_EQ(back.to_json(), R"({"double":0.1,"max":9223372036854775807,"min":-9223372036854775808,)"
                            R"("unsigned":18446744073709551615,"whole":1.0})");
  EXPECT_EQ(back.get<std::int64_t>("min"), kMin);
  EXPECT_EQ(back.get<std::int64_t>("max"), kMax);
  EXPECT_EQ(back.get<std::int64_t>("unsigned"), std::nullopt);
  EXPECT_EQ(back.get<std::int64_t>("whole"), std::nullopt);
  EXPECT_EQ(back.get<double>("double"), 0.1);
  EXPECT_EQ(back.get<double>("max"), 0x1p63);
}

TEST(Context, GetGivesNothingForAnotherType) {
  const Context context = parsed(R"({"b":true,"i":1,"s":"1","n":null,"a":[]})");
  for (const char* key : {"i", "s", "n", "a", "absent"})
    EXPECT_EQ(context.get<bool>(key), std::nullopt) << key;
  for (const char* key : {"b", "s", "n", "a", "absent"})
    EXPECT_EQ(context.get<std::int64_t>(key), std::nullopt) << key;
  for (const char* key : {"b", "s", "n", "a", "absent"})
    EXPECT_EQ(context.get<double>(key), std::nullopt) << key;
  for (const char* key : {"b", "i", "n", "a", "absent"})
    EXPECT_EQ(context.get<std::string>(key), std::nullopt) << key;
}

TEST(Context, SetTakesEveryScalar) {
  Context context;
  context.set("bool", true);
  context.set("char", static_cast<std::int8_t>(-1));
  context.set("uint", 3u);
  context.set("float", 0.5f);
  context.set("literal", "a");
  context.set("string", std::string("b"));
  context.set("view", std::string_view("c"));
  EXPECT_EQ(context.to_json(),
            R"({"bool":true,"char":-1,"float":0.5,"literal":"a","string":"b","uint":3,"view":"c"})");
  EXPECT_EQ(context.size(), 7u);
}

TEST(Context, WhatJsonCannotSayBecomesWhatItCan) {
  Context context;
  context.set("nan", std::nan(""));
  context.set("infinite", std::numeric_limits<double>::infinity());
  context.set("bytes",
              "a\xff"
              "b");
  EXPECT_EQ(context.to_json(),
            "{\"bytes\":\"a\xEF\xBF\xBD"
            "b\",\"infinite\":null,\"nan\":null}");
  EXPECT_TRUE(Context::parse(context.to_json()));
}

TEST(Context, JsonTextsGoInAndOut) {
  Context context;
  EXPECT_TRUE(context.set_json("list", " [1, {\"b\" : 2, \"a\":1}] "));
  EXPECT_EQ(context.get_json("list"), R"([1,{"a":1,"b":2}])");
  EXPECT_EQ(context.get_json("absent"), std::nullopt);
  const auto wrong = context.set_json("list", "[1,");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::InvalidArgument);
  EXPECT_EQ(context.get_json("list"), R"([1,{"a":1,"b":2}])");
}

TEST(Context, RemoveAndEmpty) {
  Context context;
  EXPECT_TRUE(context.empty());
  EXPECT_FALSE(context.remove("a"));
  context.set("a", 1);
  EXPECT_FALSE(context.empty());
  EXPECT_TRUE(context.remove("a"));
  EXPECT_TRUE(context.empty());
  EXPECT_EQ(context.to_json(), "{}");
  EXPECT_EQ(context, Context());
}

TEST(Context, CopiesAreTheirOwn) {
  Context original = parsed(R"({"a":1})");
  Context copy = original;
  copy.set("a", 2);
  EXPECT_EQ(original.get<std::int64_t>("a"), 1);
  original = copy;
  EXPECT_EQ(original.get<std::int64_t>("a"), 2);
  const Context moved = std::move(copy);
  EXPECT_EQ(moved, original);
}

TEST(Context, OfAKeyGivenTwiceTheLastCounts) {
  EXPECT_EQ(parsed(R"({"a":1,"a":2})").to_json(), R"({"a":2})");
}

TEST(ContextParse, NamesTheByteThatIsWrong) {
  const auto wrong = Context::parse(R"({"a":tru})");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::InvalidArgument);
  EXPECT_THAT(wrong.error().message, HasSubstr("byte 9"));
}

TEST(ContextParse, RefusesWhatIsNoObject) {
  for (const char* text : {"[]", "1", "null", "\"{}\"", "", " ", "{} {}", "{'a':1}", "{\"a\":1,}",
                           "{\"a\":1e999}", "{\"a\":\"\xff\"}", "// note\n{}", "{\"a\":NaN}"}) {
    EXPECT_FALSE(Context::parse(text)) << text;
  }
}

TEST(ContextParse, MessagesAreBoundedWhateverTheText) {
  const auto wrong = Context::parse("{\"" + std::string(1 << 20, 'x') + "\n");
  ASSERT_FALSE(wrong);
  EXPECT_LT(wrong.error().message.size(), 300u);
}

std::string nested(std::size_t depth) {
  std::string text = "{\"a\":";
  text.append(depth - 1, '[').append(depth - 1, ']').append("}");
  return text;
}

TEST(ContextParse, RefusesTextNestedTooDeep) {
  EXPECT_TRUE(Context::parse(nested(kJsonDepthMax)));
  EXPECT_FALSE(Context::parse(nested(kJsonDepthMax + 1)));
  EXPECT_FALSE(Context::parse(nested(1'000'000)));
  EXPECT_FALSE(Context::parse("{\"a\":" + std::string(1'000'000, '[')));
}

TEST(ContextParse, BracketsInTextsAreNoNesting) {
  EXPECT_TRUE(Context::parse("{\"a\":\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '{') + "\"}"));
}

TEST(ContextParse, AValueSetDeepInsideIsStillReadable) {
  Context context;
  EXPECT_TRUE(context.set_json("a", std::string(127, '[') + std::string(127, ']')));
  EXPECT_TRUE(Context::parse(context.to_json()));
  EXPECT_FALSE(context.set_json("a", std::string(128, '[') + std::string(128, ']')));
}

TEST(ContextParse, SurvivesDamagedText) {
  auto random = seeded_generator();
  const std::string text =
      R"({"a":[1,2.5e3,-0,{"b":"x\u00e9\ud83d\ude00\"\\"}],"c":null,"d":{"e":[true,false]}})";
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = text;
    for (std::uint32_t hits = pick(random, 3) + 1; hits > 0; --hits) {
      damaged[pick(random, static_cast<std::uint32_t>(damaged.size()))] = static_cast<char>(random());
    }
    damaged.resize(damaged.size() - (pick(random, 4) == 0 ? pick(random, 20) : 0));
    const auto context = Context::parse(damaged);
    if (!context) continue;
    ++accepted;
    const auto again = Context::parse(context->to_json());
    ASSERT_TRUE(again) << damaged;
    ASSERT_EQ(*again, *context) << damaged;
  }
  EXPECT_GT(accepted, 100);  // else the test looks at errors alone
}

TEST(ContextSize, TheLimitItselfFits) {
  EXPECT_TRUE(check_context_size(kContextBytesMax));
  const auto over = check_context_size(kContextBytesMax + 1);
  ASSERT_FALSE(over);
  EXPECT_THAT(over.error().message, HasSubstr("1048577 bytes"));
  EXPECT_FALSE(check_context_size(11, 10));
}

TEST(ContextJson, ConvertsToNlohmannAndBack) {
  const Context context = parsed(R"({"a":[1,{"b":2}],"c":"d"})");
  const nlohmann::json value = to_nlohmann(context);
  EXPECT_EQ(value["a"][1]["b"], 2);
  EXPECT_EQ(*from_nlohmann(value), context);
  EXPECT_FALSE(from_nlohmann(nlohmann::json::array()));
  EXPECT_EQ(context.get<nlohmann::json>("a")->size(), 2u);
  EXPECT_EQ(context.get<nlohmann::json>("absent"), std::nullopt);
}

TEST(JsonNumbers, CompareByTheirExactValues) {  // row 101
  const auto compare = [](const char* a, const char* b) {
    return compare_numbers(Json::parse(a), Json::parse(b));
  };
  EXPECT_TRUE(compare("9007199254740993", "9007199254740992") > 0);  // 2^53 + 1: the same double
  EXPECT_TRUE(compare("9007199254740993", "9007199254740992.0") > 0);
  EXPECT_TRUE(compare("9223372036854775807", "9223372036854775808.0") < 0);
  EXPECT_TRUE(compare("18446744073709551615", "18446744073709551616.0") < 0);
  EXPECT_TRUE(compare("-9223372036854775808", "-9223372036854775808.0") == 0);
  EXPECT_TRUE(compare("-1", "18446744073709551615") < 0);
  EXPECT_TRUE(compare("1e308", "18446744073709551615") > 0);
  EXPECT_TRUE(compare("-0.5", "0") < 0);
  EXPECT_TRUE(compare("-2", "-2.5") > 0);
  EXPECT_TRUE(compare("\"1\"", "0") == std::partial_ordering::unordered);
}

TEST(JsonNumbers, CompareAsLongDoublesDo) {
  if (std::numeric_limits<long double>::digits < 64)
    GTEST_SKIP() << "long double is no wider than double here";
  auto random = seeded_generator();
  const auto number = [&]() -> std::pair<Json, long double> {
    const std::uint64_t bits = random() >> pick(random, 64);
    switch (pick(random, 3)) {
      case 0:
        return {bits, static_cast<long double>(bits)};
      case 1: {
        const auto value = -static_cast<std::int64_t>(bits >> 1);
        return {value, static_cast<long double>(value)};
      }
      default: {
        const double value =
            std::ldexp(static_cast<double>(bits >> 11), static_cast<int>(pick(random, 16)) - 2);
        return {value, static_cast<long double>(value)};
      }
    }
  };
  for (int i = 0; i < 100'000; ++i) {
    const auto [a, exact_a] = number();
    auto [b, exact_b] = number();
    if (pick(random, 4) == 0 && a.is_number_unsigned()) {  // neighbours of the same double
      const double same = a.get<double>();
      b = same;
      exact_b = same;
    }
    ASSERT_EQ(compare_numbers(a, b), exact_a <=> exact_b) << a << " " << b;
  }
}

}  // namespace
}  // namespace leat
