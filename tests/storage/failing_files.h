// leat's own files on a device that fails at one call, or from one call on.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "own_files.h"

namespace leat::test {

class FailingFiles final : public OwnFiles {
 public:
  enum class Fault : std::uint8_t {
    Refuse,      ///< from then on: EIO
    RefuseOnce,  ///< EIO
    NoSpace,     ///< from then on: ENOSPC, of a write behind its first half
    Lie,         ///< it is carried out and called failed
  };

  FailingFiles(Fault fault, std::uint64_t fail_at) noexcept : fault_(fault), fail_at_(fail_at) {}
  std::uint64_t calls() const noexcept { return calls_; }

  int open(const char* path, int flags) noexcept override {
    if (!fails()) return OwnFiles::open(path, flags);
    return refused();
  }
  std::ptrdiff_t write(int fd, const void* bytes, std::size_t size, std::uint64_t offset) noexcept override {
    if (!fails()) return OwnFiles::write(fd, bytes, size, offset);
    if (fault_ == Fault::NoSpace) static_cast<void>(OwnFiles::write(fd, bytes, size / 2, offset));
    if (fault_ == Fault::Lie) static_cast<void>(OwnFiles::write(fd, bytes, size, offset));
    return refused();
  }
  int sync(int fd) noexcept override { return fail(OwnFiles::sync(fd)); }
  int rename(const char* from, const char* to) noexcept override {
    if (!fails()) return OwnFiles::rename(from, to);
    if (fault_ == Fault::Lie) static_cast<void>(OwnFiles::rename(from, to));
    return refused();
  }
  int remove(const char* path) noexcept override {
    if (!fails()) return OwnFiles::remove(path);
    if (fault_ == Fault::Lie) static_cast<void>(OwnFiles::remove(path));
    return refused();
  }
  int truncate(int fd, std::uint64_t size) noexcept override { return fail(OwnFiles::truncate(fd, size)); }
  int allocate(int fd, std::uint64_t offset, std::uint64_t size) noexcept override {
    if (!fails()) return OwnFiles::allocate(fd, offset, size);
    return refused();
  }
  int extend(int fd, std::uint64_t offset, std::uint64_t size) noexcept override {
    if (!fails()) return OwnFiles::extend(fd, offset, size);
    refused();
    return errno;
  }

 private:
  bool fails() noexcept {
    ++calls_;
    const bool once = fault_ == Fault::RefuseOnce || fault_ == Fault::Lie;
    return once ? calls_ == fail_at_ : calls_ >= fail_at_;
  }
  int refused() const noexcept {
    errno = fault_ == Fault::NoSpace ? ENOSPC : EIO;
    return -1;
  }
  int fail(int result) noexcept { return fails() ? refused() : result; }

  const Fault fault_;
  const std::uint64_t fail_at_;
  std::uint64_t calls_ = 0;
};

}  // namespace leat::test
