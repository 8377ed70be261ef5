// By which part of its text a glob is found in a table, without trying every glob: its literal prefix and
// suffix or, where it has neither, a piece of its longest inner text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "padded_text.h"

namespace leat {

/// @pre the segment is padded
inline std::uint32_t ends_tag(std::string_view segment, std::size_t prefix, std::size_t suffix) noexcept {
  return tag_of_padded(segment.data(), prefix) * 0x9E3779B1u +
         tag_of_padded(segment.data() + segment.size() - suffix, suffix);
}

struct GlobAnchor {
  /// So that one place of a segment has eight sizes to look up at most.
  static constexpr std::size_t kInnerMax = 8;

  std::size_t prefix;      ///< bytes
  std::size_t suffix;      ///< bytes
  std::string_view inner;  ///< empty if there is a prefix or suffix

  /// @param glob  normal form, not `*` alone
  explicit GlobAnchor(std::string_view glob) noexcept
      : prefix(glob.find('*')), suffix(glob.size() - glob.rfind('*') - 1) {
    if (prefix + suffix > 0) return;
    for (std::size_t begin = 1; begin < glob.size();) {
      const std::size_t end = glob.find('*', begin);
      if (end - begin > inner.size()) inner = glob.substr(begin, end - begin);
      begin = end + 1;
    }
    inner = inner.substr(0, kInnerMax);
  }

  /// @pre the glob is padded
  [[nodiscard]] std::uint32_t tag(std::string_view glob) const noexcept {
    return inner.empty() ? ends_tag(glob, prefix, suffix) : tag_of_padded(inner.data(), inner.size());
  }
};

}  // namespace leat
