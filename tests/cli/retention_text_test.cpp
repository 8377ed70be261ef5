// What people may write where a limit or a moment is asked for.
#include "retention_text.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace leat::tools {
namespace {

constexpr std::int64_t kDayNs = 86'400'000'000'000;

TEST(RetentionText, TakesADurationACountAndBytesInAnyOrder) {
  for (const char* const text : {"7d,1000000,10GiB", "10GiB,7d,1000000"}) {
    const auto limits = parse_retention(text);
    ASSERT_TRUE(limits) << limits.error();
    EXPECT_EQ(limits->age_ns, 7 * kDayNs);
    EXPECT_EQ(limits->count, 1'000'000U);
    EXPECT_EQ(limits->bytes, std::uint64_t{10} << 30);
  }
}

TEST(RetentionText, TakesOneLimitAlone) {
  EXPECT_EQ(parse_retention("36h")->age_ns, kDayNs * 3 / 2);
  EXPECT_FALSE(parse_retention("36h")->count);
  EXPECT_EQ(parse_retention("0")->count, 0U);
  EXPECT_EQ(parse_retention("1.5KB")->bytes, 1500U);
}

TEST(RetentionText, AllIsNoLimit) {
  const auto limits = parse_retention("all");
  ASSERT_TRUE(limits);
  EXPECT_FALSE(limits->age_ns || limits->count || limits->bytes);
}

TEST(RetentionText, SaysWhatIsAccepted) {
  for (const char* const text : {"", "7days", "-1", "7d,8d", "1,2", "7d,", ",", "1.5", "9e9GiB", "all,7d",
                                 "nanB", "infGiB", "nan", "infd"}) {
    const auto limits = parse_retention(text);
    ASSERT_FALSE(limits) << text;
    EXPECT_NE(limits.error().find("accepted: all"), std::string::npos);
  }
}

TEST(MomentText, IsADateATimeOrSoLongAgo) {
  EXPECT_EQ(parse_moment("1970-01-02", 0), kDayNs);
  EXPECT_EQ(parse_moment("2026-11-23T15:00:01Z", 0), 1'795'446'001'000'000'000);
  EXPECT_EQ(parse_moment("1d", kDayNs + 5), 5);
  EXPECT_EQ(parse_moment("90m", 0), -90 * 60'000'000'000);
}

TEST(MomentText, SaysWhatIsAccepted) {
  for (const char* const text : {"", "yesterday", "2026-02-30", "2026-1-01", "2026-11-23T24:00:00Z",
                                 "2026-11-23T15:00:00", "2300-01-01", "-5m", "nand", "infh"}) {
    const auto moment = parse_moment(text, 0);
    ASSERT_FALSE(moment) << text;
    EXPECT_NE(moment.error().find("accepted: "), std::string::npos);
  }
}

}  // namespace
}  // namespace leat::tools
