#include "torture_plan.h"

#include <fmt/format.h>

#include <csignal>

#include "exit_status.h"
#include "torture_child.h"
#include "torture_points.h"

namespace leat::tools {

TorturePlan TorturePlan::make(std::mt19937_64& random) {
  const auto pick = [&random](std::size_t count) { return static_cast<std::size_t>(random() % count); };
  TorturePlan plan;
  plan.kill_after = std::chrono::microseconds(1000 + pick(random() % 4 == 0 ? 30'000 : 300'000));
  if (pick(2) == 0) plan.hours = static_cast<int>(pick(25)) - 12;
  switch (pick(8)) {
    case 0:
    case 1:
    case 2:
      plan.point = kTorturePoints[pick(kTorturePoints.size())];
      plan.passes = static_cast<std::uint32_t>(1 + pick(random() % 2 == 0 ? 4 : 60));
      break;
    case 3:
      plan.trouble = kTortureTroubles[pick(kTortureTroubles.size())];
      break;
    case 4:
      plan.clean = pick(2) == 0;
      break;
    case 5:
      plan.freeze = std::chrono::milliseconds(pick(4) == 0 ? 100 + pick(2000) : 0);
      break;
    default:
      break;
  }
  return plan;
}

TorturePlan TorturePlan::to_end_all() {
  return {.hours = kTortureHoursOfAll, .drain = true};
}

bool TorturePlan::may_end_so(int status) const {
  if (drain) return status == kGood;
  if (status == kTortureDeadly + SIGKILL) return true;
  if (clean && (status == kGood || status == kTortureDeadly + SIGTERM)) return true;  // early: not yet caught
  // Without files, space or memory the store may refuse or fail; what was acknowledged must be there all the
  // same. Where memory runs out elsewhere, nobody catches that: it aborts.
  const bool short_of = trouble == "files" || trouble == "size" || trouble == "memory";
  if (short_of && (status == kBadInput || status == kStoreFailure)) return true;
  return trouble == "memory" && status == kTortureDeadly + SIGABRT;
}

std::string TorturePlan::to_string() const {
  if (drain) return "was to end all";
  if (!point.empty()) return fmt::format("died at '{}', pass {}", point, passes);
  if (!trouble.empty()) return "had trouble with: " + trouble;
  if (clean) return "was stopped";
  return fmt::format("was killed after {} us", kill_after.count());
}

}  // namespace leat::tools
