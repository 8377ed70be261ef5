// What stays in a store, as the command line is told, and how it is found again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "command_line.h"

namespace leat::tests {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kOne = R"(
[workflow]
name = "one"
[[task]]
name = "a"
sleep = "0s"
)";
constexpr const char* kBad = R"(
[workflow]
name = "bad"
[[task]]
name = "a"
run = ["false"]
retry = {max_attempts = 1}
)";

class RetentionTest : public CommandLineTest {
 protected:
  std::vector<CsvRow> look_up(const std::string& what, const std::vector<std::string>& options) {
    std::vector<std::string> words = {"inspect", what, "--format", "csv"};
    words.insert(words.end(), options.begin(), options.end());
    const CommandResult result = leat(words);
    EXPECT_EQ(result.status, 0) << result.err;
    return parse_csv(result.out);
  }
};

TEST_F(RetentionTest, EventsGoByBytesAndSummariesByCount) {
  const std::string file = write_file("loud.toml", R"(
[workflow]
name = "loud"
[[task]]
name = "a"
run = ["sh", "-c", "head -c 60000 /dev/zero | tr '\\0' x"]
)");
  constexpr std::size_t kRuns = 6;
  constexpr std::size_t kPipelines = 40;  // 2.4 MB of output
  for (std::size_t runs = 0; runs < kRuns; ++runs) {
    const CommandResult ran =
        leat({"run", file, "--durability", "process", "--repeat", std::to_string(kPipelines), "--keep-events",
              "1MiB", "--keep-history", "30"});
    ASSERT_EQ(ran.status, 0) << ran.err;
  }
  const std::size_t pipelines = inspect("pipelines").size();
  EXPECT_LT(pipelines, kRuns * kPipelines);
  EXPECT_GE(pipelines, 30U);
  EXPECT_LT(inspect("events").size(), 4 * kRuns * kPipelines);
  EXPECT_EQ(leat({"verify"}).status, 0);
}

TEST_F(RetentionTest, AFinishedPipelineIsFoundByItsIdStateAndTime) {
  ASSERT_EQ(leat({"run", write_file("one.toml", kOne), "--repeat", "3"}).status, 0);
  ASSERT_EQ(leat({"run", write_file("bad.toml", kBad)}).status, 1);
  EXPECT_THAT(look_up("pipelines", {"--state", "Completed"}), SizeIs(3));
  const auto failed = look_up("pipelines", {"--state", "Failed", "--since", "1h"});
  ASSERT_THAT(failed, SizeIs(1));
  const std::string id = failed[0].at("pipeline");
  EXPECT_EQ(look_up("pipelines", {"--pipeline", id}), failed);
  EXPECT_THAT(look_up("pipelines", {"--until", "1h"}), IsEmpty());
  EXPECT_THAT(look_up("pipelines", {"--since", "2200-01-01"}), IsEmpty());
}

TEST_F(RetentionTest, TasksAndEventsOfOnePipelineAreFound) {
  ASSERT_EQ(leat({"run", write_file("one.toml", kOne), "--repeat", "3"}).status, 0);
  const std::string id = inspect("pipelines").at(1).at("pipeline");
  const auto tasks = look_up("tasks", {"--pipeline", id});
  ASSERT_THAT(tasks, SizeIs(1));
  EXPECT_EQ(tasks[0].at("pipeline"), id);
  EXPECT_THAT(look_up("events", {"--pipeline", id}), SizeIs(4));
  EXPECT_THAT(look_up("events", {"--pipeline", id, "--state", "Running"}), SizeIs(1));
  EXPECT_THAT(look_up("tasks", {"--state", "Failed"}), IsEmpty());
}

}  // namespace
}  // namespace leat::tests
