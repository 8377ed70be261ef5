// Trigger rules: verdicts, operators, the JSON form.
#include "leat/trigger_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "seed.h"

namespace leat {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Rule = TriggerRule;
using Operator = TriggerOperator;

/// The facts about one task: its dependencies' states by name, and the text of its merged context.
struct World {
  std::map<std::string, TaskState, std::less<>> states = {};
  std::string context = "{}";
  int asked = 0;   ///< how often a state was asked for
  int loaded = 0;  ///< how often the context was

  std::expected<bool, Error> evaluate(const Rule& rule) {
    TriggerFacts facts;
    for (const auto& [name, state] : states) {
      facts.counts.completed += state == TaskState::Completed;
      facts.counts.failed += state == TaskState::Failed;
      facts.counts.skipped += state == TaskState::Skipped;
      facts.counts.cancelled += state == TaskState::Cancelled;
    }
    facts.state_of = [this](std::string_view name) {
      ++asked;
      return states.find(name)->second;
    };
    Context parsed;
    facts.load_context = [this, &parsed]() -> std::expected<const Context*, Error> {
      ++loaded;
      auto read = Context::parse(context);
      if (!read) return std::unexpected(read.error());
      parsed = std::move(*read);
      return &parsed;
    };
    return rule.evaluate(facts);
  }
  bool runs(const Rule& rule) {
    const auto verdict = evaluate(rule);
    EXPECT_TRUE(verdict) << verdict.error().message;
    return verdict.value_or(false);
  }
};

Rule value_is(std::string key, Operator op, std::string_view value = "null") {
  auto rule = Rule::context_value(std::move(key), op, value);
  EXPECT_TRUE(rule) << rule.error().message;
  return rule.value_or(Rule());
}

constexpr auto kDone = TaskState::Completed;
constexpr auto kFailed = TaskState::Failed;
constexpr auto kSkipped = TaskState::Skipped;

TEST(TriggerRule, AllSuccessIsTheDefaultAndSkipsAfterAFailureOrASkip) {  // rows 51, 52
  EXPECT_EQ(Rule().kind(), Rule::Kind::AllSuccess);
  EXPECT_TRUE((World{{{"a", kDone}, {"b", kDone}}}.runs(Rule())));
  EXPECT_FALSE((World{{{"a", kDone}, {"b", kFailed}}}.runs(Rule())));
  EXPECT_FALSE((World{{{"a", kDone}, {"b", kSkipped}}}.runs(Rule())));
  EXPECT_FALSE((World{{{"a", TaskState::Cancelled}}}.runs(Rule())));
}

TEST(TriggerRule, AllDoneRunsWhateverHappened) {  // rows 46, 68
  EXPECT_TRUE((World{{{"a", kFailed}, {"b", kSkipped}}}.runs(Rule::all_done())));
  EXPECT_TRUE(World().runs(Rule::all_done()));
}

TEST(TriggerRule, OneSuccessNeedsOne) {
  EXPECT_TRUE((World{{{"a", kFailed}, {"b", kDone}}}.runs(Rule::one_success())));
  EXPECT_FALSE((World{{{"a", kFailed}, {"b", kSkipped}}}.runs(Rule::one_success())));
}

TEST(TriggerRule, NoneFailedTakesSkips) {
  EXPECT_TRUE((World{{{"a", kSkipped}, {"b", kDone}}}.runs(Rule::none_failed())));
  EXPECT_FALSE((World{{{"a", kFailed}, {"b", kDone}}}.runs(Rule::none_failed())));
  EXPECT_FALSE((World{{{"a", TaskState::Cancelled}, {"b", kDone}}}.runs(Rule::none_failed())));
}

TEST(TriggerRule, RootsRunUnderEveryPlainRule) {
  for (const Rule& rule : {Rule::all_success(), Rule::all_done(), Rule::one_success(), Rule::none_failed()}) {
    EXPECT_TRUE(World().runs(rule)) << rule.to_json();
  }
}

TEST(TriggerRule, EmptyAllAndNoneAreTrueEmptyAnyIsFalse) {  // rows 65, 66, 67
  EXPECT_TRUE(World().runs(Rule::all({})));
  EXPECT_TRUE(World().runs(Rule::none({})));
  EXPECT_FALSE(World().runs(Rule::any({})));
}

TEST(TriggerRule, TaskConditionsCompareTheState) {  // row 72
  World world{{{"c", kDone}, {"f", kFailed}, {"s", kSkipped}}};
  for (const auto& [name, state] : std::map(world.states)) {
    EXPECT_EQ(world.runs(Rule::task_success(name)), state == kDone) << name;
    EXPECT_EQ(world.runs(Rule::task_failed(name)), state == kFailed) << name;
    EXPECT_EQ(world.runs(Rule::task_skipped(name)), state == kSkipped) << name;
  }
}

TEST(TriggerRule, GroupsStopAtTheFirstConditionThatDecides) {  // row 73
  const auto yes = Rule::task_success("a");
  const auto no = Rule::task_failed("a");
  const std::map<std::string, TaskState, std::less<>> states{{"a", kDone}};
  const auto asked = [&](const Rule& rule, bool expected) {
    World world{states};
    EXPECT_EQ(world.runs(rule), expected) << rule.to_json();
    return world.asked;
  };
  EXPECT_EQ(asked(Rule::all({yes, no, yes}), false), 2);
  EXPECT_EQ(asked(Rule::all({yes, yes}), true), 2);
  EXPECT_EQ(asked(Rule::any({no, yes, no}), true), 2);
  EXPECT_EQ(asked(Rule::any({no, no}), false), 2);
  EXPECT_EQ(asked(Rule::none({yes, no}), false), 1);
  EXPECT_EQ(asked(Rule::none({no, no}), true), 2);
}

TEST(TriggerRule, ContextIsLoadedOnceAndOnlyWhereNeeded) {
  World world{{{"a", kDone}}, R"({"k":1})"};
  const auto exists = value_is("k", Operator::Exists);
  EXPECT_TRUE(world.runs(Rule::any({Rule::task_success("a"), exists})));
  EXPECT_EQ(world.loaded, 0);
  EXPECT_TRUE(world.runs(Rule::all({exists, exists, Rule::any({exists})})));
  EXPECT_EQ(world.loaded, 1);
  EXPECT_TRUE(Rule::all({Rule::any({exists})}).needs_context());
  EXPECT_FALSE(Rule::all({Rule::task_success("a")}).needs_context());
  EXPECT_FALSE(Rule().needs_context());
}

TEST(TriggerRule, ADamagedContextIsAnErrorAndNoVerdict) {  // row 125
  World world{{}, R"({"k":)"};
  EXPECT_FALSE(world.evaluate(value_is("k", Operator::NotExists)));
  EXPECT_FALSE(world.evaluate(Rule::none({value_is("k", Operator::Exists)})));
}

struct OperatorCase {
  int row;
  Operator op;
  const char* context;
  const char* value;
  bool expected;
};

class TriggerOperators : public testing::TestWithParam<OperatorCase> {};

TEST_P(TriggerOperators, Hold) {
  const auto& [row, op, context, value, expected] = GetParam();
  World world{{}, context};
  EXPECT_EQ(world.runs(value_is("k", op, value)), expected)
      << "row " << row << ": " << context << " " << value;
}

std::string row_name(const testing::TestParamInfo<OperatorCase>& test) {
  return "Row" + std::to_string(test.param.row) + "_" + std::to_string(test.index);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, TriggerOperators,
    testing::Values(
        OperatorCase{69, Operator::Exists, R"({"k":null})", "null", true},
        OperatorCase{69, Operator::Exists, R"({"other":null})", "null", false},
        OperatorCase{74, Operator::Exists, R"({"k":"alice"})", "null", true},
        OperatorCase{75, Operator::Exists, "{}", "null", false},
        OperatorCase{76, Operator::NotExists, "{}", "null", true},
        OperatorCase{77, Operator::NotExists, R"({"k":"alice"})", "null", false},
        OperatorCase{78, Operator::Equals, R"({"k":"ready"})", R"("ready")", true},
        OperatorCase{79, Operator::Equals, R"({"k":"pending"})", R"("ready")", false},
        OperatorCase{80, Operator::Equals, R"({"k":42})", "42", true},
        OperatorCase{81, Operator::Equals, R"({"k":true})", "true", true},
        OperatorCase{82, Operator::Equals, "{}", "1", false},
        OperatorCase{82, Operator::Equals, "{}", "null", false},
        OperatorCase{83, Operator::NotEquals, R"({"k":"error"})", R"("ok")", true},
        OperatorCase{84, Operator::NotEquals, R"({"k":"ok"})", R"("ok")", false},
        OperatorCase{85, Operator::GreaterThan, R"({"k":100})", "50", true},
        OperatorCase{86, Operator::GreaterThan, R"({"k":50})", "50", false},
        OperatorCase{87, Operator::GreaterThan, R"({"k":"alice"})", "10", false},
        OperatorCase{88, Operator::GreaterThan, "{}", "0", false},
        OperatorCase{88, Operator::LessThan, "{}", "0", false},
        OperatorCase{89, Operator::LessThan, R"({"k":10})", "50", true},
        OperatorCase{90, Operator::LessThan, R"({"k":0.5})", "1.0", true},
        OperatorCase{90, Operator::LessThan, R"({"k":"a"})", R"("b")", false},
        OperatorCase{91, Operator::Contains, R"({"k":"hello world"})", R"("world")", true},
        OperatorCase{92, Operator::Contains, R"({"k":"hello"})", R"("world")", false},
        OperatorCase{93, Operator::Contains, R"({"k":["a","b","c"]})", R"("b")", true},
        OperatorCase{94, Operator::Contains, R"({"k":["a","b"]})", R"("z")", false},
        OperatorCase{95, Operator::Contains, R"({"k":42})", "4", false},
        OperatorCase{95, Operator::Contains, R"({"k":"42"})", "4", false},
        OperatorCase{96, Operator::NotContains, R"({"k":"hello"})", R"("world")", true},
        OperatorCase{97, Operator::NotContains, R"({"k":["a","b"]})", R"("z")", true},
        OperatorCase{98, Operator::NotContains, R"({"k":["a","b"]})", R"("a")", false},
        OperatorCase{99, Operator::NotEquals, "{}", "1", true},
        OperatorCase{100, Operator::NotContains, "{}", R"("a")", true},
        OperatorCase{100, Operator::NotContains, R"({"k":42})", R"("a")", true},
        OperatorCase{101, Operator::GreaterThan, R"({"k":9007199254740993})", "9007199254740992", true},
        OperatorCase{101, Operator::GreaterThan, R"({"k":9007199254740993})", "9007199254740992.0", true},
        OperatorCase{101, Operator::Equals, R"({"k":9007199254740993})", "9007199254740992", false},
        OperatorCase{101, Operator::LessThan, R"({"k":-1})", "18446744073709551615", true},
        OperatorCase{102, Operator::Equals, R"({"k":1})", "1.0", false},
        OperatorCase{102, Operator::Contains, R"({"k":[1]})", "1.0", false},
        OperatorCase{102, Operator::Equals, R"({"k":{"b":[1],"a":2}})", R"({"a":2,"b":[1]})", true}),
    row_name);

TEST(TriggerJson, ReadsTheOriginalsForm) {  // rows 69, 71
  World world{{{"extract", kDone}}, R"({"status":"ready"})"};
  const auto rule = Rule::parse(R"({"type":"All","conditions":[
      {"type":"TaskSuccess","task_name":"extract"},
      {"type":"ContextValue","key":"status","operator":"Equals","value":"ready"}]})");
  ASSERT_TRUE(rule) << rule.error().message;
  EXPECT_TRUE(world.runs(*rule));
  world.context = R"({"status":"pending"})";
  EXPECT_FALSE(world.runs(*rule));  // row 70
  EXPECT_EQ(Rule::parse(R"({"type":"Always"})")->kind(), Rule::Kind::AllDone);
}

