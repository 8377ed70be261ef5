// Attempts that were told to end, because their time was up or their pipeline was cancelled, and have not
// come back: those that never do are said to be stuck. Knows nothing of pipelines.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attempt.h"
#include "leat/clock.h"
#include "leat/runner.h"
#include "leat_locks/mutex.h"
#include "timer_queue.h"

namespace leat {

/// Thread-safety: any number of threads; a mutex, since only attempts that are overdue or cancelled come
/// here.
/// Invariant: whoever is in told_ has not come back; said of each once.
class StuckAttempts final : public TimerListener {
 public:
  using Log = std::function<void(Severity, std::string_view)>;

  /// @param after  how long an attempt may take to heed the wish to end
  StuckAttempts(Clock& clock, TimerQueue& timers, std::chrono::nanoseconds after, Log log)
      : clock_(clock), timers_(timers), after_(after), log_(std::move(log)) {}

  /// The attempt is about to be told to end. @pre the caller holds a reference to it
  void told(Attempt& attempt);
  /// An attempt that may have been told is back.
  void came_back(Attempt& attempt) noexcept;
  /// The patience with one attempt is over.
  void on_timer(std::uint64_t token) noexcept override;

 private:
  struct Told {
    std::uint64_t token;
    Attempt* attempt;
    TimerId timer;
    bool said = false;
  };

  Clock& clock_;
  TimerQueue& timers_;
  const std::chrono::nanoseconds after_;
  const Log log_;
  Mutex mutex_;
  std::vector<Told> told_ LEAT_GUARDED_BY(mutex_);
  std::uint64_t next_token_ LEAT_GUARDED_BY(mutex_) = 0;
};

}  // namespace leat
