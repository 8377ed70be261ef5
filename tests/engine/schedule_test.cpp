// Schedules: each time is dealt with once, whatever the clock, the process and the pipelines before it do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"
#include "leat/store_image.h"
#include "leat/store_recovery.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
constexpr auto kLong = 60s;
constexpr std::int64_t kNoon = 1'774'958'400'000'000'000;  // 2026-03-31 12:00:00 UTC
constexpr std::int64_t kSecond = 1'000'000'000;

/// Stands still until told; its two hands can be moved apart.
class TwoHandedClock final : public Clock {
 public:
  std::int64_t steady_ns() noexcept override { return steady_.load(); }
  std::int64_t unix_ns() noexcept override { return unix_.load(); }
  void advance(std::chrono::nanoseconds time) {
    steady_ += time.count();
    unix_ += time.count();
  }
  /// As a sleep of the machine does, or who sets it.
  void jump(std::chrono::nanoseconds time) { unix_ += time.count(); }

 private:
  std::atomic<std::int64_t> steady_{1}, unix_{kNoon};
};

/// Runs nothing; tasks end when the test says so, or when they are told to.
class Holding final : public TaskExecutor {
 public:
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    const auto held = std::make_shared<Held>(event.task_execution_id, std::move(token));
    held_.push_back(held);
    held->token.on_cancel([this, weak = std::weak_ptr(held)] {
      cancelled_ = true;
      const auto told = weak.lock();
      if (services().stopping() && told != nullptr) told->end(false);
    });
  }
  void end_first(bool well = true) {
    const auto held = held_.front();
    held_.pop_front();
    held->end(well);
  }
  std::size_t count() const { return held_.size(); }
  bool cancelled() const { return cancelled_; }

 private:
  struct Held {
    Held(const Uuid& id, CompletionToken given) : task(id), token(std::move(given)) {}
    void end(bool well) {
      token.complete(well ? ExecutionResult::success(task) : ExecutionResult::failed(task, "ended"));
    }
    const Uuid task;
    CompletionToken token;
  };
  std::deque<std::shared_ptr<Held>> held_;
  std::atomic<bool> cancelled_{false};
};

/// A Runner on one thread, the caller's, and what it fired.
class Stage {
 public:
  explicit Stage(std::shared_ptr<MemoryMedium> medium = std::make_shared<MemoryMedium>(),
                 std::shared_ptr<TwoHandedClock> clock = std::make_shared<TwoHandedClock>(),
                 std::uint64_t checkpoint_after = 64 << 20)
      : medium_(std::move(medium)), clock_(std::move(clock)) {
    auto made = Runner::builder()
                    .state_store(make_memory_store(medium_))
                    .clock(clock_)
                    .lent_threads()
                    .checkpoint_after(checkpoint_after)
                    .register_executor("holding", holding_, {.max_concurrent = 16})
                    .log_sink([](Severity, std::string_view) {})
                    .build();
    EXPECT_TRUE(made) << made.error().message;
    runner_ = std::make_unique<Runner>(std::move(*made));
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  ~Stage() {
    if (runner_ != nullptr) {
      EXPECT_TRUE(runner_->stop(0s));
    }
  }
  void start() { ASSERT_TRUE(runner_->start()); }
  /// All that can be done now.
  void run() {
    while (*runner_->run_some(100) > 0) {
    }
  }
  void pass(std::chrono::nanoseconds time) {
    clock_->advance(time);
    run();
  }
  void stop() {
    ASSERT_TRUE(runner_->stop(0s));
    runner_.reset();
  }
  Runner& runner() { return *runner_; }
  TwoHandedClock& clock() { return *clock_; }
  Holding& holding() { return *holding_; }
  std::shared_ptr<TwoHandedClock> shared_clock() { return clock_; }
  const std::shared_ptr<MemoryMedium>& medium() { return medium_; }
  std::vector<std::string> fired() { return std::exchange(*fired_, {}); }

  /// Notes which time it stands for.
  Workflow quick(std::string tag = "") {
    return *Workflow::builder("quick")
                .version_tag(std::move(tag))
                .task("t",
                      [fired = fired_](TaskContext& context) {
                        fired->push_back(*context.get<std::string>("scheduled_time"));
                      })
                .build();
  }
  Workflow slow() { return *Workflow::builder("slow").task("t", {.executor = "holding"}).build(); }

 private:
  std::shared_ptr<MemoryMedium> medium_;
  std::shared_ptr<TwoHandedClock> clock_;
  std::shared_ptr<Holding> holding_ = std::make_shared<Holding>();
  std::shared_ptr<std::vector<std::string>> fired_ = std::make_shared<std::vector<std::string>>();
  std::unique_ptr<Runner> runner_;
};

std::string at(const std::string& clock, const std::string& day = "2026-03-31") {
  return day + "T" + clock + "Z";
}

TEST(Schedule, FiresAtEachOfItsTimesWithTheTimeInTheContext) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.runner().schedule("s", stage.quick(), {.cron = "*/5 * * * *"}));
  stage.pass(299s);
  EXPECT_THAT(stage.fired(), IsEmpty());
  stage.pass(1s);
  EXPECT_THAT(stage.fired(), ElementsAre(at("12:05:00")));
  stage.pass(5min);
  stage.pass(30s);
  EXPECT_THAT(stage.fired(), ElementsAre(at("12:10:00")));
  const auto infos = stage.runner().schedules();
  ASSERT_EQ(infos.size(), 1U);
  EXPECT_EQ(infos[0].next_ns, kNoon + 900 * kSecond);
  EXPECT_EQ(infos[0].last_ns, kNoon + 600 * kSecond);
  EXPECT_EQ(infos[0].definition.options.cron, "*/5 * * * *");
}

