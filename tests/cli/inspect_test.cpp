// `leat inspect` of one pipeline, and what its columns say of times and reasons.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "command_line.h"
#include "leat/leat.h"

namespace leat::tests {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class InspectTest : public CommandLineTest {
 protected:
  void run(const std::string& text, int status) {
    EXPECT_EQ(leat({"run", write_file("w.toml", text)}).status, status);
    pipeline_ = inspect("pipelines").at(0).at("pipeline");
  }
  /// The tree without its times.
  std::string tree() {
    const CommandResult result = leat({"inspect", "pipeline", pipeline_});
    EXPECT_EQ(result.status, 0) << result.err;
    const std::string text = std::regex_replace(result.out, std::regex("\\+?[0-9]+\\.[0-9]+ s"), "T");
    return text.substr(text.find('\n', text.find('\n') + 1) + 1);
  }

  std::string pipeline_;
};

constexpr const char* kBranches = R"(
[workflow]
name = "w"
[[task]]
name = "extract"
sleep = "0s"
[[task]]
name = "bad"
run = ["sh", "-c", "echo no such place; exit 1"]
after = ["extract"]
retry = {max_attempts = 2, initial = "1ms"}
[[task]]
name = "report"
after = ["bad"]
sleep = "0s"
)";

TEST_F(InspectTest, APipelineIsATreeOfWhatReleasedWhat) {
  run(kBranches, 1);
  EXPECT_EQ(
      tree(),
      "extract          Completed   attempt 1 on default from T, ran T\n"
      "  bad            Failed      attempt 2 on default from T, ran T: exit status 1: no such place\n"
      "    report       Skipped     its trigger rule {\"type\":\"AllSuccess\"} was false: bad is Failed\n");
}

TEST_F(InspectTest, APipelineOfAnEmbeddingProgramTellsItsEdgesAndRulesToo) {
  {
    const auto nothing = [](TaskContext&) {};
    const auto fails = [](TaskContext&) -> std::expected<void, TaskError> { return std::unexpected("no"); };
    const auto workflow = Workflow::builder("w")
                              .definition("the program's own text")
                              .task("a", fails, {.retry = {.max_attempts = 1}})
                              .task("b", nothing, {.trigger = TriggerRule::all_done(), .signal = "go"})
                              .task("c", nothing, {.after = {"b", "a"}})
                              .task("d", nothing, {.after = {"a"}, .trigger = TriggerRule::none_failed()})
                              .build();
    auto runner = Runner::builder().database_url("rocksdb://" + (directory() / "leat.db").string()).build();
    ASSERT_TRUE(workflow && runner && runner->start());
    const auto pipeline = runner->submit(*workflow);
    ASSERT_TRUE(pipeline);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (pipeline->task_states()[3] != TaskState::Skipped && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    pipeline_ = pipeline->id().to_string();
    ASSERT_TRUE(runner->stop(std::chrono::seconds(60)));
  }
  EXPECT_EQ(tree(),
            "a          Failed      attempt 1 on default from T, ran T: no\n"
            "  d        Skipped     its trigger rule {\"type\":\"NoneFailed\"} was false: a is Failed\n"
            "b          NotStarted  waits for the signal go\n"
            "  c        NotStarted  waits for b\n");
}

TEST_F(InspectTest, APipelineIsAnObjectInJson) {
  run(kBranches, 1);
  const CommandResult result = leat({"inspect", "pipeline", pipeline_, "--format", "json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json.at("pipeline"), pipeline_);
  EXPECT_EQ(json.at("state"), "Failed");
  ASSERT_EQ(json.at("tasks").size(), 3U);
  const auto& report = json.at("tasks").at(2);
  EXPECT_EQ(report.at("task"), "report");
  EXPECT_EQ(report.at("state"), "Skipped");
  EXPECT_EQ(report.at("after"), nlohmann::json({"bad"}));
  EXPECT_EQ(json.at("tasks").at(1).at("executor"), "default");
  EXPECT_EQ(leat({"inspect", "pipeline", pipeline_, "--format", "csv"}).status, 2);
}

TEST_F(InspectTest, EveryTransitionHasAReasonOfAClosedSet) {  // row 197
  run(kBranches, 1);
  std::map<std::string, std::vector<std::string>> reasons;
  for (const CsvRow& event : inspect("events")) reasons[event.at("task")].push_back(event.at("reason"));
  EXPECT_THAT(reasons["public::embedded::w::extract"],
              ElementsAre("Created", "Dependencies", "Started", "Result"));
  EXPECT_THAT(reasons["public::embedded::w::bad"],
              ElementsAre("Created", "Dependencies", "Started", "Retry", "Started", "Result"));
  EXPECT_THAT(reasons["public::embedded::w::report"], ElementsAre("Created", "TriggerRule"));
}

TEST_F(InspectTest, TasksTellTheTimesOfTheirLastAttempt) {
  run(kBranches, 1);
  std::map<std::string, CsvRow> tasks;
  for (const CsvRow& row : inspect("tasks")) tasks[row.at("task")] = row;
  std::map<std::string, std::string> last;  // by "task to"
  for (const CsvRow& event : inspect("events")) {
    last[event.at("task") + " " + event.at("to")] = event.at("time_ns");
  }
  const std::string bad = "public::embedded::w::bad";
  EXPECT_EQ(tasks[bad].at("ready_ns"), last[bad + " Ready"]);
  EXPECT_EQ(tasks[bad].at("started_ns"), last[bad + " Running"]);
  EXPECT_EQ(tasks[bad].at("finished_ns"), last[bad + " Failed"]);
  EXPECT_EQ(tasks["public::embedded::w::report"].at("started_ns"), "0") << "it never ran";
}

TEST_F(InspectTest, APipelineThatIsNotThereIsBadInput) {
  run(kBranches, 1);
  const CommandResult unknown = leat({"inspect", "pipeline", "018bcfe5-6800-7001-8000-000000000002"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("remembers no pipeline 018bcfe5-6800-7001-8000-000000000002"));
  for (const std::vector<std::string>& words : {std::vector<std::string>{"inspect", "pipeline"},
                                                {"inspect", "pipeline", "x"},
                                                {"inspect", "tasks", pipeline_}}) {
    const CommandResult result = leat(words);
    EXPECT_EQ(result.status, 2);
    EXPECT_THAT(result.err, HasSubstr("accepted: pipeline ID"));
  }
}

}  // namespace
}  // namespace leat::tests
