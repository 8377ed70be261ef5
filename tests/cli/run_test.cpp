// `leat run` and `leat inspect` from outside: real workflows, their order, their routes, their figures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "command_line.h"
#include "text_file.h"
#include "workflow_file_wfformat.h"

namespace leat::tests {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class RunTest : public CommandLineTest {
 protected:
  /// Runs with --json and gives the object.
  Json run(std::vector<std::string> words, int status = 0) {
    words.insert(words.begin(), "run");
    words.push_back("--json");
    const CommandResult result = leat(words);
    EXPECT_EQ(result.status, status) << result.err;
    return Json::parse(result.out, nullptr, false);
  }
};

/// The names that INTERFACE promises, so nobody's script breaks by accident.
constexpr std::string_view kEventHeader =
    "seq,time_ns,pipeline,task,attempt,from,to,executor,reason,worker,"
    "dispatched_ns,durable_ns\n";

/// Where the tasks of a finished run stand in its events.
struct TaskTimes {
  std::uint64_t running = 0;
  std::uint64_t completed = 0;
  int completions = 0;
};

std::map<std::string, TaskTimes> task_times(const std::vector<CsvRow>& events) {
  std::map<std::string, TaskTimes> times;
  std::uint64_t last = 0;
  for (const CsvRow& event : events) {
    const std::uint64_t sequence = std::stoull(event.at("seq"));
    EXPECT_GT(sequence, last) << "sequence numbers rise strictly";
    last = sequence;
    TaskTimes& task = times[event.at("task")];
    if (event.at("to") == "Running") task.running = sequence;
    if (event.at("to") != "Completed") continue;
    task.completed = sequence;
    ++task.completions;
  }
  return times;
}

class RealTraceTest : public RunTest, public testing::WithParamInterface<const char*> {};

TEST_P(RealTraceTest, CompletesEachTaskOnceAndAfterItsParents) {
  const char* shared = std::getenv("LEAT_SHARED_DIR");
  const std::string file =
      std::string(shared != nullptr ? shared : "") + "/data/wfinstances/" + GetParam() + ".json";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no trace at " << file;
  const auto text = tools::read_text_file(file);
  ASSERT_TRUE(text.has_value()) << text.error();
  const auto plan = tools::parse_wfformat(file, *text);
  ASSERT_TRUE(plan.has_value()) << plan.error();

  const Json result = run({file, "--time-scale", "0.0001", "--workers", "4", "--durability", "process"});
  EXPECT_EQ(result["pipelines"], 1);
  EXPECT_EQ(result["completed"], 1);
  EXPECT_EQ(result["failed"], 0);
  EXPECT_EQ(result["tasks"], plan->tasks.size());
  EXPECT_EQ(result["executors"]["default"]["executed"], plan->tasks.size());

  const auto times = task_times(inspect("events"));
  const std::string prefix = "public::" + std::string(GetParam()) + "::" + plan->name + "::";
  EXPECT_EQ(times.size(), plan->tasks.size());
  for (const tools::TaskPlan& task : plan->tasks) {
    ASSERT_TRUE(times.contains(prefix + task.name)) << task.name;
    const TaskTimes& own = times.at(prefix + task.name);
    EXPECT_EQ(own.completions, 1) << task.name;
    for (const std::string& parent : task.options.after) {
      EXPECT_LT(times.at(prefix + parent).completed, own.running) << task.name << " after " << parent;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(WfInstances, RealTraceTest,
                         testing::Values("1000genome-chameleon-8ch-100k-001", "blast-chameleon-medium-001",
                                         "epigenomics-chameleon-ilmn-2seq-100k-001",
                                         "helloworld-chain-5-chameleon", "helloworld-forkjoin-10-chameleon",
                                         "montage-chameleon-2mass-01d-001", "montage-chameleon-2mass-05d-001",
                                         "rnaseq-dirt02-001", "sarek-dirt02-001",
                                         "seismology-chameleon-300p-001"));

constexpr std::string_view kTwo = R"(
[workflow]
name = "two"
[[task]]
name = "first"
sleep = "1ms"
[[task]]
name = "second"
after = ["first"]
busy = "200us"
)";

TEST_F(RunTest, PrintsOneJsonObjectWithThePromisedKeys) {
  const Json result = run({write_file("two.toml", kTwo), "--repeat", "3"});
  std::set<std::string> keys;
  for (const auto& [key, value] : result.items()) keys.insert(key);
  EXPECT_THAT(keys, ElementsAre("completed", "executors", "failed", "pipelines", "seconds", "tasks"));
  EXPECT_EQ(result["pipelines"], 3);
  EXPECT_EQ(result["completed"], 3);
  EXPECT_EQ(result["tasks"], 6);
  EXPECT_GT(result["seconds"].get<double>(), 0.001);
  const Json& executor = result["executors"]["default"];
  EXPECT_EQ(executor["executed"], 6);
  EXPECT_EQ(executor["retried"], 0);
  for (const char* latency : {"queue_wait_ns", "run_ns"}) {
    for (const char* figure : {"p50", "p99", "max"})
      EXPECT_TRUE(executor[latency][figure].is_number_integer());
  }
  EXPECT_GE(executor["run_ns"]["max"].get<std::int64_t>(), 1'000'000) << "the sleep of 1 ms";
}

TEST_F(RunTest, PrintsTablesAndKeepsMessagesOffStandardOutput) {
  const CommandResult result = leat({"run", write_file("two.toml", kTwo)});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, testing::StartsWith("executor "));
  EXPECT_THAT(result.out, HasSubstr("public::embedded::two"));
  EXPECT_THAT(result.out, HasSubstr("1 of 1 pipelines completed, 2 tasks"));
  EXPECT_THAT(result.out, testing::Not(HasSubstr("leat: ")));
}

TEST_F(RunTest, RunsFilesOfBothFormsTogether) {
  const std::string trace = write_file(
      "trace.json",
      R"({"name":"t","workflow":{"specification":{"tasks":[{"id":"a"},{"id":"b","parents":["a"]}]}}})");
  const Json result = run({write_file("two.toml", kTwo), trace});
  EXPECT_EQ(result["pipelines"], 2);
  EXPECT_EQ(result["tasks"], 4);
  std::set<std::string> tasks;
  for (const CsvRow& row : inspect("tasks")) tasks.insert(row.at("task"));
  EXPECT_THAT(tasks, ElementsAre("public::embedded::two::first", "public::embedded::two::second",
                                 "public::trace::t::a", "public::trace::t::b"));
}

TEST_F(RunTest, WritesNoStoreAtLevelMemory) {
  const Json result = run({write_file("two.toml", kTwo), "--durability", "memory"});
  EXPECT_EQ(result["completed"], 1);
  EXPECT_THAT(files(), ElementsAre("two.toml"));
}

TEST_F(RunTest, ScalesRecordedTimes) {
  const std::string trace = write_file("long.json", R"({"workflow":{"specification":{"tasks":[{"id":"a"}]},
    "execution":{"tasks":[{"id":"a","runtimeInSeconds":100000}]}}})");
  const Json result = run({trace, "--time-scale", "1e-7"});
  EXPECT_GE(result["executors"]["default"]["run_ns"]["max"].get<std::int64_t>(), 10'000'000);
  EXPECT_EQ(run({trace, "--time-scale", "0"})["completed"], 1);
}