TEST(Schedule, FollowsItsTimeZone) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(
      stage.runner().schedule("s", stage.quick(), {.cron = "0 18 * * *", .time_zone = "Asia/Kolkata"}));
  EXPECT_EQ(stage.runner().schedules()[0].next_ns, kNoon + 30 * 60 * kSecond);
}

TEST(Schedule, GoesOnAfterARestartAsItWas) {
  Stage first;
  first.start();
  ASSERT_TRUE(first.runner().schedule("a", first.quick(), {.cron = "*/5 * * * *", .context = R"({"x":1})"}));
  ASSERT_TRUE(first.runner().schedule("b", first.quick(), {.cron = "@hourly"}));
  ASSERT_TRUE(first.runner().schedule("c", first.quick(), {.cron = "@hourly"}));
  ASSERT_TRUE(first.runner().pause_schedule("b"));
  ASSERT_TRUE(first.runner().remove_schedule("c"));
  EXPECT_EQ(first.runner().remove_schedule("c").error().code, ErrorCode::NotFound);
  first.pass(5min);
  EXPECT_THAT(first.fired(), ElementsAre(at("12:05:00")));
  first.stop();
  Stage second(first.medium(), first.shared_clock());
  ASSERT_TRUE(second.runner().register_workflow(second.quick()));
  second.start();
  const auto infos = second.runner().schedules();
  ASSERT_EQ(infos.size(), 2U);
  EXPECT_EQ(infos[0].last_ns, kNoon + 300 * kSecond);
  EXPECT_EQ(infos[0].definition.options.context, R"({"x":1})");
  EXPECT_TRUE(infos[1].paused);
  second.pass(5min);
  EXPECT_THAT(second.fired(), ElementsAre(at("12:10:00")));
  second.pass(1h);
  second.fired();
  ASSERT_TRUE(second.runner().resume_schedule("b"));
  second.run();
  EXPECT_THAT(second.fired(), IsEmpty()) << "what came while it was paused is left out";
}

TEST(Schedule, DefinedAgainKeepsHowFarItIsWhereItsTimesStayTheSame) {
  Stage first;
  first.start();
  ASSERT_TRUE(first.runner().schedule("s", first.quick(), {.cron = "*/5 * * * *"}));
  first.stop();
  first.clock().advance(5min);
  Stage second(first.medium(), first.shared_clock());
  second.start();
  ASSERT_TRUE(second.runner().schedule("s", second.quick("new"), {.cron = "*/5 * * * *"}));
  second.run();
  EXPECT_THAT(second.fired(), ElementsAre(at("12:05:00"))) << "the time that came between belongs to it";
  second.clock().advance(1min);
  ASSERT_TRUE(second.runner().schedule("s", second.quick("new"), {.cron = "*/3 * * * *"}));
  second.run();
  EXPECT_THAT(second.fired(), IsEmpty()) << "12:06 is one of its times, but other times begin now";
}

