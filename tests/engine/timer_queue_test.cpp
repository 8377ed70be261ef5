// The heap of due times, alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "lent_threads.h"
#include "seed.h"
#include "timer_queue.h"

namespace leat {
namespace {

using testing::ElementsAre;

class Notes final : public TimerListener {
 public:
  void on_timer(std::uint64_t token) noexcept override { told.push_back(token); }
  std::vector<std::uint64_t> told;
};

TEST(TimerQueue, TellsInOrderOfDueTimeThenOfScheduling) {
  LentThreads lent{nullptr};
  TimerQueue timers(lent);
  Notes notes;
  for (const auto& [due, token] :
       std::vector<std::pair<std::int64_t, std::uint64_t>>{{5, 1}, {3, 2}, {5, 3}, {4, 4}})
    timers.schedule(due, notes, token);
  EXPECT_EQ(timers.fire(4), 5);
  EXPECT_EQ(timers.fire(5), std::nullopt);
  EXPECT_THAT(notes.told, ElementsAre(2, 4, 1, 3));
}

TEST(TimerQueue, TellsNoMoreThanItIsAskedFor) {
  LentThreads lent{nullptr};
  TimerQueue timers(lent);
  Notes notes;
  for (const std::uint64_t token : {1, 2, 3}) timers.schedule(5, notes, token);
  EXPECT_EQ(timers.fire(5, 2), 5) << "the third is due";
  EXPECT_THAT(notes.told, ElementsAre(1, 2));
}

TEST(TimerQueue, ATimerThatWasTakenBackIsGoneAndNotTold) {
  LentThreads lent{nullptr};
  TimerQueue timers(lent);
  Notes notes;
  const TimerId id = timers.schedule(5, notes, 1);
  EXPECT_TRUE(timers.cancel(id));
  EXPECT_EQ(timers.size(), 0U);
  EXPECT_EQ(timers.fire(100), std::nullopt);
  EXPECT_TRUE(notes.told.empty());
}

TEST(TimerQueue, TakingBackTwiceOrTooLateLeavesTheNextUseOfThePlaceAlone) {
  LentThreads lent{nullptr};
  TimerQueue timers(lent);
  Notes notes;
  const TimerId cancelled = timers.schedule(5, notes, 1);
  EXPECT_TRUE(timers.cancel(cancelled));
  const TimerId told = timers.schedule(6, notes, 2);
  timers.fire(6);
  timers.schedule(7, notes, 3);
  EXPECT_FALSE(timers.cancel(cancelled));
  EXPECT_FALSE(timers.cancel(told));
  EXPECT_FALSE(timers.cancel(TimerId()));
  timers.fire(7);
  EXPECT_THAT(notes.told, ElementsAre(2, 3));
}

TEST(TimerQueue, DoesWhatAnOrderedMapDoes) {
  auto random = seeded_generator();
  LentThreads lent{nullptr};
  TimerQueue timers(lent);
  Notes notes;
  std::map<std::pair<std::int64_t, std::uint64_t>, TimerId> model;  // by due time and number
  std::vector<std::uint64_t> expected;
  std::int64_t now = 0;
  for (std::uint64_t number = 0; number < 20'000; ++number) {
    const std::int64_t due = now + pick(random, 50);
    model.emplace(std::pair(due, number), timers.schedule(due, notes, number));
    while (!model.empty() && pick(random, 3) == 0) {
      const auto victim = std::next(
          model.begin(), pick(random, static_cast<std::uint32_t>(std::min<std::size_t>(model.size(), 16))));
      ASSERT_TRUE(timers.cancel(victim->second));
      model.erase(victim);
    }
    now += pick(random, 3);
    const auto next = timers.fire(now);
    for (; !model.empty() && model.begin()->first.first <= now; model.erase(model.begin()))
      expected.push_back(model.begin()->first.second);
    ASSERT_EQ(notes.told, expected);
    ASSERT_EQ(timers.size(), model.size());
    ASSERT_EQ(next, model.empty() ? std::nullopt : std::optional(model.begin()->first.first));
    notes.told.clear();
    expected.clear();
  }
}

}  // namespace
}  // namespace leat
