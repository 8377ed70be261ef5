#include "process_usage.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "device_sync.h"

namespace leat::bench {
namespace {

double to_ns(const timeval& time) noexcept {
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_usec) * 1e3;
}

double read_written_bytes() {
  std::ifstream io("/proc/self/io");
  double value = 0;
  for (std::string name; io >> name >> value;) {
    if (name == "wchar:") return value;
  }
  return 0;
}

}  // namespace

ProcessUsage read_process_usage() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {.cpu_ns = to_ns(usage.ru_utime) + to_ns(usage.ru_stime),
          .written_bytes = read_written_bytes(),
          .syncs = static_cast<double>(sync_calls())};
}

std::int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t size_pages = 0;
  std::int64_t resident_pages = 0;
  statm >> size_pages >> resident_pages;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

std::int64_t peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::int64_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib * 1024;
  }
  return 0;
}

void reset_peak_bytes() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

void report_cpu_per_task(benchmark::State& state, const ProcessUsage& begin, std::int64_t tasks) {
  state.counters["cpu_ns_per_task"] =
      (read_process_usage().cpu_ns - begin.cpu_ns) / static_cast<double>(tasks);
}

void report_usage_per_task(benchmark::State& state, const ProcessUsage& begin, std::int64_t tasks) {
  const ProcessUsage end = read_process_usage();
  const auto count = static_cast<double>(tasks);
  state.counters["tasks_per_second"] = benchmark::Counter(count, benchmark::Counter::kIsRate);
  state.counters["cpu_ns_per_task"] = (end.cpu_ns - begin.cpu_ns) / count;
  state.counters["written_bytes_per_task"] = (end.written_bytes - begin.written_bytes) / count;
  state.counters["syncs_per_task"] = (end.syncs - begin.syncs) / count;
}

}  // namespace leat::bench
