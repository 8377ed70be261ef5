// What routing rules mean, written as plainly as it can be: recursive, exponential, and independent of the
// library.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leat::reference {

using Segments = std::vector<std::string>;

/// @return  the segments, or nothing if a name or pattern of this form is refused
inline std::optional<Segments> split(std::string_view text) {
  if (text.empty() || text.size() > 512) return std::nullopt;
  Segments segments(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "::") {
      segments.emplace_back();
      ++i;
    } else {
      segments.back() += text[i];
    }
  }
  if (segments.size() > 64) return std::nullopt;
  for (const std::string& segment : segments) {
    if (segment.empty()) return std::nullopt;
  }
  return segments;
}

inline bool segment_matches(std::string_view glob, std::string_view text) {
  if (glob.empty()) return text.empty();
  if (glob[0] != '*')
    return !text.empty() && glob[0] == text[0] && segment_matches(glob.substr(1), text.substr(1));
  return segment_matches(glob.substr(1), text) || (!text.empty() && segment_matches(glob, text.substr(1)));
}

inline bool matches(std::span<const std::string> pattern, std::span<const std::string> name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == "**") {
    return matches(pattern.subspan(1), name) || (!name.empty() && matches(pattern, name.subspan(1)));
  }
  return !name.empty() && segment_matches(pattern[0], name[0]) &&
         matches(pattern.subspan(1), name.subspan(1));
}

/// @return  index of the first pattern that matches
inline std::optional<std::size_t> first_match(std::span<const Segments> patterns, const Segments& name) {
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    if (matches(patterns[i], name)) return i;
  }
  return std::nullopt;
}

}  // namespace leat::reference
