// What RocksDB runs on while a store is open for writing: a file system with a reserve, and who hears of
// stalls. Private: includes RocksDB.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/listener.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "leat_locks/mutex.h"
#include "space_guard.h"

namespace leat {

/// Whether RocksDB slows writes down or holds them up: too much waits to be flushed or compacted. One column
/// family that stalls stalls them all.
///
/// Thread-safety: any number of threads.
class StallListener final : public rocksdb::EventListener {
 public:
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override {
    const MutexLock lock(mutex_);
    if (info.condition.cur == rocksdb::WriteStallCondition::kNormal) {
      stalled_.erase(info.cf_name);
    } else {
      stalled_[info.cf_name] = info.condition.cur;
    }
    tell();
  }
  /// The worst of all families.
  rocksdb::WriteStallCondition condition() const noexcept {
    return condition_.load(std::memory_order_relaxed);  // relaxed: any recent value
  }
  /// What an earlier opening left says nothing of this one.
  void forget() {
    const MutexLock lock(mutex_);
    stalled_.clear();
    tell();
  }

 private:
  void tell() LEAT_REQUIRES(mutex_) {
    auto worst = rocksdb::WriteStallCondition::kNormal;
    for (const auto& [family, condition] : stalled_) worst = std::max(worst, condition);
    condition_.store(worst, std::memory_order_relaxed);  // relaxed: any recent value
  }

  Mutex mutex_;
  std::map<std::string, rocksdb::WriteStallCondition> stalled_ LEAT_GUARDED_BY(mutex_);  // by family
  std::atomic<rocksdb::WriteStallCondition> condition_{rocksdb::WriteStallCondition::kNormal};
};
static_assert(rocksdb::WriteStallCondition::kNormal < rocksdb::WriteStallCondition::kDelayed &&
                  rocksdb::WriteStallCondition::kDelayed < rocksdb::WriteStallCondition::kStopped,
              "the worst is the largest");

/// An environment with another file system.
class GuardedEnv final : public rocksdb::EnvWrapper {
 public:
  GuardedEnv(rocksdb::Env& below, const std::shared_ptr<SpaceGuard>& guard) : EnvWrapper(&below) {
    file_system_ = guard;
    system_clock_ = below.GetSystemClock();
  }
};

/// What RocksDB runs on while a store is open for writing. Outlives it.
struct Surroundings {
  Surroundings(rocksdb::Env& below, const std::string& directory, OwnFiles& files = OwnFiles::system())
      : guard(std::make_shared<SpaceGuard>(below.GetFileSystem(), directory, files)),
        env(std::make_unique<GuardedEnv>(below, guard)) {}

  std::shared_ptr<SpaceGuard> guard;
  std::unique_ptr<rocksdb::Env> env;
  std::shared_ptr<StallListener> stalls = std::make_shared<StallListener>();
};

}  // namespace leat
