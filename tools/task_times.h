// When the tasks of a store came to their last states, and by which end each was released.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "leat/store_image.h"

namespace leat::tools {

/// Thread-safety: one thread.
class TaskTimes {
 public:
  /// Unix times of the last attempt; 0: not there yet, or its event is forgotten.
  struct Times {
    std::int64_t ready_ns = 0;
    std::int64_t started_ns = 0;
    std::int64_t finished_ns = 0;
    std::optional<std::uint32_t>
        released_by;  ///< the task whose end made it Ready or ended it; empty: a root's
  };

  /// @pre every event of the pipeline is noted, in order
  void note(const TransitionEvent& event);
  Times of(std::uint64_t pipeline_no, std::uint32_t task) const;

 private:
  struct Pipeline {
    std::vector<Times> tasks;
    std::optional<std::uint32_t> last_ended;
  };
  std::unordered_map<std::uint64_t, Pipeline> pipelines_;  // by pipeline_no
};

}  // namespace leat::tools
