// The executor behind every key of `leat run`: it sleeps, spins, or runs
// a child process, as the task's config says.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <thread>
#include <utility>

#include "leat/executor.h"
#include "leat/process.h"
#include "leat_locks/mutex.h"

namespace leat::tools {

/// Wakes many sleepers from one thread, "leat-sleep".
///
/// Thread-safety: any number of threads; the destructor alone.
/// Invariant: every Wake is called exactly once, on the timer's thread, without its lock.
class SleepTimer {
 public:
  /// @param cancelled  whether cancel() ended the sleep
  using Wake = std::move_only_function<void(bool cancelled)>;

  SleepTimer();
  /// Cancels what sleeps.
  ~SleepTimer();

  /// A number for the next sleep, never given twice, so that cancel() can be wired before wake_after().
  std::uint64_t new_id() noexcept;
  void wake_after(std::uint64_t id, std::chrono::nanoseconds duration, Wake wake);
  /// Ends a sleep now; does nothing for one that has ended or not begun. Never blocks.
  void cancel(std::uint64_t id);

 private:
  struct Sleep {
    Wake wake;
    bool cancelled = false;
  };
  using Time = std::chrono::steady_clock::time_point;
  void run();

  Mutex mutex_;
  std::condition_variable changed_;
  // In the order of waking.
  std::map<std::pair<Time, std::uint64_t>, Sleep> sleeps_ LEAT_GUARDED_BY(mutex_);
  std::map<std::uint64_t, Time> due_ LEAT_GUARDED_BY(mutex_);  ///< the same, by id
  std::uint64_t last_id_ LEAT_GUARDED_BY(mutex_) = 0;
  bool stopping_ LEAT_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

/// Runs tasks whose config is {"sleep_ns": N}, {"busy_ns": N} or {"run": [..]} (see ProcessExecutor). A sleep
/// and a child hold slot and permit, but no thread; a busy task spins on its worker.
class JobExecutor final : public TaskExecutor {
 public:
  /// @param timer, processes  outlive the Runner
  /// @param time_scale        what sleeps and busy times are multiplied by; 0: they end at once
  JobExecutor(SleepTimer& timer, ProcessExecutor& processes, double time_scale) noexcept
      : timer_(timer), processes_(processes), time_scale_(time_scale) {}

  void start(const TaskReadyEvent& event, CompletionToken token) override;
  bool brakes() const noexcept override { return false; }
  std::string_view name() const override { return "job"; }

 private:
  void sleep(const TaskReadyEvent& event, std::chrono::nanoseconds duration, CompletionToken token);
  static void spin(const TaskReadyEvent& event, std::chrono::nanoseconds duration, CompletionToken token);

  SleepTimer& timer_;
  ProcessExecutor& processes_;
  const double time_scale_;
};

}  // namespace leat::tools
