// The checkpoint: what lives, written down from time to time, so that recovery need not fold the whole
// journal, and the journal's beginning can go. A round writes every live pipeline as a row; it counts once
// it is complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "leat/store_error.h"
#include "leat/store_image.h"
#include "leat/transition_group.h"

namespace leat {

/// The first row of a round.
struct RoundBegun {
  std::uint64_t generation = 0;  ///< of this round: above that of every earlier one
  std::uint64_t minimum = 0;     ///< the journal's end when it began: no row is folded to less
  std::uint64_t next_pipeline_no = 1;
  std::uint32_t next_workflow_no = 1;
  std::uint32_t next_key_no = 1;
};

/// A workflow that something still needs.
struct WorkflowKept {
  std::uint64_t generation = 0;
  std::uint64_t last_needed = 0;  ///< see WorkflowImage::last_needed
  WorkflowDefined workflow = {};
};

struct KeyKept {
  std::uint64_t generation = 0;
  KeyDefined key = {};
};

/// What is paused. A pipeline's follows its row.
struct PauseKept {
  std::uint64_t generation = 0;
  PauseScope scope = PauseScope::ExecutorKey;
  std::int64_t since_ns = 0;
  std::string_view what = {};
  std::string_view reason = {};
};

/// What an idempotency key stands for.
struct SubmissionKept {
  std::uint64_t generation = 0;
  std::string_view key = {};
  Uuid pipeline = {};
  std::int64_t ends_ns = 0;
};

struct ScheduleKept {
  std::uint64_t generation = 0;
  ScheduleChanged schedule = {};
};

/// A task in quarantine. The last rows of a round, but for its end.
struct QuarantineKept {
  std::uint64_t generation = 0;
  Uuid pipeline = {};
  std::uint32_t task = 0;
  std::string_view name = {};  ///< the task's namespace
  std::uint32_t attempt = 1;
  std::uint32_t rescues = 0;
  std::int64_t since_ns = 0;
  std::string_view error = {};
};

/// A live pipeline as all groups that it published before left it. Captured output stays in the journal.
/// Worker and step race for a Ready task: it may be Ready here though its TaskStarted was published before.
struct PipelineKept {
  std::uint64_t generation = 0;
  const PipelineImage& pipeline;
  const PauseImage* pause = nullptr;  ///< where it is Paused
};

/// The last row: the round is complete.
struct RoundEnded {
  std::uint64_t generation = 0;
  std::int64_t time_ns = 0;  ///< Unix time
};

/// Rows as groups for the journal's ring: they take no sequence number.
TransitionGroup make_row(const RoundBegun& record);
TransitionGroup make_row(const WorkflowKept& record);
TransitionGroup make_row(const KeyKept& record);
TransitionGroup make_row(const PauseKept& record);
TransitionGroup make_row(const SubmissionKept& record);
TransitionGroup make_row(const ScheduleKept& record);
TransitionGroup make_row(const QuarantineKept& record);
TransitionGroup make_row(const RoundEnded& record);
/// @return  one row, or more for a pipeline with much text: to be published one after the other
std::vector<TransitionGroup> make_rows(const PipelineKept& record);

/// How long something stays readable. Without any limit: for ever. With several, whatever ends first.
struct Retention {
  std::optional<std::int64_t> age_ns = {};
  std::optional<std::uint64_t> count = {};
  std::optional<std::uint64_t> bytes = {};
};

/// A complete round.
struct CheckpointMark {
  std::uint64_t generation = 0;  ///< 0: the store's beginning, without rows
  std::uint64_t minimum = 0;     ///< folding goes on from here
  std::uint64_t end = 0;         ///< from here on the journal holds nothing that began below the minimum and
                                 ///< is not in the rows
  std::uint64_t hash = 0;        ///< of the commit that ends there; 0: not kept, before format 3
  std::int64_t ended_ns = 0;     ///< Unix time
  std::uint64_t journal_bytes = 0;  ///< written by the store's whole life until then
  std::uint64_t row_bytes = 0;

  friend bool operator==(const CheckpointMark&, const CheckpointMark&) = default;
};

/// The rounds that a store keeps, by age. The oldest is where its events begin, the newest is where recovery
/// begins; those between are there so that the events' beginning can move on.
class CheckpointMarks {
 public:
  /// What is no longer needed once a round is complete.
  struct Dropped {
    std::vector<std::uint64_t> generations;
    std::uint64_t journal_below = 0;  ///< the journal's beginning from now on
  };

  const CheckpointMark& oldest() const noexcept { return kept_.front(); }
  const CheckpointMark& newest() const noexcept { return kept_.back(); }
  std::span<const CheckpointMark> kept() const noexcept { return kept_; }

  /// Adds a complete round.
  ///
  /// @return  the round that need not be kept between its neighbours; 0: there is none
  std::uint64_t add(const CheckpointMark& mark, const Retention& events);
  /// The round at which the events may begin by now.
  const CheckpointMark& horizon(const Retention& events) const noexcept;
  /// Lets go of all events before it.
  Dropped advance(const Retention& events);
  /// add() and advance().
  Dropped complete(const CheckpointMark& mark, const Retention& events);
  /// Forgets a round that cannot be trusted. @pre another one is kept
  void forget(std::uint64_t generation);

  std::string encode() const;
  /// @return  Damaged
  static std::expected<CheckpointMarks, StoreError> decode(std::span<const std::byte> bytes);

  friend bool operator==(const CheckpointMarks&, const CheckpointMarks&) = default;

 private:
  std::vector<CheckpointMark> kept_{1};
};

}  // namespace leat
