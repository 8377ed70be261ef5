// Cron expressions: what they name, and what becomes of it where a zone's clocks change.
#include "cron_times.h"

#include <date/tz.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "seed.h"

namespace leat {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TimeZone zone(const std::string& name) {
  return *TimeZone::find(name);
}

std::int64_t unix_of(const std::string& utc) {
  std::istringstream in(utc);
  date::sys_seconds time;
  in >> date::parse("%F %T", time);
  EXPECT_FALSE(in.fail()) << utc;
  return time.time_since_epoch().count();
}

/// The next `count` times after `utc`, as local times with their offset.
std::vector<std::string> next(const std::string& expression, const std::string& utc, int count,
                              const std::string& where = "UTC") {
  const auto times = CronTimes::parse(expression);
  EXPECT_TRUE(times) << times.error().message;
  std::vector<std::string> found;
  std::int64_t at = unix_of(utc);
  for (int i = 0; i < count; ++i) {
    const auto after = times->next_after(at, zone(where));
    if (!after) break;
    EXPECT_GT(*after, at);
    at = *after;
    const date::zoned_seconds local(where, date::sys_seconds(std::chrono::seconds(at)));
    found.push_back(date::format(where == "UTC" ? "%F %T" : "%F %T %z", local));
  }
  return found;
}

TEST(CronTimes, NameWhatTheirFieldsName) {
  const std::string at = "2026-11-23 15:04:05";  // a Monday
  EXPECT_THAT(next("* * * * *", at, 2), ElementsAre("2026-11-23 15:05:00", "2026-11-23 15:06:00"));
  EXPECT_THAT(next("*/20 3 * * *", at, 4), ElementsAre("2026-11-24 03:00:00", "2026-11-24 03:20:00",
                                                       "2026-11-24 03:40:00", "2026-11-25 03:00:00"));
  EXPECT_THAT(next("*/30 * * * * *", at, 2), ElementsAre("2026-11-23 15:04:30", "2026-11-23 15:05:00"));
  EXPECT_THAT(next("5,10-12,50/5 8 * * *", at, 6),
              ElementsAre("2026-11-24 08:05:00", "2026-11-24 08:10:00", "2026-11-24 08:11:00",
                          "2026-11-24 08:12:00", "2026-11-24 08:50:00", "2026-11-24 08:55:00"));
  EXPECT_THAT(next("0 9 * * mon-fri", at, 2), ElementsAre("2026-11-24 09:00:00", "2026-11-25 09:00:00"));
  EXPECT_THAT(next("0 9 * * 7", at, 1), ElementsAre("2026-11-29 09:00:00"));
  EXPECT_THAT(next("0 0 1 JAN,Jul *", at, 2), ElementsAre("2027-01-01 00:00:00", "2027-07-01 00:00:00"));
  EXPECT_THAT(next("0 0 29 2 *", at, 2), ElementsAre("2028-02-29 00:00:00", "2032-02-29 00:00:00"));
  EXPECT_THAT(next("0 0 30 2 *", at, 1), ElementsAre());
  EXPECT_THAT(next("@weekly", at, 1), ElementsAre("2026-11-29 00:00:00"));
  EXPECT_THAT(next("@hourly", at, 1), ElementsAre("2026-11-23 16:00:00"));
}

TEST(CronTimes, NameDaysThatFitEitherWayWhereBothAreRestricted) {
  EXPECT_THAT(next("0 0 13 * FRI", "2026-11-01 00:00:00", 4),
              ElementsAre("2026-11-06 00:00:00", "2026-11-13 00:00:00", "2026-11-20 00:00:00",
                          "2026-11-27 00:00:00"));
  EXPECT_THAT(next("0 0 */10 * MON", "2026-11-01 00:00:00", 2),
              ElementsAre("2026-12-21 00:00:00", "2027-01-11 00:00:00"))
      << "a step of * restricts nothing, so both must fit";
}

TEST(CronTimes, OfAFixedHourThatIsSkippedFireOnceRightAfter) {
  // Berlin, 2026-03-29: 02:00 CET is 03:00 CEST.
  const std::string at = "2026-03-28 12:00:00";
  EXPECT_THAT(next("30 2 * * *", at, 2, "Europe/Berlin"),
              ElementsAre("2026-03-29 03:00:00 +0200", "2026-03-30 02:30:00 +0200"));
  EXPECT_THAT(next("*/20 2 * * *", at, 2, "Europe/Berlin"),
              ElementsAre("2026-03-29 03:00:00 +0200", "2026-03-30 02:00:00 +0200"));
  EXPECT_THAT(next("0 2,3 * * *", at, 2, "Europe/Berlin"),
              ElementsAre("2026-03-29 03:00:00 +0200", "2026-03-30 02:00:00 +0200"))
      << "the skipped time and its neighbour are one moment";
}

TEST(CronTimes, OfAFixedHourThatComesTwiceFireOnce) {
  // Berlin, 2026-10-25: 03:00 CEST is 02:00 CET.
  const std::string at = "2026-10-24 12:00:00";
  EXPECT_THAT(next("30 2 * * *", at, 2, "Europe/Berlin"),
              ElementsAre("2026-10-25 02:30:00 +0200", "2026-10-26 02:30:00 +0100"));
  EXPECT_THAT(next("0 3 * * *", at, 1, "Europe/Berlin"), ElementsAre("2026-10-25 03:00:00 +0100"));
}

TEST(CronTimes, OfEachHourFollowElapsedTime) {
  EXPECT_THAT(next("30 * * * *", "2026-03-29 00:00:00", 2, "Europe/Berlin"),
              ElementsAre("2026-03-29 01:30:00 +0100", "2026-03-29 03:30:00 +0200"));
  EXPECT_THAT(
      next("30 * * * *", "2026-10-24 23:40:00", 3, "Europe/Berlin"),
      ElementsAre("2026-10-25 02:30:00 +0200", "2026-10-25 02:30:00 +0100", "2026-10-25 03:30:00 +0100"));
}

TEST(CronTimes, KnowClockChangesOfHalfAnHourAndOfADay) {
  EXPECT_THAT(next("15 2 * * *", "2026-10-03 12:00:00", 1, "Australia/Lord_Howe"),  // 02:00 is 02:30
              ElementsAre("2026-10-04 02:30:00 +1100"));
  EXPECT_THAT(next("0 12 * * *", "2011-12-30 00:00:00", 2, "Pacific/Apia"),  // there was no 30 December
              ElementsAre("2011-12-31 00:00:00 +1400", "2011-12-31 12:00:00 +1400"));
}

TEST(CronTimes, RefuseWhatTheyDoNotKnow) {
  for (const char* wrong :
       {"", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
        "5-1 * * * *", "*/0 * * * *", "1,,2 * * * *", ",1 * * * *", "a * * * *", "* * * FOO *", "@reboot",
        "1-2-3 * * * *", "* * L * *", "*/ * * * *", "-1 * * * *"}) {
    EXPECT_FALSE(CronTimes::parse(wrong)) << wrong;
  }
  EXPECT_THAT(CronTimes::parse("61 * * * *").error().message,
              HasSubstr("minute (accepted: lists of *, 0 to 59"));
  EXPECT_EQ(TimeZone::find("Middle/Earth").error().code, ErrorCode::NotFound);
}

/// Walks through a whole year, minute by minute, with nothing but the zone's local time at each.
std::vector<std::int64_t> walk(const std::string& minute, const std::string& hour, std::uint32_t minute_no,
                               std::int32_t hour_no, std::int64_t begin, std::int64_t end,
                               const TimeZone& where) {
  std::vector<std::int64_t> found;
  std::int64_t latest_local = INT64_MIN;  // how far the local clock has ever been
  TimeZone::Period period = where.at(begin);
  for (std::int64_t at = begin; at < end; at += 60) {
    if (at >= period.end_s) period = where.at(at);
    const std::int64_t local = at + period.offset_s;
    const auto fits = [&](std::int64_t time) {
      return (minute == "*" || time / 60 % 60 == minute_no) && (hour == "*" || time / 3600 % 24 == hour_no);
    };
    bool fires = fits(local);
    if (hour != "*" && latest_local != INT64_MIN) {
      if (local <= latest_local) fires = false;  // it was so late before
      for (std::int64_t skipped = latest_local + 60; skipped < local; skipped += 60)
        fires = fires || fits(skipped);
    }
    if (fires && at > begin) found.push_back(at);
    latest_local = std::max(latest_local, local);
  }
  return found;
}

TEST(CronTimes, AgreeWithAWalkThroughTheYearInEveryKindOfZone) {
  std::mt19937_64 random = seeded_generator();
  const std::vector<std::string> zones = {"Europe/Berlin",     "America/New_York", "Australia/Lord_Howe",
                                          "Asia/Kolkata",      "Pacific/Apia",     "Africa/Casablanca",
                                          "America/Sao_Paulo", "Asia/Tehran",      "Antarctica/Troll"};
  for (int round = 0; round < 24; ++round) {
    const std::string name = zones[pick(random, static_cast<std::uint32_t>(zones.size()))];
    const TimeZone where = zone(name);
    const std::uint32_t minute_no = pick(random, 60), hour_no = pick(random, 5);
    const std::uint32_t which = pick(random, 3);
    const std::string minute = which == 0 ? "*" : std::to_string(minute_no);
    const std::string hour = which == 1 ? "*" : std::to_string(hour_no);
    const std::int64_t begin = unix_of("2005-01-01 00:00:00") + std::int64_t{pick(random, 20)} * 365 * 86'400;
    const std::int64_t end = begin + std::int64_t{366} * 86'400;
    const auto expected =
        walk(minute, hour, minute_no, static_cast<std::int32_t>(hour_no), begin, end, where);
    const auto times = CronTimes::parse(minute + " " + hour + " * * *");
    ASSERT_TRUE(times);
    std::vector<std::int64_t> found;
    for (auto at = times->next_after(begin, where); at && *at < end; at = times->next_after(*at, where)) {
      found.push_back(*at);
    }
    ASSERT_EQ(found, expected) << minute << " " << hour << " * * * in " << name << " from " << begin;
  }
}

}  // namespace
}  // namespace leat
