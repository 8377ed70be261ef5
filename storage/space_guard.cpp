#include "space_guard.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace leat {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kRingBytes = 16 * kMiB;   // a full ring of usual groups
constexpr std::uint64_t kTableBytes = 32 * kMiB;  // a full write buffer, see journal_families()
constexpr std::uint64_t kGateBytes = 64 * kMiB;   // two write buffers, on their way into tables
constexpr std::uint64_t kSlackBytes = 256 << 10;  // what others may take between a look and a write
// A look is a system call, and there may be a thousand writes in this time. With so much free nobody fills
// the device before the next look: that would be 50 GB a second.
constexpr std::int64_t kLookNs = 5'000'000;
constexpr std::uint64_t kPlentyBytes = 256 * kMiB;
constexpr std::uint64_t kUnlookedBytesMax = 16 * kMiB;

/// A file whose growth is guarded.
class GuardedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  GuardedFile(SpaceGuard& guard, std::string name, std::unique_ptr<rocksdb::FSWritableFile>&& file)
      : FSWritableFileOwnerWrapper(std::move(file)), guard_(guard), name_(std::move(name)) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    const auto call = [&] { return FSWritableFileOwnerWrapper::Append(data, options, debug); };
    rocksdb::IOStatus status = guard_.guarded(data.size(), call, [this] { return is_unchanged(); });
    if (status.ok()) size_bytes_ += data.size();
    return status;
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo&, rocksdb::IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    // Never tried again: what a failed sync has left undone is not known.
    return guard_.guarded(
        0, [&] { return FSWritableFileOwnerWrapper::Sync(options, debug); }, [] { return false; });
  }

 private:
  /// A write that was cut short has moved the file's end.
  bool is_unchanged() const {
    struct stat status {};
    return ::stat(name_.c_str(), &status) == 0 && static_cast<std::uint64_t>(status.st_size) == size_bytes_;
  }

  SpaceGuard& guard_;
  const std::string name_;
  std::uint64_t size_bytes_ = 0;
};