TEST(TriggerJson, WritesTheOriginalsForm) {  // row 71
  EXPECT_EQ(Rule::all_done().to_json(), R"({"type":"Always"})");
  EXPECT_EQ(Rule::none({Rule::task_failed("a")}).to_json(),
            R"({"conditions":[{"task_name":"a","type":"TaskFailed"}],"type":"None"})");
  EXPECT_EQ(value_is("k", Operator::GreaterThan, "3").to_json(),
            R"({"key":"k","operator":"GreaterThan","type":"ContextValue","value":3})");
}

TEST(TriggerJson, ReadsPlainWords) {
  EXPECT_EQ(Rule::parse("all_success")->kind(), Rule::Kind::AllSuccess);
  EXPECT_EQ(Rule::parse("all_done")->kind(), Rule::Kind::AllDone);
  EXPECT_EQ(Rule::parse("Always")->kind(), Rule::Kind::AllDone);
  EXPECT_EQ(Rule::parse("\"one_success\"")->kind(), Rule::Kind::OneSuccess);
  EXPECT_EQ(Rule::parse(R"({"type":"none_failed"})")->kind(), Rule::Kind::NoneFailed);
}

TEST(TriggerJson, ReadsSnakeCase) {
  const auto rule =
      Rule::parse(R"({"type":"context_value","key":"k","operator":"not_contains","value":[1]})");
  ASSERT_TRUE(rule) << rule.error().message;
  EXPECT_EQ(*rule, value_is("k", Operator::NotContains, "[1]"));
  EXPECT_EQ(*Rule::parse(R"({"type":"any","conditions":[{"type":"task_skipped","task_name":"a"}]})"),
            Rule::any({Rule::task_skipped("a")}));
}

