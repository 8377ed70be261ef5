#include "own_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

namespace leat {
namespace {

class SystemFiles final : public OwnFiles {};

}  // namespace

OwnFiles& OwnFiles::system() noexcept {
  static SystemFiles files;  // without state
  return files;
}

int OwnFiles::open(const char* path, int flags) noexcept {
  return ::open(path, flags | O_CLOEXEC, 0644);
}

std::ptrdiff_t OwnFiles::write(int fd, const void* bytes, std::size_t size, std::uint64_t offset) noexcept {
  return ::pwrite(fd, bytes, size, static_cast<off_t>(offset));
}

int OwnFiles::sync(int fd) noexcept {
  return ::fsync(fd);
}

int OwnFiles::rename(const char* from, const char* to) noexcept {
  return std::rename(from, to);
}

int OwnFiles::remove(const char* path) noexcept {
  return ::unlink(path);
}

int OwnFiles::truncate(int fd, std::uint64_t size) noexcept {
  return ::ftruncate(fd, static_cast<off_t>(size));
}

int OwnFiles::allocate(int fd, std::uint64_t offset, std::uint64_t size) noexcept {
  return ::fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(size));
}

int OwnFiles::extend(int fd, std::uint64_t offset, std::uint64_t size) noexcept {
  return ::posix_fallocate(fd, static_cast<off_t>(offset), static_cast<off_t>(size));
}

}  // namespace leat
