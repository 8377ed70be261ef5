// What `leat inspect` is to show of a store: by pipeline, by state, by time.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "leat/history.h"
#include "leat/states.h"
#include "leat/uuid.h"

namespace leat::tools {

/// As it was typed; empty: any.
struct InspectWords {
  std::string pipeline;
  std::string state;
  std::string since;
  std::string until;
};

/// Everything that is given must hold.
class InspectFilter {
 public:
  /// @param what    "pipelines", "tasks" or "events": whose states are meant
  /// @param now_ns  Unix time
  /// @return        the filter, or one line that names the option and what is accepted
  static std::expected<InspectFilter, std::string> make(const InspectWords& words, std::string_view what,
                                                        std::int64_t now_ns);

  /// The same of finished pipelines.
  const HistoryQuery& query() const noexcept { return query_; }
  bool shows(const Uuid& pipeline) const noexcept { return !query_.id || *query_.id == pipeline; }
  bool shows(PipelineState state) const noexcept { return !query_.state || *query_.state == state; }
  bool shows(TaskState state) const noexcept { return !task_state_ || *task_state_ == state; }
  /// @param time_ns  of the transition, or of the end; 0: there was none yet
  bool shows_time(std::int64_t time_ns) const noexcept {
    return (!query_.finished_from_ns || time_ns >= *query_.finished_from_ns) &&
           (!query_.finished_before_ns || (time_ns != 0 && time_ns < *query_.finished_before_ns));
  }

 private:
  HistoryQuery query_;
  std::optional<TaskState> task_state_;
};

}  // namespace leat::tools
