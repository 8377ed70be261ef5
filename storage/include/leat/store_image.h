// What a store's journal amounts to: the fold of its transition groups. Recovery, inspection and
// verification all use this one fold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "leat/context_image.h"
#include "leat/durability.h"
#include "leat/priority.h"
#include "leat/states.h"
#include "leat/store_error.h"
#include "leat/task_image.h"
#include "leat/transition_group.h"
#include "leat/uuid.h"

namespace leat {

struct CheckpointMark;

struct WorkflowImage {
  std::string name;  ///< "tenant::package::workflow"
  std::uint64_t version = 0;
  std::vector<std::string> tasks;
  std::string definition;  ///< as the store has it, see <leat/workflow_shape.h>
  std::uint64_t last_needed = 0;  ///< the highest number at which the journal needed it; not a live need

  friend bool operator==(const WorkflowImage&, const WorkflowImage&) = default;
};

/// See ParentLink.
struct ParentImage {
  Uuid pipeline;
  std::uint64_t pipeline_no = 0;
  std::uint32_t depth = 0;
  std::string name;

  ParentImage() = default;
  explicit ParentImage(const ParentLink& link)
      : pipeline(link.pipeline), pipeline_no(link.pipeline_no), depth(link.depth), name(link.name) {}
  ParentLink link() const noexcept {
    return {.pipeline = pipeline, .pipeline_no = pipeline_no, .depth = depth, .name = name};
  }
  bool empty() const noexcept { return pipeline.is_nil(); }
  friend bool operator==(const ParentImage&, const ParentImage&) = default;
};

/// What few pipelines have, see PipelineTraits.
struct TraitsImage {
  std::string concurrency_key;    ///< empty: it has none
  std::string schedule;           ///< that submitted it; empty: none did
  std::int64_t scheduled_ns = 0;  ///< the time that it stands for
  std::int64_t deadline_ns = 0;   ///< Unix time; 0: it has none
  std::int64_t start_at_ns = 0;   ///< before which a signal makes no task begin; 0: none
  SignalValues signals = {};      ///< that have come
  ParentImage parent = {};        ///< empty: it is nobody's child
  SignalValues child_ends = {};   ///< children have ended so, and that has not come as a signal yet
  std::uint32_t attempts_max = 0;  ///< of each task, whatever its workflow says; 0: nothing is said

  friend bool operator==(const TraitsImage&, const TraitsImage&) = default;
};

struct PipelineImage {
  std::uint64_t pipeline_no = 0;
  Uuid id;
  std::uint32_t workflow_no = 0;
  std::uint32_t open_tasks = 0;  ///< tasks in a state that is not terminal
  std::int64_t created_ns = 0;
  std::int64_t finished_ns = 0;  ///< 0 while unfinished
  std::uint64_t folded_to = 0;   ///< a checkpoint's row: the groups below this number are in it
  ContextImage context;
  Rare<TraitsImage> traits;
  TaskImages tasks;
  OptionalTask last_completed;  ///< the task that completed last
  Durability level = Durability::Disk;
  PipelineState state = PipelineState::Pending;
  Priority priority = Priority::Normal;

  friend bool operator==(const PipelineImage&, const PipelineImage&) = default;
};

static_assert(
    sizeof(PipelineImage) <= 144,
    "opening a store takes 200 bytes at most for a live pipeline of one task: with its node of a map");

/// Whether it failed because its deadline had passed: else its tasks did, or it was given up.
bool is_overdue(const PipelineImage& pipeline) noexcept;

/// Since when something is paused, and why.
struct PauseImage {
  std::int64_t since_ns = 0;  ///< Unix time
  std::string reason;

  friend bool operator==(const PauseImage&, const PauseImage&) = default;
};

/// What is paused: executor keys, patterns of namespaces, pipelines by their identifiers.
using PauseImages = std::map<std::pair<PauseScope, std::string>, PauseImage>;

/// Which pipeline an idempotency key stands for, and until when.
struct SubmissionImage {
  Uuid pipeline;
  std::int64_t ends_ns = 0;  ///< Unix time

  friend bool operator==(const SubmissionImage&, const SubmissionImage&) = default;
};

/// By idempotency key, with its workflow's name before it. Those whose time is over are left out, some day.
using SubmissionImages = std::map<std::string, SubmissionImage, std::less<>>;

/// See ScheduleChanged.
struct ScheduleImage {
  std::uint64_t version = 0;
  bool paused = false;
  std::int64_t cursor_ns = 0;
  std::int64_t last_ns = 0;
  std::int64_t queued_ns = 0;
  std::string definition;

