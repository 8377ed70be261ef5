// A life of `leat torture` as a process: how it is started, heard and ended from outside.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "torture_life.h"
#include "torture_report.h"

namespace leat::tools {

/// A running life and its pipe.
///
/// Thread-safety: one thread.
class TortureChild {
 public:
  using Hear = std::function<void(const TortureReport&)>;

  /// @param program  `leat` itself
  TortureChild(const std::string& program, const TortureLifeOptions& life);
  ~TortureChild();
  TortureChild(const TortureChild&) = delete;
  TortureChild& operator=(const TortureChild&) = delete;

  bool born() const noexcept { return pid_ > 0; }
  void signal(int number) const noexcept;
  /// Hears what it tells, until it is silent for ever or the time has come. @return whether it is silent
  bool listen(const Hear& hear, std::chrono::steady_clock::time_point until);
  /// @return its exit status, or kTortureDeadly + the signal that ended it
  int wait() const;

 private:
  pid_t pid_ = -1;
  int pipe_ = -1;
  std::array<char, sizeof(TortureReport)> part_{};
  std::size_t part_size_ = 0;
};

inline constexpr int kTortureDeadly = 128;  ///< exit statuses from here on: ended by a signal

}  // namespace leat::tools
