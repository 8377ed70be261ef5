// Which rounds of the checkpoint are kept, and what of the journal goes with the others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "leat/checkpoint.h"

namespace leat::test {
namespace {

using testing::ElementsAre;

std::vector<std::uint64_t> generations(const CheckpointMarks& marks) {
  std::vector<std::uint64_t> found;
  for (const CheckpointMark& mark : marks.kept()) found.push_back(mark.generation);
  return found;
}

/// A round a second, 1,000 numbers and 10,000 bytes each.
CheckpointMark mark_at(std::uint64_t number) {
  return {.generation = number,
          .minimum = number * 1000,
          .end = number * 1000 + 5,
          .ended_ns = static_cast<std::int64_t>(number) * 1'000'000'000,
          .journal_bytes = number * 10'000};
}

TEST(CheckpointMarks, WithoutALimitEveryEventStaysAndOneRound) {
  CheckpointMarks marks;
  for (std::uint64_t number = 1; number <= 20; ++number) {
    EXPECT_EQ(marks.complete(mark_at(number), {}).journal_below, 0U);
  }
  EXPECT_THAT(generations(marks), ElementsAre(0, 20));
}

TEST(CheckpointMarks, NeverDropEventsYoungerThanTheAge) {
  CheckpointMarks marks;
  const Retention events = {.age_ns = 20'000'000'000};
  for (std::uint64_t number = 1; number <= 200; ++number) {
    const auto dropped = marks.complete(mark_at(number), events);
    const std::uint64_t oldest_kept = number > 20 ? (number - 20) * 1000 : 0;
    EXPECT_LE(dropped.journal_below, oldest_kept);
    EXPECT_LE(marks.oldest().end, oldest_kept + 5);
    if (number > 30) {
      EXPECT_GT(dropped.journal_below + 6000, oldest_kept) << "at most an eighth and a round too much";
    }
    EXPECT_LE(marks.kept().size(), 12U);
    EXPECT_EQ(marks.newest(), mark_at(number));
  }
}

TEST(CheckpointMarks, KeepSoManyNumbersAndSoManyBytes) {
  CheckpointMarks by_count;
  CheckpointMarks by_bytes;
  for (std::uint64_t number = 1; number <= 100; ++number) {
    by_count.complete(mark_at(number), {.count = 16'000});
    by_bytes.complete(mark_at(number), {.bytes = 160'000});
  }
  EXPECT_EQ(by_count, by_bytes);
  EXPECT_LE(by_count.oldest().minimum, 84'000U);
  EXPECT_GE(by_count.oldest().minimum, 80'000U);
}

TEST(CheckpointMarks, OfNoEventsKeepOneRound) {
  CheckpointMarks marks;
  for (std::uint64_t number = 1; number <= 5; ++number) {
    EXPECT_EQ(marks.complete(mark_at(number), {.age_ns = 0}).journal_below, number * 1000);
  }
  EXPECT_THAT(generations(marks), ElementsAre(5));
}

TEST(CheckpointMarks, ComeBackFromTheirBytesAndRefuseAlteredOnes) {
  CheckpointMarks marks;
  for (std::uint64_t number = 1; number <= 30; ++number) marks.complete(mark_at(number), {.count = 16'000});
  std::string bytes = marks.encode();
  EXPECT_EQ(CheckpointMarks::decode(std::as_bytes(std::span(bytes))), marks);
  for (char& byte : bytes) {
    byte ^= 1;
    EXPECT_FALSE(CheckpointMarks::decode(std::as_bytes(std::span(bytes))));
    byte ^= 1;
  }
}

}  // namespace
}  // namespace leat::test
