#include "device_sync.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <vector>

#include "temporary_directory.h"

namespace leat::bench {
namespace {

std::atomic<std::uint64_t> calls{0};

constexpr int kSamples = 101;

std::vector<double> sample_syncs(int file) {
  static constexpr std::array<char, 4096> kBlock{};
  std::vector<double> us;
  for (int i = 0; i < kSamples; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    if (write(file, kBlock.data(), kBlock.size()) != static_cast<ssize_t>(kBlock.size())) break;
    if (fdatasync(file) != 0) break;
    us.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
  }
  return us;
}

}  // namespace

DeviceSync measure_device_sync() {
  const TemporaryDirectory directory;
  DeviceSync result{.median_us = "unknown", .directory = directory.path().parent_path().string()};
  const int file =
      open((directory.path() / "append").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return result;
  std::vector<double> us = sample_syncs(file);
  close(file);
  if (us.size() < kSamples) return result;
  std::nth_element(us.begin(), us.begin() + kSamples / 2, us.end());
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", us[kSamples / 2]);
  result.median_us = text.data();
  return result;
}

std::uint64_t sync_calls() noexcept {
  return calls.load(std::memory_order_relaxed);  // relaxed: a count that orders nothing
}

}  // namespace leat::bench

// These take the place of libc's for the whole process, so that stores need no counters of their own.
extern "C" int fdatasync(int file) {
  leat::bench::calls.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count that orders nothing
  return static_cast<int>(syscall(SYS_fdatasync, file));
}

extern "C" int fsync(int file) {
  leat::bench::calls.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count that orders nothing
  return static_cast<int>(syscall(SYS_fsync, file));
}