  friend bool operator==(const ScheduleImage&, const ScheduleImage&) = default;
};

/// A task that was given up because its process died with it too often.
struct QuarantineImage {
  std::string task;  ///< its namespace
  std::uint32_t attempt = 1;
  std::uint32_t rescues = 0;
  std::int64_t since_ns = 0;  ///< Unix time
  std::string error;
};

/// By the pipeline and the task's number. Of more than kQuarantineMax those of the oldest pipelines are left
/// out.
using QuarantineImages = std::map<std::pair<Uuid, std::uint32_t>, QuarantineImage>;
inline constexpr std::size_t kQuarantineMax = 10'000;
/// Where it is not there yet.
void add(QuarantineImages& images, const Uuid& pipeline, std::uint32_t task, QuarantineImage image);

/// What the journal says of a line of pipelines that wait in the store alone, as far as it goes back.
struct WaitingLineImage {
  std::optional<std::uint64_t> begin;  ///< see WaitingBounds
  std::optional<std::uint64_t> end;
  std::uint64_t holes = 0;  ///< as of `begin`
};

/// Why a task changed its state.
enum class TransitionReason : std::uint8_t {
  Created,       ///< with its pipeline
  Dependencies,  ///< all that it waited for has ended, and its trigger rule is true
  Started,       ///< an executor took it
  Result,        ///< its attempt ended so
  Retry,         ///< its attempt failed, another follows
  Rescue,        ///< its process died
  Interrupted,   ///< a stop ended its attempt
  Cancel,        ///< its pipeline was cancelled
  Abandoned,     ///< it was rescued too often
  TriggerRule,   ///< its trigger rule is false
  Deadline,      ///< its pipeline's deadline had passed
  Signal,        ///< the signal has come that it still waited for
  GivenUp,       ///< its version of the workflow is gone, and an operator has ended what was left of it
};

/// @return the reason's name exactly as the enumerator is spelled
std::string_view to_string(TransitionReason reason) noexcept;

/// One task transition as `inspect events` lists it. Views are valid during the call that hands it over.
struct TransitionEvent {
  std::uint64_t sequence;
  std::int64_t time_ns;  ///< Unix time
  const PipelineImage* pipeline;
  const WorkflowImage* workflow;
  std::uint32_t task;
  std::uint32_t attempt;
  std::optional<TaskState> from;  ///< empty: the task's creation
  TaskState to;
  std::string_view executor;  ///< empty where none is known yet
  TransitionReason reason;
  std::optional<std::uint32_t> worker;  ///< of the executor, to Running; none: not known
  std::int64_t dispatched_ns;           ///< Unix time: admitted by the executor; where the worker is known
  std::uint64_t synced;                 ///< what its commit knew of earlier ones: those below were synced
  std::int64_t synced_ns;               ///< when that sync had returned, Unix time; 0: not known
};

/// The fold. Applies packed commits in order; refuses what contradicts the transition table or names the
/// unknown: a workflow, key, pipeline or task that no record introduced.
///
/// Thread-safety: as a value.
/// Invariant: after an error the image is that of the journal up to the group that was refused, which may
///   be applied in part; nothing more can be applied.
class StoreImage {
 public:
  /// Unfinished: a pipeline leaves the image once its state and those of all its tasks are terminal.
  enum class Keep { Unfinished, Everything };
  using OnEvent = std::function<void(const TransitionEvent&)>;

  explicit StoreImage(Keep keep);
  /// Of the pipelines in the image; more are Refused: a few bytes can name a million. Where nothing is said,
  /// as many as the memory of this machine, or its container, could hold.
  void limit_tasks(std::uint64_t tasks_max) noexcept;

  /// @param told  called with each pipeline when it and all its tasks have ended, while a group is applied
  void on_finish(std::function<void(const PipelineImage&)> told);

  /// Begins with a complete round of the checkpoint instead of with nothing. @pre nothing was applied yet
  void begin_at(const CheckpointMark& mark);
  /// Takes over the rows of one slice of that round, in order.
  ///
  /// @return  Damaged, NewerFormat or Refused
  std::expected<void, StoreError> load(std::uint64_t first_sequence, std::span<const std::byte> slice);

  /// From here on the groups of a pipeline count, and not its row, where the one that created it is among
  /// them.
  void prefer_events() noexcept;
  /// Takes over the groups of one commit that were carried when the journal before that round went.
  ///
  /// @pre     prefer_events(); the round's rows are loaded and no commit is applied
  /// @return  as apply()
  std::expected<void, StoreError> carry(std::uint64_t first_sequence, std::span<const std::byte> commit,
                                        const OnEvent& on_event = {});

  StoreImage(StoreImage&&) noexcept;
  StoreImage& operator=(StoreImage&&) noexcept;
  ~StoreImage();

  /// Takes over a pipeline that waits in the store alone, where no event of it is left. @pre all commits are
  /// applied
  ///
  /// @param row  see <leat/waiting.h>
  /// @return     Damaged
  std::expected<void, StoreError> load_waiting(std::span<const std::byte> row);

  /// @param on_event  called for each task transition, in order; may be empty
  /// @return          Damaged, NewerFormat or Refused, naming the commit and what it contradicts
  std::expected<void, StoreError> apply(std::uint64_t first_sequence, std::span<const std::byte> commit,
                                        const OnEvent& on_event = {});

  const std::map<std::uint64_t, PipelineImage>& pipelines() const noexcept;  ///< by pipeline_no
  std::map<std::uint64_t, PipelineImage> take_pipelines() noexcept;
  const std::map<std::uint32_t, WorkflowImage>& workflows() const noexcept;  ///< by workflow_no
  const std::map<std::uint32_t, std::string>& keys() const noexcept;         ///< by key_no
  const PauseImages& pauses() const noexcept;
  const SubmissionImages& submissions() const noexcept;
  const std::map<std::string, ScheduleImage>& schedules() const noexcept;  ///< by name
  const QuarantineImages& quarantine() const noexcept;
  const std::map<WaitingLine, WaitingLineImage>& waiting() const noexcept;
  /// One more than the highest number ever given to a pipeline, a workflow, a key.
  std::uint64_t next_pipeline_no() const noexcept;
  std::uint32_t next_workflow_no() const noexcept;
  std::uint32_t next_key_no() const noexcept;
  /// The number after the last one applied; 0 before the first commit.
  std::uint64_t end_sequence() const noexcept;
  /// The hash of the last commit applied: it stands for the journal up to there; 0 before the first.
  std::uint64_t hash() const noexcept;
  /// The size of all commits applied.
  std::uint64_t folded_bytes() const noexcept;
  /// The opening that wrote the last commit applied.
  std::uint64_t epoch() const noexcept;

 private:
  class Fold;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace leat
