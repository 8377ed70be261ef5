// `leat inspect` pauses and schedules: only a program can make them.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "command_line.h"
#include "leat/leat.h"

namespace leat::tests {
namespace {

using namespace std::chrono_literals;

class PausesTest : public CommandLineTest {
 protected:
  Runner open_store() {
    auto runner = Runner::builder().database_url("rocksdb://" + (directory() / "leat.db").string()).build();
    EXPECT_TRUE(runner) << runner.error().message;
    EXPECT_TRUE(runner->start());
    return std::move(*runner);
  }
};

TEST_F(PausesTest, ShowsWhatIsPausedAndWhy) {
  const auto workflow = Workflow::builder("w")
                            .task("t",
                                  [](TaskContext& context) -> std::expected<void, TaskError> {
                                    while (!context.stop_requested()) std::this_thread::yield();
                                    return std::unexpected("stopped");
                                  })
                            .build();
  std::string id;
  {
    Runner runner = open_store();
    auto handle = runner.submit(*workflow);
    id = handle->id().to_string();
    ASSERT_TRUE(handle->pause("a look at the data"));
    ASSERT_TRUE(runner.pause_executor("gpu", "broken fan"));
    ASSERT_TRUE(runner.pause_namespaces("acme::**"));
    ASSERT_TRUE(runner.stop(0ns));
  }
  const auto pauses = inspect("pauses");
  ASSERT_EQ(pauses.size(), 3U);
  EXPECT_EQ(pauses[0].at("scope"), "executor");
  EXPECT_EQ(pauses[0].at("what"), "gpu");
  EXPECT_EQ(pauses[0].at("reason"), "broken fan");
  EXPECT_EQ(pauses[1].at("scope"), "namespaces");
  EXPECT_EQ(pauses[2].at("scope"), "pipeline");
  EXPECT_EQ(pauses[2].at("what"), id);
  EXPECT_EQ(pauses[2].at("reason"), "a look at the data");
  EXPECT_EQ(inspect("pipelines").at(0).at("state"), "Paused");
  EXPECT_EQ(leat({"verify"}).status, 0);
}

TEST_F(PausesTest, ShowsSchedulesAndHowFarTheyAre) {
  const auto workflow = Workflow::builder("w").task("t", [](TaskContext&) {}).build();
  {
    Runner runner = open_store();
    ASSERT_TRUE(runner.schedule("yearly", *workflow, {.cron = "0 0 1 1 *", .overlap = Overlap::QueueOne}));
    ASSERT_TRUE(
        runner.schedule("nightly", *workflow,
                        {.cron = "30 2 * * *", .time_zone = "Europe/Berlin", .misfire = Misfire::Skip}));
    ASSERT_TRUE(runner.pause_schedule("nightly"));
    ASSERT_TRUE(runner.stop(0ns));
  }
  const auto schedules = inspect("schedules");
  ASSERT_EQ(schedules.size(), 2U);
  EXPECT_EQ(schedules[0].at("schedule"), "nightly");
  EXPECT_EQ(schedules[0].at("workflow"), "public::embedded::w");
  EXPECT_EQ(schedules[0].at("cron"), "30 2 * * *");
  EXPECT_EQ(schedules[0].at("time_zone"), "Europe/Berlin");
  EXPECT_EQ(schedules[0].at("misfire"), "skip");
  EXPECT_EQ(schedules[0].at("paused"), "true");
  EXPECT_EQ(schedules[1].at("schedule"), "yearly");
  EXPECT_EQ(schedules[1].at("overlap"), "queue_one");
  EXPECT_EQ(schedules[1].at("paused"), "false");
  EXPECT_GT(std::stoll(schedules[1].at("cursor_ns")), 0);
  EXPECT_EQ(leat({"verify"}).status, 0);
}

}  // namespace
}  // namespace leat::tests
