// The watchdog over a lane whose worker is the test itself: it works only when told to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lane_table.h"
#include "leat/routing_config.h"
#include "virtual_clock.h"
#include "watchdog.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class NoWorkers final : public Workers {
 public:
  void notify() noexcept override {}
  void stop() noexcept override {}
};

class EndsTasks final : public AttemptListener {
 public:
  bool begin(Attempt&) noexcept override { return true; }
  void end(Attempt& attempt) noexcept override {
    attempt.lane->count(attempt, Lane::Outcome::Completed);
    attempt.settle();
  }
  void overdue(Attempt&) noexcept override {}
  void returned(Attempt&) noexcept override {}
  std::expected<void, Error> refer(Attempt&, std::string_view) override { return {}; }
  TaskReadyEvent event_of(void*, std::uint32_t) const noexcept override { return {}; }
};

/// Has capacity when the test says so; ends each task at once.
class Braked final : public TaskExecutor {
 public:
  std::expected<ExecutionResult, DispatchError> execute(const TaskReadyEvent& event) override {
    return ExecutionResult::success(event.task_execution_id);
  }
  bool has_capacity() const override { return !braked; }
  bool braked = false;
};

class WatchdogTest : public testing::Test {
 protected:
  void SetUp() override {
    lane_ = *table_.add("k", executor_, {.max_concurrent = 1, .max_queued = 3}, 0, nullptr);
    lane_->set_workers(workers_);
  }
  void dispatch(std::size_t count) {
    ASSERT_EQ(lane_->offer(std::vector<TaskReadyEvent>(count, event())), count);
  }
  TaskReadyEvent event() const {
    TaskReadyEvent event;
    event.task_namespace = name_;
    return event;
  }
  void look_after(std::chrono::nanoseconds time) {
    clock_.advance(time);
    watchdog_.look();
  }

  VirtualClock clock_;
  NamespaceTable names_;
  std::unique_ptr<Router> router_ = *Router::make(RoutingConfig("k"), names_);
  const Namespace name_ = *names_.intern("t::p::w::task");
  EndsTasks listener_;
  std::vector<std::string> said_;
  const std::shared_ptr<Braked> executor_ = std::make_shared<Braked>();
  NoWorkers workers_;
  LentThreads lent_{nullptr};
  LaneTable table_{*router_, clock_, listener_, lent_, false, 1, [](Severity, std::string_view) {}};
  Lane* lane_ = nullptr;
  std::function<void()> then_ = [] {};
  Watchdog watchdog_{table_, clock_, 10s, [this](Severity, std::string_view line) {
                       said_.emplace_back(line);
                       then_();
                     }};
};

TEST_F(WatchdogTest, SpeaksOnceWhereTasksCouldBeginAndNoneDoes) {
  dispatch(2);
  look_after(0s);
  look_after(9s);
  EXPECT_THAT(said_, IsEmpty());
  look_after(1s);
  look_after(100s);
  EXPECT_THAT(said_, ElementsAre("executor 'k' stands still: 2 task(s) are ready and could begin, none has "
                                 "for 10.0 s"));
  EXPECT_EQ(lane_->metrics().stalled_lanes, 1U);
}

TEST_F(WatchdogTest, SpeaksAgainOnlyAfterTheLaneHasMoved) {
  dispatch(3);
  look_after(0s);
  look_after(10s);
  ASSERT_EQ(said_.size(), 1U);
  ASSERT_EQ(lane_->run_some(0, 1), 1U);
  look_after(1s);
  EXPECT_EQ(lane_->metrics().stalled_lanes, 0U);
  look_after(9s);
  EXPECT_EQ(said_.size(), 1U);
  look_after(10s);
  EXPECT_EQ(said_.size(), 2U);
}

TEST_F(WatchdogTest, LooksEverMoreSeldomWhileNothingComes) {
  const auto next = [this] {
    return std::chrono::nanoseconds(watchdog_.look() - clock_.steady_ns());
  };
  EXPECT_EQ(next(), 1s);
  std::size_t looks = 0;
  for (auto passed = 0ns; passed < 1h; ++looks) {
    const auto pause = next();
    clock_.advance(pause);
    passed += pause;
  }
  EXPECT_LT(looks, 70U);
  dispatch(1);
  EXPECT_EQ(next(), 1s);
}

TEST_F(WatchdogTest, MayBeAskedByWhoHearsIt) {
  then_ = [this] { look_after(0s); };
  dispatch(1);
  look_after(0s);
  look_after(10s);
  EXPECT_EQ(said_.size(), 1U);
}

TEST_F(WatchdogTest, IsSilentWhileNothingWaits) {
  look_after(0s);
  look_after(1000s);
  dispatch(1);
  look_after(1s);
  EXPECT_THAT(said_, IsEmpty());
}

TEST_F(WatchdogTest, IsSilentWhileTheExecutorBrakesAndSpeaksWhereItForgotToSayThatItDoesNoMore) {
  executor_->braked = true;
  lane_->admit_or_park(event(), Slots());
  ASSERT_EQ(lane_->parked(), 1U);
  look_after(0s);
  look_after(1000s);
  EXPECT_THAT(said_, IsEmpty());
  executor_->braked = false;  // without services().capacity_changed()
  look_after(0s);
  look_after(10s);
  EXPECT_THAT(said_, ElementsAre(HasSubstr("'k' stands still: 1 task")));
}

TEST_F(WatchdogTest, KnowsTheAgeOfTheOldestTaskWhileOthersComeAndGo) {
  dispatch(1);
  look_after(0s);
  look_after(3s);
  dispatch(2);
  look_after(1s);
  EXPECT_EQ(lane_->metrics().oldest_ready_ns, 4'000'000'000U);
  ASSERT_EQ(lane_->run_some(0, 1), 1U);
  look_after(1s);
  EXPECT_EQ(lane_->metrics().oldest_ready_ns, 1'000'000'000U) << "the two came a second ago";
  ASSERT_EQ(lane_->run_some(0, 2), 2U);
  look_after(1s);
  EXPECT_EQ(lane_->metrics().oldest_ready_ns, 0U);
}

TEST_F(WatchdogTest, NeverSaysThatATaskIsOlderThanItIsHoweverLongTheBacklog) {
  for (int i = 0; i < 1000; ++i) {
    dispatch(1);
    look_after(1s);
    ASSERT_EQ(lane_->run_some(0, 1), 1U);
    ASSERT_LE(lane_->metrics().oldest_ready_ns, 1'000'000'000U);
  }
  dispatch(1);
  for (int i = 0; i < 1000; ++i) look_after(1s);
  EXPECT_EQ(lane_->metrics().oldest_ready_ns, 999'000'000'000U);
}

}  // namespace
}  // namespace leat
