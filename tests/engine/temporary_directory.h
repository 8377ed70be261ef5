// A fresh directory for a test's store, gone with the object.
#pragma once

#include <filesystem>
#include <string>

#include "leat/rng.h"

namespace leat {

class TemporaryDirectory {
 public:
  TemporaryDirectory()
      : path_(std::filesystem::temp_directory_path() /
              ("leat-test-" + std::to_string(make_system_rng()->next()))) {}
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string path() const { return path_.string(); }
  std::string url() const { return "rocksdb://" + path(); }

 private:
  const std::filesystem::path path_;
};

}  // namespace leat
