// What the peers of the route table share: how they are measured, the scan that judges their answers, and the
// regular expression of a pattern.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "router_bench.h"

namespace leat::bench {

inline constexpr std::uint32_t kNoRule = 0xFFFFFFFFu;

/// One pattern after the other, segment by segment, recursive at `**` only.
class LinearScan {
 public:
  explicit LinearScan(const std::vector<std::string>& patterns) {
    for (const std::string& text : patterns) {
      std::vector<std::string_view> segments;
      split_segments(text, segments);
      std::vector<Segment>& rule = rules_.emplace_back();
      for (const std::string_view segment : segments) {
        const std::size_t star = segment.find('*');
        const Kind kind = segment == "**"                  ? Kind::AnyRun
                          : segment == "*"                 ? Kind::Any
                          : star == std::string_view::npos ? Kind::Literal
                                                           : Kind::Glob;
        rule.push_back({kind, segment, std::min(star, segment.size())});
      }
    }
  }

  std::uint32_t match(std::string_view text) {
    split_segments(text, name_);  // keeps its capacity
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      if (matches(rules_[i].data(), rules_[i].data() + rules_[i].size(), 0))
        return static_cast<std::uint32_t>(i);
    }
    return kNoRule;
  }

 private:
  enum class Kind { Literal, Any, AnyRun, Glob };
  struct Segment {
    Kind kind;
    std::string_view text;
    std::size_t star;  // in this load a glob has one
  };

  bool matches(const Segment* at, const Segment* end, std::size_t level) const {
    for (; at != end; ++at, ++level) {
      if (at->kind == Kind::AnyRun) {
        if (at + 1 == end) return true;
        for (std::size_t skip = level; skip < name_.size(); ++skip) {
          if (matches(at + 1, end, skip)) return true;
        }
        return false;
      }
      if (level == name_.size() || !segment_matches(*at, name_[level])) return false;
    }
    return level == name_.size();
  }

  static bool segment_matches(const Segment& pattern, std::string_view text) {
    if (pattern.kind == Kind::Any) return true;
    if (pattern.kind == Kind::Literal) return pattern.text == text;
    return text.size() + 1 >= pattern.text.size() && text.starts_with(pattern.text.substr(0, pattern.star)) &&
           text.ends_with(pattern.text.substr(pattern.star + 1));
  }

  std::vector<std::vector<Segment>> rules_;
  std::vector<std::string_view> name_;
};

/// The load's names have no single colon, so `[^:]` is a byte of a segment.
inline std::string regex_of(std::string_view pattern) {
  std::vector<std::string_view> segments;
  split_segments(pattern, segments);
  std::string regex;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const bool first = i == 0;
    if (segments[i] == "**") {
      if (first)
        regex += "(?:[^:]+::)*";
      else
        regex += "(?:::[^:]+)*";
      continue;
    }
    if (!first && !(i == 1 && segments[0] == "**")) regex += "::";
    if (segments[i] == "*") {
      regex += "[^:]+";
      continue;
    }
    for (const char letter : segments[i]) {
      if (letter == '*')
        regex += "[^:]*";
      else
        regex += letter;
    }
  }
  return "^" + regex + "$";
}

/// Matches the load's names in turn, after a look at whether the peer's answers are right.
template <class Peer>
void match_peer(benchmark::State& state, std::size_t rules, bool zipf) {
  const RouteLoad& load = route_load(rules);
  Peer peer(load.patterns);
  LinearScan judge(load.patterns);
  const std::vector<std::string>& names = zipf ? load.zipf : load.distinct;
  for (std::size_t i = 0; i < 64; ++i) {
    if (peer.match(names[i]) != judge.match(names[i])) return state.SkipWithError("wrong rule");
  }
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(peer.match(names[next]));
    next = next + 1 == names.size() ? 0 : next + 1;
  }
  state.SetItemsProcessed(state.iterations());
}

template <class Peer>
void register_peer(const std::string& subject, std::size_t rules_max) {
  for (const std::size_t rules : {10, 100, 1'000, 10'000, 100'000}) {
    if (rules > rules_max) continue;
    for (const bool zipf : {false, true}) {
      const std::string name = "BM_" + subject + "_Match/rules:" + std::to_string(rules) +
                               (zipf ? "/names:zipf" : "/names:distinct");
      benchmark::RegisterBenchmark(name.c_str(), match_peer<Peer>, rules, zipf)->UseRealTime();
    }
  }
}

}  // namespace leat::bench
