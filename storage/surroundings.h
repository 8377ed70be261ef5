// What RocksDB runs on while a store is open for writing: a file system with a reserve, and who hears of
// stalls. Private: includes RocksDB.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/listener.h>

#include <atomic>
#include <memory>
#include <string>

#include "space_guard.h"

namespace leat {

/// Whether RocksDB slows writes down or holds them up: too much waits to be flushed or compacted.
class StallListener final : public rocksdb::EventListener {
 public:
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override {
    condition_.store(info.condition.cur, std::memory_order_relaxed);  // relaxed: any recent value
  }
  rocksdb::WriteStallCondition condition() const noexcept {
    return condition_.load(std::memory_order_relaxed);  // relaxed: as above
  }

 private:
  std::atomic<rocksdb::WriteStallCondition> condition_{rocksdb::WriteStallCondition::kNormal};
};

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
  Surroundings(rocksdb::Env& below, const std::string& directory)
      : guard(std::make_shared<SpaceGuard>(below.GetFileSystem(), directory)),
        env(std::make_unique<GuardedEnv>(below, guard)) {}

  std::shared_ptr<SpaceGuard> guard;
  std::unique_ptr<rocksdb::Env> env;
  std::shared_ptr<StallListener> stalls = std::make_shared<StallListener>();
};

}  // namespace leat