std::uint64_t free_bytes_of(const std::string& directory) noexcept {
  struct statvfs status {};
  if (::statvfs(directory.c_str(), &status) != 0) return ~std::uint64_t{0};  // the write itself will tell
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

std::int64_t steady_ns() noexcept {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

SpaceGuard::SpaceGuard(const std::shared_ptr<rocksdb::FileSystem>& below, std::string directory,
                       OwnFiles& files)
    : SpaceGuard(below, directory,
                 {.free_bytes = [directory] { return free_bytes_of(directory); }, .steady_ns = &steady_ns},
                 files) {}

SpaceGuard::SpaceGuard(const std::shared_ptr<rocksdb::FileSystem>& below, std::string directory, Asked asked,
                       OwnFiles& files)
    : FileSystemWrapper(below),
      directory_(std::move(directory)),
      reserve_path_(directory_ + "/RESERVE"),
      asked_(std::move(asked)),
      files_(files) {
  struct statvfs status {};
  const bool known = ::statvfs(directory_.c_str(), &status) == 0;
  const std::uint64_t whole = known ? std::uint64_t{status.f_blocks} * status.f_frsize : 0;
  // A small device keeps most of its room for the store.
  gate_bytes_ = std::min(kGateBytes, whole / 8);
  reserve_bytes_max_ = whole / 16;
}

void SpaceGuard::take_reserve(std::uint64_t commit_bytes) noexcept {
  // relaxed: whoever is late only leaves it as it is
  if (given_up_.load(std::memory_order_relaxed)) return;
  const auto wanted = [this](std::uint64_t largest) {
    return std::min(largest + kRingBytes + kTableBytes, reserve_bytes_max_);
  };
  // relaxed: a larger reserve than the largest commit needs is only taken again
  if (wanted(commit_bytes) <= reserve_bytes_.load(std::memory_order_relaxed)) return;
  const MutexLock lock(mutex_);
  commit_bytes_max_ = std::max(commit_bytes_max_, commit_bytes);
  // relaxed: under the mutex
  if (!allocate(wanted(commit_bytes_max_))) given_up_.store(true, std::memory_order_relaxed);
}

/// @return whether the device has so much; else the reserve is as it was
bool SpaceGuard::allocate(std::uint64_t bytes) noexcept {
  const int fd = files_.open(reserve_path_.c_str(), O_RDWR | O_CREAT);
  if (fd < 0) return false;
  // Not emulated by writing: where a device cannot, there is no reserve.
  const bool taken = files_.allocate(fd, 0, bytes) == 0;
  const std::uint64_t before = reserve_bytes_.load(std::memory_order_relaxed);  // relaxed: under the mutex
  // A file system that runs full half way keeps what it has found so far.
  const bool trimmed = taken || files_.truncate(fd, before) == 0;
  ::close(fd);
  if (!trimmed || (!taken && before == 0)) files_.remove(reserve_path_.c_str());
  // relaxed: as in take_reserve()
  reserve_bytes_.store(taken ? bytes : (trimmed ? before : 0), std::memory_order_relaxed);
  return taken;
}

void SpaceGuard::drop_reserve() noexcept {
  free_reserve();
  given_up_.store(false, std::memory_order_relaxed);  // relaxed: one at a time, as take_reserve()
}

void SpaceGuard::free_reserve() noexcept {
  const MutexLock lock(mutex_);
  struct stat status {};
  const bool had = ::stat(reserve_path_.c_str(), &status) == 0 && status.st_blocks > 0;
  const bool gone = files_.remove(reserve_path_.c_str()) == 0;
  // relaxed: under the mutex
  reserve_bytes_.store(0, std::memory_order_relaxed);
  given_up_.store(true, std::memory_order_relaxed);
  if (had && gone) frees_.fetch_add(1, std::memory_order_relaxed);
}

SpaceGuard::Space SpaceGuard::look() noexcept {
  const Space space = this->space();
  // relaxed: whoever is late finds it taken
  if (space.free_bytes / 2 > space.gate_bytes && given_up_.load(std::memory_order_relaxed)) {
    given_up_.store(false, std::memory_order_relaxed);  // relaxed: as above
    take_reserve(0);
  }
  return space;
}

/// Whether there is room for so many bytes more.
bool SpaceGuard::has_plenty(std::uint64_t bytes) noexcept {
  const std::int64_t now = asked_.steady_ns();
  // relaxed, here and below: hints; a look that two calls make is one too many, and what one does not count
  // of the other's is within the slack of what plenty is
  const std::int64_t looked_ns = looked_ns_.load(std::memory_order_relaxed);
  const std::uint64_t unlooked = unlooked_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (looked_ns != INT64_MIN && now - looked_ns < kLookNs && unlooked < kUnlookedBytesMax) return true;
  const std::uint64_t free_bytes = asked_.free_bytes();
  unlooked_bytes_.store(bytes, std::memory_order_relaxed);
  looked_ns_.store(free_bytes >= kPlentyBytes ? now : INT64_MIN, std::memory_order_relaxed);
  return free_bytes >= bytes + kSlackBytes;
}

rocksdb::IOStatus SpaceGuard::guarded(std::uint64_t bytes, const std::function<rocksdb::IOStatus()>& call,
                                      const std::function<bool()>& untouched) {
  // relaxed: hints; what a call finds, it finds on the device
  const bool reserved = reserve_bytes_.load(std::memory_order_relaxed) > 0;
  const std::uint64_t frees = frees_.load(std::memory_order_relaxed);
  if (reserved && !has_plenty(bytes)) free_reserve();
  rocksdb::IOStatus status = call();
  if (!status.IsNoSpace()) return status;
  free_reserve();
  // Whoever has freed it since then, this call may find room now.
  const bool freed = frees_.load(std::memory_order_relaxed) != frees;  // relaxed: under the mutex, just now
  return freed && untouched() ? call() : status;
}

rocksdb::IOStatus SpaceGuard::NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                                              rocksdb::IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSWritableFile> file;
  const auto call = [&] { return FileSystemWrapper::NewWritableFile(name, options, &file, debug); };
  rocksdb::IOStatus status = guarded(0, call, [] { return true; });
  if (status.ok()) *result = std::make_unique<GuardedFile>(*this, name, std::move(file));
  return status;
}

}  // namespace leat
