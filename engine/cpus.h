// How many CPUs this process may use: its affinity mask, and the quotas of its control groups.
#pragma once

#include <sched.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace leat {

/// The least of its mask and its quotas, rounded up. @return from 1
std::uint32_t usable_cpus();

/// How many CPUs' time the control groups of this process leave it: the smallest quota from its own group up
/// to the root, of version 2, of version 1, or of both side by side.
///
/// @param root  in front of /proc and /sys
/// @return      empty: there is no quota, or none that can be read
std::optional<double> quota_cpus(const std::string& root = {});

/// The CPUs that this process may use, by the kernel's numbers, whatever the calling thread is bound to.
std::vector<std::uint32_t> process_cpus();

/// Threads that are made while it lives run on these CPUs alone, from their first step on; so does the
/// calling thread until then.
///
/// Thread-safety: one thread.
class OnCpus {
 public:
  /// @param cpus  empty: nothing is changed
  /// Throws std::system_error where the kernel refuses.
  explicit OnCpus(std::span<const std::uint32_t> cpus);
  ~OnCpus();
  OnCpus(const OnCpus&) = delete;
  OnCpus& operator=(const OnCpus&) = delete;

 private:
  const bool bound_;
  cpu_set_t before_{};
};

}  // namespace leat
