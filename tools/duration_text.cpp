#include "duration_text.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

namespace leat::tools {
namespace {

struct Unit {
  std::string_view name;
  double ns;
};
constexpr std::array<Unit, 6> kUnits = {
    {{"ns", 1.0}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}}};

}  // namespace

std::expected<std::chrono::nanoseconds, std::string> parse_duration(std::string_view text) {
  constexpr std::string_view kAccepted = "(accepted: a number and ns, us, ms, s, m or h, like \"1.5s\")";
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (error == std::errc{} && !text.starts_with('-')) {
    for (const Unit& known : kUnits) {
      if (unit == known.name) return duration_of_seconds(number * (known.ns / 1e9));
    }
  }
  return std::unexpected(fmt::format("\"{}\" is no duration {}", text, kAccepted));
}

std::expected<std::chrono::nanoseconds, std::string> duration_of_seconds(double seconds) {
  const double ns = std::round(seconds * 1e9);
  if (!std::isfinite(ns) || ns < 0 || ns >= static_cast<double>(std::numeric_limits<std::int64_t>::max())) {
    return std::unexpected(fmt::format("{} s is no duration (accepted: 0 to 292 years)", seconds));
  }
  return std::chrono::nanoseconds(static_cast<std::int64_t>(ns));
}

std::string format_duration(std::chrono::nanoseconds duration) {
  constexpr std::array<std::pair<double, std::string_view>, 4> kShown = {
      {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}}};
  const auto ns = static_cast<double>(duration.count());
  for (const auto& [size, name] : kShown) {
    if (ns < size) continue;
    const double value = ns / size;
    const int decimals = size == 1 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    return fmt::format("{:.{}f} {}", value, decimals, name);
  }
  return "0";
}

}  // namespace leat::tools
