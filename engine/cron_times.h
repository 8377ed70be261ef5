// Which moments a cron expression names. Pure: knows neither clocks nor schedules.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "leat/error.h"
#include "time_zone.h"

namespace leat {

/// A cron expression of five fields (minute, hour, day of the month, month, day of the week) or six (a second
/// before them), or @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly. A field is a list of
/// `*`, numbers, names (JAN-DEC, SUN-SAT) and ranges, each with a step if wanted (`*/5`, `10-30/10`, `5/15`:
/// from 5 on); Sunday is 0 or 7. Where days of the month and of the week are both restricted (neither begins
/// with `*`), either suffices.
///
/// Times are the zone's local ones. Where its clocks are put forward or back:
///   - an hour field that begins with `*` follows elapsed time: hours that are skipped do not exist, hours
///     that come twice count twice;
///   - any other hour is a fixed time of day: times that are skipped fire once together, right after the gap;
///     times that come twice fire when they come first.
///
/// Thread-safety: as a value.
/// Source: crontab(5) of Vixie cron, whose rule for clock changes this is, for changes of any length.
class CronTimes {
 public:
  /// @return  InvalidArgument that names the field and what it accepts
  static std::expected<CronTimes, Error> parse(std::string_view text);

  /// The first time after `unix_s`, in seconds; nothing: none in the next 50 years (30 February).
  std::optional<std::int64_t> next_after(std::int64_t unix_s, const TimeZone& zone) const;

 private:
  /// The first local second that is named, from `from` on, before `end`.
  std::optional<std::int64_t> first_local(std::int64_t from, std::int64_t end) const;
  std::optional<std::int64_t> first_of_day(std::int64_t from) const;
  bool names_day(std::int64_t day, std::int64_t& next_day) const;

  // Bit n: the number n is named.
  std::uint64_t seconds_ = 1, minutes_ = 0, hours_ = 0, days_ = 0, months_ = 0, weekdays_ = 0;
  bool any_day_ = false;      // the day of the month begins with *
  bool any_weekday_ = false;  // the day of the week does
  bool any_hour_ = false;     // the hour does
};

}  // namespace leat
