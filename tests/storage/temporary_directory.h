// A fresh directory under the system's temporary directory, removed at the end of the test.
#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <string>

namespace leat::test {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    static std::atomic<unsigned> count{0};
    const unsigned number = count.fetch_add(1, std::memory_order_relaxed);  // relaxed: only distinct
    path_ = std::filesystem::temp_directory_path() /
            ("leat_storage_" + std::to_string(::getpid()) + "_" + std::to_string(number));
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
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
  std::filesystem::path path_;
};

}  // namespace leat::test
