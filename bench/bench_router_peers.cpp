// What leat's route table is compared to, with the same rules and names: a linear scan over patterns that
// were split beforehand, RE2::Set and Hyperscan. The two libraries report all matches, of which the smallest
// is kept.
#include <benchmark/benchmark.h>
#include <hs/hs.h>
#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "router_bench.h"

namespace leat::bench {
namespace {

constexpr std::uint32_t kNoRule = 0xFFFFFFFFu;

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
std::string regex_of(std::string_view pattern) {
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

class Re2Set {
 public:
  explicit Re2Set(const std::vector<std::string>& patterns) : set_(options(), RE2::UNANCHORED) {
    for (const std::string& pattern : patterns) {
      if (set_.Add(regex_of(pattern), nullptr) < 0) throw std::runtime_error("RE2::Set::Add");
    }
    if (!set_.Compile()) throw std::runtime_error("RE2::Set::Compile");
  }

  std::uint32_t match(std::string_view name) {
    found_.clear();
    if (!set_.Match({name.data(), name.size()}, &found_)) return kNoRule;
    return static_cast<std::uint32_t>(*std::min_element(found_.begin(), found_.end()));
  }

 private:
  static RE2::Options options() {
    RE2::Options options;
    options.set_max_mem(std::int64_t{1} << 31);  // else its automaton is thrown away again and again
    options.set_log_errors(false);
    return options;
  }

  RE2::Set set_;
  std::vector<int> found_;
};

class Hyperscan {
 public:
  explicit Hyperscan(const std::vector<std::string>& patterns) {
    std::vector<std::string> regexes;
    std::vector<const char*> texts;
    std::vector<unsigned> ids;
    for (const std::string& pattern : patterns) regexes.push_back(regex_of(pattern));
    for (const std::string& regex : regexes) {
      ids.push_back(static_cast<unsigned>(texts.size()));
      texts.push_back(regex.c_str());
    }
    const std::vector<unsigned> flags(texts.size(), HS_FLAG_SINGLEMATCH | HS_FLAG_DOTALL);
    hs_compile_error_t* error = nullptr;
    if (hs_compile_multi(texts.data(), flags.data(), ids.data(), static_cast<unsigned>(texts.size()),
                         HS_MODE_BLOCK, nullptr, &database_, &error) != HS_SUCCESS ||
        hs_alloc_scratch(database_, &scratch_) != HS_SUCCESS) {
      throw std::runtime_error("hs_compile_multi");
    }
  }
  ~Hyperscan() {
    hs_free_scratch(scratch_);
    hs_free_database(database_);
  }
  Hyperscan(const Hyperscan&) = delete;
  Hyperscan& operator=(const Hyperscan&) = delete;

  std::uint32_t match(std::string_view name) {
    std::uint32_t best = kNoRule;
    const auto keep = [](unsigned id, unsigned long long, unsigned long long, unsigned, void* context) {
      auto& smallest = *static_cast<std::uint32_t*>(context);
      smallest = std::min(smallest, std::uint32_t{id});
      return 0;
    };
    hs_scan(database_, name.data(), static_cast<unsigned>(name.size()), 0, scratch_, keep, &best);
    return best;
  }

 private:
  hs_database_t* database_ = nullptr;
  hs_scratch_t* scratch_ = nullptr;
};

template <class Peer>
void match(benchmark::State& state, std::size_t rules, bool zipf) {
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
      benchmark::RegisterBenchmark(name.c_str(), match<Peer>, rules, zipf)->UseRealTime();
    }
  }
}

[[maybe_unused]] const bool kRegistered = [] {
  register_peer<LinearScan>("LinearScan", 100'000);
  register_peer<Re2Set>("Re2Set", 10'000);        // beyond: minutes to build, gigabytes
  register_peer<Hyperscan>("Hyperscan", 10'000);  // the same
  return true;
}();

}  // namespace
}  // namespace leat::bench