constexpr std::string_view kRouted = R"(
[workflow]
name = "routed"
package = "ml"
[[task]]
name = "train"
sleep = "0s"
[[task]]
name = "score"
after = ["train"]
sleep = "0s"
[[task]]
name = "pinned"
executor = "io"
sleep = "0s"
[executors.gpu]
max_concurrent = 1
[executors.io]
[[route]]
pattern = "*::ml::*::train"
executor = "gpu"
)";

std::map<std::string, std::string> executors_of(const std::vector<CsvRow>& events) {
  std::map<std::string, std::string> executors;
  for (const CsvRow& event : events) {
    if (event.at("to") == "Completed") executors[event.at("task")] = event.at("executor");
  }
  return executors;
}

TEST_F(RunTest, RoutesAndPinsDecideWhereATaskRuns) {
  const Json result = run({write_file("routed.toml", kRouted)});
  const auto executors = executors_of(inspect("events"));
  EXPECT_EQ(executors.at("public::ml::routed::train"), "gpu");
  EXPECT_EQ(executors.at("public::ml::routed::score"), "default");
  EXPECT_EQ(executors.at("public::ml::routed::pinned"), "io");
  for (const char* key : {"gpu", "default", "io"}) EXPECT_EQ(result["executors"][key]["executed"], 1) << key;
}

