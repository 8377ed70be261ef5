// Between the committer and a user's observer: a bounded queue that drops and never waits.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "leat/observer.h"
#include "leat/runner.h"
#include "leat/store_image.h"
#include "leat_locks/mutex.h"
#include "lent_threads.h"

namespace leat {

/// Folds each commit on the committer's thread (which costs that thread about what recovery costs) and has
/// the observer told on another.
///
/// Thread-safety: committed(): the committer. start, stop: the shell. deliver, has_work: any one thread at a
/// time.
class ObserverFeed final : public LentWork {
 public:
  using Log = std::function<void(Severity, std::string_view)>;
  static constexpr std::size_t kWaitingMax = 65'536;

  /// @param image  what the store holds before the first commit
  /// @param lent   rung when something is to be told; outlives the feed
  ObserverFeed(Observer observer, StoreImage image, LentThreads& lent, Log log);
  ~ObserverFeed();

  /// A commit has reached the store.
  void committed(std::uint64_t first_sequence, std::span<const std::byte> commit);
  /// Tells on a thread of its own; without it, whoever is lent does.
  void start();
  /// Tells what is left, and waits for it: not for ever. @pre nothing is committed any more
  void stop();

  // LentWork
  bool has_work() noexcept override;
  std::size_t run(std::size_t budget) noexcept override;

 private:
  /// Outlives the feed where the observer does not come back.
  struct Shared {
    Shared(Observer the_observer, Log the_log) : observer(std::move(the_observer)), log(std::move(the_log)) {}
    bool deliver();

    const Observer observer;
    const Log log;
    Mutex telling;  // one call at a time
    Mutex mutex;
    std::condition_variable changed;
    std::vector<ObservedTransition> waiting LEAT_GUARDED_BY(mutex);
    std::uint64_t dropped LEAT_GUARDED_BY(mutex) = 0;
    bool stopped LEAT_GUARDED_BY(mutex) = false;
    bool over LEAT_GUARDED_BY(mutex) = false;  // the thread has told all
  };

  StoreImage image_;   // the committer's
  bool lost_ = false;  // the committer's: the fold refused a commit
  LentThreads& lent_;
  const std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace leat
