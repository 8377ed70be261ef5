// The system calls by which leat changes the files of its own that lie beside RocksDB's: LEAT, FLOOR, RESERVE
// and BOARD. A seam for tests, where they fail; knows nothing of what is in the files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace leat {

/// Each is the call of its name, with what that returns and errno.
///
/// Thread-safety: any number of threads.
class OwnFiles {
 public:
  /// Those of the system.
  static OwnFiles& system() noexcept;

  virtual int open(const char* path, int flags) noexcept;
  virtual std::ptrdiff_t write(int fd, const void* bytes, std::size_t size, std::uint64_t offset) noexcept;
  virtual int sync(int fd) noexcept;
  virtual int rename(const char* from, const char* to) noexcept;
  virtual int remove(const char* path) noexcept;
  virtual int truncate(int fd, std::uint64_t size) noexcept;
  /// Never emulated by writing.
  virtual int allocate(int fd, std::uint64_t offset, std::uint64_t size) noexcept;
  /// Emulated where the device cannot. @return  0 or an errno
  virtual int extend(int fd, std::uint64_t offset, std::uint64_t size) noexcept;

 protected:
  ~OwnFiles() = default;
};

}  // namespace leat
