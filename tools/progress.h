// How far a run is, on standard error: a bar that is drawn anew on a terminal, now and then a line otherwise.
#pragma once

#include <chrono>
#include <cstdint>

namespace leat::tools {

struct ProgressFigures {
  std::uint64_t tasks_ended = 0;
  std::uint64_t tasks = 0;
  std::uint64_t tasks_failed = 0;
  std::uint64_t pipelines_ended = 0;
  std::uint64_t pipelines = 0;
};

/// Thread-safety: one thread.
class Progress {
 public:
  Progress();
  /// Takes the bar away.
  ~Progress();

  /// How long to wait between two calls of show().
  std::chrono::nanoseconds interval() const noexcept;
  void show(const ProgressFigures& figures);

 private:
  const bool terminal_;
  const std::chrono::steady_clock::time_point started_;
};

}  // namespace leat::tools