TEST(TriggerJson, ExistsNeedsNoValue) {
  EXPECT_TRUE(Rule::parse(R"({"type":"ContextValue","key":"k","operator":"Exists"})"));
  EXPECT_FALSE(Rule::parse(R"({"type":"ContextValue","key":"k","operator":"Equals"})"));
}

TEST(TriggerJson, RefusalsNameThePartAndWhatIsAccepted) {
  const auto message = [](std::string_view text) {
    const auto rule = Rule::parse(text);
    return rule ? "accepted" : rule.error().message;
  };
  EXPECT_THAT(message("sometimes"), HasSubstr("all_success, all_done, one_success, none_failed"));
  EXPECT_THAT(message(""), HasSubstr("all_success"));
  EXPECT_THAT(message("All"), HasSubstr("'All' is unknown"));
  EXPECT_THAT(message(R"({"type":"Al"})"), HasSubstr("\"type\" must be one of AllSuccess, Always"));
  EXPECT_THAT(message(R"({})"), HasSubstr("\"type\""));
  EXPECT_THAT(message(R"({"type":"All"})"), HasSubstr("conditions"));
  EXPECT_THAT(message(R"({"type":"All","conditions":[7]})"), HasSubstr("\"type\""));
  EXPECT_THAT(message(R"({"type":"TaskSuccess"})"), HasSubstr("task_name"));
  EXPECT_THAT(message(R"({"type":"TaskSuccess","task_name":""})"), HasSubstr("task_name"));
  EXPECT_THAT(message(R"({"type":"ContextValue","key":"k","operator":"Like","value":1})"),
              HasSubstr("GreaterThan"));
  EXPECT_THAT(message(R"({"type":"ContextValue","operator":"Equals","value":1})"), HasSubstr("key"));
  EXPECT_THAT(message(R"({"type":)"), HasSubstr("byte"));
  EXPECT_FALSE(Rule::context_value("k", Operator::Equals, "{"));
}

