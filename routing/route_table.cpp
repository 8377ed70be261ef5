#include "route_table.h"

namespace leat {

RouteTable::RouteTable(std::span<const Pattern> patterns) {
  for (const Pattern& pattern : patterns) rules_.add(pattern);
}

std::uint32_t RouteTable::match(const SplitName& name) const noexcept {
  for (std::uint32_t rule = 0; rule < rules_.size(); ++rule) {
    if (rules_.matches(rule, name)) return rule;
  }
  return kNoRule;
}

}  // namespace leat
