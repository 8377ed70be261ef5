// A fresh directory for one benchmark's store, gone at the end.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace leat::bench {

/// Under std::filesystem::temp_directory_path(), so TMPDIR chooses the device.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "leat-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
      throw std::filesystem::filesystem_error("mkdtemp", name, last_error());
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;  // a leftover below the temporary directory harms nobody
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  static std::error_code last_error() noexcept { return {errno, std::generic_category()}; }
  std::filesystem::path path_;
};

}  // namespace leat::bench
