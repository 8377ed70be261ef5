// What survives: kill -9, signals, a store in use; and that `leat resume` repeats no more than was in flight.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>

#include "command_line.h"
#include "leat/leat.h"

namespace leat::tests {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

class ResumeTest : public CommandLineTest {
 protected:
  /// Four rows of tasks, each waiting for its left neighbour, joined at the end behind a gate: no run is over
  /// before open_gate(), however fast it is.
  std::string write_grid(int columns, const std::string& sleep) {
    std::string text = R"([workflow]
name = "grid"
[executors.default]
max_concurrent = 4
[[task]]
name = "gate"
run = ["test", "-e", "open"]
retry = {max_attempts = 1000000, backoff = "fixed", initial = "5ms", jitter = false}
)";
    std::string last = "\"gate\"";
    for (int row = 0; row < 4; ++row) {
      for (int column = 0; column < columns; ++column) {
        const std::string name = "t" + std::to_string(row) + "_" + std::to_string(column);
        text += "[[task]]\nname = \"" + name + "\"\nsleep = \"" + sleep + "\"\n";
        if (column > 0)
          text += "after = [\"t" + std::to_string(row) + "_" + std::to_string(column - 1) + "\"]\n";
        if (column == columns - 1) last += ", \"" + name + "\"";
      }
    }
    text += "[[task]]\nname = \"join\"\nafter = [" + last + "]\nsleep = \"0s\"\n";
    return write_file("grid.toml", text);
  }
  void open_gate() { write_file("open", ""); }
};

std::size_t count_to(const std::vector<CsvRow>& events, const std::string& state) {
  return static_cast<std::size_t>(
      std::ranges::count_if(events, [&](const CsvRow& event) { return event.at("to") == state; }));
}

std::set<std::string> tasks_in(const std::vector<CsvRow>& rows, const std::string& state) {
  std::set<std::string> tasks;
  for (const CsvRow& row : rows) {
    if (row.at("state") == state) tasks.insert(row.at("task"));
  }
  return tasks;
}

TEST_F(ResumeTest, CarriesOnAfterKillNineWithoutRepeatingWhatWasCompleted) {
  const std::string file = write_grid(25, "4ms");
  Running run = start({"run", file, "--durability", "process"});
  wait_for_events([](const auto& events) { return count_to(events, "Completed") >= 20; });
  ASSERT_EQ(::kill(run.pid(), SIGKILL), 0);
  EXPECT_EQ(run.wait().status, -SIGKILL);

  const auto before = inspect("events");
  const std::set<std::string> completed = tasks_in(inspect("tasks"), "Completed");
  std::set<std::string> in_flight = tasks_in(inspect("tasks"), "Running");

  open_gate();
  const CommandResult resumed = leat({"resume", "--json"});
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("1 pipeline(s) to carry on"));
  const Json result = Json::parse(resumed.out);
  EXPECT_EQ(result["pipelines"], 1);
  EXPECT_EQ(result["completed"], 1);
  EXPECT_EQ(result["tasks"], 102);
  EXPECT_EQ(result["executors"]["default"]["executed"], 102 - completed.size());

  const auto after = inspect("events");
  ASSERT_GT(after.size(), before.size());
  EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin())) << "the past changed";
  std::map<std::string, int> completions;
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (after[i].at("to") == "Completed") ++completions[after[i].at("task")];
    if (i >= before.size() && after[i].at("to") == "Running") {
      EXPECT_FALSE(completed.contains(after[i].at("task"))) << after[i].at("task") << " ran again";
      in_flight.insert(after[i].at("task"));  // a start that only the board knew is recorded now
    }
    if (i >= before.size() && after[i].at("from") == "Running" && after[i].at("to") == "Ready") {
      EXPECT_TRUE(in_flight.contains(after[i].at("task")));
      if (after[i].at("task").ends_with("::gate")) continue;  // had failed attempts before
      EXPECT_EQ(after[i].at("attempt"), "1") << "a rescue is no attempt";
    }
  }
  EXPECT_EQ(completions.size(), 102);
  for (const auto& [task, times] : completions) EXPECT_EQ(times, 1) << task;
}

TEST_F(ResumeTest, StopsGracefullyOnASignalAndCarriesOn) {
  for (const auto& [signal, status] : {std::pair{SIGINT, 130}, std::pair{SIGTERM, 143}}) {
    Running run = start({"run", write_grid(50, "4ms")});
    wait_for_events([](const auto& events) { return count_to(events, "Completed") >= 10; });
    ASSERT_EQ(::kill(run.pid(), signal), 0);
    const CommandResult stopped = run.wait();
    EXPECT_EQ(stopped.status, status) << stopped.err;
    EXPECT_THAT(stopped.err, HasSubstr("leat resume"));
    EXPECT_THAT(tasks_in(inspect("tasks"), "Running"), IsEmpty()) << "what ran has ended within the deadline";

    open_gate();
    const CommandResult resumed = leat({"resume", "--json"});
    EXPECT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_EQ(Json::parse(resumed.out)["completed"], 1);
    for (const CsvRow& task : inspect("tasks")) {
      EXPECT_EQ(task.at("state"), "Completed");
      EXPECT_EQ(task.at("rescues"), "0") << "a graceful stop is no crash";
    }
    std::filesystem::remove_all(directory() / "leat.db");
    std::filesystem::remove(directory() / "open");
  }
}

