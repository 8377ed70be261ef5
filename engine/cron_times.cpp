#include "cron_times.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace leat {
namespace {

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kSearch = kDay * 366 * 50;

struct Field {
  std::string_view name;
  std::uint32_t min, max;
  std::span<const std::string_view> names = {};  // of min, min + 1 ...
};

constexpr std::string_view kMonths[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                        "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::string_view kWeekdays[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};
constexpr Field kFields[] = {{"second", 0, 59},         {"minute", 0, 59},
                             {"hour", 0, 23},           {"day of the month", 1, 31},
                             {"month", 1, 12, kMonths}, {"day of the week", 0, 7, kWeekdays}};
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kShorthands = {
    {{"@yearly", "0 0 1 1 *"},
     {"@annually", "0 0 1 1 *"},
     {"@monthly", "0 0 1 * *"},
     {"@weekly", "0 0 * * 0"},
     {"@daily", "0 0 * * *"},
     {"@midnight", "0 0 * * *"},
     {"@hourly", "0 * * * *"}}};

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t begin = text.find_first_not_of(separators);
    if (begin == std::string_view::npos) break;
    const std::size_t end = std::min(text.find_first_of(separators, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    text.remove_prefix(end);
  }
  return parts;
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::optional<std::uint32_t> value_of(std::string_view text, const Field& field) {
  for (std::uint32_t i = 0; i < field.names.size(); ++i) {
    const auto alike = [](char a, char b) { return (a & ~0x20) == b; };
    if (std::ranges::equal(text, field.names[i], alike)) return field.min + i;
  }
  const auto value = number(text);
  return value && *value >= field.min && *value <= field.max ? value : std::nullopt;
}

/// One item of a list: what it names, as bits.
std::optional<std::uint64_t> item_of(std::string_view text, const Field& field) {
  std::uint32_t first = field.min, last = field.max, step = 1;
  const std::size_t slash = text.find('/');
  const std::string_view range = text.substr(0, slash);
  if (slash != std::string_view::npos) {
    const auto given = number(text.substr(slash + 1));
    if (!given || *given == 0 || *given > field.max) return std::nullopt;
    step = *given;
  }
  if (range != "*") {
    const std::size_t dash = range.find('-');
    const auto low = value_of(range.substr(0, dash), field);
    if (!low) return std::nullopt;
    first = *low;
    if (dash != std::string_view::npos) {
      const auto high = value_of(range.substr(dash + 1), field);
      if (!high || *high < *low) return std::nullopt;
      last = *high;
    } else if (slash == std::string_view::npos) {
      last = first;
    }
  }
  std::uint64_t bits = 0;
  for (std::uint32_t value = first; value <= last; value += step) bits |= std::uint64_t{1} << value;
  return bits;
}

std::expected<std::uint64_t, Error> bits_of(std::string_view text, const Field& field) {
  std::uint64_t bits = 0;
  bool good = !text.empty() && text.front() != ',' && text.back() != ',' && !text.contains(",,");
  for (const std::string_view item : split(text, ",")) {
    const auto named = item_of(item, field);
    good = good && named.has_value();
    bits |= named.value_or(0);
  }
  if (good) return bits;
  return std::unexpected(
      Error{ErrorCode::InvalidArgument,
            "cron: '" + std::string(text) + "' is no " + std::string(field.name) +
                " (accepted: lists of *, " + std::to_string(field.min) + " to " + std::to_string(field.max) +
                (field.names.empty()
                     ? ""
                     : ", " + std::string(field.names.front()) + " to " + std::string(field.names.back())) +
                ", ranges a-b, and steps after /)"});
}

/// The lowest set bit from `from` on; 64: none.
std::int64_t bit_from(std::uint64_t bits, std::int64_t from) {
  return from > 63 ? 64 : std::countr_zero(bits & (~std::uint64_t{0} << from));
}

}  // namespace

std::expected<CronTimes, Error> CronTimes::parse(std::string_view text) {
  const auto* const shorthand =
      std::ranges::find(kShorthands, text, [](const auto& each) { return each.first; });
  std::vector<std::string_view> parts =
      split(shorthand == kShorthands.end() ? text : shorthand->second, " \t");
  if (parts.size() != 5 && parts.size() != 6) {
    return std::unexpected(
        Error{ErrorCode::InvalidArgument,
              "cron: '" + std::string(text) +
                  "' (accepted: five fields, or six with seconds first, or @yearly, @monthly, "
                  "@weekly, @daily, @hourly)"});
  }
  if (parts.size() == 5) parts.insert(parts.begin(), "0");
  CronTimes times;
  std::uint64_t* const bits[] = {&times.seconds_, &times.minutes_, &times.hours_,
                                 &times.days_,    &times.months_,  &times.weekdays_};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto named = bits_of(parts[i], kFields[i]);
    if (!named) return std::unexpected(named.error());
    *bits[i] = *named;
  }
  if ((times.weekdays_ & 1U << 7) != 0) times.weekdays_ |= 1;  // Sunday
  times.any_hour_ = parts[2].front() == '*';
  times.any_day_ = parts[3].front() == '*';
  times.any_weekday_ = parts[5].front() == '*';
  return times;
}

/// @param day       since the epoch, local
/// @param next_day  where not: set to the next one that is worth a look
bool CronTimes::names_day(std::int64_t day, std::int64_t& next_day) const {
  using namespace std::chrono;
  const sys_days date{days(day)};
  const year_month_day parts(date);
  if ((months_ >> static_cast<unsigned>(parts.month()) & 1) == 0) {
    next_day = sys_days((parts.year() / parts.month() / 1) + months(1)).time_since_epoch().count();
    return false;
  }
  next_day = day + 1;
  const bool by_day = (days_ >> static_cast<unsigned>(parts.day()) & 1) != 0;
  const bool by_weekday = (weekdays_ >> weekday(date).c_encoding() & 1) != 0;
  return any_day_ || any_weekday_ ? by_day && by_weekday : by_day || by_weekday;
}

/// The first second of a day that is named. @param from  since midnight
std::optional<std::int64_t> CronTimes::first_of_day(std::int64_t from) const {
  std::int64_t minute_from = from / 60 % 60, second_from = from % 60;
  for (std::int64_t hour = bit_from(hours_, from / 3600); hour < 24; hour = bit_from(hours_, hour + 1)) {
    if (hour != from / 3600) minute_from = second_from = 0;
    for (std::int64_t minute = bit_from(minutes_, minute_from); minute < 60;
         minute = bit_from(minutes_, minute + 1)) {
      if (hour != from / 3600 || minute != from / 60 % 60) second_from = 0;
      const std::int64_t second = bit_from(seconds_, second_from);
      if (second < 60) return hour * 3600 + minute * 60 + second;
    }
  }
  return std::nullopt;
}

std::optional<std::int64_t> CronTimes::first_local(std::int64_t from, std::int64_t end) const {
  std::int64_t day = from / kDay - (from % kDay < 0 ? 1 : 0);
  while (day * kDay < end) {
    std::int64_t next_day = day + 1;
    if (names_day(day, next_day)) {
      if (const auto second = first_of_day(std::max<std::int64_t>(0, from - day * kDay))) {
        const std::int64_t found = day * kDay + *second;
        return found < end ? std::optional(found) : std::nullopt;
      }
    }
    day = next_day;
  }
  return std::nullopt;
}

std::optional<std::int64_t> CronTimes::next_after(std::int64_t unix_s, const TimeZone& zone) const {
  std::int64_t from = unix_s + 1;
  const std::int64_t limit = from + kSearch;
  while (from < limit) {
    const TimeZone::Period period = zone.at(from);
    std::int64_t local = from + period.offset_s;
    if (!any_hour_ && period.begin_s > unix_s - kSearch) {
      const std::int64_t local_before = period.begin_s + zone.at(period.begin_s - 1).offset_s;
      // What the gap before this period skipped.
      if (from == period.begin_s && first_local(local_before, local)) return from;
      // What came before the clocks were put back, and comes again.
      local = std::max(local, local_before);
    }
    const std::int64_t end = std::min(period.end_s, limit);
    if (const auto found = first_local(local, end + period.offset_s)) return *found - period.offset_s;
    from = end;
  }
  return std::nullopt;
}

}  // namespace leat
