// Matches one segment of a name against literal text with `*` for any run of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace leat {

/// Equality of short texts without a call.
inline bool equal_bytes(const char* a, const char* b, std::size_t size) noexcept {
  const auto differ = [a, b](std::size_t at, auto word) {
    auto other = word;
    std::memcpy(&word, a + at, sizeof word);
    std::memcpy(&other, b + at, sizeof other);
    return word ^ other;
  };
  if (size >= 8) {
    std::uint64_t difference = differ(size - 8, std::uint64_t{});
    for (std::size_t at = 0; at + 8 < size; at += 8) difference |= differ(at, std::uint64_t{});
    return difference == 0;
  }
  if (size >= 4) return (differ(0, std::uint32_t{}) | differ(size - 4, std::uint32_t{})) == 0;
  for (std::size_t at = 0; at < size; ++at) {
    if (a[at] != b[at]) return false;
  }
  return true;
}

inline bool equal_bytes(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && equal_bytes(a.data(), b.data(), a.size());
}

/// @param glob  with at least one `*`
/// Each literal part but the last takes its leftmost place, the last one the end: parts never overlap.
/// Complexity: O(bytes of glob x bytes of text) at worst; no recursion.
inline bool glob_matches(std::string_view glob, std::string_view text) noexcept {
  const std::size_t first = glob.find('*');
  const std::size_t last = glob.rfind('*');
  const std::size_t suffix = glob.size() - last - 1;
  if (text.size() < first + suffix) return false;
  if (!equal_bytes(glob.data(), text.data(), first)) return false;
  if (!equal_bytes(glob.data() + last + 1, text.data() + text.size() - suffix, suffix)) return false;
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
