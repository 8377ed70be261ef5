#include "leat/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include "leat/route_cache.h"

namespace {
thread_local std::size_t allocations = 0;  // of this thread
}  // namespace

// Not inlined: g++ would take the pair apart and warn.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace leat {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Routed {
  explicit Routed(const RoutingConfig& config) : router(*Router::make(config, names)) {}

  std::string key(std::string_view name, std::uint64_t sticky = 0) {
    return std::string(router->key(*router->resolve(name, sticky)));
  }
  std::string key(Namespace name, std::uint64_t sticky = 0) {
    return std::string(router->key(router->resolve(name, sticky)));
  }

  NamespaceTable names;
  std::unique_ptr<Router> router;
};

RouteError refusal(const RoutingConfig& config) {
  NamespaceTable names;
  return Router::make(config, names).error();
}

TEST(Router, TakesTheFirstRuleThatMatches) {
  Routed routed(RoutingConfig("cpu").with_rule("ml::train", "a").with_rule("ml::*", "b"));
  EXPECT_EQ(routed.key("ml::train"), "a");
  EXPECT_EQ(routed.key("ml::predict"), "b");
  EXPECT_EQ(routed.key("etl::load"), "cpu");
}

TEST(Router, RoutesARegisteredNameLikeItsText) {
  Routed routed(RoutingConfig().with_rule("**::heavy_*", "gpu"));
  const Namespace heavy = *routed.names.intern("a::b::c::heavy_x");
  const Namespace light = *routed.names.intern("a::b::c::light_x");
  for (int round = 0; round < 3; ++round) {  // computed first, cached then
    EXPECT_EQ(routed.key(heavy), "gpu");
    EXPECT_EQ(routed.key(light), "default");
  }
}

TEST(Router, NumbersKeysDenselyAndKeepsThemThroughSwaps) {
  Routed routed(RoutingConfig("cpu").with_rule("a", "gpu"));
  const ExecutorKeyId gpu = *routed.router->resolve("a", 0);
  EXPECT_EQ(routed.router->intern_key("gpu"), gpu);
  ASSERT_TRUE(
      routed.router->swap(RoutingConfig("other").with_rule("b", "more").with_rule("a", "gpu")).has_value());
  EXPECT_EQ(*routed.router->resolve("a", 0), gpu);
  EXPECT_EQ(routed.router->key_count(), 4u);
  for (ExecutorKeyId id = 0; id < 4; ++id) EXPECT_EQ(routed.router->intern_key(routed.router->key(id)), id);
}

TEST(Router, ListsTheKeysThatItsRulesName) {
  Routed routed(RoutingConfig("cpu")
                    .with_rule("a", "gpu")
                    .with_rule("b", "cpu")
                    .with_rule(RoutingRule("c", std::vector<Share>{{"gpu", 50}, {"new", 50}})));
  std::vector<std::string> keys;
  for (const ExecutorKeyId id : routed.router->routed_keys()) keys.emplace_back(routed.router->key(id));
  EXPECT_THAT(keys, ElementsAre("cpu", "gpu", "new"));
}

TEST(Router, RefusesARuleWithItsNumberAndPosition) {
  const RouteError error = refusal(RoutingConfig().with_rule("a", "k").with_rule("a::::b", "k"));
  EXPECT_EQ(error.code, RouteErrorCode::EmptySegment);
  EXPECT_EQ(error.rule, 2u);
  EXPECT_EQ(error.position, 4u);
  EXPECT_THAT(error.message, HasSubstr("rule 2 'a::::b' at position 4"));
}

TEST(Router, RefusesEmptyKeys) {
  EXPECT_EQ(refusal(RoutingConfig().with_rule("a", "")).code, RouteErrorCode::EmptyKey);
  EXPECT_EQ(refusal(RoutingConfig("")).code, RouteErrorCode::EmptyKey);
}

TEST(Router, RefusesSharesThatAreNoWhole) {
  const auto code = [](std::vector<Share> shares) {
    return refusal(RoutingConfig().with_rule(RoutingRule("a", std::move(shares)))).code;
  };
  EXPECT_EQ(code({{"a", 50}, {"b", 49}}), RouteErrorCode::BadSplit);
  EXPECT_EQ(code({{"a", 50}, {"a", 50}}), RouteErrorCode::BadSplit);
  EXPECT_EQ(code({{"a", 50}, {"", 50}}), RouteErrorCode::EmptyKey);
}

TEST(Router, AnswersNamesBeyondTheLimitsWithATypedError) {
  Routed routed(RoutingConfig().with_rule("**", "k"));
  EXPECT_EQ(routed.router->resolve("", 0).error(), RouteErrorCode::EmptyName);
  EXPECT_EQ(routed.router->resolve("a::", 0).error(), RouteErrorCode::EmptySegment);
  EXPECT_EQ(routed.router->resolve(std::string(513, 'a'), 0).error(), RouteErrorCode::TooLong);
}

TEST(Router, KeepsTheOldRulesIfTheNewOnesAreRefused) {
  Routed routed(RoutingConfig().with_rule("a::**", "old"));
  const std::uint32_t epoch = routed.router->epoch();
  EXPECT_FALSE(routed.router->swap(RoutingConfig().with_rule("a::", "new")).has_value());
  EXPECT_EQ(routed.key("a::b"), "old");
  EXPECT_EQ(routed.router->epoch(), epoch);
}

