// Rates: how often tasks of an executor key begin, and that whoever must wait is woken.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"
#include "lent_threads.h"
#include "rate_limiter.h"
#include "seed.h"
#include "timer_queue.h"
#include "virtual_clock.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
constexpr auto kLong = 60s;

class RateLimiterTest : public testing::Test {
 protected:
  VirtualClock clock_;
  LentThreads lent_{nullptr};
  TimerQueue timers_{lent_};
  int rings_ = 0;
  RateLimiter limiter_{clock_, timers_, [this] { ++rings_; }};
};

TEST_F(RateLimiterTest, GivesNeverMoreThanItsRateInAnyPeriod) {
  std::mt19937_64 random = seeded_generator();
  for (int round = 0; round < 50; ++round) {
    const Rate rate{.count = 1 + pick(random, 20), .per = 1s, .burst = 1 + pick(random, 10)};
    limiter_.set(rate);
    std::deque<std::int64_t> taken;
    const std::int64_t begin = clock_.steady_ns();
    std::uint64_t total = 0;
    for (int step = 0; step < 1000; ++step) {
      clock_.advance(std::chrono::nanoseconds(pick(random, 100'000'000)));
      if (!limiter_.try_take()) continue;
      if (pick(random, 10) == 0) {
        limiter_.give_back();
        continue;
      }
      ++total;
      taken.push_back(clock_.steady_ns());
      while (clock_.steady_ns() - taken.front() >= 1'000'000'000) taken.pop_front();
      ASSERT_LE(taken.size(), rate.count + rate.burst - 1);
    }
    // Asked for 20 times a second on average, it gives what it may but for what lies between two questions.
    const double seconds = static_cast<double>(clock_.steady_ns() - begin) / 1e9;
    if (rate.count <= 5) {
      EXPECT_GT(static_cast<double>(total), 0.6 * seconds * rate.count);
    }
  }
}

TEST_F(RateLimiterTest, RingsOnceWhenTheTokenIsThereThatWasRefused) {
  limiter_.set({.count = 10, .per = 1s, .burst = 2});
  rings_ = 0;
  EXPECT_TRUE(limiter_.try_take() && limiter_.try_take());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limiter_.try_take());
  EXPECT_FALSE(limiter_.ready());
  EXPECT_EQ(timers_.size(), 1U);
  clock_.advance(99ms);
  timers_.fire(clock_.steady_ns());
  EXPECT_EQ(rings_, 0);
  clock_.advance(1ms);
  timers_.fire(clock_.steady_ns());
  EXPECT_EQ(rings_, 1);
  EXPECT_TRUE(limiter_.try_take());
  EXPECT_FALSE(limiter_.try_take());
}

TEST_F(RateLimiterTest, SetAnewBeginsWithAFullBucketAndRings) {
  limiter_.set({.count = 1, .per = 1h});
  EXPECT_TRUE(limiter_.try_take());
  EXPECT_FALSE(limiter_.try_take());
  rings_ = 0;
  limiter_.set({.count = 0});
  EXPECT_EQ(rings_, 1);
  EXPECT_EQ(timers_.size(), 0U);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limiter_.try_take());
}

TEST(RateLimit, LetsTasksBeginAsTheTokensCome) {
  const auto clock = std::make_shared<VirtualClock>();
  std::atomic<int> begun{0};
  auto runner = Runner::builder()
                    .state_store(make_memory_store())
                    .clock(clock)
                    .lent_threads()
                    .log_sink([](Severity, std::string_view) {})
                    .build();
  ASSERT_TRUE(runner);
  ASSERT_TRUE(runner->limit_rate("default", {.count = 10, .per = 1s, .burst = 3}));
  ASSERT_TRUE(runner->start());
  const auto workflow = *Workflow::builder("w").task("t", [&](TaskContext&) { ++begun; }).build();
  const Namespace alone = *runner->register_task("t::p::w::alone", [&](TaskContext&) { ++begun; });
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(runner->submit_async(workflow));
    ASSERT_TRUE(runner->dispatcher().dispatch(runner->make_event(alone), {.durability = Durability::Memory}));
  }
  const auto run = [&] {
    while (*runner->run_some(100) > 0) {
    }
  };
  run();
  EXPECT_EQ(begun, 3);
  clock->advance(99ms);
  run();
  EXPECT_EQ(begun, 3);
  for (int expected = 4; expected <= 10; ++expected) {
    clock->advance(expected == 4 ? 1ms : 100ms);
    run();
    EXPECT_EQ(begun, expected);
  }
  EXPECT_TRUE(runner->run_until_idle(kLong));
}

