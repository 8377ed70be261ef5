// Tasks that are child processes: what is captured, how they fail, and
// that nothing of them survives a timeout.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>

#include "command_line.h"
#include "leat/store_reader.h"

namespace leat::tests {
namespace {

using testing::HasSubstr;

class ChildTaskTest : public CommandLineTest {
 protected:
  /// Runs one task of the given body.
  CommandResult run_task(const std::string& body) {
    return leat({"run", write_file("w.toml", "[workflow]\nname = \"w\"\n[[task]]\nname = \"t\"\n" + body),
                 "--workers", "2"});
  }

  /// What the store remembers of the one task.
  TaskImage task_record() {
    const auto image = read_rocksdb_store((directory() / "leat.db").string());
    if (!image || image->pipelines().size() != 1) {
      ADD_FAILURE() << (image ? "not one pipeline" : image.error().message);
      return {};
    }
    return image->pipelines().begin()->second.tasks[0];
  }
};

TEST_F(ChildTaskTest, OutputLandsInTheTasksRecord) {
  EXPECT_EQ(run_task(R"(run = ["sh", "-c", "echo to out; echo to err >&2"])").status, 0);
  EXPECT_EQ(task_record().output, "to out\nto err\n");
}

TEST_F(ChildTaskTest, RunsInTheDirectoryOfTheCommandWithItsTaskInTheEnvironment) {
  EXPECT_EQ(run_task(R"(run = ["sh", "-c", "pwd; echo $LEAT_TASK $LEAT_ATTEMPT $EXTRA"]
config = {env = {EXTRA = "more"}})")
                .status,
            0);
  EXPECT_EQ(task_record().output,
            std::filesystem::canonical(directory()).string() + "\npublic::embedded::w::t 1 more\n");
}

TEST_F(ChildTaskTest, ExitStatusDecides) {
  const CommandResult result = run_task(R"(run = ["sh", "-c", "echo the disk is full; exit 3"]
retry = {max_attempts = 2, initial = "1ms"})");
  EXPECT_EQ(result.status, 1);
  const auto tasks = inspect("tasks");
  ASSERT_EQ(tasks.size(), 1);
  EXPECT_EQ(tasks[0].at("state"), "Failed");
  EXPECT_EQ(tasks[0].at("attempt"), "2");
  EXPECT_EQ(tasks[0].at("error"), "exit status 3: the disk is full");
}

TEST_F(ChildTaskTest, AMissingCommandIsAFailedTaskNotAnAbortedRun) {
  const CommandResult result = run_task(R"(run = ["leat-no-such-program", "x"]
[[task]]
name = "other"
run = ["true"])");
  EXPECT_EQ(result.status, 1);
  const auto tasks = inspect("tasks");
  ASSERT_EQ(tasks.size(), 2);
  EXPECT_EQ(tasks[0].at("state"), "Failed");
  EXPECT_EQ(tasks[0].at("attempt"), "1") << "no retry will make it appear";
  EXPECT_EQ(tasks[0].at("error"), "cannot run 'leat-no-such-program': No such file or directory");
  EXPECT_EQ(tasks[1].at("state"), "Completed");
}

TEST_F(ChildTaskTest, TimeoutEndsTheWholeGroup) {
  const auto begin = std::chrono::steady_clock::now();
  const CommandResult result = run_task(R"(run = ["sh", "-c", "sleep 1000 & echo $! > background; wait"]
timeout = "300ms"
retry = {max_attempts = 1})");
  EXPECT_EQ(result.status, 1);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
  const auto tasks = inspect("tasks");
  ASSERT_EQ(tasks.size(), 1);
  EXPECT_EQ(tasks[0].at("state"), "Failed");
  EXPECT_THAT(tasks[0].at("error"), HasSubstr("time"));
  const pid_t pid = std::stoi(read_file("background"));
  const int background = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (background < 0) {
    EXPECT_EQ(errno, ESRCH);
    return;
  }
  pollfd event{background, POLLIN, 0};
  EXPECT_EQ(::poll(&event, 1, 10'000), 1) << "the background process still runs";
  ::close(background);
}

TEST_F(ChildTaskTest, ChildrenRunSideBySideUpToTheLimit) {
  // Each waits for the other: were they run one after the other, both would time out.
  const CommandResult result = leat({"run", write_file("pair.toml", R"(
[workflow]
name = "pair"
[executors.default]
max_concurrent = 2
[[task]]
name = "a"
timeout = "30s"
run = ["sh", "-c", "mkfifo pipe 2>/dev/null; echo hello > pipe"]
[[task]]
name = "b"
timeout = "30s"
run = ["sh", "-c", "mkfifo pipe 2>/dev/null; cat pipe"]
)")});
  EXPECT_EQ(result.status, 0) << result.out << result.err;
}

}  // namespace
}  // namespace leat::tests
