// The timer behind sleeping tasks.
#include "job_executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

namespace leat::tools {
namespace {

using namespace std::chrono_literals;

TEST(SleepTimer, WakesInTheOrderOfTheirTimesOnItsOwnThread) {
  SleepTimer timer;
  std::promise<void> all;
  std::vector<int> order;  // the timer's thread alone writes
  std::string thread_name;
  const auto wake = [&](int number) {
    return [&, number](bool cancelled) {
      EXPECT_FALSE(cancelled);
      order.push_back(number);
      if (order.size() < 3) return;
      char name[16];
      ::pthread_getname_np(::pthread_self(), name, sizeof name);
      thread_name = name;
      all.set_value();
    };
  };
  const auto begin = std::chrono::steady_clock::now();
  timer.wake_after(timer.new_id(), 30ms, wake(3));
  timer.wake_after(timer.new_id(), 10ms, wake(1));
  timer.wake_after(timer.new_id(), 20ms, wake(2));
  all.get_future().wait();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 30ms);
  EXPECT_THAT(order, testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(thread_name, "leat-sleep");
}

TEST(SleepTimer, CancelEndsASleepNow) {
  SleepTimer timer;
  std::promise<bool> ended;
  const std::uint64_t id = timer.new_id();
  timer.wake_after(id, std::chrono::hours(1000), [&](bool cancelled) { ended.set_value(cancelled); });
  timer.cancel(id);
  timer.cancel(id);
  EXPECT_TRUE(ended.get_future().get());
  timer.cancel(id);
}

TEST(SleepTimer, TheLongestSleepDoesNotOverflow) {
  std::promise<bool> ended;
  {
    SleepTimer timer;
    timer.wake_after(timer.new_id(), std::chrono::nanoseconds::max(),
                     [&](bool cancelled) { ended.set_value(cancelled); });
  }
  EXPECT_TRUE(ended.get_future().get()) << "the destructor cancels";
}

TEST(SleepTimer, EverySleepEndsOnceUnderConcurrentCancels) {
  constexpr int kThreads = 4;
  constexpr int kEach = 200;
  std::atomic<int> ended = 0;
  {
    SleepTimer timer;
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          const std::uint64_t id = timer.new_id();
          const auto duration =
              i % 3 == 0 ? std::chrono::nanoseconds(std::chrono::hours(1)) : std::chrono::nanoseconds(i);
          timer.wake_after(id, duration, [&](bool) { ended.fetch_add(1); });
          if ((i + t) % 2 == 0) timer.cancel(id);
        }
      });
    }
  }
  EXPECT_EQ(ended.load(), kThreads * kEach);
}

}  // namespace
}  // namespace leat::tools
