// The compiled form of an ordered list of patterns: which is the first that matches a name? Immutable once
// built. Knows nothing of keys, of swaps, or of who asks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "pattern.h"
#include "rule_store.h"
#include "split_name.h"

namespace leat {

/// An immutable index over the patterns of a list of rules.
///
/// Thread-safety: any number of threads may match.
class RouteTable {
 public:
  static constexpr std::uint32_t kNoRule = 0xFFFFFFFFu;

  explicit RouteTable(std::span<const Pattern> patterns);

  /// @return  the first rule, from 0, that matches; kNoRule if none does
  /// Progress: wait-free; no allocation.
  [[nodiscard]] std::uint32_t match(const SplitName& name) const noexcept;

  [[nodiscard]] const RuleStore& rules() const noexcept { return rules_; }

 private:
  RuleStore rules_;
};

}  // namespace leat
