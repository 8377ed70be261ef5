// What a stretch of a benchmark cost the machine, beside time: CPU, bytes written, syncs.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>

namespace leat::bench {

struct ProcessUsage {
  double cpu_ns = 0;         ///< user and system, all threads
  double written_bytes = 0;  ///< handed to write(2) and its kin
  double syncs = 0;          ///< calls of fsync(2) and fdatasync(2)
};

/// Everything since the process started.
ProcessUsage read_process_usage();

/// What of this process lies in memory now.
std::int64_t resident_bytes();

/// The most that did so since the process began, or since reset_peak_bytes().
std::int64_t peak_bytes();
void reset_peak_bytes();

/// Sets the counter cpu_ns_per_task, which other processes disturb less than they disturb rates.
///
/// @param begin  read before the benchmark's loop
void report_cpu_per_task(benchmark::State& state, const ProcessUsage& begin, std::int64_t tasks);

/// Sets the counters tasks_per_second, cpu_ns_per_task, written_bytes_per_task and syncs_per_task.
///
/// @param begin  read before the benchmark's loop
void report_usage_per_task(benchmark::State& state, const ProcessUsage& begin, std::int64_t tasks);

}  // namespace leat::bench
