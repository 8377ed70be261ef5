// The positions at which a pattern may stand in a name: how many of its segments are consumed. A set of
// them is one word, so that a search that would try each position in turn advances all of them at once.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "name_limits.h"

namespace leat {

/// A set of positions in a name of 1 to 64 segments.
struct Levels {
  std::uint64_t open;  ///< bit i: the next segment is i
  bool end;            ///< no segment is left

  [[nodiscard]] bool none() const noexcept { return open == 0 && !end; }
};

/// What positions there are in a name of `count` segments.
class LevelRange {
 public:
  explicit LevelRange(std::size_t count) noexcept
      : count_(count), all_(~std::uint64_t{0} >> (kSegmentsMax - count)) {}

  /// Before the first segment.
  [[nodiscard]] Levels start() const noexcept { return {1, false}; }

  /// Behind the segments whose bits are set.
  [[nodiscard]] Levels behind(std::uint64_t segments) const noexcept {
    return {segments << 1 & all_, (segments >> (count_ - 1) & 1) != 0};
  }

  /// Wherever any number of segments leads from `levels`.
  ///
  /// @pre !levels.none()
  [[nodiscard]] Levels anywhere_from(Levels levels) const noexcept {
    return {levels.open == 0 ? 0 : all_ & (~std::uint64_t{0} << std::countr_zero(levels.open)), true};
  }

  /// Those of `levels` at which between `least` and `most` segments are left.
  [[nodiscard]] Levels with_left(Levels levels, std::size_t least, std::size_t most) const noexcept {
    std::uint64_t open = levels.open;
    if (least > 1) open &= least > count_ ? 0 : (std::uint64_t{2} << (count_ - least)) - 1;
    if (most < count_) open &= ~std::uint64_t{1} << (count_ - most - 1);
    return {open, levels.end && least == 0};
  }

 private:
  std::size_t count_;
  std::uint64_t all_;
};

}  // namespace leat
