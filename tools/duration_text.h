// Durations as people write them: "1.5s", "200us".
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <string_view>

namespace leat::tools {

/// @param text  a decimal number and a unit, nothing between: ns, us, ms, s, m or h
/// @return      the duration, to the nearest nanosecond; or why not, with what is accepted
std::expected<std::chrono::nanoseconds, std::string> parse_duration(std::string_view text);

/// Three digits that matter and a unit: "1.50 ms", "12.3 s".
std::string format_duration(std::chrono::nanoseconds duration);

/// @return the nanoseconds in `seconds`; or why not: negative, not finite or beyond 292 years
std::expected<std::chrono::nanoseconds, std::string> duration_of_seconds(double seconds);

}  // namespace leat::tools
