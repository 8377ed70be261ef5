// A device of a test's own, mounted where nobody else sees it: it goes with the process that asked for it.
#pragma once

#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace leat::test {

constexpr int kMountRefused = 77;  // the exit status of a child that may not mount

/// @return whether this process has a mount table of its own from now on
inline bool leave_mounts() {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

/// @param size  as in the options of tmpfs: "size=2m"
/// @return      false where that is not permitted
inline bool mount_tmpfs(const std::filesystem::path& place, const char* size) {
  return leave_mounts() && ::mount("tmpfs", place.c_str(), "tmpfs", 0, size) == 0;
}

/// @return whether there is such a program, and it ended well
inline bool succeeds(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  int status = 0;
  return ::posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) == 0 &&
         ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Makes an ext4 in the file `image`, and mounts it. @return false where that is not permitted
inline bool mount_ext4(const std::filesystem::path& image, const std::filesystem::path& place,
                       std::uint64_t size_bytes) {
  if (!leave_mounts()) return false;
  std::ofstream(image).close();
  std::filesystem::resize_file(image, size_bytes);
  return succeeds({"mkfs.ext4", "-q", "-F", "-m", "0", image}) &&
         succeeds({"mount", "-o", "loop", image, place});
}

}  // namespace leat::test