TEST_F(RunTest, RoutesFileReplacesTheFilesOwnRoutes) {
  const std::string routes = write_file("routes.toml", R"(
[routing]
default = "fast"
[executors.fast]
[executors.io]
[[route]]
pattern = "**::score"
executor = "io"
)");
  const Json result = run({write_file("routed.toml", kRouted), "--routes", routes});
  const auto executors = executors_of(inspect("events"));
  EXPECT_EQ(executors.at("public::ml::routed::train"), "fast");
  EXPECT_EQ(executors.at("public::ml::routed::score"), "io");
  EXPECT_EQ(executors.at("public::ml::routed::pinned"), "io");
  EXPECT_FALSE(result["executors"].contains("gpu"));
}

TEST_F(RunTest, NeverRunsMoreThanMaxConcurrentOfAKey) {
  std::string file =
      "[workflow]\nname = \"wide\"\n[executors.narrow]\nmax_concurrent = 2\n[routing]\ndefault = "
      "\"narrow\"\n";
  for (int i = 0; i < 20; ++i) file += "[[task]]\nname = \"t" + std::to_string(i) + "\"\nsleep = \"2ms\"\n";
  run({write_file("wide.toml", file), "--workers", "4"});
  int running = 0;
  int most = 0;
  for (const CsvRow& event : inspect("events")) {
    if (event.at("to") == "Running") most = std::max(most, ++running);
    if (event.at("from") == "Running") --running;
  }
  EXPECT_EQ(running, 0);
  EXPECT_EQ(most, 2);
}

TEST_F(RunTest, EndsWithOneWhereAPipelineFailed) {
  const std::string file = write_file("bad.toml", R"(
[workflow]
name = "bad"
[[task]]
name = "fails"
run = ["false"]
retry = {max_attempts = 1}
[[task]]
name = "skipped"
after = ["fails"]
sleep = "0s"
)");
  const Json result = run({file, write_file("two.toml", kTwo)}, 1);
  EXPECT_EQ(result["pipelines"], 2);
  EXPECT_EQ(result["completed"], 1);
  EXPECT_EQ(result["failed"], 1);
  EXPECT_EQ(result["executors"]["default"]["failed"], 1);
  std::map<std::string, std::string> states;
  for (const CsvRow& row : inspect("tasks")) states[row.at("task")] = row.at("state");
  EXPECT_EQ(states.at("public::embedded::bad::fails"), "Failed");
  EXPECT_EQ(states.at("public::embedded::bad::skipped"), "Skipped");
}

TEST_F(RunTest, EndsWithOneWhereADeadlinePasses) {
  const auto file = write_file("w.toml", R"(
[workflow]
name = "w"
deadline = "300ms"
[[task]]
name = "a"
sleep = "1h"
[[task]]
name = "b"
after = ["a"]
sleep = "0s"
)");
  EXPECT_EQ(run({file}, 1)["failed"], 1);
  std::map<std::string, std::string> reasons;
  for (const CsvRow& row : inspect("events")) reasons[row.at("task")] = row.at("to") + " " + row.at("reason");
  EXPECT_EQ(reasons.at("public::embedded::w::a"), "Cancelled Deadline");
  EXPECT_EQ(reasons.at("public::embedded::w::b"), "Cancelled Deadline");
}

TEST_F(RunTest, RetriesAreNewAttemptsInTheEvents) {
  const std::string file = write_file("flaky.toml", R"(
[workflow]
name = "flaky"
[[task]]
name = "second_time_lucky"
run = ["sh", "-c", "test -e tried || { touch tried; exit 7; }"]
retry = {max_attempts = 2, initial = "1ms"}
)");
  const Json result = run({file});
  EXPECT_EQ(result["tasks"], 1);
  EXPECT_EQ(result["executors"]["default"]["executed"], 2);
  EXPECT_EQ(result["executors"]["default"]["retried"], 1);
  std::vector<std::string> story;
  for (const CsvRow& event : inspect("events")) {
    story.push_back(event.at("from") + ">" + event.at("to") + " " + event.at("attempt"));
  }
  EXPECT_THAT(story, ElementsAre(">NotStarted 1", "NotStarted>Ready 1", "Ready>Running 1", "Running>Ready 2",
                                 "Ready>Running 2", "Running>Completed 2"));
}

