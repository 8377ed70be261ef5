#include "retention_text.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>

#include "duration_text.h"

namespace leat::tools {
namespace {

struct Size {
  std::string_view name;
  double bytes;
};
constexpr std::array<Size, 7> kSizes = {
    {{"B", 1}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}}};

/// A number up to its unit. @return none: it does not begin with one; "inf" and "nan" are none
std::optional<std::pair<double, std::string_view>> take_number(std::string_view text) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || text.starts_with('-') || !std::isfinite(number)) return std::nullopt;
  return std::pair(number, text.substr(static_cast<std::size_t>(end - text.data())));
}

/// As parse_duration(), and days.
std::expected<std::chrono::nanoseconds, std::string> parse_span(std::string_view text) {
  constexpr double kSecondsPerDay = 86'400;
  const auto number = take_number(text);
  if (number && number->second == "d") return duration_of_seconds(number->first * kSecondsPerDay);
  return parse_duration(text);
}

/// @return  whether the text is one limit that was not given before
bool take_limit(std::string_view text, Retention& out) {
  const auto number = take_number(text);
  if (!number) return false;
  if (number->second.empty()) {
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{} || end != text.data() + text.size() || out.count) return false;
    out.count = count;
    return true;
  }
  for (const Size& size : kSizes) {
    if (number->second != size.name) continue;
    const double bytes = std::round(number->first * size.bytes);
    if (out.bytes || bytes >= 0x1p63) return false;
    out.bytes = static_cast<std::uint64_t>(bytes);
    return true;
  }
  const auto span = parse_span(text);
  if (!span || out.age_ns) return false;
  out.age_ns = span->count();
  return true;
}

/// "2026-11-23T15:00:00Z", or the date alone.
std::optional<std::int64_t> parse_date(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  constexpr std::size_t kDateSize = 10;
  if (text.size() != kDateSize && text.size() != kForm.size()) return std::nullopt;
  std::array<int, 6> fields{};
  for (std::size_t at = 0, field = 0; at < text.size(); ++at) {
    if (kForm[at] != '0') {
      if (text[at] != kForm[at]) return std::nullopt;
      ++field;
    } else {
      if (text[at] < '0' || text[at] > '9') return std::nullopt;
      fields[field] = fields[field] * 10 + (text[at] - '0');
    }
  }
  const auto [year, month, day, hours, minutes, seconds] = fields;
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  constexpr int kLastYear = 2261;  // nanoseconds in 64 bits reach no further
  if (!date.ok() || year < 1970 || year > kLastYear || hours > 23 || minutes > 59 || seconds > 59) {
    return std::nullopt;
  }
  const auto time = std::chrono::sys_days(date) + std::chrono::hours(hours) + std::chrono::minutes(minutes) +
                    std::chrono::seconds(seconds);
  return std::chrono::nanoseconds(time.time_since_epoch()).count();
}

}  // namespace

std::expected<Retention, std::string> parse_retention(std::string_view text) {
  Retention limits;
  if (text == "all") return limits;
  for (std::string_view rest = text;;) {
    const std::size_t comma = rest.find(',');
    if (!take_limit(rest.substr(0, comma), limits)) {
      return std::unexpected(fmt::format(
          "\"{}\" says not how much to keep (accepted: all, or up to three with commas between: a "
          "duration like 7d or 36h, a count like 1000000, bytes like 10GiB)",
          text));
    }
    if (comma == std::string_view::npos) return limits;
    rest.remove_prefix(comma + 1);
  }
}

std::expected<std::int64_t, std::string> parse_moment(std::string_view text, std::int64_t now_ns) {
  if (const auto date = parse_date(text)) return *date;
  if (const auto span = parse_span(text)) return now_ns - span->count();
  return std::unexpected(fmt::format(
      "\"{}\" is no moment (accepted: 2026-11-23, 2026-11-23T15:00:00Z, or how long ago, like 90m or 7d)",
      text));
}

}  // namespace leat::tools
