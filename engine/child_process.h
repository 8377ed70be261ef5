// Makes one child process. Knows files and processes; nothing of tasks, threads or time.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <expected>
#include <utility>

#include "leat/error.h"
#include "leat/process.h"

namespace leat {

/// Owns one file descriptor.
class FileDescriptor {
 public:
  FileDescriptor() noexcept = default;
  explicit FileDescriptor(int fd) noexcept : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  void reset() noexcept {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

/// A running child and our ends of what connects us. Its group has its pid as number.
struct SpawnedChild {
  pid_t pid = 0;
  FileDescriptor pidfd;         ///< readable once the process has ended
  FileDescriptor output;        ///< our end, non-blocking
  FileDescriptor error_output;  ///< none where the outputs are merged
};

/// @return the child; otherwise nothing runs, and one line names the program and the reason:
///         InvalidArgument, or InvalidState where processes, memory or descriptors are short now
std::expected<SpawnedChild, Error> spawn_child(const ProcessSpec& spec);

}  // namespace leat
