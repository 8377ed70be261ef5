#include "recovery_log.h"

#include <fmt/format.h>

#include <algorithm>

#include "crash_traces.h"

namespace leat {
namespace {

constexpr std::int64_t kTellEachNs = 5'000'000'000;
constexpr std::int64_t kNsPerMs = 1'000'000;

}  // namespace

Recovered count_recovered(const StoreImage& image, InFlightBoard* board, bool closed) {
  Recovered found{.pipelines = image.pipelines().size()};
  if (closed) return found;
  for (const auto& [number, pipeline] : image.pipelines()) {
    found.rescues +=
        static_cast<std::uint64_t>(std::ranges::count(pipeline.tasks, TaskState::Running, &TaskImage::state));
  }
  if (board == nullptr) return found;
  for (const auto& [number, starts] : unrecorded_starts(*board, image)) {
    const auto& tasks = image.pipelines().at(number).tasks;
    found.rescues += static_cast<std::uint64_t>(std::ranges::count_if(
        starts, [&tasks](const auto& start) { return tasks[start.task].state != TaskState::Running; }));
  }
  return found;
}

void RecoveryLog::look(const RecoveryProgress& now) {
  const std::int64_t time = clock_.steady_ns();
  if (time - told_ns_ < kTellEachNs) return;
  told_ns_ = time;
  // Whoever waits for a start sees it without asking: a Warning.
  log_(Severity::Warning,
       fmt::format("recovering since {} s: {} live pipeline(s), the journal is read to {} of {}",
                   (time - begun_ns_) / (1000 * kNsPerMs), now.pipelines, now.folded_to, now.journal_end));
}

void RecoveryLog::end(const Recovered& found) const {
  log_(Severity::Info,
       fmt::format("recovered in {} ms: {} pipeline(s) to carry on, {} task(s) to rescue",
                   (clock_.steady_ns() - begun_ns_) / kNsPerMs, found.pipelines, found.rescues));
}

}  // namespace leat
