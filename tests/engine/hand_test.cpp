// A worker's hand among thieves: each task leaves it once, whole.
#include "hand.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace leat {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr std::int64_t kTasks = 100'000;
#else
constexpr std::int64_t kTasks = 1'000'000;
#endif

/// A task that shows when half of it is another's.
QueuedTask make(std::int64_t number) {
  QueuedTask task;
  task.admitted_ns = number;
  task.event.attempt = static_cast<std::int32_t>(number);
  task.event.task_number = static_cast<std::uint32_t>(number);
  return task;
}

bool whole(const QueuedTask& task) {
  return task.event.attempt == task.admitted_ns && task.event.task_number == task.admitted_ns;
}

TEST(Hand, GivesItsTasksInOrder) {
  Hand hand;
  EXPECT_TRUE(hand.empty());
  ASSERT_EQ(
      hand.refill([](QueuedTask* cells, std::size_t) { return cells[0] = make(1), cells[1] = make(2), 2U; }),
      2U);
  EXPECT_EQ(hand.size(), 2U);
  QueuedTask task;
  ASSERT_TRUE(hand.take(task));
  EXPECT_EQ(task.admitted_ns, 1);
  ASSERT_TRUE(hand.steal(task));
  EXPECT_EQ(task.admitted_ns, 2);
  EXPECT_FALSE(hand.take(task));
  EXPECT_FALSE(hand.steal(task));
  EXPECT_TRUE(hand.empty());
}

TEST(Hand, IsNotRefilledBeforeItIsEmpty) {
  Hand hand;
  const auto one = [](QueuedTask* cells, std::size_t) { return cells[0] = make(1), 1U; };
  ASSERT_EQ(hand.refill(one), 1U);
  EXPECT_EQ(hand.refill(one), 0U);
  EXPECT_EQ(hand.size(), 1U);
}

TEST(Hand, AmongThievesEachTaskLeavesItOnceAndWhole) {
  Hand hand;
  std::vector<std::atomic<std::uint8_t>> seen(kTasks);
  std::atomic<std::int64_t> left = kTasks;
  std::atomic<int> torn = 0;
  const auto note = [&](const QueuedTask& task) {
    torn += !whole(task);
    ++seen[static_cast<std::size_t>(task.admitted_ns)];
    --left;
  };
  std::vector<std::jthread> thieves;
  for (int i = 0; i < 3; ++i) {
    thieves.emplace_back([&] {
      for (QueuedTask task; left > 0;) {
        if (hand.steal(task)) note(task);
      }
    });
  }
  std::int64_t next = 0;
  for (QueuedTask task; left > 0;) {
    if (hand.take(task)) {
      note(task);
      continue;
    }
    hand.refill([&](QueuedTask* cells, std::size_t room) {
      std::size_t count = 0;
      for (; count < room && next < kTasks; ++count) cells[count] = make(next++);
      return count;
    });
  }
  thieves.clear();
  EXPECT_EQ(torn, 0);
  for (std::size_t i = 0; i < seen.size(); ++i) ASSERT_EQ(seen[i], 1) << "task " << i;
}

}  // namespace
}  // namespace leat
