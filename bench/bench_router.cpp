// BM_RouteTable_*, BM_Router_*: what it costs leat to route one name.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "leat/route_cache.h"
#include "leat/router.h"
#include "pattern.h"
#include "route_table.h"
#include "router_bench.h"
#include "split_name.h"

namespace leat::bench {
namespace {

std::vector<Pattern> parse_all(const std::vector<std::string>& texts) {
  std::vector<Pattern> patterns;
  patterns.reserve(texts.size());
  for (const std::string& text : texts) patterns.push_back(*Pattern::parse(text));
  return patterns;
}

std::uint32_t match_one(const RouteTable& table, std::string_view text) {
  SplitName name;
  if (name.split(text)) return RouteTable::kNoRule;
  return table.match(name);
}

/// Matches the names in turn; one item is one name, from its text to the number of its rule.
void run_match(benchmark::State& state, const RouteTable& table, const std::vector<std::string>& names) {
  std::size_t hits = 0;
  for (const std::string& name : names) hits += match_one(table, name) != RouteTable::kNoRule ? 1 : 0;
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(match_one(table, names[next]));
    next = next + 1 == names.size() ? 0 : next + 1;
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["hits"] = static_cast<double>(hits) / static_cast<double>(names.size());
  state.counters["hot_bytes_per_rule"] =
      static_cast<double>(table.hot_bytes()) / static_cast<double>(table.rule_count());
}

void match(benchmark::State& state, std::size_t rules, bool zipf) {
  const RouteLoad& load = route_load(rules);
  const RouteTable table(parse_all(load.patterns));
  run_match(state, table, zipf ? load.zipf : load.distinct);
}

/// `a::**::` eight times over against 64 segments that never fit, and against shorter names of the same kind.
void match_adversarial(benchmark::State& state, std::size_t rules, std::size_t segments) {
  std::string stem;
  for (int i = 0; i < 8; ++i) stem += "a::**::";
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < rules; ++i) texts.push_back(stem + "z" + std::to_string(i));
  std::string name = "a";
  for (std::size_t i = 1; i < segments; ++i) name += "::a";
  run_match(state, RouteTable(parse_all(texts)), {name});
}

void build(benchmark::State& state, std::size_t rules) {
  const RouteLoad& load = route_load(rules);
  for (auto _ : state) {
    const RouteTable table(parse_all(load.patterns));
    benchmark::DoNotOptimize(table.hot_bytes());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(rules));
}

/// A Router over the patterns, with the names of four segments among `names` registered.
struct Routed {
  explicit Routed(const RouteLoad& load) {
    RoutingConfig config;
    for (std::size_t i = 0; i < load.patterns.size(); ++i) {
      config.with_rule(load.patterns[i], "key_" + std::to_string(i % 16));
    }
    router = *Router::make(config, names);
    for (const std::string& text : load.distinct) {
      const auto name = names.intern(text);
      if (name && registered.size() < 1024) registered.push_back(*name);
    }
  }

  NamespaceTable names;
  std::unique_ptr<Router> router;
  std::vector<Namespace> registered;
};

void resolve_registered(benchmark::State& state) {
  const Routed routed(route_load(10'000));
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(routed.router->resolve(routed.registered[next], 1));
    next = next + 1 == routed.registered.size() ? 0 : next + 1;
  }
  state.SetItemsProcessed(state.iterations());
}

void resolve_text(benchmark::State& state) {
  const RouteLoad& load = route_load(10'000);
  const Routed routed(load);
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(routed.router->resolve(load.zipf[next], 1));
    next = next + 1 == load.zipf.size() ? 0 : next + 1;
  }
  state.SetItemsProcessed(state.iterations());
}

void resolve_cached(benchmark::State& state) {
  const RouteLoad& load = route_load(10'000);
  const Routed routed(load);
  RouteCache cache(*routed.router, 4096);
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(cache.resolve(load.zipf[next], 1));
    next = next + 1 == load.zipf.size() ? 0 : next + 1;
  }
  state.SetItemsProcessed(state.iterations());
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const std::size_t rules : {10, 100, 1'000, 10'000, 100'000}) {
    const std::string size = "/rules:" + std::to_string(rules);
    for (const bool zipf : {false, true}) {
      const std::string name = "BM_RouteTable_Match" + size + (zipf ? "/names:zipf" : "/names:distinct");
      benchmark::RegisterBenchmark(name.c_str(), match, rules, zipf)->UseRealTime();
    }
    benchmark::RegisterBenchmark(("BM_RouteTable_Build" + size).c_str(), build, rules)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  }
  for (const std::size_t rules : {1, 1'000}) {
    for (const std::size_t segments : {16, 32, 64}) {
      const std::string name = "BM_RouteTable_MatchAdversarial/rules:" + std::to_string(rules) +
                               "/segments:" + std::to_string(segments);
      benchmark::RegisterBenchmark(name.c_str(), match_adversarial, rules, segments)->UseRealTime();
    }
  }
  benchmark::RegisterBenchmark("BM_Router_ResolveRegistered", resolve_registered)->UseRealTime();
  benchmark::RegisterBenchmark("BM_Router_ResolveText/rules:10000/names:zipf", resolve_text)->UseRealTime();
  benchmark::RegisterBenchmark("BM_Router_ResolveCached/rules:10000/names:zipf", resolve_cached)
      ->UseRealTime();
  return true;
}();

}  // namespace
}  // namespace leat::bench
