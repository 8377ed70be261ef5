#include "watchdog.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace leat {
namespace {

constexpr std::int64_t kLookNs = 1'000'000'000;   // at least so often, for the age of what waits
constexpr std::int64_t kRestNs = 60'000'000'000;  // and so often where nothing has come for long
constexpr std::size_t kArrivalsMax = 128;

}  // namespace

std::int64_t Watchdog::look() {
  std::vector<std::string> lines;
  std::int64_t now_ns = 0, at_rest_ns = 0;
  {
    MutexLock lock(mutex_);
    now_ns = clock_.steady_ns();
    for (Lane* const lane : lanes_.lanes()) {
      Watched& watched = watched_[lane];
      const Lane::Flow flow = lane->flow();
      now_ns = clock_.steady_ns();  // after the count: what is in it had come by now
      if (flow.waiting > 0 || flow.left != watched.left) at_rest_since_ns_.reset();
      if (auto line = judge(*lane, watched, flow, now_ns)) lines.push_back(std::move(*line));
      lane->note(ready_since(watched, flow, now_ns), watched.spoken);
    }
    if (!at_rest_since_ns_) at_rest_since_ns_ = now_ns;
    at_rest_ns = now_ns - *at_rest_since_ns_;
  }
  for (const std::string& line : lines) log_(Severity::Warning, line);  // it may look again, for metrics
  const bool speaks = stall_after_ns_ > 0;
  const std::int64_t often = speaks ? std::clamp<std::int64_t>(stall_after_ns_ / 4, 1, kLookNs) : kLookNs;
  // An idle process sleeps: the longer nothing has come, the longer until the next look.
  const std::int64_t seldom = speaks ? 6 * std::min(stall_after_ns_, kRestNs / 6) : kRestNs;
  return now_ns + std::clamp(at_rest_ns, often, seldom);
}

/// When the oldest waiting task was first seen; empty: none waits.
std::optional<std::int64_t> Watchdog::ready_since(Watched& watched, const Lane::Flow& flow,
                                                  std::int64_t now_ns) {
  std::deque<Arrival>& arrivals = watched.arrivals;
  if (flow.waiting == 0) {
    arrivals.clear();
    return std::nullopt;
  }
  // Tasks leave in about the order in which they come: as many as have left are the first that came.
  while (!arrivals.empty() && arrivals.front().count <= flow.left) arrivals.pop_front();
  const std::uint64_t come = flow.left + flow.waiting;
  if (arrivals.empty() || arrivals.back().count < come) arrivals.push_back({now_ns, come});
  if (arrivals.size() > kArrivalsMax) {
    // Every second one goes into the next, later one, so that nothing seems older than it is.
    for (std::size_t i = 0; i < arrivals.size() / 2; ++i) arrivals[i] = arrivals[2 * i + 1];
    arrivals.erase(arrivals.begin() + static_cast<std::ptrdiff_t>(arrivals.size() / 2), arrivals.end() - 1);
  }
  return arrivals.front().at_ns;
}

/// @return what there is to say
std::optional<std::string> Watchdog::judge(const Lane& lane, Watched& watched, const Lane::Flow& flow,
                                           std::int64_t now_ns) const {
  const bool moves = !flow.could_begin || flow.left != watched.left;
  watched.left = flow.left;
  if (moves) {
    watched.still_since_ns.reset();
    watched.spoken = false;
    return std::nullopt;
  }
  if (!watched.still_since_ns) watched.still_since_ns = now_ns;
  const std::int64_t still_ns = now_ns - *watched.still_since_ns;
  if (watched.spoken || stall_after_ns_ == 0 || still_ns < stall_after_ns_) return std::nullopt;
  watched.spoken = true;
  return fmt::format(
      "executor '{}' stands still: {} task(s) are ready and could begin, none has for {:.1f} s", lane.key(),
      flow.waiting, static_cast<double>(still_ns) / 1e9);
}

}  // namespace leat
