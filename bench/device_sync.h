// What durability costs on this machine, without any software of ours: how long the device takes to sync, and
// how often this process asked it to.
#pragma once

#include <cstdint>
#include <string>

namespace leat::bench {

struct DeviceSync {
  std::string
      median_us;  ///< of one 4 KiB append and its fdatasync, as text; "unknown" where nothing can be written
  std::string directory;  ///< where it was measured: where the benchmarks put their stores
};

/// Appends 4 KiB and syncs, 101 times.
DeviceSync measure_device_sync();

/// How often this process has called fsync() or fdatasync() so far.
std::uint64_t sync_calls() noexcept;

}  // namespace leat::bench
