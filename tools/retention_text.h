// Limits on what a store keeps, and moments, as people write them: "7d,10GiB", "2026-11-23T15:00:00Z", "90m".
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "leat/checkpoint.h"

namespace leat::tools {

/// @param text  "all", or up to three limits with commas between: a duration (ns to h, or d for days), a
///              count
///              (a bare number) or bytes (a number and B, KB, MB, GB, KiB, MiB, GiB)
/// @return      the limits; or why not, with what is accepted
std::expected<Retention, std::string> parse_retention(std::string_view text);

/// @param text    a date "2026-11-23", a time "2026-11-23T15:00:00Z", both UTC, or a duration: so long before
///                now
/// @param now_ns  Unix time
/// @return        Unix time in ns; or why not, with what is accepted
std::expected<std::int64_t, std::string> parse_moment(std::string_view text, std::int64_t now_ns);

}  // namespace leat::tools
