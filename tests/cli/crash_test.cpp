// Tasks and children that outdo the process that runs them: real kills, with the command line as the victim.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "command_line.h"

namespace leat::tests {
namespace {

using testing::HasSubstr;

class CrashTest : public CommandLineTest {
 protected:
  const CsvRow& find(const std::vector<CsvRow>& tasks, const std::string& name) {
    const auto found = std::ranges::find_if(
        tasks, [&](const CsvRow& task) { return task.at("task").ends_with("::" + name); });
    EXPECT_NE(found, tasks.end()) << name;
    return *found;
  }
};

TEST_F(CrashTest, ATaskThatKillsItsProcessIsQuarantinedAndItsNeighboursComplete) {
  std::string text = R"([workflow]
name = "w"
[executors.default]
max_concurrent = 8
[[task]]
name = "killer"
run = ["sh", "-c", "kill -9 $PPID"]
)";
  for (int i = 0; i < 5; ++i) text += "[[task]]\nname = \"n" + std::to_string(i) + "\"\nsleep = \"300ms\"\n";
  CommandResult life = leat({"run", write_file("w.toml", text)});
  int deaths = 0;
  for (; life.status == -SIGKILL && deaths < 10; life = leat({"resume"})) {
    ++deaths;
    const auto tasks = inspect("tasks");
    if (deaths <= 2) continue;
    // Rescued twice: from here on it runs alone.
    for (const CsvRow& task : tasks) {
      if (!task.at("task").ends_with("::killer")) {
        EXPECT_NE(task.at("state"), "Running") << task.at("task");
      }
    }
  }
  EXPECT_EQ(life.status, 1) << life.err;
  EXPECT_EQ(deaths, 4);
  const auto tasks = inspect("tasks");
  ASSERT_EQ(tasks.size(), 6U);
  EXPECT_EQ(find(tasks, "killer").at("state"), "Failed");
  EXPECT_EQ(find(tasks, "killer").at("rescues"), "3");
  EXPECT_THAT(find(tasks, "killer").at("error"), HasSubstr("ABANDONED"));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(find(tasks, "n" + std::to_string(i)).at("state"), "Completed");
    EXPECT_LE(std::stoi(find(tasks, "n" + std::to_string(i)).at("rescues")), 2);
  }
}

TEST_F(CrashTest, AChildThatOutlivedTheKillIsGoneBeforeItsTwinRuns) {
  const std::string file = write_file("w.toml", R"([workflow]
name = "w"
[[task]]
name = "t"
run = ["sh", "-c", """
if test -e pid; then
  if grep -q '^State:.[RSD]' /proc/$(cat pid)/status 2>/dev/null; then echo alive > verdict; else echo gone > verdict; fi
else
  echo $$ > pid.new; mv pid.new pid; exec sleep 1000
fi"""]
)");
  Running run = start({"run", file});
  wait_for_events([&](const auto&) { return std::filesystem::exists(directory() / "pid"); });
  ASSERT_EQ(::kill(run.pid(), SIGKILL), 0);
  run.wait();
  ASSERT_EQ(::kill(std::stoi(read_file("pid")), 0), 0) << "it should have outlived its process";
  const CommandResult resumed = leat({"resume"});
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("outlived"));
  EXPECT_EQ(read_file("verdict"), "gone\n");
}

TEST_F(CrashTest, AProcessThatMerelyHasTheNumberOfADeadChildIsLeftAlone) {
  const std::string file = write_file("w.toml", R"([workflow]
name = "w"
[[task]]
name = "t"
run = ["sh", "-c", "if test -e pid; then exit 0; else echo $$ > pid.new; mv pid.new pid; exec sleep 1000; fi"]
)");
  Running run = start({"run", file});
  wait_for_events([&](const auto&) { return std::filesystem::exists(directory() / "pid"); });
  const int child = std::stoi(read_file("pid"));
  ASSERT_EQ(::kill(run.pid(), SIGKILL), 0);
  run.wait();
  // The same number, another start: what a machine that has gone through all numbers would show.
  std::string board = read_file("leat.db/BOARD");
  const std::string number(reinterpret_cast<const char*>(&child), sizeof child);
  const std::size_t at = board.find(number);
  ASSERT_NE(at, std::string::npos);
  constexpr std::size_t kToIdentity = 8;
  board[at + kToIdentity] = static_cast<char>(board[at + kToIdentity] ^ 1);
  write_file("leat.db/BOARD", board);
  EXPECT_EQ(leat({"resume"}).status, 0);
  EXPECT_EQ(::kill(child, SIGKILL), 0) << "it was killed though it is another's";
}

}  // namespace
}  // namespace leat::tests
