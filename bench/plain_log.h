// The floor under every durable store: records with a checksum appended to one file, synced by fdatasync.
#pragma once

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

namespace leat::bench {

/// Thread-safety: one thread at a time.
class PlainLog {
 public:
  explicit PlainLog(const std::filesystem::path& file)
      : fd_(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
    if (fd_ < 0) give_up("open");
  }
  ~PlainLog() { ::close(fd_); }
  PlainLog(const PlainLog&) = delete;
  PlainLog& operator=(const PlainLog&) = delete;

  /// Adds a record to `batch`: its length, its checksum, itself.
  static void pack(std::string& batch, std::span<const std::byte> record) {
    const auto size = static_cast<std::uint32_t>(record.size());
    const std::uint64_t checksum = XXH3_64bits(record.data(), record.size());
    const std::size_t at = batch.size();
    batch.resize(at + sizeof size + sizeof checksum + record.size());
    std::memcpy(batch.data() + at, &size, sizeof size);
    std::memcpy(batch.data() + at + sizeof size, &checksum, sizeof checksum);
    std::memcpy(batch.data() + at + sizeof size + sizeof checksum, record.data(), record.size());
  }

  void write(std::string_view batch) {
    while (!batch.empty()) {
      const ssize_t count = ::write(fd_, batch.data(), batch.size());
      if (count < 0) give_up("write");
      batch.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  void sync() {
    if (::fdatasync(fd_) != 0) give_up("fdatasync");
  }

 private:
  [[noreturn]] static void give_up(const char* deed) {
    std::cerr << "plain log: " << deed << ": " << std::strerror(errno) << '\n';
    std::abort();
  }

  int fd_;
};

/// The same for many threads: who comes first writes and syncs for all who came meanwhile.
///
/// Thread-safety: any number of threads.
class GroupCommitLog {
 public:
  explicit GroupCommitLog(const std::filesystem::path& file) : log_(file) {}

  /// Returns when the record is on the disk.
  void append(std::span<const std::byte> record) {
    std::unique_lock lock(mutex_);
    PlainLog::pack(waiting_, record);
    const std::uint64_t mine = ++appended_;
    while (synced_ < mine) {
      if (leading_) {
        changed_.wait(lock);
        continue;
      }
      leading_ = true;
      writing_.swap(waiting_);
      const std::uint64_t last = appended_;
      lock.unlock();
      log_.write(writing_);
      log_.sync();
      lock.lock();
      writing_.clear();
      synced_ = last;
      leading_ = false;
      changed_.notify_all();
    }
  }

 private:
  PlainLog log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string waiting_;
  std::string writing_;  // the leader's
  std::uint64_t appended_ = 0;
  std::uint64_t synced_ = 0;
  bool leading_ = false;
};

}  // namespace leat::bench
