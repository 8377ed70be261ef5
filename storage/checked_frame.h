// What slices of the checkpoint and packs of the history have in common: a version, a body, and the checksum
// of both, seeded with the number of the commit that they belong to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>
#include <vector>

#include "leat/store_error.h"
#include "record_parser.h"

namespace leat {

struct FrameKind {
  std::string_view name;  ///< as errors call it
  std::uint8_t version;
};

/// @return  Damaged, with what was found
std::unexpected<StoreError> damaged_frame(const FrameKind& kind, std::uint64_t first_sequence,
                                          std::string_view what);

/// @return  what is behind the version; or NewerFormat, Damaged
std::expected<RecordParser, StoreError> open_frame(const FrameKind& kind, std::uint64_t first_sequence,
                                                   std::span<const std::byte> bytes);

/// Puts the header before the body, right up to it, and the checksum behind.
///
/// @param room    at the front of the buffer for the header
/// @param header  version and all that follows up to the body
/// @return        the frame, in the buffer
std::span<const std::byte> close_frame(std::vector<std::byte>& buffer, std::size_t room,
                                       std::span<const std::byte> header, std::uint64_t first_sequence);

}  // namespace leat
