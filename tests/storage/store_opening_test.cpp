// kill -9 before each system call by which an opening or a close changes a file: the next opening finds a whole
// store.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <filesystem>
#include <iostream>

#include "leat/state_store.h"
#include "leat/store_verifier.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

constexpr int kUntraceable = 77;
constexpr int kWrong = 1;

bool changes_files(const __ptrace_syscall_info& call) {
  switch (call.entry.nr) {
    case SYS_openat:
      return (call.entry.args[2] & O_CREAT) != 0;
    case SYS_write:
    case SYS_pwrite64:
    case SYS_renameat2:
    case SYS_unlinkat:
    case SYS_mkdirat:
    case SYS_ftruncate:
    case SYS_fallocate:
    case SYS_fsync:
    case SYS_fdatasync:
#ifdef SYS_rename
    case SYS_rename:
    case SYS_unlink:
    case SYS_mkdir:
#else
    case SYS_renameat:
#endif
      return true;
    default:
      return false;
  }
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
  const pid_t child = begin([&life] {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return kUntraceable;
    ::raise(SIGSTOP);
    return life();
  });
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) return false;
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  std::size_t calls = 0;
  while (::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0) {
    ::waitpid(child, &status, 0);
    if (!WIFSTOPPED(status)) return false;
    __ptrace_syscall_info call{};
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) continue;
    ::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(call), &call);
    if (call.op != PTRACE_SYSCALL_INFO_ENTRY || !changes_files(call) || ++calls < call_number) continue;
    ::kill(child, SIGKILL);
    while (::waitpid(child, &status, 0) == child && !WIFSIGNALED(status) && !WIFEXITED(status)) {
    }
    return true;
  }
  return false;
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