TEST(Schedule, WaitsForAVersionOfItsWorkflow) {
  Stage first;
  first.start();
  ASSERT_TRUE(first.runner().schedule("s", first.quick(), {.cron = "*/5 * * * *"}));
  first.stop();
  Stage second(first.medium(), first.shared_clock());
  second.start();
  second.pass(7min);
  EXPECT_FALSE(second.runner().schedules()[0].bound);
  ASSERT_TRUE(second.runner().register_workflow(second.quick("another version")));
  second.run();
  EXPECT_THAT(second.fired(), ElementsAre(at("12:05:00")));
}

/// The machine is away from 12:00 to 17:00:10.
std::vector<std::string> fired_after_five_hours(ScheduleOptions options) {
  Stage first;
  first.start();
  EXPECT_TRUE(first.runner().schedule("s", first.quick(), options));
  first.stop();
  first.clock().advance(5h + 10s);
  Stage second(first.medium(), first.shared_clock());
  EXPECT_TRUE(second.runner().register_workflow(second.quick()));
  second.start();
  second.run();
  const std::vector<std::string> fired = second.fired();
  second.pass(1h - 10s);
  EXPECT_THAT(second.fired(), ElementsAre(at("18:00:00"))) << "then it goes on";
  return fired;
}

TEST(ScheduleMisfire, FireOnceFiresOnceForTheFirstTimeMissed) {  // row 199
  EXPECT_THAT(fired_after_five_hours({.cron = "@hourly", .misfire = Misfire::FireOnce}),
              ElementsAre(at("13:00:00")));
}

TEST(ScheduleMisfire, SkipLeavesOutAllButWhatIsOnTime) {
  EXPECT_THAT(fired_after_five_hours({.cron = "@hourly", .misfire = Misfire::Skip}),
              ElementsAre(at("17:00:00")));
  EXPECT_THAT(fired_after_five_hours({.cron = "@hourly", .misfire = Misfire::Skip, .misfire_after = 5s}),
              IsEmpty());
}

TEST(ScheduleMisfire, CatchUpFiresForEveryTimeMissed) {  // row 199
  for (const Overlap overlap : {Overlap::Skip, Overlap::Allow, Overlap::QueueOne}) {
    EXPECT_THAT(
        fired_after_five_hours({.cron = "@hourly", .overlap = overlap, .misfire = Misfire::CatchUp}),
        ElementsAre(at("13:00:00"), at("14:00:00"), at("15:00:00"), at("16:00:00"), at("17:00:00")))
        << to_string(overlap);
  }
}

TEST(ScheduleMisfire, CatchUpRunsTheLatestTimeAloneWhereEachCancelsTheOneBefore) {
  const ScheduleOptions options{
      .cron = "@hourly", .overlap = Overlap::CancelOther, .misfire = Misfire::CatchUp};
  EXPECT_THAT(fired_after_five_hours(options), ElementsAre(at("17:00:00")));
}

TEST(ScheduleMisfire, CatchUpRunsOneAfterTheOtherAndLeavesOutWhatComesMeanwhile) {  // row 199
  Stage first;
  first.start();
  ASSERT_TRUE(first.runner().schedule("s", first.slow(), {.cron = "@hourly", .misfire = Misfire::CatchUp}));
  first.stop();
  first.clock().advance(3h + 10s);
  Stage second(first.medium(), first.shared_clock());
  ASSERT_TRUE(second.runner().register_workflow(second.slow()));
  second.start();
  second.run();
  for (int time = 1; time <= 3; ++time) {
    EXPECT_EQ(second.holding().count(), 1U);
    EXPECT_EQ(second.runner().schedules()[0].last_ns, kNoon + time * 3600 * kSecond);
    if (time == 2) second.pass(2h);  // 16:00 and 17:00 come
    second.holding().end_first();
    second.run();
  }
  EXPECT_EQ(second.holding().count(), 0U);
  second.pass(1h);
  EXPECT_EQ(second.runner().schedules()[0].last_ns, kNoon + 6 * 3600 * kSecond) << "then it goes on";
}

