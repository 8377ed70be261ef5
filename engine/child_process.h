// Makes one child process. Knows files and processes; nothing of tasks, threads or time.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
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

/// What tells a process apart from a later one with the same number: when it started, in which boot.
///
/// @return  0: there is no such process
std::uint64_t process_identity(pid_t pid);

/// A child of a process that is no more.
class OrphanProcess {
 public:
  /// @return  empty: it is gone
  static std::optional<OrphanProcess> find(pid_t pid, std::uint64_t identity);
  /// Kills its group, or it alone where it leads none.
  void kill() noexcept;
  /// @return  whether it has ended
  bool wait(std::chrono::milliseconds patience) noexcept;

 private:
  bool send(int signal) noexcept;
  OrphanProcess(pid_t pid, FileDescriptor pidfd) noexcept : pid_(pid), pidfd_(std::move(pidfd)) {}
  pid_t pid_;
  FileDescriptor pidfd_;
};

}  // namespace leat
