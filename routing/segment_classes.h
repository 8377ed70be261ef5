// Texts that stand for all texts: for some literals and globs, one segment for each way in which a segment
// can satisfy some of them and fail the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pattern.h"

namespace leat {

/// All segments that satisfy the same predicates, shown by a shortest one.
struct SegmentClass {
  std::string text;
  std::vector<bool> satisfies;  ///< [predicate]
  bool ends_with_colon;         ///< such a segment can only be a name's last
};

struct SegmentClasses {
  std::vector<SegmentClass> classes;
  bool complete;  ///< false: the search was given up, and there may be more
};

/// Finds the classes by running all predicates at once over texts of growing length.
///
/// @param predicates  literals and globs, each once
/// @param states_max  when to give up
[[nodiscard]] SegmentClasses classify_segments(std::span<const PatternSegment* const> predicates,
                                               std::size_t states_max);

}  // namespace leat
