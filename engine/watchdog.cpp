#include "watchdog.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace leat {
namespace {

constexpr std::int64_t kLookNs = 1'000'000'000;  // at least so often, for the age of what waits
constexpr std::size_t kArrivalsMax = 128;

}  // namespace

std::int64_t Watchdog::look(std::int64_t now_ns) {
  std::vector<std::string> lines;
  {
    MutexLock lock(mutex_);
    for (Lane* const lane : lanes_.lanes()) {
      Watched& watched = watched_[lane];
      const Lane::Flow flow = lane->flow();
      if (auto line = judge(*lane, watched, flow, now_ns)) lines.push_back(std::move(*line));
      lane->note(ready_since(watched, flow, now_ns), watched.spoken);
    }
  }
  for (const std::string& line : lines) log_(Severity::Warning, line);  // it may look again, for metrics
  const std::int64_t often = std::max<std::int64_t>(1, stall_after_ns_ / 4);
  return now_ns + (stall_after_ns_ > 0 ? std::min(kLookNs, often) : kLookNs);
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
