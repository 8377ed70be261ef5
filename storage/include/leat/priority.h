// How urgent a pipeline's tasks are: engine and store both know it.
#pragma once

#include <cstdint>

namespace leat {

/// Which of a lane's waiting tasks goes first. A level is worth ExecutorLimits::aging of waiting, so that no
/// task waits for ever behind those of a higher one. The values are written to disk: never renumber.
enum class Priority : std::uint8_t { High = 0, Normal = 1, Low = 2 };

}  // namespace leat
