// Signals in files: a run that waits for one is stopped, told, and carried on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "command_line.h"

namespace leat::tests {
namespace {

using testing::HasSubstr;

class SignalsTest : public CommandLineTest {
 protected:
  /// Leaves a pipeline in the store that waits for "approved".
  void SetUp() override {
    const std::string file = write_file("w.toml", R"([workflow]
name = "order"
[[task]]
name = "pack"
sleep = "0s"
[[task]]
name = "ship"
after = ["pack"]
signal = "approved"
signal_timeout = "200h"
sleep = "0s"
)");
    Running run = start({"run", file});
    wait_for_events([](const std::vector<CsvRow>& events) {
      return std::ranges::any_of(events, [](const CsvRow& event) { return event.at("to") == "Completed"; });
    });
    ::kill(run.pid(), SIGINT);
    EXPECT_EQ(run.wait().status, 130);
    pipeline_ = inspect("pipelines").at(0).at("pipeline");
  }

  std::string pipeline_;
};

TEST_F(SignalsTest, AreSentByResume) {
  EXPECT_THAT(leat({"inspect", "pipeline", pipeline_}).out, HasSubstr("waits for the signal approved"));
  const CommandResult resumed = leat({"resume", "--signal", pipeline_ + R"(:approved={"by":"Ada"})"});
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_THAT(leat({"inspect", "pipeline", pipeline_}).out, HasSubstr("signal approved: {\"by\":\"Ada\"}\n"));
  const std::vector<CsvRow> events = inspect("events");
  EXPECT_EQ(std::ranges::count_if(events, [](const CsvRow& event) { return event.at("reason") == "Signal"; }),
            1);
  EXPECT_EQ(leat({"verify"}).status, 0);
}

TEST_F(SignalsTest, ThatCannotBeSentAreBadInput) {
  for (const std::string& word : {std::string("approved"), pipeline_ + ":aproved", pipeline_ + ":approved={",
                                  std::string("00000000-0000-7000-8000-000000000000:approved")}) {
    const CommandResult resumed = leat({"resume", "--signal", word});
    EXPECT_EQ(resumed.status, 2) << word;
    EXPECT_EQ(std::ranges::count(resumed.err, '\n'), 1) << resumed.err;
  }
}

TEST_F(SignalsTest, AreSentBeforeAnotherGroupIsWaitedFor) {
  // Runs with other settings are carried on one after the other, this one first or last.
  const std::string file = write_file("v.toml", R"([workflow]
name = "return"
[[task]]
name = "unpack"
signal = "arrived"
sleep = "0s"
)");
  std::ptrdiff_t returns = 0;
  for (const char* workers : {"1", "3"}) {
    Running run = start({"run", file, "--workers", workers});
    ++returns;
    wait_for_events([returns](const std::vector<CsvRow>& events) {
      return returns == std::ranges::count_if(events, [](const CsvRow& event) {
               return event.at("task").ends_with("::unpack");
             });
    });
    ::kill(run.pid(), SIGINT);
    run.wait();
  }
  Running resumed = start({"resume", "--signal", pipeline_ + ":approved"});
  wait_for_events([](const std::vector<CsvRow>& events) {
    return std::ranges::any_of(events, [](const CsvRow& event) { return event.at("reason") == "Signal"; });
  });
  ::kill(resumed.pid(), SIGINT);
  resumed.wait();
}

}  // namespace
}  // namespace leat::tests
