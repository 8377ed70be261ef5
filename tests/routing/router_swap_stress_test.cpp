// Rules are swapped while others route: every answer belongs to one complete set of rules, none is older than
// the last swap that had returned, and old sets are gone.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "leat/router.h"

namespace leat {
namespace {

constexpr std::uint32_t kGenerations = 120;
constexpr std::uint32_t kReaders = 3;

/// Rules that send everything to key "g<generation>", each name by another kind of rule.
RoutingConfig generation_config(std::uint32_t generation) {
  const std::string key = "g" + std::to_string(generation);
  RoutingConfig config(key);
  for (std::uint32_t i = 0; i < 20 + generation % 7; ++i) {  // tables of several shapes
    config.with_rule("filler" + std::to_string(i) + "::*::**", "filler");
  }
  return config.with_rule("a::*::c::*", key)
      .with_rule("**::heavy_*", key)
      .with_rule(RoutingRule("s::**", std::vector<Share>{{key, 100}}));
}

TEST(RouterSwap, RoutesByOneWholeSetOfRulesThatIsNotStale) {
  NamespaceTable names;
  const auto router = *Router::make(generation_config(0), names);
  const std::vector<Namespace> registered{*names.intern("a::b::c::d"), *names.intern("x::y::z::heavy_1"),
                                          *names.intern("s::y::z::t"), *names.intern("none::y::z::t")};
  std::atomic<std::uint32_t> installed{0};  // the last generation whose swap() has returned
  std::atomic<std::uint32_t> begun{0};      // the last whose swap() was called
  std::atomic<std::uint32_t> wrong{0};
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> routed{0};

  const auto check = [&](std::string_view key, std::uint32_t oldest) {
    const auto generation = static_cast<std::uint32_t>(std::stoul(std::string(key.substr(1))));
    if (key[0] != 'g' || generation < oldest || generation > begun.load(std::memory_order_acquire)) {
      wrong.fetch_add(1, std::memory_order_relaxed);
    }
    routed.fetch_add(1, std::memory_order_relaxed);
  };
  std::vector<std::thread> readers;
  for (std::uint32_t reader = 0; reader < kReaders; ++reader) {
    readers.emplace_back([&, reader] {
      for (std::uint64_t i = reader; !stop.load(std::memory_order_relaxed); ++i) {
        const Namespace name = registered[i % registered.size()];
        std::uint32_t oldest = installed.load(std::memory_order_acquire);
        check(router->key(router->resolve(name, i)), oldest);
        oldest = installed.load(std::memory_order_acquire);
        check(router->key(*router->resolve(name.view(), i)), oldest);
      }
    });
  }
  for (std::uint32_t generation = 1; generation <= kGenerations; ++generation) {
    begun.store(generation, std::memory_order_release);
    const auto report = router->swap(generation_config(generation));
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->changes.size(), registered.size());
    installed.store(generation, std::memory_order_release);
    const std::uint64_t before = routed.load(std::memory_order_relaxed);
    while (routed.load(std::memory_order_relaxed) == before) std::this_thread::yield();  // readers get on
  }
  stop.store(true, std::memory_order_relaxed);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0u);
}

TEST(RouterSwap, TakesSwapsOfSeveralThreadsOneAfterTheOther) {
  NamespaceTable names;
  const auto router = *Router::make(generation_config(0), names);
  const Namespace name = *names.intern("a::b::c::d");
  std::vector<std::thread> writers;
  for (std::uint32_t writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      for (std::uint32_t i = 0; i < 50; ++i) {
        ASSERT_TRUE(router->swap(generation_config(1 + writer * 50 + i)).has_value());
        (void)router->resolve(name, i);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(router->epoch(), 151u);
  EXPECT_EQ(router->key(router->resolve(name, 0)), router->key(*router->resolve(name.view(), 0)));
}

}  // namespace
}  // namespace leat