TEST(ScheduleMisfire, CatchUpFiresForTheLatestTimesWithinItsBound) {  // row 199
  EXPECT_THAT(
      fired_after_five_hours({.cron = "@hourly", .misfire = Misfire::CatchUp, .catch_up_max = 2}),
      ElementsAre(at("16:00:00"), at("17:00:00")));
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.runner().schedule(
      "s", stage.quick(), {.cron = "* * * * *", .overlap = Overlap::Allow, .misfire = Misfire::CatchUp}));
  stage.pass(24h * 400);
  EXPECT_EQ(stage.fired().size(), 100U) << "unless another bound is given";
}

TEST(ScheduleMisfire, OfAWordThatIsNoneIsFireOnce) {  // row 200: the original calls that Skip
  EXPECT_EQ(misfire_of("whatever"), Misfire::FireOnce);
  for (const Misfire misfire : {Misfire::FireOnce, Misfire::Skip, Misfire::CatchUp}) {
    EXPECT_EQ(misfire_of(to_string(misfire)), misfire);
  }
}

TEST(ScheduleOverlap, SkipLeavesATimeOutWhileAPipelineIsUnderWay) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.runner().schedule("s", stage.slow(), {.cron = "* * * * *", .overlap = Overlap::Skip}));
  for (int minute = 0; minute < 3; ++minute) stage.pass(1min);
  EXPECT_EQ(stage.holding().count(), 1U);
  stage.holding().end_first();
  stage.run();
  EXPECT_EQ(stage.holding().count(), 0U);
  stage.pass(1min);
  EXPECT_EQ(stage.holding().count(), 1U);
}

TEST(ScheduleOverlap, AllowLetsThemRunBesideEachOther) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.runner().schedule("s", stage.slow(), {.cron = "* * * * *", .overlap = Overlap::Allow}));
  for (int minute = 0; minute < 3; ++minute) stage.pass(1min);
  EXPECT_EQ(stage.holding().count(), 3U);
  EXPECT_EQ(stage.runner().schedules()[0].under_way, 3U);
}

TEST(ScheduleOverlap, QueueOneLetsOneTimeWaitAcrossARestartToo) {
  Stage first;
  first.start();
  ASSERT_TRUE(
      first.runner().schedule("s", first.slow(), {.cron = "* * * * *", .overlap = Overlap::QueueOne}));
  for (int minute = 0; minute < 4; ++minute) first.pass(1min);
  EXPECT_EQ(first.holding().count(), 1U);
  EXPECT_EQ(first.runner().schedules()[0].queued_ns, kNoon + 120 * kSecond);
  first.stop();
  Stage second(first.medium(), first.shared_clock());
  ASSERT_TRUE(second.runner().register_workflow(second.slow()));
  second.start();
  second.run();
  EXPECT_EQ(second.holding().count(), 1U) << "the one that was under way goes on";
  second.holding().end_first();
  second.run();
  EXPECT_EQ(second.holding().count(), 1U) << "its end lets the one in that waits";
  EXPECT_EQ(second.runner().schedules()[0].last_ns, kNoon + 120 * kSecond);
  EXPECT_EQ(second.runner().schedules()[0].queued_ns, 0);
  second.holding().end_first();
  second.run();
  EXPECT_EQ(second.holding().count(), 0U) << "times that came while one waited are left out";
}

TEST(ScheduleOverlap, CancelOtherCancelsThoseUnderWay) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(
      stage.runner().schedule("s", stage.slow(), {.cron = "* * * * *", .overlap = Overlap::CancelOther}));
  stage.pass(1min);
  EXPECT_FALSE(stage.holding().cancelled());
  stage.pass(1min);
  EXPECT_TRUE(stage.holding().cancelled());
  EXPECT_EQ(stage.holding().count(), 2U);
  stage.holding().end_first(false);
  stage.run();
  EXPECT_EQ(stage.runner().schedules()[0].under_way, 1U);
}

TEST(Schedule, OfAPipelineThatTakesHoursFiresNoTimeTwice) {  // row 202
  Stage first;
  first.start();
  ASSERT_TRUE(first.runner().schedule("s", first.slow(), {.cron = "0 13 * * *", .overlap = Overlap::Allow}));
  first.pass(1h);
  for (int hour = 0; hour < 5; ++hour) first.pass(1h);
  EXPECT_EQ(first.holding().count(), 1U);
  first.stop();
  Stage second(first.medium(), first.shared_clock());
  ASSERT_TRUE(second.runner().register_workflow(second.slow()));
  second.start();
  for (int hour = 0; hour < 5; ++hour) second.pass(1h);
  EXPECT_EQ(second.holding().count(), 1U);
}