std::string nested_json(std::size_t depth) {
  std::string text;
  for (std::size_t i = 1; i < depth; ++i) text += R"({"type":"All","conditions":[)";
  text += R"({"type":"Always"})";
  for (std::size_t i = 1; i < depth; ++i) text += "]}";
  return text;
}

TEST(TriggerJson, DepthIsBounded) {
  const auto deepest = Rule::parse(nested_json(kTriggerDepthMax));
  ASSERT_TRUE(deepest) << deepest.error().message;
  EXPECT_EQ(deepest->depth(), kTriggerDepthMax);
  EXPECT_TRUE(World().runs(*deepest));
  EXPECT_FALSE(Rule::parse(nested_json(kTriggerDepthMax + 1)));
  EXPECT_FALSE(Rule::parse(nested_json(100'000)));
  EXPECT_FALSE(World().evaluate(Rule::all({*deepest})));
}

TEST(TriggerJson, TheDeepestValueInTheDeepestRuleIsReadable) {
  Rule rule = value_is("k", Operator::Equals, std::string(64, '[') + std::string(64, ']'));
  EXPECT_FALSE(Rule::context_value("k", Operator::Equals, std::string(65, '[') + std::string(65, ']')));
  for (std::size_t i = 1; i < kTriggerDepthMax; ++i) rule = Rule::all({rule});
  EXPECT_TRUE(Rule::parse(rule.to_json()));
}

TEST(TriggerRule, NamesItsTasksFromLeftToRight) {
  const auto rule = Rule::all({Rule::task_failed("b"), value_is("k", Operator::Exists),
                               Rule::any({Rule::task_success("a"), Rule::task_skipped("b")})});
  EXPECT_THAT(rule.task_names(), ElementsAre("b", "a", "b"));
}

/// A random rule, and its verdict by the plainest reading.
std::pair<Rule, bool> random_rule(std::mt19937_64& random, const World& world, int depth) {
  const std::uint32_t kind = pick(random, depth > 0 ? 8 : 5);
  if (kind >= 5) {
    std::vector<Rule> conditions;
    std::uint32_t truths = 0;
    for (std::uint32_t count = pick(random, 4); count > 0; --count) {
      auto [rule, verdict] = random_rule(random, world, depth - 1);
      conditions.push_back(std::move(rule));
      truths += verdict;
    }
    const std::size_t size = conditions.size();
    if (kind == 5) return {Rule::all(std::move(conditions)), truths == size};
    if (kind == 6) return {Rule::any(std::move(conditions)), truths > 0};
    return {Rule::none(std::move(conditions)), truths == 0};
  }
  if (kind == 4) {  // the context is {"k":5}
    const auto op = static_cast<Operator>(pick(random, 8));
    const auto limit = pick(random, 11);
    const bool truths[] = {limit == 5, limit != 5, 5 > limit, 5 < limit, false, true, true, false};
    return {value_is("k", op, std::to_string(limit)), truths[static_cast<std::size_t>(op)]};
  }
  if (kind == 3) return {Rule::all_done(), true};
  const auto entry =
      std::next(world.states.begin(), pick(random, static_cast<std::uint32_t>(world.states.size())));
  if (kind == 0) return {Rule::task_success(entry->first), entry->second == kDone};
  if (kind == 1) return {Rule::task_failed(entry->first), entry->second == kFailed};
  return {Rule::task_skipped(entry->first), entry->second == kSkipped};
}

TEST(TriggerRule, RandomRulesDoWhatTheySayAndComeBackFromJson) {
  auto random = seeded_generator();
  World world{{{"a", kDone}, {"b", kFailed}, {"c", kSkipped}}, R"({"k":5})"};
  int runs = 0;
  for (int i = 0; i < 5'000; ++i) {
    const auto [rule, expected] = random_rule(random, world, 4);
    ASSERT_EQ(world.runs(rule), expected) << rule.to_json();
    const auto back = Rule::parse(rule.to_json());
    ASSERT_TRUE(back) << rule.to_json();
    ASSERT_EQ(*back, rule);
    ASSERT_EQ(world.runs(*back), expected) << rule.to_json();
    runs += expected;
  }
  EXPECT_GT(runs, 1'000);
  EXPECT_LT(runs, 4'000);
}

}  // namespace
}  // namespace leat