class RateLimitBackend : public testing::TestWithParam<Backend> {};

TEST_P(RateLimitBackend, LosesNoWakeUp) {
  constexpr int kTasks = 3000;
  std::atomic<int> begun{0};
  auto runner = Runner::builder().database_url("memory:").build();
  ASSERT_TRUE(runner);
  ASSERT_TRUE(runner->register_executor("limited", std::make_shared<ThreadTaskExecutor>(),
                                        {.max_concurrent = 3, .max_queued = 64, .backend = GetParam()}));
  ASSERT_TRUE(runner->limit_rate("limited", {.count = 20'000, .per = 1s, .burst = 5}));
  ASSERT_TRUE(runner->start());
  const auto workflow =
      *Workflow::builder("w").task("t", [&](TaskContext&) { ++begun; }, {.executor = "limited"}).build();
  for (int i = 0; i < kTasks; ++i) ASSERT_TRUE(runner->submit_async(workflow));
  EXPECT_TRUE(runner->wait_idle(kLong));
  EXPECT_EQ(begun, kTasks);
}

TEST_P(RateLimitBackend, GivesATokenToASecondWorkerWhileTheFirstIsBusy) {
  std::atomic<int> inside{0};
  std::atomic<bool> held{true};
  auto runner = Runner::builder().database_url("memory:").build();
  ASSERT_TRUE(runner);
  ASSERT_TRUE(runner->register_executor("limited", std::make_shared<ThreadTaskExecutor>(),
                                        {.max_concurrent = 2, .backend = GetParam(), .threads = 2}));
  ASSERT_TRUE(runner->limit_rate("limited", {.count = 100, .per = 1s, .burst = 2}));
  ASSERT_TRUE(runner->start());
  const auto workflow = *Workflow::builder("w")
                             .task("t",
                                   [&](TaskContext&) {
                                     ++inside;
                                     while (held) std::this_thread::yield();
                                     --inside;
                                   },
                                   {.executor = "limited"})
                             .build();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(runner->submit_async(workflow));
  EXPECT_TRUE(eventually([&] { return inside == 2; }));
  held = false;
  EXPECT_TRUE(runner->wait_idle(kLong));
}

INSTANTIATE_TEST_SUITE_P(OfEachKind, RateLimitBackend, testing::Values(Backend::Threads, Backend::Arena),
                         [](const auto& each) { return each.param == Backend::Arena ? "arena" : "threads"; });

TEST(RateLimit, RefusesWhatIsNoRate) {
  auto runner = Runner::builder().database_url("memory:").build();
  ASSERT_TRUE(runner);
  EXPECT_EQ(runner->limit_rate("nobody", {.count = 1}).error().code, ErrorCode::NotFound);
  for (const Rate rate :
       {Rate{.count = 2'000'000'000}, Rate{.count = 1, .per = 0s}, Rate{.count = 1, .per = 25h},
        Rate{.count = 1, .burst = 0}, Rate{.count = 10, .per = 5ns}}) {
    EXPECT_EQ(runner->limit_rate("default", rate).error().code, ErrorCode::InvalidArgument);
  }
  EXPECT_TRUE(runner->limit_rate("default", {}));
}

}  // namespace
}  // namespace leat
