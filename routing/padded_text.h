// Short texts compared and hashed sixteen bytes at a time, without a branch on their size: a mispredicted
// branch costs more than the comparison. "Padded" means that sixteen bytes behind a text can be read.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace leat {

static_assert(std::endian::native == std::endian::little, "the first byte of a text is the lowest of a word");

inline constexpr std::size_t kPadding = 16;

struct Words {
  std::uint64_t low;
  std::uint64_t high;
};

inline Words load_words(const char* text) noexcept {
  Words words;
  std::memcpy(&words, text, sizeof words);
  return words;
}

/// The first `size` bytes of `words`, others zero.
///
/// @param size  at most 16
inline Words first_bytes(Words words, std::size_t size) noexcept {
  static constexpr unsigned char kMask[32] = {255, 255, 255, 255, 255, 255, 255, 255,
                                              255, 255, 255, 255, 255, 255, 255, 255};
  Words mask;
  std::memcpy(&mask, kMask + 16 - size, sizeof mask);
  return {words.low & mask.low, words.high & mask.high};
}

/// The sixteen bytes at `text`, of which those behind `last` + 16 are not read and come as zero.
///
/// @pre text < last + 16
inline Words load_words_until(const char* text, const char* last) noexcept {
  __extension__ using Wide = unsigned __int128;
  const char* from = std::min(text, last);
  const Words words = load_words(from);
  const Wide wide = (Wide{words.high} << 64 | words.low) >> (8 * (text - from));
  return {static_cast<std::uint64_t>(wide), static_cast<std::uint64_t>(wide >> 64)};
}

/// Equality of two padded texts of one size.
inline bool equal_padded(const char* a, const char* b, std::size_t size) noexcept {
  const auto differ = [](Words x, Words y, std::size_t bytes) {
    const Words words = first_bytes({x.low ^ y.low, x.high ^ y.high}, bytes);
    return (words.low | words.high) != 0;
  };
  for (; size > 16; a += 16, b += 16, size -= 16) {
    if (differ(load_words(a), load_words(b), 16)) return false;
  }
  return !differ(load_words(a), load_words(b), size);
}

/// A tag of a text. Unlike texts may share a tag: it narrows a search and decides nothing.
///
/// @param last  nothing behind `last` + 16 is read; of a padded text: its end
inline std::uint32_t tag_of(const char* text, std::size_t size, const char* last) noexcept {
  const auto mix = [](Words words, std::uint64_t seed) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{words.low ^ 0xA0761D6478BD642Fu} * (words.high ^ 0xE7037ED1A0B428DBu ^ seed);
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t seed = size;
  for (; size > 16; text += 16, size -= 16) seed = mix(load_words(text), seed);
  return static_cast<std::uint32_t>(mix(first_bytes(load_words_until(text, last), size), seed) >> 32);
}

inline std::uint32_t tag_of_padded(const char* text, std::size_t size) noexcept {
  return tag_of(text, size, text + size);
}

/// Which of the sixteen bytes at `text` begin a `::`. Reads seventeen.
inline std::uint32_t separators(const char* text) noexcept {
#ifdef __SSE2__
  const __m128i colons = _mm_set1_epi8(':');
  const auto load = [](const char* at) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)); };
  const __m128i here = _mm_cmpeq_epi8(load(text), colons);
  const __m128i next = _mm_cmpeq_epi8(load(text + 1), colons);
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_and_si128(here, next)));
#else
  constexpr std::uint64_t kOnes = 0x0101010101010101u;
  constexpr std::uint64_t kLow = 0x7F * kOnes;
  const auto eight = [](std::uint64_t here, std::uint64_t next) {
    const std::uint64_t other = (here ^ ':' * kOnes) | (next ^ ':' * kOnes);  // zero where both are colons
    const std::uint64_t high = ~(((other & kLow) + kLow) | other | kLow);     // 0x80 there, 0 elsewhere
    return static_cast<std::uint32_t>((high >> 7) * 0x0102040810204080u >> 56);
  };
  const Words here = load_words(text);
  const Words next = load_words(text + 1);
  return eight(here.low, next.low) | eight(here.high, next.high) << 8;
#endif
}

}  // namespace leat
