// The history: a summary of every pipeline that finished, found by identifier, time or state without folding
// the journal, and kept when the journal's events are gone.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "leat/states.h"
#include "leat/store_error.h"
#include "leat/uuid.h"

namespace leat {

/// How a pipeline went.
struct PipelineSummary {
  Uuid id = {};
  std::uint32_t workflow_no = 0;
  PipelineState state = PipelineState::Completed;
  std::uint32_t tasks = 0;
  std::uint32_t completed = 0;
  std::uint32_t failed = 0;
  std::uint32_t skipped = 0;
  std::int64_t created_ns = 0;   ///< Unix time
  std::int64_t finished_ns = 0;  ///< Unix time
  std::string_view error = {};   ///< of the first task that failed, at most kSummaryErrorBytesMax; or empty

  friend bool operator==(const PipelineSummary&, const PipelineSummary&) = default;
};

/// Whether its deadline ended it: else a failed pipeline has failed tasks, and none that is not over with.
inline bool ended_by_deadline(const PipelineSummary& summary) noexcept {
  const std::uint32_t settled = summary.completed + summary.failed + summary.skipped;
  return summary.state == PipelineState::Failed && (summary.failed == 0 || settled < summary.tasks);
}

inline constexpr std::size_t kSummaryErrorBytesMax = 256;

/// What is looked for; everything that is given must hold.
struct HistoryQuery {
  std::optional<Uuid> id = {};
  std::optional<PipelineState> state = {};
  std::optional<std::int64_t> finished_from_ns = {};    ///< Unix time
  std::optional<std::int64_t> finished_before_ns = {};  ///< Unix time
};

/// Visits what matches, in the order in which it finished; a live writer may go on. An identifier is looked
/// for from its own time on, a time range by halving: so a clock that was set back may hide from a range what
/// finished meanwhile.
///
/// @param visit  called with the summary and the workflow's name, both valid during the call
/// @return       NotFound, NotAStore, NewerFormat, Damaged, Io
std::expected<void, StoreError> read_rocksdb_history(
    const std::string& directory, const HistoryQuery& query,
    const std::function<void(const PipelineSummary&, std::string_view workflow)>& visit);

}  // namespace leat
