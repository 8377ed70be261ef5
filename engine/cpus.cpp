#include "cpus.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <system_error>
#include <thread>

namespace leat {
namespace {

/// @return the numbers that the file begins with, up to two; a word ends them
std::vector<double> numbers_in(const std::string& file) {
  std::ifstream in(file);
  std::vector<double> numbers;
  for (double number = 0; numbers.size() < 2 && in >> number;) numbers.push_back(number);
  return numbers;
}

/// Of one group of version 2: "quota period" in microseconds, or "max period".
std::optional<double> unified_quota(const std::string& group) {
  const std::vector<double> numbers = numbers_in(group + "/cpu.max");
  if (numbers.size() != 2 || numbers[0] <= 0 || numbers[1] <= 0) return {};
  return numbers[0] / numbers[1];
}

/// Of one group of version 1; -1 is no quota.
std::optional<double> cfs_quota(const std::string& group) {
  const std::vector<double> quota = numbers_in(group + "/cpu.cfs_quota_us");
  const std::vector<double> period = numbers_in(group + "/cpu.cfs_period_us");
  if (quota.empty() || period.empty() || quota[0] <= 0 || period[0] <= 0) return {};
  return quota[0] / period[0];
}

/// From a group up to where its hierarchy is mounted. Inside a container the group's path may be the host's,
/// of which only the mount itself is there to be read.
template <class Quota>
void take_least(std::optional<double>& least, const std::string& mount, std::string group,
                const Quota& quota_of) {
  if (group.starts_with("/..")) group.clear();  // outside of this namespace
  for (;; group.resize(group.find_last_of('/'))) {
    if (group == "/") group.clear();
    if (const auto quota = quota_of(mount + group); quota && (!least || *quota < *least)) least = quota;
    if (group.empty() || group.front() != '/') return;
  }
}

}  // namespace

std::optional<double> quota_cpus(const std::string& root) {
  std::optional<double> least;
  std::ifstream groups(root + "/proc/self/cgroup");
  const std::string mounts = root + "/sys/fs/cgroup";
  for (std::string line; std::getline(groups, line);) {  // "number:controllers:group"
    const std::size_t first = line.find(':');
    const std::size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      take_least(least, mounts, group, unified_quota);
      take_least(least, mounts + "/unified", group, unified_quota);
    } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
      take_least(least, mounts + "/" + controllers, group, cfs_quota);
      if (controllers != "cpu") take_least(least, mounts + "/cpu", group, cfs_quota);
    }
  }
  return least;
}

std::uint32_t usable_cpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  std::uint32_t count = std::thread::hardware_concurrency();  // more CPUs than the mask has bits for
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) count = static_cast<std::uint32_t>(CPU_COUNT(&mask));
  if (const auto quota = quota_cpus(); quota && *quota < count)
    count = static_cast<std::uint32_t>(std::ceil(*quota));
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
