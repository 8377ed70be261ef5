// Child processes: what they inherit, how their end is told, and that nothing of them stays behind.
#include "leat/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <future>
#include <thread>

#include "child_process.h"

namespace leat {
namespace {

using std::chrono::seconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

ProcessSpec shell(std::string script) {
  return {.command = {"/bin/sh", "-c", std::move(script)}};
}

/// Runs one process to its end.
ProcessResult run(ProcessRunner& runner, const ProcessSpec& spec) {
  std::promise<ProcessResult> ended;
  const auto id = runner.start(spec, [&ended](ProcessResult result) { ended.set_value(std::move(result)); });
  if (!id) {
    ADD_FAILURE() << id.error().message;
    return {};
  }
  return ended.get_future().get();
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

bool exists(pid_t pid) {
  return ::kill(pid, 0) == 0 || errno != ESRCH;
}

/// @return whether the process, ours or not, ends within ten seconds
bool ends_soon(int pidfd) {
  pollfd event{pidfd, POLLIN, 0};
  return ::poll(&event, 1, 10'000) == 1;
}

/// A file in a fresh directory through which a child tells when it is ready: opening it waits for both ends.
class Fifo {
 public:
  Fifo() {
    std::string pattern = (std::filesystem::temp_directory_path() / "leat-process-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    path_ = directory_ + "/fifo";
    EXPECT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  }
  ~Fifo() { std::filesystem::remove_all(directory_); }
  const std::string& path() const { return path_; }

  /// Waits for a writer and returns what it wrote until it closed.
  std::string read() const {
    FILE* file = ::fopen(path_.c_str(), "r");
    std::string text;
    for (int c; (c = ::fgetc(file)) != EOF;) text += static_cast<char>(c);
    ::fclose(file);
    return text;
  }

  /// Waits for a reader.
  void write(std::string_view text) const {
    FILE* file = ::fopen(path_.c_str(), "w");
    ::fwrite(text.data(), 1, text.size(), file);
    ::fclose(file);
  }

 private:
  std::string directory_;
  std::string path_;
};

TEST(ProcessRunner, TellsTheExitStatus) {
  ProcessRunner runner;
  const ProcessResult zero = run(runner, shell("exit 0"));
  EXPECT_TRUE(zero.succeeded());
  const ProcessResult three = run(runner, shell("exit 3"));
  EXPECT_FALSE(three.succeeded());
  EXPECT_EQ(three.exit_status, 3);
  EXPECT_EQ(three.signal, 0);
  EXPECT_EQ(three.describe(), "exit status 3");
  EXPECT_GT(three.duration.count(), 0);
}

TEST(ProcessRunner, TellsTheSignalThatEndedTheProcess) {
  ProcessRunner runner;
  const ProcessResult result = run(runner, shell("kill -SEGV $$"));
  EXPECT_EQ(result.signal, SIGSEGV);
  EXPECT_EQ(result.exit_status, -1);
  EXPECT_FALSE(result.terminated);
  EXPECT_THAT(result.describe(), StartsWith("killed by signal 11 ("));
}

TEST(ProcessRunner, RunsInItsOwnProcessThatLeadsItsOwnGroup) {
  ProcessRunner runner;
  // Field 5 of /proc/PID/stat is the process group.
  const ProcessResult result = run(runner, shell("read -r line < /proc/$$/stat; set -- $line; echo $1 $5"));
  const auto space = result.output.find(' ');
  ASSERT_NE(space, std::string::npos) << result.output;
  const int pid = std::stoi(result.output.substr(0, space));
  EXPECT_EQ(pid, std::stoi(result.output.substr(space + 1)));
  EXPECT_NE(pid, ::getpid());
  EXPECT_FALSE(exists(pid)) << "a zombie stays behind";
}

TEST(ProcessRunner, CallsBackOnItsReaperThreadWhereTheProcessHasBeenReaped) {
  ProcessRunner runner;
  std::promise<std::string> thread_name;
  const auto id = runner.start(shell(":"), [&](ProcessResult) {
    char name[16];
    ::pthread_getname_np(::pthread_self(), name, sizeof name);
    thread_name.set_value(name);
  });
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(thread_name.get_future().get(), "leat-reaper");
  EXPECT_EQ(runner.pid(*id), 0);
}

TEST(ProcessRunner, MergesBothOutputsInTheOrderOfWriting) {
  ProcessRunner runner;
  const ProcessResult result = run(runner, shell("echo one; echo two >&2; echo three"));
  EXPECT_EQ(result.output, "one\ntwo\nthree\n");
  EXPECT_EQ(result.error_output, "");
}

TEST(ProcessRunner, KeepsTheOutputsApartWhereAsked) {
  ProcessRunner runner;
  ProcessSpec spec = shell("echo one; echo two >&2; echo three");
  spec.merge_output = false;
  const ProcessResult result = run(runner, spec);
  EXPECT_EQ(result.output, "one\nthree\n");
  EXPECT_EQ(result.error_output, "two\n");
}

TEST(ProcessRunner, KeepsTheEndOfALongOutputAndSaysWhatWasCut) {
  ProcessRunner runner;
  const ProcessResult result =
      run(runner, shell("i=0; while [ $i -lt 20000 ]; do echo line $i of many; i=$((i+1)); done"));
  EXPECT_LE(result.output.size(), ProcessRunner::kOutputBytesMax);
  EXPECT_GT(result.output.size(), ProcessRunner::kOutputBytesMax - 64);
  EXPECT_THAT(result.output, EndsWith("line 19999 of many\n"));
  std::size_t all = 0;
  for (int i = 0; i < 20000; ++i) all += ("line " + std::to_string(i) + " of many\n").size();
  const auto first_line_end = result.output.find('\n');
  const std::size_t kept = result.output.size() - first_line_end - 1;
  EXPECT_EQ(result.output.substr(0, first_line_end),
            "[" + std::to_string(all - kept) + " earlier bytes cut]");
}

TEST(ProcessRunner, GivesNullInputTheDirectoryAndTheEnvironment) {
  ProcessRunner runner;
  ProcessSpec spec = shell("cat; pwd; echo $LEAT_TEST_ADDED; echo $HOME");
  spec.directory = "/";
  spec.environment = {{"LEAT_TEST_ADDED", "a b"}, {"HOME", "elsewhere"}};
  EXPECT_EQ(run(runner, spec).output, "/\na b\nelsewhere\n");
}

TEST(ProcessRunner, GivesTheChildNoOtherDescriptorOfOurs) {
  ProcessRunner runner;
  const int ours = ::dup(STDOUT_FILENO);  // without close-on-exec, as a careless host makes them
  const ProcessResult result = run(runner, shell("for fd in /proc/$$/fd/*; do echo ${fd##*/}; done"));
  ::close(ours);
  EXPECT_THAT(result.output, StartsWith("0\n1\n2\n"));
  // The shell itself may hold one above 9 while it reads its script; none of ours (3 and up) may appear.
  EXPECT_THAT(result.output, testing::Not(HasSubstr("\n" + std::to_string(ours) + "\n")));
}

TEST(ProcessRunner, StartsTheChildWithNoSignalBlockedOrIgnored) {
  ProcessRunner runner;
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto old_handler = ::signal(SIGPIPE, SIG_IGN);
  const ProcessResult result =
      run(runner, {.command = {"sed", "-nE", "s/^Sig(Blk|Ign):.(.*)/\\2/p", "/proc/self/status"}});
  ::signal(SIGPIPE, old_handler);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  const auto line_end = result.output.find('\n');
  ASSERT_NE(line_end, std::string::npos);
  // glibc leaves its own signals 32 and 33 ignored.
  constexpr unsigned long kOrdinary = 0x7fff'ffff;
  EXPECT_EQ(std::stoul(result.output.substr(0, line_end), nullptr, 16), 0);
  EXPECT_EQ(std::stoul(result.output.substr(line_end + 1), nullptr, 16) & kOrdinary, 0);
}

TEST(ProcessRunner, RefusesAMissingProgramByName) {
  ProcessRunner runner;
  const auto id = runner.start({.command = {"leat-no-such-program"}}, [](ProcessResult) { FAIL(); });
  ASSERT_FALSE(id.has_value());
  EXPECT_EQ(id.error().message, "cannot run 'leat-no-such-program': No such file or directory");
}

TEST(ProcessRunner, RefusesAMissingDirectoryByName) {
  ProcessRunner runner;
  ProcessSpec spec = shell(":");
  spec.directory = "/leat-no-such-directory";
  const auto id = runner.start(spec, [](ProcessResult) { FAIL(); });
  ASSERT_FALSE(id.has_value());
  EXPECT_EQ(id.error().message,
            "cannot run '/bin/sh' in '/leat-no-such-directory': No such file or directory");
}

TEST(ProcessRunner, RefusesAnEmptyCommandAndNulBytes) {
  ProcessRunner runner;
  EXPECT_FALSE(runner.start({}, [](ProcessResult) { FAIL(); }).has_value());
  EXPECT_FALSE(
      runner.start({.command = {"echo", std::string("a\0b", 3)}}, [](ProcessResult) { FAIL(); }).has_value());
  ProcessSpec spec = shell(":");
  spec.environment = {{"A=B", "c"}};
  EXPECT_FALSE(runner.start(spec, [](ProcessResult) { FAIL(); }).has_value());
}

TEST(ProcessRunner, TerminateReachesTheWholeGroup) {
  const Fifo fifo;
  ProcessRunner runner(seconds(60));
  std::promise<ProcessResult> ended;
  // The grandchild's pid comes through the FIFO; both wait for ever.
  const auto id = runner.start(shell("sleep 1000 & echo $! > " + fifo.path() + "; wait"),
                               [&ended](ProcessResult result) { ended.set_value(std::move(result)); });
  ASSERT_TRUE(id.has_value());
  const pid_t pid = std::stoi(fifo.read());
  const FileDescriptor grandchild(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  EXPECT_EQ(::getpgid(pid), runner.pid(*id));
  runner.terminate(*id);
  const ProcessResult result = ended.get_future().get();
  EXPECT_TRUE(result.terminated);
  EXPECT_EQ(result.signal, SIGTERM);
  EXPECT_TRUE(ends_soon(grandchild.get()));
}

TEST(ProcessRunner, KillsAfterTheGraceWhatIgnoresTheRequest) {
  const Fifo fifo;
  ProcessRunner runner(std::chrono::milliseconds(20));
  std::promise<ProcessResult> ended;
  const auto id =
      runner.start(shell("trap '' TERM; echo ready > " + fifo.path() + "; while :; do sleep 1000; done"),
                   [&ended](ProcessResult result) { ended.set_value(std::move(result)); });
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(fifo.read(), "ready\n");
  runner.terminate(*id);
  const ProcessResult result = ended.get_future().get();
  EXPECT_TRUE(result.terminated);
  EXPECT_EQ(result.signal, SIGKILL);
}

TEST(ProcessRunner, EndsWhatALeaderLeavesBehind) {
  ProcessRunner runner;
  // The background job holds the output pipe open: the end must not wait for it.
  const Fifo fifo;
  std::promise<ProcessResult> ended;
  const auto id =
      runner.start(shell("sleep 1000 & echo $! > " + fifo.path() + "; read line < " + fifo.path()),
                   [&ended](ProcessResult result) { ended.set_value(std::move(result)); });
  ASSERT_TRUE(id.has_value());
  const pid_t pid = std::stoi(fifo.read());
  const FileDescriptor background(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  fifo.write("go\n");
  EXPECT_TRUE(ended.get_future().get().succeeded());
  EXPECT_TRUE(ends_soon(background.get()));
}

TEST(ProcessRunner, DestructionKillsAndStillTellsEveryEnd) {
  constexpr int kChildren = 8;
  std::atomic<int> killed = 0;
  {
    ProcessRunner runner;
    for (int i = 0; i < kChildren; ++i) {
      const auto id = runner.start({.command = {"sleep", "1000"}}, [&](ProcessResult result) {
        if (result.terminated && result.signal == SIGKILL) killed.fetch_add(1);
      });
      ASSERT_TRUE(id.has_value());
    }
  }
  EXPECT_EQ(killed.load(), kChildren);
}

TEST(ProcessRunner, LeavesNoDescriptorAndNoZombieBehind) {
  const std::size_t before = open_descriptors();
  {
    ProcessRunner runner;
    run(runner, shell(":"));
    const std::size_t warm = open_descriptors();
    std::atomic<int> left = 200;
    std::promise<void> all;
    for (int i = 0; i < 200; ++i) {
      ProcessSpec spec = shell("echo x; echo y >&2");
      spec.merge_output = i % 2 == 0;
      const auto id = runner.start(spec, [&](ProcessResult result) {
        EXPECT_TRUE(result.succeeded());
        if (left.fetch_sub(1) == 1) all.set_value();
      });
      ASSERT_TRUE(id.has_value());
      (void)runner.start({.command = {"leat-no-such-program"}}, [](ProcessResult) {});
    }
    all.get_future().wait();
    EXPECT_EQ(open_descriptors(), warm);
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child has not been reaped";
  EXPECT_EQ(errno, ECHILD);
}

TEST(ProcessRunner, ServesSeveralThreadsThatStartAndTerminateAtOnce) {
  ProcessRunner runner;
  constexpr int kThreads = 4;
  constexpr int kEach = 25;
  std::atomic<int> terminated = 0;
  std::atomic<int> ended = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kEach; ++i) {
          std::promise<void> end;
          const auto id = runner.start({.command = {"sleep", "1000"}}, [&](ProcessResult result) {
            if (result.terminated && result.signal == SIGTERM) terminated.fetch_add(1);
            ended.fetch_add(1);
            end.set_value();
          });
          ASSERT_TRUE(id.has_value());
          runner.terminate(*id);
          runner.terminate(*id);
          end.get_future().wait();
          runner.terminate(*id);
        }
      });
    }
  }
  EXPECT_EQ(ended.load(), kThreads * kEach);
  EXPECT_EQ(terminated.load(), kThreads * kEach);
}

}  // namespace
}  // namespace leat
