// What travels through a lane.
#pragma once

#include <cstdint>

#include "leat/task_event.h"

namespace leat {

struct QueuedTask {
  TaskReadyEvent event;
  std::int64_t admitted_ns = 0;  ///< stopwatch, when it was handed to the lane
};

static_assert(sizeof(QueuedTask) <= 96, "heap bytes per queued task are promised to stay within 96");

}  // namespace leat