TEST_F(ResumeTest, KeepsExecutorsRoutesAndScaleOfEachRun) {
  // Two runs with settings of their own, both killed. Without its scale the sleep would take days.
  for (const std::string name : {"one", "two"}) {
    const std::string file =
        write_file(name + ".toml", "[workflow]\nname = \"" + name + "\"\n[executors." + name + R"(]
[[route]]
pattern = "**"
executor = ")" + name + R"("
[[task]]
name = "poll"
run = ["sh", "-c", "test -e ready"]
retry = {max_attempts = 1000000, backoff = "fixed", initial = "1ms", jitter = false}
[[task]]
name = "sleep"
after = ["poll"]
sleep = "100h"
)");
    Running run =
        start({"run", file, "--durability", "process", "--time-scale", name == "one" ? "1e-7" : "1e-8"});
    wait_for_events([&](const auto& events) {
      return std::ranges::any_of(events, [&](const CsvRow& event) {
        return event.at("to") == "Running" && event.at("executor") == name;
      });
    });
    ::kill(run.pid(), SIGKILL);
    run.wait();
  }
  write_file("ready", "");
  const CommandResult resumed = leat({"resume", "--json"});
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  const Json result = Json::parse(resumed.out);
  EXPECT_EQ(result["pipelines"], 2);
  EXPECT_EQ(result["completed"], 2);
  EXPECT_EQ(result["executors"]["default"]["executed"], 0);
  EXPECT_GE(result["executors"]["one"]["run_ns"]["max"].get<std::int64_t>(), 36'000'000);
  for (const CsvRow& event : inspect("events")) {
    if (event.at("executor").empty()) continue;
    EXPECT_EQ(event.at("executor"), event.at("task").find("::one::") != std::string::npos ? "one" : "two");
  }
}

TEST_F(ResumeTest, ResumesInTheDirectoryOfTheRun) {
  const std::string file = write_file("here.toml", R"(
[workflow]
name = "here"
[[task]]
name = "a"
run = ["sh", "-c", "test -e ready && pwd > where"]
retry = {max_attempts = 1000000, backoff = "fixed", initial = "1ms", jitter = false}
)");
  Running run = start({"run", file});
  wait_for_events([](const auto& events) { return count_to(events, "Ready") >= 3; });
  ::kill(run.pid(), SIGKILL);
  run.wait();
  write_file("ready", "");
  const std::string store = (directory() / "leat.db").string();
  const CommandResult resumed = leat({"resume", "--store", store});
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(read_file("where"), std::filesystem::canonical(directory()).string() + "\n");
}

TEST_F(ResumeTest, LeavesEarlierRunsWaitingAndSaysSo) {
  Running run = start({"run", write_grid(50, "4ms"), "--durability", "process"});
  wait_for_events([](const auto& events) { return count_to(events, "Completed") >= 10; });
  ::kill(run.pid(), SIGKILL);
  run.wait();
  const std::size_t completed = tasks_in(inspect("tasks"), "Completed").size();

  const CommandResult second = leat(
      {"run", write_file("one.toml", "[workflow]\nname='one'\n[[task]]\nname='a'\nsleep='0s'\n"), "--json"});
  EXPECT_EQ(second.status, 0) << second.err;
  EXPECT_THAT(second.err, HasSubstr("1 unfinished pipeline"));
  EXPECT_EQ(Json::parse(second.out)["pipelines"], 1);
  EXPECT_EQ(Json::parse(second.out)["tasks"], 1);
  EXPECT_EQ(tasks_in(inspect("tasks"), "Completed").size(), completed + 1) << "the earlier run went on";
  open_gate();
  EXPECT_EQ(leat({"resume"}).status, 0);
  EXPECT_EQ(tasks_in(inspect("tasks"), "Completed").size(), 203);
}

TEST_F(ResumeTest, TheSameFileAgainDoesNotCarryTheFirstRunOn) {
  const std::string file = write_grid(25, "4ms");
  Running run = start({"run", file, "--durability", "process"});
  wait_for_events([](const auto& events) { return count_to(events, "Completed") >= 10; });
  ::kill(run.pid(), SIGKILL);
  run.wait();
  open_gate();
  const CommandResult second = leat({"run", file, "--json"});
  EXPECT_EQ(second.status, 0) << second.err;
  EXPECT_EQ(Json::parse(second.out)["executors"]["default"]["executed"], 102);
  const auto pipelines = inspect("pipelines");
  ASSERT_EQ(pipelines.size(), 2);
  EXPECT_EQ(pipelines[0].at("state"), "Running");
  EXPECT_EQ(pipelines[1].at("state"), "Completed");
}

