#include "checked_frame.h"

#include <xxhash.h>

#include <cstring>
#include <string>

#include "check.h"
#include "record_format.h"

namespace leat {

using record_format::kChecksumBytes;

std::unexpected<StoreError> damaged_frame(const FrameKind& kind, std::uint64_t first_sequence,
                                          std::string_view what) {
  return std::unexpected(
      StoreError{StoreErrorCode::Damaged,
                 std::string(kind.name) + " " + std::to_string(first_sequence) + ": " + std::string(what)});
}

std::expected<RecordParser, StoreError> open_frame(const FrameKind& kind, std::uint64_t first_sequence,
                                                   std::span<const std::byte> bytes) {
  if (bytes.size() <= kChecksumBytes) return damaged_frame(kind, first_sequence, "too short");
  const auto checked = bytes.first(bytes.size() - kChecksumBytes);
  if (XXH3_64bits_withSeed(checked.data(), checked.size(), first_sequence) !=
      record_format::get_u64(checked.data() + checked.size())) {
    return damaged_frame(kind, first_sequence, "checksum mismatch");
  }
  RecordParser in(checked);
  if (const std::uint8_t version = in.u8(); version != kind.version) {
    return std::unexpected(StoreError{StoreErrorCode::NewerFormat,
                                      std::string(kind.name) + " " + std::to_string(first_sequence) +
                                          " has format " + std::to_string(version)});
  }
  return in;
}

std::span<const std::byte> close_frame(std::vector<std::byte>& buffer, std::size_t room,
                                       std::span<const std::byte> header, std::uint64_t first_sequence) {
  LEAT_CHECK(header.size() <= room && room <= buffer.size());
  const std::size_t start = room - header.size();
  std::memcpy(buffer.data() + start, header.data(), header.size());
  const std::size_t checked = buffer.size() - start;
  buffer.resize(buffer.size() + kChecksumBytes);
  std::byte* const first = buffer.data() + start;
  record_format::put_u64(first + checked, XXH3_64bits_withSeed(first, checked, first_sequence));
  return {first, checked + kChecksumBytes};
}

}  // namespace leat
