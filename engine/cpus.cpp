#include "cpus.h"

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <thread>

namespace leat {

std::uint32_t usable_cpus() noexcept {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  std::uint32_t count = std::thread::hardware_concurrency();  // more CPUs than the mask has bits for
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) count = static_cast<std::uint32_t>(CPU_COUNT(&mask));
  // Control groups, version 2: "quota period" in microseconds, or "max period".
  if (std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "re")) {
    unsigned long long quota = 0, period = 0;
    if (std::fscanf(file, "%llu %llu", &quota, &period) == 2 && period > 0) {
      count = std::min(count, static_cast<std::uint32_t>((quota + period - 1) / period));
    }
    std::fclose(file);
  }
  return std::max(count, 1U);
}

}  // namespace leat
