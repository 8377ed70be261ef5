// A name taken apart on the stack: where its segments lie, and a 32-bit tag of each by which tables are
// indexed. Knows nothing of patterns.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "leat/route_error.h"
#include "name_limits.h"
#include "padded_text.h"

namespace leat {

/// The segments of one name, with a copy of its text that is padded. Left uninitialised on purpose: a
/// kilobyte, of which split() fills as much as the name needs.
class SplitName {
 public:
  SplitName() noexcept {}  // NOLINT(modernize-use-equals-default): no zeroing

  /// @return  nothing, or EmptyName, EmptySegment, TooManySegments, TooLong
  [[nodiscard]] std::optional<RouteErrorCode> split(std::string_view name) noexcept {
    if (name.empty()) return RouteErrorCode::EmptyName;
    if (name.size() > kNameBytesMax) return RouteErrorCode::TooLong;
    std::memcpy(text_, name.data(), name.size());
    std::memset(text_ + name.size(), 0, kPadding + 1);
    // Reading back what was just written would wait for the write; only short names must.
    const bool is_short = name.size() <= kPadding;
    const char* text = is_short ? text_ : name.data();
    const std::size_t readable = is_short ? name.size() + kPadding + 1 : name.size();
    count_ = 0;
    std::size_t begin = 0;
    for (std::size_t block = 0; block + 1 < name.size(); block += 64) {
      std::uint64_t ends = 0;
      for (std::size_t at = block; at < block + 64; at += 16) {  // always four: what is missing shifts out
        const std::size_t from = std::min(at, readable - 17);
        ends |= std::uint64_t{separators(text + from)} >> (at - from) << (at - block);
      }
      for (; ends != 0; ends &= ends - 1) {
        const std::size_t end = block + static_cast<std::size_t>(std::countr_zero(ends));
        if (end < begin) continue;  // `:::`: the first two separate, the third is text
        if (const auto error = add(text, begin, end, text + readable - 16)) return error;
        begin = end + 2;
      }
    }
    return add(text, begin, name.size(), text + readable - 16);
  }

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint32_t tag(std::size_t i) const noexcept { return tag_[i]; }

  /// Padded.
  [[nodiscard]] std::string_view segment(std::size_t i) const noexcept {
    return {text_ + begin_[i], begin_[i + 1] - begin_[i] - std::size_t{2}};
  }

 private:
  std::optional<RouteErrorCode> add(const char* text, std::size_t begin, std::size_t end,
                                    const char* last) noexcept {
    if (begin >= end) return RouteErrorCode::EmptySegment;
    if (count_ == kSegmentsMax) return RouteErrorCode::TooManySegments;
    begin_[count_] = static_cast<std::uint16_t>(begin);
    tag_[count_] = tag_of(text + begin, end - begin, last);
    begin_[++count_] = static_cast<std::uint16_t>(end + 2);
    return std::nullopt;
  }

  std::size_t count_;
  std::uint16_t begin_[kSegmentsMax + 1];  // the last: two past the end of the name
  std::uint32_t tag_[kSegmentsMax];
  char text_[kNameBytesMax + kPadding + 1];
};

}  // namespace leat
