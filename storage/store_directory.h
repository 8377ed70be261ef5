// What leat keeps beside RocksDB in a store's directory: the lock, the superblock, and the
// acknowledged floor. They hold the facts by which an opening tells an innocent torn tail from lost
// data. Knows nothing of RocksDB.
//
// LEAT    text, replaced as a whole (temporary file, fsync, rename, fsync of the directory):
//           leat store format 4
//           epoch E             the number of the last opening
//           created 0|1         whether RocksDB's part was ever complete
//           clean 0|1           whether that opening ended with close()
//           journal_end N       the end of the journal at that opening, or at its close
//           journal_hash H      of the commit that ends there; 0: none, or unknown; absent before format 3
//           reserved_end N      no number from here on was ever used
//           manifest N          XXH3-64 of RocksDB's list of files, as close() left it; 0 from the next
//                               opening on
//           repairing N         families that are being made anew: 1 checkpoint, 2 history, 4 contexts;
//                               absent before format 4
//           checksum H          XXH3-64 of the bytes before this line, in hexadecimal
// FLOOR   two sectors written in turn, in each 64 bytes, before format 4 48:
//           u64 turn
//           u64 epoch
//           u64 synced          holds after a power cut: it is written after the sync
//           u64 written         up to where somebody was told: holds within one boot of the machine
//           u64 boot
//           u64 synced_hash     of the commit that ends there; 0: unknown; absent before format 4
//           u64 written_hash    the same
//           u64 checksum
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "leat/store_error.h"
#include "own_files.h"

namespace leat {

/// 1: a journal alone; 2: with a checkpoint; 3: commits are linked by their hashes; 4: large contexts lie
/// apart. An opening for writing makes the present one of it.
inline constexpr std::uint32_t kStoreFormat = 4;

struct Superblock {
  std::uint64_t epoch = 0;
  bool created = false;
  bool clean = false;
  std::uint64_t journal_end = 1;
  std::uint64_t journal_hash = 0;
  std::uint64_t reserved_end = 1;
  std::uint64_t manifest = 0;
  std::uint64_t repairing = 0;

  friend bool operator==(const Superblock&, const Superblock&) = default;

  std::string to_text() const;
  /// @return  Damaged or NewerFormat, without the place
  static std::expected<Superblock, StoreError> parse(std::string_view text);
};

/// How far the journal was acknowledged.
struct Floor {
  std::uint64_t turn = 0;
  std::uint64_t epoch = 0;
  std::uint64_t synced = 0;
  std::uint64_t written = 0;
  std::uint64_t boot = 0;  ///< of the machine, at the time of writing; 0: unknown
  std::uint64_t synced_hash = 0;   ///< of the commit that ends there; 0: unknown
  std::uint64_t written_hash = 0;  ///< the same

  /// The number below which everything must be there, as seen from the boot `now`.
  std::uint64_t promised(std::uint64_t now) const noexcept {
    return holds_written(now) ? written : synced;
  }
  /// The hash of the commit that ends there; 0: unknown.
  std::uint64_t promised_hash(std::uint64_t now) const noexcept {
    return holds_written(now) ? written_hash : synced_hash;
  }
  bool holds_written(std::uint64_t now) const noexcept { return now != 0 && now == boot && written > synced; }
};

/// What is said of a store while Superblock::repairing is not 0.
StoreError repair_was_cut_short(const std::string& directory);

/// @return  a number for this boot of the machine; 0 where it cannot be told
std::uint64_t current_boot();

/// @return  NotFound, NotAStore, NewerFormat, Damaged, Io
std::expected<Superblock, StoreError> read_superblock(const std::string& directory);

/// @param flawed  set to whether any byte is not as written: a crash while writing leaves one sector so
/// @return        Damaged where neither sector can be read
std::expected<Floor, StoreError> read_floor(const std::string& directory, bool* flawed = nullptr);

/// The advisory lock of a store's directory, held until destroyed or until the process ends. Takes no file.
class DirectoryLock {
 public:
  /// @return  Locked, NotFound, NotAStore, NotWritable, Io
  static std::expected<DirectoryLock, StoreError> take(const std::string& path);

  DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&&) = delete;
  ~DirectoryLock();

 private:
  explicit DirectoryLock(int fd) noexcept : fd_(fd) {}

  int fd_;
};

/// The directory of a store opened for writing: holds its lock until destroyed.
///
/// Thread-safety: one thread at a time.
class StoreDirectory {
 public:
  /// Makes the directory where absent, locks it, reads the superblock, which is new where there was none.
  ///
  /// @param files  outlives it
  /// @return       Locked, NewerFormat, NotAStore, NotWritable, Damaged, Io; nothing was changed then
  static std::expected<StoreDirectory, StoreError> open(const std::string& path,
                                                        OwnFiles& files = OwnFiles::system());

  StoreDirectory(StoreDirectory&& other) noexcept;
  StoreDirectory& operator=(StoreDirectory&&) = delete;
  ~StoreDirectory();

  const std::string& path() const noexcept { return path_; }
  const Superblock& superblock() const noexcept { return superblock_; }

  /// When it returns, the new superblock survives a power cut.
  std::expected<void, StoreError> replace(const Superblock& superblock);

  /// Makes the floor anew, in both sectors, durably.
  ///
  /// @param hash  of the commit that ends there; 0: unknown
  std::expected<void, StoreError> begin_floor(std::uint64_t epoch, std::uint64_t end, std::uint64_t hash,
                                              std::uint64_t boot);
  /// Makes FLOOR anew for a store that was closed, of which the superblock says everything.
  std::expected<void, StoreError> rebuild_floor();
  /// Where a commit ends, and its hash.
  struct Level {
    std::uint64_t end = 0;
    std::uint64_t hash = 0;  ///< 0: unknown
  };
  /// Raises the floor. It survives the process's death; a power cut may take it back, never advance it.
  std::expected<void, StoreError> raise_floor(const Level& synced, const Level& written);

 private:
  StoreDirectory(std::string path, DirectoryLock&& lock, OwnFiles& files) noexcept
      : path_(std::move(path)), lock_(std::move(lock)), files_(files) {}

  std::string path_;
  DirectoryLock lock_;
  OwnFiles& files_;
  int floor_fd_ = -1;
  Superblock superblock_;
  Floor floor_;
};

}  // namespace leat