TEST(Schedule, WhosePipelineHasEndedIsNotTakenForLost) {  // row 201
  Stage first;
  first.start();
  ASSERT_TRUE(first.runner().schedule("s", first.quick(), {.cron = "0 13 * * *"}));
  first.pass(1h);
  EXPECT_EQ(first.fired().size(), 1U);
  first.stop();
  Stage second(first.medium(), first.shared_clock());
  ASSERT_TRUE(second.runner().register_workflow(second.quick()));
  second.start();
  second.pass(5h);
  EXPECT_THAT(second.fired(), IsEmpty());
}

TEST(ScheduleClock, PutForwardIsFoundOutWithinAMinute) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.runner().schedule("s", stage.quick(), {.cron = "@hourly"}));
  stage.run();
  stage.clock().jump(3h + 5min);  // the machine slept: its steady clock stood still
  stage.pass(60s);
  EXPECT_THAT(stage.fired(), ElementsAre(at("13:00:00")));
  EXPECT_EQ(stage.runner().schedules()[0].next_ns, kNoon + 4 * 3600 * kSecond);
}

TEST(ScheduleClock, PutBackFiresNothingTwice) {
  Stage stage;
  stage.start();
  ASSERT_TRUE(stage.runner().schedule("s", stage.quick(), {.cron = "*/10 * * * *"}));
  stage.pass(10min);
  EXPECT_THAT(stage.fired(), ElementsAre(at("12:10:00")));
  stage.clock().jump(-30min);
  for (int minute = 0; minute < 39; ++minute) stage.pass(1min);
  EXPECT_THAT(stage.fired(), IsEmpty());
  stage.pass(1min);
  EXPECT_THAT(stage.fired(), ElementsAre(at("12:20:00")));
}

/// What a crash leaves that lost all behind the first `commits`.
std::shared_ptr<MemoryMedium> cut(const MemoryMedium& medium, std::size_t commits) {
  auto left = std::make_shared<MemoryMedium>(medium);
  left->commits.resize(commits);
  left->board.clear();
  left->open = left->clean = false;
  return left;
}

std::vector<std::int64_t> times_in(const MemoryMedium& medium) {
  StoreImage image(StoreImage::Keep::Everything);
  for (const auto& commit : medium.commits) {
    const auto applied = image.apply(commit.first_sequence, commit.bytes);
    EXPECT_TRUE(applied) << applied.error().message;
  }
  std::vector<std::int64_t> times;
  for (const auto& [number, pipeline] : image.pipelines()) {
    if (!pipeline.traits->schedule.empty())
      times.push_back((pipeline.traits->scheduled_ns - kNoon) / kSecond / 60);
  }
  std::ranges::sort(times);
  return times;
}

class ScheduleCrash : public testing::TestWithParam<Overlap> {};

