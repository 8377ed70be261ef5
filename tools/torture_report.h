// What a life of `leat torture` tells its observer through a pipe: one write for each, so that a kill cuts
// between two. Both ends are the same program on the same machine.
#pragma once

#include <unistd.h>

#include <cstdint>

#include "leat/context_image.h"
#include "leat/durability.h"
#include "leat/states.h"
#include "leat/uuid.h"

namespace leat::tools {

struct TortureReport {
  enum class Kind : std::uint8_t {
    Opened,        ///< the store is open, everything registered
    Acknowledged,  ///< a submission reached its level
    Ended,         ///< a pipeline's end reached its level
    Claimed,       ///< a task is Running, its function has not begun
    Began,         ///< it begins
    Done,          ///< it is about to return success
    Early,         ///< it is about to begin before the time that it was submitted for
    Wrong,         ///< it has found another context than was saved
  };
  Kind kind = Kind::Opened;
  Durability level = Durability::Disk;
  PipelineState state = PipelineState::Pending;
  std::uint32_t task = 0;
  std::uint32_t attempt = 0;
  Uuid pipeline = {};
  ContextMark saved = ContextMark::None;  ///< with Done: of the context that it leaves, at no place
};

inline constexpr int kTortureReportFd = 3;

}  // namespace leat::tools
