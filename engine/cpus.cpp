#include "cpus.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <system_error>
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

std::vector<std::uint32_t> process_cpus() {
  std::vector<std::uint32_t> cpus;
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(getpid(), sizeof mask, &mask) != 0) return cpus;
  for (std::uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) cpus.push_back(cpu);
  }
  return cpus;
}

OnCpus::OnCpus(std::span<const std::uint32_t> cpus) : bound_(!cpus.empty()) {
  if (!bound_) return;
  cpu_set_t wanted;
  CPU_ZERO(&wanted);
  for (const std::uint32_t cpu : cpus) CPU_SET(cpu, &wanted);
  int error = pthread_getaffinity_np(pthread_self(), sizeof before_, &before_);
  if (error == 0) error = pthread_setaffinity_np(pthread_self(), sizeof wanted, &wanted);
  if (error != 0) throw std::system_error(error, std::generic_category(), "affinity");
}

OnCpus::~OnCpus() {
  // What was allowed a moment ago, or as much of it as is left.
  if (bound_) static_cast<void>(pthread_setaffinity_np(pthread_self(), sizeof before_, &before_));
}

}  // namespace leat
