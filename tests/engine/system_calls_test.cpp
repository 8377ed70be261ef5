// Dispatching tasks and running them asks nothing of the kernel while the workers are awake. A child process
// does it, and this one, its tracer, sees every system call of all its threads.
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cpus.h"
#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kTasks = 1'000'000;
constexpr int kNotTraced = 77;  // a child's exit status

/// What the child does between two marks.
enum class Section : int { Outside, Clock, Dispatches };

constexpr long kMark = 1'000'000;  // no system call has such a number

void mark(Section section) {
  syscall(kMark + static_cast<long>(section));
}

using Calls = std::map<std::pair<std::string, long>, std::uint64_t>;  // by thread and the call's number

std::uint64_t sum(const Calls& calls) {
  std::uint64_t count = 0;
  for (const auto& [call, times] : calls) count += times;
  return count;
}

std::string to_string(const Calls& calls) {
  std::string text;
  for (const auto& [call, times] : calls)
    text += std::to_string(times) + " of number " + std::to_string(call.second) + " by " + call.first + "\n";
  return text;
}

std::string name_of(pid_t thread) {
  std::string name;
  std::getline(std::ifstream("/proc/" + std::to_string(thread) + "/comm"), name);
  return name;
}

/// A child process whose every system call is counted.
class TracedChild {
 public:
  /// @param body  run by the child; true: all went well
  explicit TracedChild(const std::function<bool()>& body) : child_(fork()) {
    if (child_ == 0) {
      if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(kNotTraced);
      raise(SIGSTOP);
      _exit(body() ? 0 : 1);
    }
    int status = 0;
    if (waitpid(child_, &status, 0) != child_ || !WIFSTOPPED(status)) return;  // not traced: it has exited
    constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
    traced_ = ptrace(PTRACE_SETOPTIONS, child_, nullptr, kOptions) == 0 && go_on(child_, 0);
    if (traced_) {
      watch();
      return;
    }
    kill(child_, SIGKILL);
    waitpid(child_, &status, 0);
  }

  bool traced() const { return traced_; }
  /// Whether the body said that all went well.
  bool succeeded() const { return WIFEXITED(end_) && WEXITSTATUS(end_) == 0; }
  const Calls& calls(Section section) { return calls_[section]; }

 private:
  static bool go_on(pid_t thread, int signal) {
    return ptrace(PTRACE_SYSCALL, thread, nullptr, static_cast<long>(signal)) == 0;
  }

  /// Until the child has ended.
  void watch() {
    Section section = Section::Outside;
    for (int status = 0;;) {
      const pid_t thread = waitpid(-1, &status, __WALL);
      if (thread < 0) return;
      if (!WIFSTOPPED(status)) {
        if (thread != child_) continue;
        end_ = status;
        return;
      }
      int signal = WSTOPSIG(status);
      if (signal == (SIGTRAP | 0x80)) {
        count(thread, section);
        signal = 0;
      } else if (signal == SIGTRAP || signal == SIGSTOP) {
        signal = 0;  // a thread was made, or is new
      }
      go_on(thread, signal);  // one that has just been killed is waited for
    }
  }

  void count(pid_t thread, Section& section) {
    __ptrace_syscall_info info{};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0) {
      traced_ = false;  // an old kernel
    } else if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      const auto number = static_cast<long>(info.entry.nr);
      if (number < kMark) {
        ++calls_[section][{name_of(thread), number}];
      } else {
        section = static_cast<Section>(number - kMark);
      }
    }
  }

  const pid_t child_;
  bool traced_ = false;
  int end_ = 0;
  std::map<Section, Calls> calls_;
};

/// Spins, since to sleep or to yield would be a system call of the test's own. @return whether it came true
template <class Condition>
bool spin_until(const Condition& condition) {
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
  }
  return true;
}

/// Dispatches to workers that spin.
class Dispatches {
 public:
  explicit Dispatches(std::uint32_t workers)
      : runner_(Runner::builder()
                    .database_url("memory:")
                    .default_limits({.max_concurrent = workers,
                                     .max_queued = 4096,
                                     .backend = Backend::Threads,
                                     .idle = IdlePolicy::Spin})
                    .build()),
        task_(*runner_->register_task("t::p::w::task", [this](TaskContext&) {
          ran_.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count
        })) {}

  /// @return whether all ran
  bool run(std::size_t bulk) {
    if (!runner_->start() || !dispatch(kTasks / 10, bulk))
      return false;  // once warm, so that threads are awake
    mark(Section::Clock);
    static_cast<void>(std::chrono::steady_clock::now());
    mark(Section::Dispatches);
    const bool ran = dispatch(kTasks, bulk);
    mark(Section::Outside);
    return ran;
  }

 private:
  bool dispatch(std::uint64_t count, std::size_t bulk) {
    std::vector<TaskReadyEvent> events(bulk);
    const std::uint64_t end = ran_ + count;
    for (std::uint64_t left = count; left > 0;) {
      const std::size_t some = std::min<std::uint64_t>(bulk, left);
      for (std::size_t i = 0; i < some; ++i) events[i] = runner_->make_event(task_);
      left -= runner_->dispatcher()
                  .dispatch_bulk(std::span(events).first(some), {.durability = Durability::Memory})
                  .taken;
    }
    return spin_until([&] { return ran_ == end; });
  }

  std::expected<Runner, Error> runner_;
  std::atomic<std::uint64_t> ran_ = 0;
  const Namespace task_;
};

/// @return the system calls of all threads while the tasks are dispatched and run; empty: it cannot be told
std::optional<Calls> calls_of(std::uint32_t workers, std::size_t bulk) {
  TracedChild child([=] { return Dispatches(workers).run(bulk); });
  const Calls& clock = child.calls(Section::Clock);
  const bool reads_clock =
      std::ranges::any_of(clock, [](const auto& call) { return call.first.second == SYS_clock_gettime; });
  if (!child.traced() || reads_clock) return {};
  EXPECT_TRUE(child.succeeded());
  Calls calls = child.calls(Section::Dispatches);
  // It looks at the lanes about once a second, whether tasks come or not.
  std::erase_if(calls, [](const auto& call) { return call.first.first == "leat-timer"; });
  // And the heap grows once more where more tasks wait at once than while it was warmed up.
  std::erase_if(calls, [](const auto& call) { return call.first.second == SYS_brk; });
  return calls;
}

class SystemCalls : public testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer makes calls of its own";
#endif
    if (usable_cpus() < 2) GTEST_SKIP() << "with one CPU no worker spins";
  }
};

INSTANTIATE_TEST_SUITE_P(Bulks, SystemCalls, testing::Values(1, 64),
                         [](const auto& param) { return std::to_string(param.param); });

TEST_P(SystemCalls, NoneForAMillionTasksWhoseWorkerIsAwake) {
  const auto calls = calls_of(1, GetParam());
  if (!calls) GTEST_SKIP() << "processes are not traced here, or the clock is a system call";
  EXPECT_EQ(sum(*calls), 0U) << to_string(*calls);
}

// At most one worker searches, so of two the other sleeps where there is too little for both: then the next
// task may wake it. That costs a call or two for what it takes at once, never for each task.
TEST_P(SystemCalls, FewForAMillionTasksWhereOneWorkerSearchesAndTheOtherSleeps) {
  const auto calls = calls_of(2, GetParam());
  if (!calls) GTEST_SKIP() << "processes are not traced here, or the clock is a system call";
  EXPECT_LT(sum(*calls), kTasks / 10) << to_string(*calls);
}

}  // namespace
}  // namespace leat
