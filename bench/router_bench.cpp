#include "router_bench.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <unordered_set>

namespace leat::bench {
namespace {

/// Words and rules by the dozen, from one generator.
class LoadMaker {
 public:
  explicit LoadMaker(std::size_t rules) : tenants_(rules / 20 + 8), tasks_(rules / 10 + 16) {}

  std::string pattern() {
    const std::size_t segments = 4 + below(3);
    std::vector<std::string> parts = words(segments);
    const std::size_t kind = below(100);
    const std::size_t inner = 1 + below(segments - 2);
    if (kind < 30) {
      // exact
    } else if (kind < 60) {
      parts.back() = "*";
    } else if (kind < 85) {
      parts[inner] = "*";
    } else if (kind < 95) {
      parts.resize(2);
      switch (below(3)) {
        case 0:
          return "**::" + parts[0] + "::" + task();
        case 1:
          return parts[0] + "::" + parts[1] + "::**";
        default:
          return parts[0] + "::**::" + task();
      }
    } else {
      std::string& part = parts[below(4) == 0 ? inner : segments - 1];
      part = below(2) == 0 ? part.substr(0, 7) + "*" : "*" + part.substr(part.size() / 2);
    }
    return join(parts);
  }

  /// A name that `pattern` matches, of 4 to 6 segments.
  std::string hit(std::string_view pattern) {
    std::vector<std::string_view> segments;
    split_segments(pattern, segments);
    std::vector<std::string> parts;
    for (const std::string_view segment : segments) {
      if (segment == "**") {
        for (std::size_t more = 4 - std::min<std::size_t>(segments.size() - 1, 4) + below(2); more > 0;
             --more) {
          parts.push_back(task());
        }
      } else if (segment == "*") {
        parts.push_back(task());
      } else {
        parts.emplace_back(segment);
        const std::size_t star = parts.back().find('*');
        if (star != std::string::npos) parts.back().replace(star, 1, std::to_string(below(1000)));
      }
    }
    return join(parts);
  }

  /// A name of the same words, which as a rule nothing matches.
  std::string miss() { return join(words(4 + below(3))); }

  std::size_t below(std::size_t bound) { return rng_() % bound; }

 private:
  std::string task() { return "task_" + std::to_string(below(tasks_)) + kStems[below(kStems.size())]; }

  std::vector<std::string> words(std::size_t count) {
    std::vector<std::string> parts{"tenant_" + std::to_string(below(tenants_)),
                                   "pkg_" + std::to_string(below(40))};
    while (parts.size() + 1 < count) parts.push_back("flow_" + std::to_string(below(60)));
    parts.push_back(task());
    return parts;
  }

  static std::string join(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : "::") + part;
    return text;
  }

  const std::vector<std::string> kStems{"_load", "_train", "_merge", "_report"};
  std::mt19937_64 rng_{20260101};
  std::size_t tenants_;
  std::size_t tasks_;
};

RouteLoad make_load(std::size_t rules) {
  LoadMaker maker(rules);
  RouteLoad load;
  std::unordered_set<std::string> seen;
  while (load.patterns.size() < rules) {
    std::string pattern = maker.pattern();
    if (seen.insert(pattern).second) load.patterns.push_back(std::move(pattern));
  }
  while (load.distinct.size() < kNameCount) {
    const bool hit = load.distinct.size() % 2 == 0;
    std::string name = hit ? maker.hit(load.patterns[maker.below(rules)]) : maker.miss();
    if (seen.insert(name).second) load.distinct.push_back(std::move(name));
  }
  std::mt19937_64 rng(7);
  std::shuffle(load.distinct.begin(), load.distinct.end(), rng);
  std::vector<double> weights(kNameCount);
  for (std::size_t i = 0; i < kNameCount; ++i) weights[i] = 1.0 / static_cast<double>(i + 1);
  std::discrete_distribution<std::size_t> draw(weights.begin(), weights.end());
  while (load.zipf.size() < kNameCount) load.zipf.push_back(load.distinct[draw(rng)]);
  return load;
}

}  // namespace

const RouteLoad& route_load(std::size_t rules) {
  static std::map<std::size_t, RouteLoad> loads;  // one thread; kept for the next benchmark of this size
  const auto known = loads.find(rules);
  return known != loads.end() ? known->second : loads.emplace(rules, make_load(rules)).first->second;
}

void split_segments(std::string_view text, std::vector<std::string_view>& segments) {
  segments.clear();
  for (;;) {
    const std::size_t end = text.find("::");
    segments.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 2);
  }
}

}  // namespace leat::bench
