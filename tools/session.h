// One Runner with the executors of a run, from opening its store to
// closing it: what `run` and `resume` share.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "exit_status.h"
#include "job_executor.h"
#include "leat/process.h"
#include "leat/runner.h"
#include "progress.h"
#include "report.h"
#include "workflow_plan.h"

namespace leat::tools {

/// A pipeline of this session and what is known of it from outside.
struct SessionPipeline {
  PipelineHandle handle;
  std::string workflow;
  std::uint64_t tasks = 0;
};

/// How waiting for a session's pipelines ended.
struct SessionOutcome {
  RunReport report;
  int signal = 0;           ///< that stopped it early; 0: none
  std::string store_error;  ///< empty: the store stayed healthy
};

/// Thread-safety: one thread.
class Session {
 public:
  /// Opens the store and registers the executors; starts nothing.
  ///
  /// @param store  a directory; empty: none, all is in memory
  /// @param shown  what the engine says from here on goes to standard error
  static std::expected<std::unique_ptr<Session>, Failure> open(const RunSettings& settings,
                                                               const std::string& store,
                                                               Severity shown = Severity::Warning);

  Runner& runner() noexcept { return *runner_; }

  /// Waits until the pipelines have ended or a signal came, showing progress; then stops the Runner.
  ///
  /// @pre  runner().start() returned; block_termination_signals()
  SessionOutcome finish(std::vector<SessionPipeline> pipelines,
                        std::chrono::steady_clock::time_point started);

 private:
  explicit Session(double time_scale) : time_scale_(time_scale) {}
  void wait(std::vector<SessionPipeline>& pipelines, SessionOutcome& outcome);
  void show_progress(Progress& progress, ProgressFigures figures) const;

  const double time_scale_;
  SleepTimer timer_;
  ProcessExecutor processes_;
  std::unique_ptr<Runner> runner_;  // last: it ends before what its tasks use
};

/// Goes to the directory in which a run was begun.
std::expected<void, Failure> enter_directory(const RunSettings& settings);

/// Prints the outcome. @return the exit status
int conclude(const SessionOutcome& outcome, bool json);

}  // namespace leat::tools
