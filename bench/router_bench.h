// The rule sets and names that the routers are measured with: the same for all, from a fixed seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace leat::bench {

/// What a router is given and asked.
struct RouteLoad {
  /// 60 % exact or a literal prefix and `*`, 25 % with an inner `*`, 10 % with `**`, 5 % with a partial glob.
  std::vector<std::string> patterns;
  /// 16,384 names of 4 to 6 segments. Distinct: each once, about half of them made to match some rule. Zipf:
  /// drawn from these, the k-th most frequent with a weight of 1/k.
  std::vector<std::string> distinct;
  std::vector<std::string> zipf;
};

inline constexpr std::size_t kNameCount = 1 << 14;

/// @return  the load for so many rules, made once
[[nodiscard]] const RouteLoad& route_load(std::size_t rules);

/// Splits at `::`. Views into `text`.
void split_segments(std::string_view text, std::vector<std::string_view>& segments);

}  // namespace leat::bench
