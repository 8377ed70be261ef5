#include "rate_limiter.h"

#include <algorithm>

namespace leat {

void RateLimiter::set(const Rate& rate) {
  {
    const MutexLock lock(mutex_);
    // Rounded up: never more often than was said.
    interval_ns_ = rate.count == 0 ? 0 : (rate.per.count() + rate.count - 1) / rate.count;
    tolerance_ns_ = interval_ns_ * (std::max<std::int64_t>(rate.burst, 1) - 1);
    full_at_ns_ = clock_.steady_ns();
    if (rings_ && timers_.cancel(timer_)) rings_ = false;
  }
  ring_();
}

/// Whether a token is there; where none is, sees to the bell.
bool RateLimiter::look(std::int64_t now_ns) {
  if (interval_ns_ == 0 || has_token(now_ns)) return true;
  if (!rings_) {
    rings_ = true;
    timer_ = timers_.schedule(full_at_ns_ - tolerance_ns_, *this, 0);
  }
  return false;
}

bool RateLimiter::try_take() {
  const std::int64_t now = clock_.steady_ns();
  const MutexLock lock(mutex_);
  if (!look(now)) return false;
  full_at_ns_ = std::max(full_at_ns_, now) + interval_ns_;
  return true;
}

void RateLimiter::give_back() {
  const MutexLock lock(mutex_);
  full_at_ns_ -= interval_ns_;
}

bool RateLimiter::ready() {
  const std::int64_t now = clock_.steady_ns();
  const MutexLock lock(mutex_);
  return look(now);
}

bool RateLimiter::has_token() const {
  const std::int64_t now = clock_.steady_ns();
  const MutexLock lock(mutex_);
  return interval_ns_ == 0 || has_token(now);
}

void RateLimiter::on_timer(std::uint64_t) noexcept {
  {
    const MutexLock lock(mutex_);
    rings_ = false;
  }
  ring_();
}

}  // namespace leat
