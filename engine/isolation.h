// After a crash, tasks that may have caused it run alone, one at a time, before anything else: so a task that
// kills its process again takes no innocent one with it into quarantine.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "capacity.h"
#include "lane_table.h"
#include "leat/journal.h"
#include "leat/router.h"
#include "leat/task_event.h"
#include "leat_locks/mutex.h"

namespace leat {

/// Thread-safety: any number of threads; hold() before any other.
/// Invariants:
///   1. While holding, at most one task that was released through here is with its lane, and it is a suspect;
///      the ends of those before it are in the store. One whose coroutine waits for others counts as ended.
///   2. What is held back has no slot: a lane that is full of it would keep the suspects out.
///   3. Each suspect that expect() counted is released, and ended, once: the count falls to zero.
class Isolation {
 public:
  struct Ready {
    TaskReadyEvent event;
    std::optional<ExecutorKeyId> executor;
    Slots slot;
  };

  /// @param journal  null: nothing is ever held back
  Isolation(LaneTable& lanes, const Journal* journal) : lanes_(lanes), journal_(journal) {}

  /// From here on tasks are held back.
  void hold() noexcept;
  /// A suspect will be released. @return false: nothing is held back any more, it is a task like others
  bool expect() noexcept;
  /// Every suspect that there is, is expected: the first one may run.
  void all_expected() noexcept;

  bool holding() const noexcept {
    return holding_.load(std::memory_order_acquire);  // (1) acquire: pairs with (2)
  }
  /// Sends a task to its lane, now or once the suspects have run.
  void release(Ready&& task, bool suspect) noexcept;
  /// A suspect came back from its lane, so the process lives; its end is published, if it has one. Or it waits
  /// for what others do.
  void suspect_ended() noexcept;
  /// By the committer. The next suspect waits for it: one that kills the process must not find the end of the
  /// one before still on its way to the store, or the innocent is rescued once more.
  void after_commit(std::uint64_t groups) noexcept;
  /// Forgets what is held back: nothing runs any more.
  void clear() noexcept;

 private:
  std::vector<Ready> next() noexcept LEAT_REQUIRES(mutex_);
  void send(std::vector<Ready>&& free) noexcept;

  LaneTable& lanes_;
  const Journal* const journal_;
  std::atomic<bool> holding_{false};
  Mutex mutex_;
  bool all_expected_ LEAT_GUARDED_BY(mutex_) = false;
  bool one_runs_ LEAT_GUARDED_BY(mutex_) = false;
  std::size_t expected_ LEAT_GUARDED_BY(mutex_) = 0;          // suspects that have not ended
  std::uint64_t awaited_groups_ LEAT_GUARDED_BY(mutex_) = 0;  // the last end is among them
  std::uint64_t groups_ LEAT_GUARDED_BY(mutex_) = 0;          // in the store
  std::deque<Ready> suspects_ LEAT_GUARDED_BY(mutex_);
  std::vector<Ready> held_ LEAT_GUARDED_BY(mutex_);
};

}  // namespace leat