TEST(Router, ReportsTheRegisteredNamesThatASwapMoves) {
  Routed routed(RoutingConfig().with_rule("a::**", "gpu"));
  const Namespace moved = *routed.names.intern("a::b::c::d");
  const Namespace kept = *routed.names.intern("x::b::c::d");
  EXPECT_EQ(routed.key(moved), "gpu");
  EXPECT_EQ(routed.key(kept), "default");
  const auto report = routed.router->swap(RoutingConfig().with_rule("a::**", "tpu"));
  ASSERT_TRUE(report.has_value());
  ASSERT_EQ(report->changes.size(), 1u);
  EXPECT_EQ(report->changes[0].name, moved);
  EXPECT_EQ(report->changes[0].from, "gpu");
  EXPECT_EQ(report->changes[0].to, "tpu");
  EXPECT_EQ(report->epoch, routed.router->epoch());
  EXPECT_EQ(routed.key(moved), "tpu");
  EXPECT_EQ(routed.key(kept), "default");
}

TEST(Router, RoutesRightBesideAnotherRouterOverTheSameNames) {
  Routed routed(RoutingConfig("first"));
  const auto other = *Router::make(RoutingConfig("second"), routed.names);
  const Namespace name = *routed.names.intern("a::b::c::d");
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(routed.key(name), "first");
    EXPECT_EQ(other->key(other->resolve(name, 0)), "second");
  }
}

TEST(Router, SplitsByThePercentagesAndKeepsAPipelineWhereItIs) {
  Routed routed(
      RoutingConfig().with_rule(RoutingRule("a::**", std::vector<Share>{{"old", 90}, {"new", 10}})));
  const Namespace name = *routed.names.intern("a::b::c::d");
  int fresh = 0;
  constexpr int kPipelines = 10'000;
  for (std::uint64_t pipeline = 0; pipeline < kPipelines; ++pipeline) {
    const std::string key = routed.key(name, pipeline);
    EXPECT_EQ(routed.key(name, pipeline), key);
    EXPECT_EQ(routed.key("a::other", pipeline), key);
    fresh += key == "new" ? 1 : 0;
  }
  EXPECT_NEAR(fresh, kPipelines / 10, 150);  // five standard deviations
}

TEST(Router, MovesPipelinesOneWayOnlyWhenAShareGrows) {
  const auto config = [](std::uint32_t percent) {
    return RoutingConfig().with_rule(
        RoutingRule("**", std::vector<Share>{{"old", 100 - percent}, {"new", percent}}));
  };
  Routed routed(config(10));
  std::vector<bool> was_new;
  for (std::uint64_t pipeline = 0; pipeline < 1000; ++pipeline)
    was_new.push_back(routed.key("a", pipeline) == "new");
  ASSERT_TRUE(routed.router->swap(config(40)).has_value());
  for (std::uint64_t pipeline = 0; pipeline < 1000; ++pipeline) {
    EXPECT_TRUE(!was_new[pipeline] || routed.key("a", pipeline) == "new") << pipeline;
  }
}

TEST(Router, AllocatesNothingToRoute) {
  RoutingConfig config;
  for (int i = 0; i < 200; ++i) {
    const std::string n = std::to_string(i);
    config.with_rule("a" + n + "::**::b*::**::c" + n, "k")
        .with_rule("**::x*" + n + "*y", "k")
        .with_rule("*::*" + n, "k");
  }
  config.with_rule(RoutingRule("s::**", std::vector<Share>{{"a", 50}, {"b", 50}}));
  Routed routed(config);
  const Namespace plain = *routed.names.intern("a1::q::bb::c1");
  const Namespace split = *routed.names.intern("s::q::bb::c1");
  std::string longest = "a7";
  for (int i = 0; i < 63; ++i) longest += "::bx1y";
  const std::size_t before = allocations;
  for (std::uint64_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(routed.router->resolve("a7::m::bcd::n::c7", i).has_value());
    EXPECT_TRUE(routed.router->resolve(longest, i).has_value());
    (void)routed.router->resolve(plain, i);
    (void)routed.router->resolve(split, i);
  }
  EXPECT_EQ(allocations, before);
}

TEST(RouteCache, AgreesWithTheRouterAcrossASwap) {
  Routed routed(
      RoutingConfig("one").with_rule(RoutingRule("s::**", std::vector<Share>{{"a", 50}, {"b", 50}})));
  RouteCache cache(*routed.router, 4);
  const std::array<std::string, 6> names{"a", "b::c", "s::x", "a::b::c::d", std::string(200, 'l'), "z"};
  for (const char* key : {"one", "two"}) {
    for (int round = 0; round < 3; ++round) {
      for (const std::string& name : names) {
        for (std::uint64_t pipeline = 0; pipeline < 8; ++pipeline) {
          EXPECT_EQ(*cache.resolve(name, pipeline), *routed.router->resolve(name, pipeline)) << name;
        }
      }
    }
    EXPECT_EQ(routed.router->key(*cache.resolve("a", 0)), key);
    ASSERT_TRUE(routed.router->swap(RoutingConfig("two")).has_value());
  }
  EXPECT_EQ(cache.resolve("a::", 0).error(), RouteErrorCode::EmptySegment);
}

}  // namespace
}  // namespace leat