TEST_F(ResumeTest, APipelineOfAnotherProgramStaysUnfinishedAndIsNotPassedOver) {
  {
    auto runner = Runner::builder().database_url("rocksdb://" + (directory() / "leat.db").string()).build();
    ASSERT_TRUE(runner) << runner.error().message;
    ASSERT_TRUE(runner->start());
    const auto workflow = Workflow::builder("theirs")
                              .task("waits",
                                    [](TaskContext& task) {
                                      while (!task.stop_requested()) std::this_thread::yield();
                                    })
                              .build();
    ASSERT_TRUE(runner->submit(*workflow));
    ASSERT_TRUE(runner->stop(std::chrono::nanoseconds(0)));
  }
  const CommandResult resumed = leat({"resume"});
  EXPECT_EQ(resumed.status, 1);
  EXPECT_THAT(resumed.err, HasSubstr("public::embedded::theirs stays unfinished"));
}

TEST_F(ResumeTest, NothingToDoIsGoodAndNoStoreIsBadInput) {
  open_gate();
  EXPECT_EQ(leat({"run", write_grid(1, "0s")}).status, 0);
  const CommandResult nothing = leat({"resume", "--json"});
  EXPECT_EQ(nothing.status, 0) << nothing.err;
  EXPECT_EQ(Json::parse(nothing.out)["pipelines"], 0);
  const CommandResult missing = leat({"resume", "--store", "elsewhere"});
  EXPECT_EQ(missing.status, 2);
  EXPECT_EQ(std::ranges::count(missing.err, '\n'), 1) << missing.err;
  EXPECT_FALSE(std::filesystem::exists(directory() / "elsewhere"));
}

/// The commands that open `leat.db`.
std::vector<std::vector<std::string>> opening_commands() {
  return {{"run", "grid.toml"}, {"resume"}, {"inspect"}};
}

TEST_F(ResumeTest, RefusesAStoreOfANewerFormat) {
  open_gate();
  ASSERT_EQ(leat({"run", write_grid(1, "0s")}).status, 0);
  std::string text = read_file("leat.db/LEAT");
  constexpr std::size_t kChecksumLineBytes = std::string_view("checksum 0123456789abcdef\n").size();
  text.resize(text.size() - kChecksumLineBytes);
  const std::string first = "leat store format ";
  ASSERT_TRUE(text.starts_with(first)) << text;
  text.replace(first.size(), text.find('\n') - first.size(), "999");
  char checksum[kChecksumLineBytes + 1];
  std::snprintf(checksum, sizeof checksum, "checksum %016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  write_file("leat.db/LEAT", text + checksum);
  for (const auto& words : opening_commands()) {
    const CommandResult refused = leat(words);
    EXPECT_EQ(refused.status, 2) << words.front();
    EXPECT_EQ(refused.out, "");
    EXPECT_EQ(std::ranges::count(refused.err, '\n'), 1) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("leat.db"));
    EXPECT_THAT(refused.err, HasSubstr("999"));
  }
}

TEST_F(ResumeTest, EndsWithThreeOnADamagedStore) {
  open_gate();
  ASSERT_EQ(leat({"run", write_grid(1, "0s")}).status, 0);
  std::string text = read_file("leat.db/LEAT");
  text[text.find("epoch ") + 6] ^= 1;
  write_file("leat.db/LEAT", text);
  for (const auto& words : opening_commands()) {
    const CommandResult refused = leat(words);
    EXPECT_EQ(refused.status, 3) << words.front();
    EXPECT_EQ(refused.out, "");
    EXPECT_EQ(std::ranges::count(refused.err, '\n'), 1) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("leat.db"));
  }
}

TEST_F(ResumeTest, RefusesAStoreThatAnotherProcessHasOpen) {
  Running run = start({"run", write_grid(1, "1000s")});
  wait_for_events([](const auto& events) { return count_to(events, "Running") >= 4; });
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"run", "grid.toml"}, std::vector<std::string>{"resume"}}) {
    const CommandResult refused = leat(words);
    EXPECT_EQ(refused.status, 2) << words.front();
    EXPECT_EQ(refused.out, "");
    EXPECT_EQ(std::ranges::count(refused.err, '\n'), 1) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr("leat.db"));
  }
  EXPECT_EQ(leat({"inspect"}).status, 0) << "inspect works beside a live process";
  ::kill(run.pid(), SIGKILL);
  run.wait();
}

}  // namespace
}  // namespace leat::tests
