// Keeps a full disk from RocksDB, which may abort at one: holds a reserve, gives it back before the last
// bytes are gone, and tells in time when nothing new should be admitted.
#pragma once

#include <rocksdb/file_system.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "leat_locks/mutex.h"
#include "own_files.h"

namespace leat {

/// The file system of a store that is open for writing. Its reserve is the file RESERVE, allocated and never
/// written.
///
/// Thread-safety: any number of threads; take_reserve and drop_reserve one at a time.
class SpaceGuard final : public rocksdb::FileSystemWrapper {
 public:
  struct Space {
    std::uint64_t free_bytes;
    std::uint64_t gate_bytes;  ///< below it what is admitted may not find room to end
  };

  /// What it asks, in a test of its own.
  struct Asked {
    std::function<std::uint64_t()> free_bytes;
    std::function<std::int64_t()> steady_ns;
  };

  /// @param files  outlives it
  SpaceGuard(const std::shared_ptr<rocksdb::FileSystem>& below, std::string directory,
             OwnFiles& files = OwnFiles::system());
  SpaceGuard(const std::shared_ptr<rocksdb::FileSystem>& below, std::string directory, Asked asked,
             OwnFiles& files = OwnFiles::system());
  const char* Name() const override { return "LeatSpaceGuard"; }

  /// Allocates the reserve, if there is room: the largest commit so far, a full ring and a write buffer,
  /// which may be on its way into a table when the device is full. Not while it is given up.
  void take_reserve(std::uint64_t commit_bytes) noexcept;
  /// Removes it: at an orderly end, and before a recovery writes where a crash has left one.
  void drop_reserve() noexcept;
  /// Looks at the device; takes the reserve again where it was given up and there is plenty.
  Space look() noexcept;
  /// The same, as it is.
  Space space() const noexcept { return {.free_bytes = asked_.free_bytes(), .gate_bytes = gate_bytes_}; }

  /// Carries out a call that may need so many bytes more, freeing the reserve before the device is full.
  /// Looks at the device, but where a moment ago it had more than could have been used since.
  ///
  /// @param untouched  whether the call that failed has changed nothing, so that it may be tried again
  rocksdb::IOStatus guarded(std::uint64_t bytes, const std::function<rocksdb::IOStatus()>& call,
                            const std::function<bool()>& untouched);

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;

 private:
  bool has_plenty(std::uint64_t bytes) noexcept;
  bool allocate(std::uint64_t bytes) noexcept LEAT_REQUIRES(mutex_);
  void free_reserve() noexcept;

  const std::string directory_;
  const std::string reserve_path_;
  const Asked asked_;
  OwnFiles& files_;
  std::uint64_t gate_bytes_;
  std::uint64_t reserve_bytes_max_;
  Mutex mutex_;  // the file RESERVE
  std::uint64_t commit_bytes_max_ LEAT_GUARDED_BY(mutex_) = 0;
  std::atomic<std::uint64_t> reserve_bytes_{0};
  std::atomic<bool> given_up_{false};    // until there is plenty of room: what is written now needs all of it
  std::atomic<std::int64_t> looked_ns_{INT64_MIN};  // steady clock: when the device had plenty
  std::atomic<std::uint64_t> unlooked_bytes_{0};    // that calls may have used since
  std::atomic<std::uint64_t> frees_{0};             // how often there was something to free
};

}  // namespace leat