TEST_P(ScheduleCrash, BehindAnyCommitLosesNoTimeAndDoublesNone) {  // row 203
  const ScheduleOptions options{.cron = "* * * * *", .overlap = GetParam(), .misfire = Misfire::CatchUp};
  Stage whole;
  whole.start();
  ASSERT_TRUE(whole.runner().schedule("s", whole.quick(), options));
  for (int half = 0; half < 16; ++half) {
    whole.clock().advance(30s);
    while (*whole.runner().run_some(1) > 0) ASSERT_TRUE(whole.runner().flush());  // so that commits are small
  }
  whole.stop();
  const std::vector<std::int64_t> all = times_in(*whole.medium());
  ASSERT_THAT(all, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  ASSERT_GT(whole.medium()->commits.size(), 16U);
  bool known = false;
  for (std::size_t commits = 1; commits <= whole.medium()->commits.size(); ++commits) {
    const auto left = cut(*whole.medium(), commits);
    const auto before = recover_unfinished(*make_memory_store(std::make_shared<MemoryMedium>(*left)));
    ASSERT_TRUE(before) << before.error().message;
    known = known || !before->schedules().empty();
    if (!known) continue;
    Stage again(left, whole.shared_clock());
    ASSERT_TRUE(again.runner().register_workflow(again.quick()));
    again.start();
    again.run();
    again.stop();
    EXPECT_EQ(times_in(*left), all) << "behind commit " << commits;
  }
  EXPECT_TRUE(known);
}

INSTANTIATE_TEST_SUITE_P(WithEachOverlap, ScheduleCrash,
                         testing::Values(Overlap::Allow, Overlap::CancelOther),
                         [](const auto& each) { return std::string(to_string(each.param)); });

TEST(Schedule, SurvivesCheckpointsWithoutTheJournalBefore) {
  const auto medium = std::make_shared<MemoryMedium>();
  const auto clock = std::make_shared<TwoHandedClock>();
  {
    Stage stage(medium, clock, 1);
    stage.start();
    ASSERT_TRUE(
        stage.runner().schedule("s", stage.quick(), {.cron = "* * * * *", .overlap = Overlap::Allow}));
    ASSERT_TRUE(stage.runner().schedule("gone", stage.quick(), {.cron = "* * * * *"}));
    ASSERT_TRUE(
        stage.runner().schedule("slow", stage.slow(), {.cron = "* * * * *", .overlap = Overlap::QueueOne}));
    for (int minute = 0; minute < 20; ++minute) {
      if (minute == 10) {
        ASSERT_TRUE(stage.runner().remove_schedule("gone"));
      }
      stage.pass(1min);
      stage.pass(1s);
    }
    stage.fired();
    stage.stop();
  }
  StoreImage whole(StoreImage::Keep::Unfinished);
  for (const auto& commit : medium->commits) ASSERT_TRUE(whole.apply(commit.first_sequence, commit.bytes));
  for (const auto& commit : medium->commits) EXPECT_GT(commit.end_sequence, 0U);
  const auto image = recover_unfinished(*make_memory_store(std::make_shared<MemoryMedium>(*medium)));
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->schedules(), whole.schedules());
  EXPECT_EQ(image->schedules().size(), 2U);
  ASSERT_EQ(image->pipelines().size(), 1U);
  EXPECT_EQ(image->pipelines().begin()->second.traits->schedule, "slow");
  EXPECT_EQ(image->pipelines().begin()->second.traits->scheduled_ns, kNoon + 60 * kSecond);
}

TEST(Schedule, FiresOnItsOwnThreadsToo) {
  std::atomic<int> fired{0};
  const auto workflow = *Workflow::builder("w").task("t", [&](TaskContext&) { ++fired; }).build();
  auto runner = Runner::builder().database_url("memory:").build();
  ASSERT_TRUE(runner && runner->start());
  ASSERT_TRUE(runner->schedule("s", workflow, {.cron = "* * * * * *"}));
  EXPECT_TRUE(eventually([&] { return fired > 0; }));
  EXPECT_TRUE(runner->stop(kLong));
}

TEST(Schedule, RefusesWhatItCannotKeep) {
  Stage stage;
  stage.start();
  const auto code = [&](std::string_view name, ScheduleOptions options) {
    const auto made = stage.runner().schedule(name, stage.quick(), std::move(options));
    EXPECT_FALSE(made);
    return made ? ErrorCode::Timeout : made.error().code;
  };
  EXPECT_EQ(code("", {.cron = "@daily"}), ErrorCode::InvalidArgument);
  EXPECT_EQ(code("s", {.cron = "@never"}), ErrorCode::InvalidArgument);
  EXPECT_EQ(code("s", {.cron = "0 0 30 2 *"}), ErrorCode::InvalidArgument) << "there is no 30 February";
  EXPECT_EQ(code("s", {.cron = "@daily", .time_zone = "Middle/Earth"}), ErrorCode::NotFound);
  EXPECT_EQ(code("s", {.cron = "@daily", .context = "[]"}), ErrorCode::InvalidArgument);
  EXPECT_EQ(code("s", {.cron = "@daily", .catch_up_max = 0}), ErrorCode::InvalidArgument);
  EXPECT_EQ(code("s", {.cron = "@daily", .durability = Durability::Memory}), ErrorCode::InvalidArgument);
  EXPECT_THAT(stage.runner().schedules(), IsEmpty());
  EXPECT_EQ(stage.runner().pause_schedule("s").error().code, ErrorCode::NotFound);
}

}  // namespace
}  // namespace leat
