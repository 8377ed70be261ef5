// Short texts compared and hashed sixteen bytes at a time, without a branch on their size: a mispredicted
// branch costs more than the comparison. The price: sixteen readable bytes must follow such a text.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace leat {

inline constexpr std::size_t kPadding = 16;

struct Words {
  std::uint64_t low;
  std::uint64_t high;
};

/// The first `size` bytes at `text`, others zero.
/// @param size  at most 16
/// @pre sixteen bytes can be read
inline Words load_words(const char* text, std::size_t size) noexcept {
  static constexpr unsigned char kMask[32] = {255, 255, 255, 255, 255, 255, 255, 255,
                                              255, 255, 255, 255, 255, 255, 255, 255};
  Words words;
  Words mask;
  std::memcpy(&words, text, sizeof words);
  std::memcpy(&mask, kMask + 16 - size, sizeof mask);
  return {words.low & mask.low, words.high & mask.high};
}

/// Equality of two padded texts of one size.
inline bool equal_padded(const char* a, const char* b, std::size_t size) noexcept {
  for (; size > 16; a += 16, b += 16, size -= 16) {
    const Words x = load_words(a, 16);
    const Words y = load_words(b, 16);
    if (((x.low ^ y.low) | (x.high ^ y.high)) != 0) return false;
  }
  const Words x = load_words(a, size);
  const Words y = load_words(b, size);
  return ((x.low ^ y.low) | (x.high ^ y.high)) == 0;
}

/// A tag of a padded text. Unlike texts may share a tag: it narrows a search and decides nothing.
inline std::uint32_t tag_of_padded(const char* text, std::size_t size) noexcept {
  __extension__ using Product = unsigned __int128;
  const auto mix = [](Words words, std::uint64_t seed) {
    const Product product =
        Product{words.low ^ 0xA0761D6478BD642Fu} * (words.high ^ 0xE7037ED1A0B428DBu ^ seed);
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t seed = size;
  for (; size > 16; text += 16, size -= 16) seed = mix(load_words(text, 16), seed);
  return static_cast<std::uint32_t>(mix(load_words(text, size), seed) >> 32);
}

/// Which of the `size` bytes at `text` begin a `::`.
/// @param size  at most 64
/// @pre sixteen bytes behind the text can be read, and none of them is a colon
inline std::uint64_t separators(const char* text, std::size_t size) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101u;
  constexpr std::uint64_t kLow = 0x7F * kOnes;
  std::uint64_t found = 0;
  for (std::size_t at = 0; at < size; at += 8) {
    std::uint64_t word;
    std::uint64_t next;
    std::memcpy(&word, text + at, sizeof word);
    std::memcpy(&next, text + at + 1, sizeof next);
    const std::uint64_t other = (word ^ ':' * kOnes) | (next ^ ':' * kOnes);  // zero where both are colons
    const std::uint64_t high = ~(((other & kLow) + kLow) | other | kLow);     // 0x80 there, 0 elsewhere
    found |= ((high >> 7) * 0x0102040810204080u >> 56) << at;                 // gathers the eight bits
  }
  return found;
}

}  // namespace leat
