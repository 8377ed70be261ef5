// One routing pattern, checked and brought into a normal form, so that patterns that differ in spelling
// only are equal. Knows nothing of keys, of the order of rules, or of how they are searched.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "leat/route_error.h"
#include "name_limits.h"

namespace leat {

enum class SegmentKind : std::uint8_t {
  Literal,  ///< these bytes
  Glob,     ///< bytes with `*` for any run of bytes
  Any,      ///< `*`: any one segment
  AnyRun,   ///< `**`: any number of segments, also none
};

struct PatternSegment {
  SegmentKind kind;
  std::string text;  ///< of a glob: no two `*` in a row
  friend bool operator==(const PatternSegment&, const PatternSegment&) = default;
};

/// What is wrong with a pattern or name, and at which byte, from 0.
struct TextError {
  RouteErrorCode code;
  std::size_t position;
};

/// A sequence of segments in normal form: of neighbouring `*` and `**` at most one `**` is left, in front
/// of the `*` where the pattern begins with them (`*::**::b` reads as `**::*::b`), behind them elsewhere.
class Pattern {
 public:
  /// @return  the pattern, or the first thing wrong with it
  [[nodiscard]] static std::expected<Pattern, TextError> parse(std::string_view text);

  [[nodiscard]] const std::vector<PatternSegment>& segments() const noexcept { return segments_; }

  /// Segments that a name must have at least.
  [[nodiscard]] std::size_t segments_min() const noexcept { return segments_.size() - runs_; }
  [[nodiscard]] bool bounded() const noexcept { return runs_ == 0; }

  /// The normal form as text.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<PatternSegment> segments_;
  std::size_t runs_ = 0;  ///< number of AnyRun
};

/// Splits at `::` from left to right and calls `visit(begin, size)` for each segment.
///
/// @return  nothing, or an empty or overlong name or segment
template <class Visit>
std::optional<TextError> for_each_segment(std::string_view text, Visit&& visit) {
  if (text.size() > kNameBytesMax) return TextError{RouteErrorCode::TooLong, kNameBytesMax};
  std::size_t begin = 0;
  for (std::size_t count = 0;; ++count) {
    const std::size_t end = std::min(text.find("::", begin), text.size());
    if (end == begin) return TextError{RouteErrorCode::EmptySegment, begin};
    if (count == kSegmentsMax) return TextError{RouteErrorCode::TooManySegments, begin};
    visit(begin, end - begin);
    if (end == text.size()) return std::nullopt;
    begin = end + 2;
  }
}

}  // namespace leat
