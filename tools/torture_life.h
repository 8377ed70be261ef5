// One life of `leat torture`: opens the store, carries on what is there, submits more, and reports what was
// acknowledged, until it is killed, kills itself, or is told to stop.
#pragma once

#include <cstdint>
#include <string>

namespace leat::tools {

struct TortureLifeOptions {
  std::string store = {};
  std::uint64_t seed = 0;
  std::string die_at = {};      ///< a named point, see torture_points()
  std::uint32_t die_after = 1;  ///< at its n-th time
  std::string trouble = {};     ///< files, size, memory, cpu, fork or clock; empty: none
  int hours = 0;                ///< that its wall clock is ahead of the machine's; below 0: behind
  bool drain = false;           ///< submits nothing, and ends all that it finds
};

/// So far ahead of the machine's, a clock shows a time at which all that was to begin later is due: lives
/// are at most 12 hours ahead, jump by at most 6, and begin things at most 6 hours later.
inline constexpr int kTortureHoursOfAll = 36;

/// @pre kTortureReportFd is the pipe to the observer
/// @return 0 after a clean stop; 1: something was left after a drain; 2: the store could not be opened; 3: it
///         failed while running
int torture_life(const TortureLifeOptions& options);

}  // namespace leat::tools
