// What becomes of an attempt: the only place that ends tasks, whatever the cause.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "attempt.h"
#include "leat/clock.h"
#include "leat/rng.h"
#include "leat/router.h"
#include "leat_locks/mutex.h"
#include "stuck_attempts.h"
#include "timer_queue.h"

namespace leat {

class Pipeline;

/// Tasks of a pipeline end in that pipeline's step; tasks dispatched alone at level Memory, of which
/// nothing is remembered, end here.
///
/// Thread-safety: any number of threads.
class Completion final : public AttemptListener, public TimerListener {
 public:
  Completion(Clock& clock, Rng& rng, TimerQueue& timers, StuckAttempts& stuck) noexcept
      : clock_(clock), rng_(rng), timers_(timers), stuck_(stuck) {}

  bool begin(Attempt& attempt) noexcept override;
  void end(Attempt& attempt) noexcept override;
  void overdue(Attempt& attempt) noexcept override;
  void returned(Attempt& attempt) noexcept override;
  std::expected<void, Error> refer(Attempt& attempt, std::string_view external_ref) override;
  TaskReadyEvent event_of(void* pipeline, std::uint32_t task) const noexcept override;
  void told(Attempt& attempt) noexcept override { stuck_.told(attempt); }
  void heeded(Attempt& attempt) noexcept override { stuck_.came_back(attempt); }
  TimerQueue* timers() noexcept override { return &timers_; }
  bool may_defer(const Attempt& attempt) noexcept override;
  /// A task alone is due for its next attempt.
  void on_timer(std::uint64_t token) noexcept override;
  /// Tasks alone that wait for their next attempt.
  std::size_t delayed() const;

 private:
  struct Delayed {
    Lane* lane;
    TaskReadyEvent event;
  };

  void end_alone(Attempt& attempt) noexcept;
  void retry_later(const Attempt& attempt);

  Clock& clock_;
  Rng& rng_;
  TimerQueue& timers_;
  StuckAttempts& stuck_;
  mutable Mutex mutex_;  // only for tasks that wait for a retry
  std::unordered_map<std::uint64_t, Delayed> delayed_ LEAT_GUARDED_BY(mutex_);
  std::uint64_t next_delayed_ LEAT_GUARDED_BY(mutex_) = 0;
};

/// The pipeline that an event belongs to; null for a task dispatched alone at level Memory.
Pipeline* pipeline_of(const TaskReadyEvent& event) noexcept;
/// The executor key that the event's task names itself, whatever the routes say.
std::optional<ExecutorKeyId> executor_of(const TaskReadyEvent& event) noexcept;

}  // namespace leat
