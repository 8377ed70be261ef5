// How often tasks of a lane may begin: a token bucket, and the bell for when the next token is there.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "leat/clock.h"
#include "leat/runner.h"
#include "leat_locks/mutex.h"
#include "timer_queue.h"

namespace leat {

/// Thread-safety: any number of threads; a mutex, since only lanes with a limit come here.
/// Invariant: whoever was refused is rung for: a refusal leaves a timer behind that is due with the next
/// token.
/// Source: the generic cell rate algorithm (ITU-T I.371): one time stands for the whole bucket, in whole ns,
/// so nothing is rounded away.
class RateLimiter final : public TimerListener {
 public:
  /// @param ring  called by whoever fires the timers, once a token is there
  RateLimiter(Clock& clock, TimerQueue& timers, std::function<void()> ring)
      : clock_(clock), timers_(timers), ring_(std::move(ring)) {}

  /// Begins anew, with a full bucket. @param rate  count 0: no limit
  void set(const Rate& rate);

  /// Takes a token. @return false: there is none now; the bell will ring
  bool try_take();
  /// Puts back what was not used.
  void give_back();
  /// Whether try_take() would succeed. @return false: the bell will ring
  bool ready();
  /// The same, for who only looks.
  bool has_token() const;

  void on_timer(std::uint64_t token) noexcept override;

 private:
  bool has_token(std::int64_t now_ns) const noexcept LEAT_REQUIRES(mutex_) {
    return full_at_ns_ - tolerance_ns_ <= now_ns;
  }
  bool look(std::int64_t now_ns) LEAT_REQUIRES(mutex_);

  Clock& clock_;
  TimerQueue& timers_;
  const std::function<void()> ring_;
  mutable Mutex mutex_;
  std::int64_t interval_ns_ LEAT_GUARDED_BY(mutex_) = 0;  // between two tokens; 0: no limit
  std::int64_t tolerance_ns_ LEAT_GUARDED_BY(mutex_) =
      0;  // how much earlier tokens of a full bucket may be taken
  std::int64_t full_at_ns_ LEAT_GUARDED_BY(mutex_) = INT64_MIN /
                                                     2;  // steady clock: when the bucket is full again
  TimerId timer_ LEAT_GUARDED_BY(mutex_);
  bool rings_ LEAT_GUARDED_BY(mutex_) = false;  // a timer is out
};

}  // namespace leat
