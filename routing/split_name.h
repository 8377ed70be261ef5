// A name taken apart on the stack: where its segments lie, and a 32-bit tag of each by which tables are
// indexed. Knows nothing of patterns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "pattern.h"

namespace leat {

/// Mixes two words by the halves of their product.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Product = unsigned __int128;
  const Product product = Product{a} * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

/// A tag of some bytes. Unlike bytes may share a tag: it narrows a search and decides nothing.
inline std::uint32_t tag_of(const char* text, std::size_t size) noexcept {
  constexpr std::uint64_t kA = 0xA0761D6478BD642Fu;
  constexpr std::uint64_t kB = 0xE7037ED1A0B428DBu;
  const auto word = [](const char* from) {
    std::uint64_t value;
    std::memcpy(&value, from, sizeof value);
    return value;
  };
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t seed = size;
  for (; size > 16; text += 16, size -= 16) seed = mix(word(text) ^ kA, word(text + 8) ^ kB ^ seed);
  if (size >= 8) {
    a = word(text);
    b = word(text + size - 8);
  } else if (size >= 4) {
    std::uint32_t head;
    std::uint32_t tail;
    std::memcpy(&head, text, sizeof head);
    std::memcpy(&tail, text + size - 4, sizeof tail);
    a = head;
    b = tail;
  } else if (size > 0) {
    const auto byte = [text](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(text[i])}; };
    a = byte(0) << 16 | byte(size / 2) << 8 | byte(size - 1);
  }
  return static_cast<std::uint32_t>(mix(a ^ kA, b ^ kB ^ seed) >> 32);
}

inline std::uint32_t tag_of(std::string_view text) noexcept {
  return tag_of(text.data(), text.size());
}

/// The segments of one name. Left uninitialised on purpose: 900 bytes that split() fills as far as it needs.
class SplitName {
 public:
  SplitName() noexcept {}  // NOLINT(modernize-use-equals-default): no zeroing

  /// @return  nothing, or EmptyName, EmptySegment, TooManySegments, TooLong
  [[nodiscard]] std::optional<RouteErrorCode> split(std::string_view name) noexcept {
    if (name.empty()) return RouteErrorCode::EmptyName;
    text_ = name.data();
    count_ = 0;
    const auto error = for_each_segment(name, [this](std::size_t begin, std::size_t size) {
      begin_[count_] = static_cast<std::uint16_t>(begin);
      tag_[count_] = tag_of(text_ + begin, size);
      ++count_;
    });
    if (error) return error->code;
    begin_[count_] = static_cast<std::uint16_t>(name.size() + 2);
    return std::nullopt;
  }

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint32_t tag(std::size_t i) const noexcept { return tag_[i]; }
  [[nodiscard]] std::string_view segment(std::size_t i) const noexcept {
    return {text_ + begin_[i], begin_[i + 1] - begin_[i] - std::size_t{2}};
  }

 private:
  const char* text_;
  std::size_t count_;
  std::uint16_t begin_[kSegmentsMax + 1];  // the last: two past the end of the name
  std::uint32_t tag_[kSegmentsMax];
};

}  // namespace leat
