// What of a lane's waits in its lot: in one piece with others, and as it comes out.
#include "lane.h"

namespace leat {

void Lane::park(ParkedLine& line, std::uint32_t count, Priority priority, std::string_view tenant) noexcept {
  lot_.push_line(line, count, priority, tenant, clock_.stopwatch_ns());
  slots_released();
}

std::optional<QueuedTask> Lane::unpack(const ParkedTask& task) const noexcept {
  if (task.line() == nullptr) return task.unpack(listener_);
  const std::optional<TaskReadyEvent> event = task.line()->next();
  if (!event) return std::nullopt;
  return QueuedTask{*event, task.admitted_ns()};
}

std::vector<ParkedTask> Lane::unpark() {
  std::vector<ParkedTask> all = lot_.take_all();
  unparked_.fetch_add(all.size(), std::memory_order_relaxed);  // relaxed: a count for the watchdog
  return all;
}

}  // namespace leat
