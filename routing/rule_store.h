// The rules' patterns in the form in which a name is compared with one of them: the exact judge, of which
// every index is only a hint. Knows nothing of the order of rules or of keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pattern.h"
#include "split_name.h"

namespace leat {

/// Patterns, numbered from 0, each in one run of bytes (header, steps, texts), so that a comparison
/// touches one or two cache lines.
class RuleStore {
 public:
  /// How far a name follows a pattern.
  struct Progress {
    bool matches;
    std::size_t steps;  ///< segments of the normal form that are satisfied before it fails
  };

  void add(const Pattern& pattern);

  [[nodiscard]] std::size_t size() const noexcept { return offsets_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept {
    return blocks_.size() + offsets_.size() * sizeof(offsets_[0]);
  }

  /// As compare(), without the account of it.
  [[nodiscard]] bool matches(std::uint32_t rule, const SplitName& name) const noexcept;

  /// Progress: no allocation, no recursion.
  /// Complexity: O(segments of the pattern x segments of the name) comparisons of segments, whatever the
  ///             number of `**`.
  [[nodiscard]] Progress compare(std::uint32_t rule, const SplitName& name) const noexcept;

 private:
  std::vector<std::uint32_t> offsets_;
  std::vector<unsigned char> blocks_;  // padded
};

}  // namespace leat
