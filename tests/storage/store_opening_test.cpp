// kill -9 before each system call by which an opening or a close changes a file: the next opening finds a
// whole store.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "leat/state_store.h"
#include "leat/store_verifier.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

constexpr int kUntraceable = 77;
constexpr int kWrong = 1;

constexpr std::array kCalls = {
    SYS_openat,  SYS_write,  SYS_pwrite64,  SYS_renameat2, SYS_unlinkat,
    SYS_mkdirat, SYS_fsync,  SYS_fdatasync, SYS_ftruncate, SYS_fallocate,
#ifdef SYS_rename
    SYS_rename,  SYS_unlink, SYS_mkdir,
#else
    SYS_renameat,
#endif
};

/// Has the kernel stop this process and its threads before each of kCalls, and before no other: a stop at
/// every call would be a hundred times as many. @return whether it may
bool ask_to_be_traced() {
  if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return false;
  ::raise(SIGSTOP);
  std::vector<sock_filter> filter = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const auto call : kCalls) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
  }
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program = {.len = static_cast<unsigned short>(filter.size()), .filter = filter.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// @param thread  stopped before one of kCalls
bool changes_files(pid_t thread) {
  __ptrace_syscall_info call{};
  ::ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof(call), &call);
  return call.seccomp.nr != SYS_openat || (call.seccomp.args[2] & O_CREAT) != 0;
}

/// Runs `life` in a process of its own, whose pool threads are therefore its own.
template <class Life>
pid_t begin(const Life& life) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(life());
  return child;
}

int end(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// @return  whether it came that far; else it ended by itself, and `status` is how
template <class Life>
bool killed_before(std::size_t call_number, const Life& life, int& status) {
  const pid_t child = begin([&life] { return ask_to_be_traced() ? life() : kUntraceable; });
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) return false;
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr,
           PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
  ::ptrace(PTRACE_CONT, child, nullptr, nullptr);
  std::size_t calls = 0;
  bool killed = false;
  for (;;) {
    const pid_t thread = ::waitpid(-1, &status, __WALL);
    if (thread < 0) return killed;
    if (!WIFSTOPPED(status)) {
      if (thread == child) return killed;
      continue;
    }
    const bool before_call = status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8);
    if (!killed && before_call && changes_files(thread) && ++calls == call_number) {
      killed = true;
      ::kill(child, SIGKILL);
    }
    ::ptrace(PTRACE_CONT, thread, nullptr, nullptr);
  }
}

int open_and_close(const std::string& place) {
  const auto store = open_rocksdb_store(place);
  if (!store) std::cerr << store.error().message << "\n";
  return store && (*store)->close() ? 0 : kWrong;
}

int open_and_die(const std::string& place) {
  return open_rocksdb_store(place) ? ::kill(::getpid(), SIGKILL) : kWrong;
}

int verify(const std::string& place) {
  const auto findings = verify_rocksdb_store(place);
  if (!findings && findings.error().code == StoreErrorCode::NotFound) return 0;
  for (const StoreError& finding : findings ? *findings : std::vector{findings.error()}) {
    std::cerr << finding.message << "\n";
  }
  return findings && findings->empty() ? 0 : kWrong;
}

/// `prepare` makes the store that is opened and closed until the process is killed.
template <class Prepare>
void kill_at_every_call(const Prepare& prepare) {
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  const std::string place = directory.store();
  std::size_t calls = 0;
  for (bool killed = true; killed;) {
    ++calls;
    prepare(place);
    int status = 0;
    killed = killed_before(
        calls, [&place] { return open_and_close(place); }, status);
    if (!killed && WIFEXITED(status) && WEXITSTATUS(status) == kUntraceable) {
      GTEST_SKIP() << "this process may not trace its child";
    }
    ASSERT_EQ(end(begin([&place] { return verify(place); })), 0) << "killed before call " << calls;
    ASSERT_EQ(end(begin([&place] { return open_and_close(place); })), 0) << "killed before call " << calls;
    ASSERT_EQ(end(begin([&place] { return verify(place); })), 0) << "killed before call " << calls;
    std::filesystem::remove_all(place);
  }
  EXPECT_GT(calls, 30U);
}

TEST(StoreOpening, OfANewStoreMayDieAnywhere) {
  kill_at_every_call([](const std::string&) {});
}

TEST(StoreOpening, OfAClosedStoreMayDieAnywhere) {
  kill_at_every_call(
      [](const std::string& place) { end(begin([&place] { return open_and_close(place); })); });
}

TEST(StoreOpening, OfAStoreThatWasKilledMayDieAnywhere) {
  kill_at_every_call([](const std::string& place) { end(begin([&place] { return open_and_die(place); })); });
}

}  // namespace
}  // namespace leat::test
