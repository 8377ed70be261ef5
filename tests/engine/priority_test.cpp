// Levels of priority: which of the waiting tasks goes first. One lent thread and a clock that stands still
// make the order exact.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "behaviours.h"
#include "leat/leat.h"
#include "seed.h"
#include "virtual_clock.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

class Priorities : public testing::Test {
 protected:
  void make(std::uint32_t max_queued) {
    auto built = Runner::builder()
                     .state_store(make_memory_store(medium_))
                     .lent_threads()
                     .checkpoint_after(2000)
                     .clock(clock_)
                     .default_limits({.max_concurrent = 1, .max_queued = max_queued, .aging = 1s})
                     .build();
    ASSERT_TRUE(built) << built.error().message;
    runner_.emplace(std::move(*built));
    ASSERT_TRUE(runner_->start());
  }
  void submit(const std::string& tenant, int number, Priority priority) {
    const auto workflow =
        Workflow::builder("n" + std::to_string(number))
            .tenant(tenant)
            .task("t", [this, name = tenant + std::to_string(number)](TaskContext&) { ran_.push_back(name); })
            .build();
    ASSERT_TRUE(runner_->submit(*workflow, {.durability = Durability::Memory, .priority = priority}));
  }
  /// "t" of each of three levels, the lowest first, in an hour.
  void submit_one_of_each() {
    const auto start_at =
        std::chrono::system_clock::time_point(std::chrono::nanoseconds(clock_->unix_ns()) + 1h);
    for (const Priority priority : {Priority::Low, Priority::Normal, Priority::High}) {
      const int number = static_cast<int>(priority);
      ASSERT_TRUE(runner_->submit(
          *workflow_,
          {.context = "{\"n\":" + std::to_string(number) + "}", .priority = priority, .start_at = start_at}));
    }
  }
  void make_again() {
    ASSERT_TRUE(runner_->stop(10s));
    runner_.reset();
    make(1024);
    ASSERT_TRUE(runner_->register_workflow(*workflow_));
  }
  std::vector<std::string> run() {
    EXPECT_TRUE(runner_->run_until_idle());
    return std::move(ran_);
  }

  const std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  const std::shared_ptr<Workflow> workflow_ = std::make_shared<Workflow>(
      *Workflow::builder("w")
           .task("t",
                 [this](TaskContext& task) {
                   ran_.push_back(std::to_string(task.get<std::int64_t>("n").value()));
                 })
           .build());
  const std::shared_ptr<VirtualClock> clock_ = std::make_shared<VirtualClock>();
  std::optional<Runner> runner_;
  std::vector<std::string> ran_;
};

TEST_F(Priorities, AHigherLevelLeavesTheQueueFirst) {
  make(1024);
  submit("a", 1, Priority::Normal);
  submit("a", 2, Priority::Low);
  submit("a", 3, Priority::Normal);
  submit("a", 4, Priority::High);
  submit("a", 5, Priority::High);
  EXPECT_THAT(run(), ElementsAre("a4", "a5", "a1", "a3", "a2"));
}

TEST_F(Priorities, AHigherLevelIsHandedTheFreedSlotFirst) {
  make(1);
  submit("a", 1, Priority::Normal);  // these two have slots
  submit("a", 2, Priority::Normal);
  submit("a", 3, Priority::Normal);  // the rest is parked
  submit("a", 4, Priority::Low);
  submit("a", 5, Priority::High);
  EXPECT_THAT(run(), ElementsAre("a1", "a5", "a2", "a3", "a4"));
}

TEST_F(Priorities, ParkedTasksOfALevelGoInTurnBetweenTenants) {
  make(0);
  submit("z", 0, Priority::Normal);  // has the slot
  for (int i = 1; i <= 3; ++i) submit("a", i, Priority::High);
  submit("b", 4, Priority::High);
  submit("b", 5, Priority::Normal);
  submit("a", 6, Priority::Normal);
  EXPECT_THAT(run(), ElementsAre("z0", "a1", "b4", "a2", "a3", "b5", "a6"));
}

TEST_F(Priorities, WhoHasWaitedALevelsWorthLongerGoesFirst) {
  make(1024);
  submit("a", 1, Priority::Low);
  clock_->advance(900ms);
  submit("a", 2, Priority::Normal);
  clock_->advance(200ms);
  submit("a", 3, Priority::Normal);
  submit("a", 4, Priority::High);
  EXPECT_THAT(run(), ElementsAre("a4", "a2", "a1", "a3"));
}

TEST_F(Priorities, WhoIsParkedAndHasWaitedALevelsWorthLongerGoesFirst) {
  make(0);
  submit("z", 0, Priority::Normal);
  submit("a", 1, Priority::Low);
  clock_->advance(900ms);
  submit("a", 2, Priority::Normal);
  clock_->advance(1200ms);
  submit("a", 3, Priority::Normal);
  submit("a", 4, Priority::High);
  EXPECT_THAT(run(), ElementsAre("z0", "a2", "a1", "a4", "a3"));
}

TEST_F(Priorities, OutliveTheProcess) {
  make(1024);
  submit_one_of_each();
  make_again();
  clock_->advance(61min);
  EXPECT_THAT(run(), ElementsAre("0", "1", "2"));
}

TEST_F(Priorities, OutliveARoundOfTheCheckpoint) {
  make(1024);
  submit_one_of_each();
  behaviours::run_until_checkpoint(*runner_, *medium_);
  make_again();
  clock_->advance(61min);
  EXPECT_THAT(run(), ElementsAre("0", "1", "2"));
}

TEST(PriorityStress, EveryTaskOfEveryLevelRunsOnce) {
  auto random = seeded_generator();
  constexpr std::uint32_t kProducers = 4, kTasksEach = 5'000;
  Runner runner = *Runner::builder()
                       .database_url("memory:")
                       .default_limits({.max_concurrent = 3, .max_queued = 64})
                       .build();
  std::vector<std::atomic<int>> ran(kProducers * kTasksEach);
  const Namespace task = *runner.register_task("t::p::w::task", [&](TaskContext& context) {
    ++ran[static_cast<std::size_t>(context.event().max_attempts) - 1];
  });
  ASSERT_TRUE(runner.start());
  std::vector<std::thread> producers;
  for (std::uint32_t p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, p, mine = std::mt19937_64(random())]() mutable {
      std::vector<TaskReadyEvent> events;
      for (std::uint32_t i = 0; i < kTasksEach; ++i) {
        events.push_back(runner.make_event(task, static_cast<std::int32_t>(p * kTasksEach + i + 1)));
        events.back().priority = static_cast<Priority>(pick(mine, 3));
        if (events.size() < 1 + pick(mine, 16) && i + 1 < kTasksEach) continue;
        for (std::span<const TaskReadyEvent> rest = events; !rest.empty(); std::this_thread::yield())
          rest =
              rest.subspan(runner.dispatcher().dispatch_bulk(rest, {.durability = Durability::Memory}).taken);
        events.clear();
      }
    });
  }
  for (std::thread& producer : producers) producer.join();
  ASSERT_TRUE(runner.wait_idle(60s));
  for (const std::atomic<int>& count : ran) ASSERT_EQ(count, 1);
  EXPECT_EQ(runner.metrics("default").queued_tasks, 0U);
}

}  // namespace
}  // namespace leat
