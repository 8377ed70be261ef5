// The main() of every benchmark binary: puts the device's sync time into the context, then runs what was
// asked for.
#include <benchmark/benchmark.h>
#include <sys/prctl.h>

#include "device_sync.h"

int main(int argc, char** argv) {
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);  // inherited by all threads: pauses end when they should
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  const leat::bench::DeviceSync sync = leat::bench::measure_device_sync();
  benchmark::AddCustomContext("fdatasync_4k_median_us", sync.median_us);
  benchmark::AddCustomContext("fdatasync_directory", sync.directory);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
