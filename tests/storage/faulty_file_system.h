// A file system that fails at a chosen call, lies about a call that it carried out, or loses what was not
// synced.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <utility>

namespace leat::test {

/// Counts the calls that change something; from the chosen one on every such call fails.
///
/// Thread-safety: any number of threads.
class FaultyFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  enum class Fault : std::uint8_t {
    Refuse,         ///< the call does nothing and fails
    Lie,            ///< the first call to fail is carried out nevertheless
    RefuseOnce,     ///< only the one call fails
    RefuseForSpace  ///< as Refuse, with "no space left"
  };

  FaultyFileSystem(Fault fault, std::uint64_t fail_at)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), fault_(fault), fail_at_(fail_at) {}

  const char* Name() const override { return "FaultyFileSystem"; }

  std::uint64_t calls() const {
    const std::scoped_lock lock(mutex_);
    return calls_;
  }

  /// Cuts every file back to what was synced, or, torn, to somewhere between that and its end. Takes back every
  /// name that was made or replaced since its directory was synced; torn: the later ones of them, for a device's
  /// file system journals names in their order.
  void cut_power(std::mt19937_64* tear) {
    const std::scoped_lock lock(mutex_);
    const std::uint64_t kept = tear == nullptr ? 0 : (*tear)() % (changes_ + 1);
    for (const auto& [name, before] : replaced_) {
      if (before.change <= kept) continue;
      std::ofstream(name, std::ios::binary | std::ios::trunc) << before.content;
      synced_[name] = before.content.size();
    }
    for (const auto& [name, change] : made_) {
      std::error_code gone;
      if (change > kept) std::filesystem::remove(name, gone);
    }
    for (const auto& [name, synced] : synced_) {
      std::error_code gone;
      const std::uint64_t size = std::filesystem::file_size(name, gone);
      if (gone || size <= synced) continue;
      std::filesystem::resize_file(name, tear == nullptr ? synced : synced + (*tear)() % (size - synced + 1));
    }
  }

  /// Carries out `call`, or does what the fault says.
  template <class Call>
  rocksdb::IOStatus guard(const Call& call) {
    bool fails = false;
    bool carried_out = true;
    {
      const std::scoped_lock lock(mutex_);
      const std::uint64_t number = ++calls_;
      fails = fault_ == Fault::RefuseOnce ? number == fail_at_ : number >= fail_at_;
      carried_out = !fails || (fault_ == Fault::Lie && number == fail_at_);
    }
    rocksdb::IOStatus status = carried_out ? call() : rocksdb::IOStatus::OK();
    if (!fails || !status.ok()) return status;
    return fault_ == Fault::RefuseForSpace ? rocksdb::IOStatus::NoSpace("injected")
                                           : rocksdb::IOStatus::IOError("injected");
  }

  /// Syncs fail, all else goes on.
  void refuse_syncs() {
    refusing_syncs_.store(true, std::memory_order_relaxed);
  }  // relaxed: told by the caller
  void accept_syncs() { refusing_syncs_.store(false, std::memory_order_relaxed); }        // relaxed: as above
  bool refuses_syncs() const { return refusing_syncs_.load(std::memory_order_relaxed); }  // relaxed: as above

  /// From here on a sync waits until resume_syncs(), and is carried out only then.
  void delay_syncs() {
    const std::scoped_lock lock(mutex_);
    delaying_ = true;
  }
  void resume_syncs() {
    {
      const std::scoped_lock lock(mutex_);
      delaying_ = false;
    }
    resumed_.notify_all();
  }
  /// Waits until a sync waits.
  void await_delayed_sync() {
    std::unique_lock lock(mutex_);
    delayed_one_.wait(lock, [this] { return delayed_ > 0; });
  }
  void wait_if_delayed() {
    std::unique_lock lock(mutex_);
    if (!delaying_) return;
    ++delayed_;
    delayed_one_.notify_all();
    resumed_.wait(lock, [this] { return !delaying_; });
    --delayed_;
  }

  /// A directory's names are on the device.
  void note_names_synced(const std::string& directory) {
    const std::scoped_lock lock(mutex_);
    const auto lies_there =
        [place = std::filesystem::path(directory + "/").lexically_normal()](const std::string& name) {
          return std::filesystem::path(name).lexically_normal().parent_path() == place.parent_path();
        };
    std::erase_if(made_, [&](const auto& one) { return lies_there(one.first); });
    std::erase_if(replaced_, [&](const auto& one) { return lies_there(one.first); });
  }

  void note_synced(const std::string& name, std::uint64_t size) {
    const std::scoped_lock lock(mutex_);
    synced_[name] = size;
  }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;

  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return guard([&] {
      std::ifstream replaced(to, std::ios::binary);
      const bool replaces = replaced.is_open();
      const std::string before{std::istreambuf_iterator<char>(replaced), {}};
      rocksdb::IOStatus status = FileSystemWrapper::RenameFile(from, to, options, debug);
      if (!status.ok()) return status;
      const std::scoped_lock lock(mutex_);
      if (const auto node = synced_.extract(from); !node.empty()) synced_[to] = node.mapped();
      made_.erase(from);
      // A name that was made anew since the last sync goes; one that was there is what it was.
      if (!replaces || made_.contains(to)) {
        made_[to] = ++changes_;
      } else {
        replaced_.try_emplace(to, Replaced{0, before}).first->second.change = ++changes_;
      }
      return status;
    });
  }

  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus status = FileSystemWrapper::DeleteFile(name, options, debug);
    const std::scoped_lock lock(mutex_);
    if (status.ok()) made_.erase(name);
    return status;
  }

  rocksdb::IOStatus NewDirectory(const std::string& name, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* result,
                                 rocksdb::IODebugContext* debug) override;

 private:
  const Fault fault_;
  const std::uint64_t fail_at_;
  mutable std::mutex mutex_;
  std::uint64_t calls_ = 0;
  std::map<std::string, std::uint64_t> synced_;  // bytes, by file
  struct Replaced {
    std::uint64_t change;
    std::string content;  // what the name stood for before
  };
  std::uint64_t changes_ = 0;                    // of names
  std::map<std::string, std::uint64_t> made_;    // names that are not on the device yet, by their changes
  std::map<std::string, Replaced> replaced_;     // likewise
  std::atomic<bool> refusing_syncs_{false};
  bool delaying_ = false;
  int delayed_ = 0;  // syncs that wait
  std::condition_variable resumed_, delayed_one_;
};

