// The engine's counts as text for Prometheus. Written here rather than with prometheus-cpp: the format is
// three kinds of lines, and a library would have to be linked by everybody who links leat.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "lane.h"
#include "leat/journal.h"

namespace leat {

struct PipelineFigures {
  std::uint64_t resident = 0;        ///< in memory
  std::uint64_t resident_bytes = 0;  ///< of these, counted where there is a budget
  std::uint64_t waiting = 0;         ///< in the store alone
};

/// @param timers   that are scheduled
/// @param journal  null: nothing is remembered, and nothing is said of it
/// Source: https://prometheus.io/docs/instrumenting/exposition_formats (text format 0.0.4).
std::string metrics_text(std::span<Lane* const> lanes, const PipelineFigures& pipelines, std::size_t timers,
                         const Journal* journal);

}  // namespace leat