TEST_F(RunTest, InspectsTheSameInEveryFormat) {
  run({write_file("two.toml", kTwo), "--repeat", "2"});
  for (const char* what : {"pipelines", "tasks", "events"}) {
    const std::vector<CsvRow> rows = inspect(what);
    const CommandResult json = leat({"inspect", what, "--format", "json"});
    ASSERT_EQ(json.status, 0) << json.err;
    const Json array = Json::parse(json.out);
    ASSERT_EQ(array.size(), rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(array[i].size(), rows[i].size());
      for (const auto& [key, value] : rows[i]) {
        const Json& cell = array[i].at(key);
        const std::string text = cell.is_null()     ? ""
                                 : cell.is_string() ? cell.get<std::string>()
                                                    : cell.dump();
        EXPECT_EQ(text, value) << what << " " << key;
      }
    }
    const CommandResult table = leat({"inspect", what});
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(table.out, '\n')), rows.size() + 1) << what;
  }
}

TEST_F(RunTest, EventsTellOfTheWorkerTheDispatchAndWhenTheyWereDurable) {
  run({write_file("two.toml", kTwo), "--workers", "1"});
  run({write_file("two.toml", kTwo), "--workers", "1"});
  const std::vector<CsvRow> events = inspect("events");
  std::int64_t before = 0;
  std::size_t starts = 0, durable = 0;
  for (const CsvRow& event : events) {
    const std::int64_t time = std::stoll(event.at("time_ns"));
    if (event.at("to") == "Running") {
      ++starts;
      EXPECT_EQ(event.at("worker"), "0");
      EXPECT_LE(std::stoll(event.at("dispatched_ns")), time);
      EXPECT_GE(std::stoll(event.at("dispatched_ns")), before) << "it was Ready by then";
    } else {
      EXPECT_EQ(event.at("worker") + event.at("dispatched_ns"), "");
    }
    if (event.at("to") == "Ready") before = time;
    if (event.at("durable_ns").empty()) continue;
    ++durable;
    EXPECT_GE(std::stoll(event.at("durable_ns")), time);
  }
  EXPECT_EQ(starts, 4U);
  EXPECT_GT(durable, events.size() / 4) << "a dependent starts behind its dependency's sync";
}

TEST_F(RunTest, InspectHasThePromisedHeaders) {
  run({write_file("two.toml", kTwo)});
  const auto header = [this](const char* what) {
    const std::string out = leat({"inspect", what, "--format", "csv"}).out;
    return out.substr(0, out.find('\n') + 1);
  };
  EXPECT_EQ(header("events"), kEventHeader);
  EXPECT_EQ(header("pipelines"),
            "pipeline,workflow,state,tasks,completed,failed,skipped,created_ns,finished_ns\n");
  EXPECT_EQ(header("tasks"),
            "pipeline,task,state,attempt,rescues,executor,error,ready_ns,started_ns,finished_ns\n");
}

TEST_F(RunTest, QuotesNamesThatWouldBreakACsv) {
  run({write_file("odd.toml",
                  "[workflow]\nname = 'odd'\n[[task]]\nname = \"a,b \\\"c\\\"\\nd\"\nsleep = '0s'\n")});
  const std::vector<CsvRow> rows = inspect("tasks");
  ASSERT_EQ(rows.size(), 1);
  EXPECT_EQ(rows[0].at("task"), "public::embedded::odd::a,b \"c\"\nd");
  const CommandResult table = leat({"inspect", "tasks"});
  EXPECT_EQ(std::ranges::count(table.out, '\n'), 2) << "a table's row stays one line";
}

TEST_F(RunTest, SecondRunOnTheSameStoreCountsOnlyItsOwn) {
  const std::string file = write_file("two.toml", kTwo);
  run({file});
  EXPECT_EQ(run({file})["pipelines"], 1);
  EXPECT_EQ(inspect("pipelines").size(), 2);
}

}  // namespace
}  // namespace leat::tests
