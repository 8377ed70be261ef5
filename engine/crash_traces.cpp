#include "crash_traces.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "child_process.h"

namespace leat {
namespace {

/// Whether the journal has the task just as it was before that start, or during that adoption.
bool is_unrecorded(const BoardLine::Task& start, const StoreImage& image) {
  const auto pipeline = image.pipelines().find(start.pipeline_no);
  if (pipeline == image.pipelines().end() || start.task >= pipeline->second.tasks.size()) return false;
  const TaskImage& task = pipeline->second.tasks[start.task];
  const TaskState state = start.adoption == 0 ? TaskState::Ready : TaskState::Running;
  return task.state == state && task.attempt == start.attempt && task.rescues == start.rescues &&
         image.keys().contains(start.key_no);
}

}  // namespace

std::size_t end_orphans(InFlightBoard& board) {
  std::vector<OrphanProcess> orphans;
  for (BoardLine& line : board.left_behind()) {
    const BoardLine::Child child = line.child();
    if (child.pid != 0) {
      if (auto orphan = OrphanProcess::find(child.pid, child.identity)) orphans.push_back(std::move(*orphan));
    }
  }
  for (OrphanProcess& orphan : orphans) orphan.kill();
  // One patience for all of them.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (OrphanProcess& orphan : orphans) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    orphan.wait(std::max(left, std::chrono::milliseconds(0)));
  }
  for (BoardLine& line : board.left_behind()) line.note_child({});
  return orphans.size();
}

UnrecordedStarts unrecorded_starts(InFlightBoard& board, const StoreImage& image) {
  UnrecordedStarts starts;
  for (BoardLine& line : board.left_behind()) {
    const BoardLine::Task start = line.task();
    if (is_unrecorded(start, image)) {
      starts[start.pipeline_no].push_back(start);
    } else {
      line.end_task();
    }
  }
  return starts;
}

bool is_suspected(const TaskImage& task) {
  return task.state == TaskState::Ready && task.rescues >= kSuspectedRescues && task.retry_at_ns == 0;
}

bool has_suspects(const StoreImage& image, const UnrecordedStarts& starts) {
  const auto rescued_again = [](const auto& start) { return start.rescues + 1 >= kSuspectedRescues; };
  for (const auto& [number, of_pipeline] : starts) {
    if (std::ranges::any_of(of_pipeline, [&](const BoardLine::Task& start) {
          return start.adoption > 0 || rescued_again(start);
        }))
      return true;
  }
  return std::ranges::any_of(image.pipelines(), [&](const auto& entry) {
    return std::ranges::any_of(entry.second.tasks, [&](const TaskImage& task) {
      return is_suspected(task) || (task.state == TaskState::Running && rescued_again(task));
    });
  });
}

}  // namespace leat
