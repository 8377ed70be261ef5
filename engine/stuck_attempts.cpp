#include "stuck_attempts.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "lane.h"

namespace leat {

void StuckAttempts::told(Attempt& attempt) {
  MutexLock lock(mutex_);
  // It may be back already: its end was marked before came_back() took the mutex.
  if (attempt.phase() == Attempt::Phase::Ended) return;
  // Cancelled and overdue: one word is enough.
  if (std::ranges::find(told_, &attempt, &Told::attempt) != told_.end()) return;
  const std::uint64_t token = next_token_++;
  told_.push_back({token, &attempt, timers_.schedule(time_after(clock_.steady_ns(), after_), *this, token)});
}

void StuckAttempts::came_back(Attempt& attempt) noexcept {
  std::string line;
  {
    MutexLock lock(mutex_);
    const auto found = std::ranges::find(told_, &attempt, &Told::attempt);
    if (found == told_.end()) return;
    timers_.cancel(found->timer);
    if (found->said) {
      attempt.lane->count_stuck(-1);
      line = fmt::format("{}, has come back", attempt.lane->describe(attempt));
    }
    told_.erase(found);
  }
  if (!line.empty()) log_(Severity::Info, line);
}

void StuckAttempts::on_timer(std::uint64_t token) noexcept {
  std::string line;
  {
    MutexLock lock(mutex_);
    const auto found = std::ranges::find(told_, token, &Told::token);
    if (found == told_.end()) return;  // it is back
    found->said = true;
    found->attempt->lane->count_stuck(1);
    line = fmt::format("{}, is stuck: it does not heed the wish to end",
                       found->attempt->lane->describe(*found->attempt));
  }
  log_(Severity::Warning, line);
}

}  // namespace leat
