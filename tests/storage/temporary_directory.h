// A fresh directory under the system's temporary directory, removed at the end of the test.
#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>

namespace leat::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() : TemporaryDirectory(std::filesystem::temp_directory_path()) {}

  /// In memory where there is such a place: for tests that simulate their device, and would wait for one.
  static TemporaryDirectory without_device() {
    const std::filesystem::path memory = "/dev/shm";
    const bool usable = ::access(memory.c_str(), W_OK | X_OK) == 0;
    return TemporaryDirectory(usable ? memory : std::filesystem::temp_directory_path());
  }

  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;  // a directory that stays behind fails no test
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  std::string store() const { return (path_ / "store").string(); }

 private:
  explicit TemporaryDirectory(const std::filesystem::path& parent) {
    static std::atomic<unsigned> count{0};
    const unsigned number = count.fetch_add(1, std::memory_order_relaxed);  // relaxed: only distinct
    path_ = parent / ("leat_storage_" + std::to_string(::getpid()) + "_" + std::to_string(number));
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
  }

  std::filesystem::path path_;
};

}  // namespace leat::test