/// A file that asks the file system before each change.
class FaultyFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultyFile(FaultyFileSystem& system, std::string name, std::unique_ptr<rocksdb::FSWritableFile>&& file)
      : FSWritableFileOwnerWrapper(std::move(file)), system_(system), name_(std::move(name)) {
    system_.note_synced(name_, 0);
  }

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    return system_.guard([&] { return FSWritableFileOwnerWrapper::Append(data, options, debug); });
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo&, rocksdb::IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    system_.wait_if_delayed();
    if (system_.refuses_syncs()) return rocksdb::IOStatus::IOError("injected");
    return noted(system_.guard([&] { return FSWritableFileOwnerWrapper::Sync(options, debug); }), options,
                 debug);
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return noted(system_.guard([&] { return FSWritableFileOwnerWrapper::Fsync(options, debug); }), options,
                 debug);
  }

 private:
  rocksdb::IOStatus noted(rocksdb::IOStatus status, const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) {
    if (status.ok()) system_.note_synced(name_, GetFileSize(options, debug));
    return status;
  }

  FaultyFileSystem& system_;
  const std::string name_;
};

/// A directory that tells when its names are on the device.
class FaultyDirectory final : public rocksdb::FSDirectoryWrapper {
 public:
  FaultyDirectory(FaultyFileSystem& system, std::string name,
                  std::unique_ptr<rocksdb::FSDirectory>&& directory)
      : FSDirectoryWrapper(std::move(directory)), system_(system), name_(std::move(name)) {}

  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return noted(FSDirectoryWrapper::Fsync(options, debug));
  }
  rocksdb::IOStatus FsyncWithDirOptions(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug,
                                        const rocksdb::DirFsyncOptions& how) override {
    return noted(FSDirectoryWrapper::FsyncWithDirOptions(options, debug, how));
  }

 private:
  rocksdb::IOStatus noted(rocksdb::IOStatus status) {
    if (status.ok()) system_.note_names_synced(name_);
    return status;
  }

  FaultyFileSystem& system_;
  const std::string name_;
};

/// RocksDB pauses for a second after a failed flush; nobody has to wait for that here.
class HastyClock final : public rocksdb::SystemClockWrapper {
 public:
  HastyClock() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
  const char* Name() const override { return "HastyClock"; }
  void SleepForMicroseconds(int) override {}
};

/// What a store runs on whose device is `system`.
class FaultyEnv final : public rocksdb::EnvWrapper {
 public:
  explicit FaultyEnv(const std::shared_ptr<FaultyFileSystem>& system) : EnvWrapper(rocksdb::Env::Default()) {
    file_system_ = system;
    system_clock_ = std::make_shared<HastyClock>();
  }
};

inline rocksdb::IOStatus FaultyFileSystem::NewWritableFile(const std::string& name,
                                                           const rocksdb::FileOptions& options,
                                                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                                                           rocksdb::IODebugContext* debug) {
  return guard([&] {
    std::error_code failed;
    const bool is_new = !std::filesystem::exists(name, failed);
    std::unique_ptr<rocksdb::FSWritableFile> file;
    rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(name, options, &file, debug);
    if (!status.ok()) return status;
    *result = std::make_unique<FaultyFile>(*this, name, std::move(file));
    const std::scoped_lock lock(mutex_);
    if (is_new) made_[name] = ++changes_;
    return status;
  });
}

inline rocksdb::IOStatus FaultyFileSystem::NewDirectory(const std::string& name,
                                                        const rocksdb::IOOptions& options,
                                                        std::unique_ptr<rocksdb::FSDirectory>* result,
                                                        rocksdb::IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> directory;
  rocksdb::IOStatus status = FileSystemWrapper::NewDirectory(name, options, &directory, debug);
  if (status.ok()) *result = std::make_unique<FaultyDirectory>(*this, name, std::move(directory));
  return status;
}

}  // namespace leat::test
