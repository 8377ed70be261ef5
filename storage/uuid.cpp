// UUIDs of version 7: text form, making, hashing. Byte order is fixed: all machines give the same answers.
#include "leat/uuid.h"

#include <bit>
#include <cstring>

namespace leat {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

constexpr bool is_dash_before(std::size_t byte_index) {
  return byte_index == 4 || byte_index == 6 || byte_index == 8 || byte_index == 10;
}

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

std::uint64_t load_big_endian(const std::uint8_t* bytes) {
  std::uint64_t value;
  std::memcpy(&value, bytes, sizeof value);
  return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
}

void store_big_endian(std::uint64_t value, std::uint8_t* bytes) {
  if constexpr (std::endian::native == std::endian::little) value = __builtin_bswap64(value);
  std::memcpy(bytes, &value, sizeof value);
}

/// Source: the finaliser of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
///         Generators, 2014).
std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

}  // namespace

std::string Uuid::to_string() const {
  std::string text;
  text.reserve(36);
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    if (is_dash_before(index)) text += '-';
    text += kHexDigits[bytes[index] >> 4];
    text += kHexDigits[bytes[index] & 15];
  }
  return text;
}

std::optional<Uuid> Uuid::parse(std::string_view text) noexcept {
  if (text.size() != 36) return std::nullopt;
  Uuid id;
  std::size_t at = 0;
  for (std::size_t index = 0; index < id.bytes.size(); ++index) {
    if (is_dash_before(index) && text[at++] != '-') return std::nullopt;
    const int high = hex_value(text[at]);
    const int low = hex_value(text[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    id.bytes[index] = static_cast<std::uint8_t>(high << 4 | low);
    at += 2;
  }
  return id;
}

Uuid Uuid::make_v7(std::uint64_t unix_ms, std::uint32_t counter, std::uint64_t random) noexcept {
  constexpr std::uint64_t kVersion7 = 0x7000;
  constexpr std::uint64_t kVariant = std::uint64_t{0b10} << 62;
  constexpr std::uint64_t kRandomMask = (std::uint64_t{1} << 62) - 1;
  Uuid id;
  store_big_endian(unix_ms << 16 | kVersion7 | (counter & 0xfffU), id.bytes.data());
  store_big_endian(kVariant | (random & kRandomMask), id.bytes.data() + 8);
  return id;
}

bool Uuid::is_nil() const noexcept {
  return *this == Uuid{};
}

std::uint64_t Uuid::hash() const noexcept {
  return mix(load_big_endian(bytes.data()) + mix(load_big_endian(bytes.data() + 8)));
}

}  // namespace leat
