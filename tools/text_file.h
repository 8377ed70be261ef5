// Reads whole files within a bound.
#pragma once

#include <cstddef>
#include <expected>
#include <string>

namespace leat::tools {

/// Larger inputs are refused before they are read.
inline constexpr std::size_t kInputBytesMax = std::size_t{64} << 20;

/// @return the file's bytes, or one line "path: why (accepted: ...)"
std::expected<std::string, std::string> read_text_file(const std::string& path);

}  // namespace leat::tools
