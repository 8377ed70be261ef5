// Matches one segment of a name against literal text with `*` for any run of bytes.
#pragma once

#include <cstddef>
#include <string_view>

#include "padded_text.h"

namespace leat {

/// Each literal part but the last takes its leftmost place, the last one the end: parts never overlap.
///
/// @param glob  with at least one `*`
/// @pre         both are padded
/// Complexity: O(bytes of glob x bytes of text) at worst; no recursion.
inline bool glob_matches(std::string_view glob, std::string_view text) noexcept {
  const std::size_t first = glob.find('*');
  const std::size_t last = glob.rfind('*');
  const std::size_t suffix = glob.size() - last - 1;
  if (text.size() < first + suffix) return false;
  if (!equal_padded(glob.data(), text.data(), first)) return false;
  if (!equal_padded(glob.data() + last + 1, text.data() + text.size() - suffix, suffix)) return false;
  text = text.substr(first, text.size() - first - suffix);
  for (std::size_t begin = first + 1; begin <= last;) {
    const std::size_t end = glob.find('*', begin);
    const std::size_t at = text.find(glob.substr(begin, end - begin));
    if (at == std::string_view::npos) return false;
    text.remove_prefix(at + (end - begin));
    begin = end + 1;
  }
  return true;
}

}  // namespace leat
