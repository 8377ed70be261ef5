// Child processes as tasks: started without fork, watched without polling, ended as a whole group.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "leat/error.h"
#include "leat/executor.h"

namespace leat {

/// What to run.
struct ProcessSpec {
  std::vector<std::string> command{};  ///< program, looked up in PATH, and its arguments; not empty
  std::string directory{};             ///< where it runs; empty: the caller's
  std::vector<std::pair<std::string, std::string>> environment{};  ///< replaces or adds to the caller's
  bool merge_output = true;  ///< standard error goes where standard output goes, in the order of writing
};

/// How a process ended.
struct ProcessResult {
  int exit_status = 0;      ///< of exit(); -1 where a signal ended it, or where nobody can know
  int signal = 0;           ///< that ended it; 0: none
  bool terminated = false;  ///< ProcessRunner::terminate() came first
  std::string output;  ///< the last ProcessRunner::kOutputBytesMax bytes; where more was cut, a line says so
  std::string error_output;              ///< the same of standard error; empty with merge_output
  std::chrono::nanoseconds duration{0};  ///< from start to the end of the process

  bool succeeded() const noexcept { return exit_status == 0 && signal == 0; }

  /// @return "exit status 3", "killed by signal 9 (Killed)": one line, without a full stop
  std::string describe() const;
};

/// Names one started process for the life of its ProcessRunner; never used twice, never 0.
using ProcessId = std::uint64_t;

/// Starts child processes and tells how they end. A child gets /dev/null as standard input, a process group
/// of its own, no signal blocked or ignored, and no other file descriptor of this process. What is left of
/// the group when its leader ends is killed.
///
/// Thread-safety: any number of threads; the destructor alone, and not from `on_exit`.
/// Invariants:
/// 1. `on_exit` is called exactly once for each started process, on the one thread "leat-reaper".
/// 2. A group is signalled only while its leader has not been reaped, so the number is nobody else's.
class ProcessRunner {
 public:
  static constexpr std::size_t kOutputBytesMax = std::size_t{64} << 10;
  using OnExit = std::move_only_function<void(ProcessResult)>;
  using OnStarted = std::move_only_function<void(int pid)>;

  /// @param kill_grace  between the SIGTERM and the SIGKILL of terminate()
  explicit ProcessRunner(std::chrono::nanoseconds kill_grace = std::chrono::seconds(2));
  /// Kills what still runs, waits until each `on_exit` has returned, and joins the thread.
  ~ProcessRunner();

  /// @param on_exit     must not block: it holds up all other children's ends
  /// @param on_started  called with the pid, on this thread, before on_exit can be
  /// @return         InvalidArgument ("cannot run 'x': No such file or directory"), or InvalidState where
  ///                 processes, memory or descriptors are short now; then on_exit is dropped uncalled
  std::expected<ProcessId, Error> start(const ProcessSpec& spec, OnExit on_exit, OnStarted on_started = {});

  /// Asks the group to end, and kills it after the grace; nothing for a process that has ended. Never blocks.
  void terminate(ProcessId id) noexcept;

  /// @return the pid, which is also the process group; 0 once the process has been reaped
  int pid(ProcessId id) const noexcept;

 private:
  class Reactor;
  std::unique_ptr<Reactor> reactor_;
};

/// Runs tasks as child processes. A task's config is {"run": ["program", "argument", ...], "cwd":
/// "directory", "env": {"NAME": "value"}}; `cwd` and `env` may be absent. The child finds its task in
/// LEAT_TASK, LEAT_PIPELINE and LEAT_ATTEMPT. Exit status 0 is Completed, another or a signal is left to
/// the retry policy, a program that cannot be run is Failed at once. The output goes to the task's record.
///
/// Thread-safety: any number of threads. A running child holds its slot and permit, but no thread.
class ProcessExecutor final : public TaskExecutor {
 public:
  explicit ProcessExecutor(std::chrono::nanoseconds kill_grace = std::chrono::seconds(2));
  void start(const TaskReadyEvent& event, CompletionToken token) override;
  bool brakes() const noexcept override { return false; }
  std::string_view name() const override { return "process"; }

  /// Runs one attempt as `config` says; `start` is this with the task's own config.
  void start_with(const TaskReadyEvent& event, std::string_view config, CompletionToken token);

 private:
  ProcessRunner runner_;
};

}  // namespace leat
