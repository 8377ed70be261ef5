// The journal's records: what one step of the engine changes, as one unit that is never cut.
// record_format.h documents the encoded form; transition_group.cpp writes it, commit_reader.cpp reads it.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "leat/context_image.h"
#include "leat/durability.h"
#include "leat/priority.h"
#include "leat/states.h"
#include "leat/uuid.h"

namespace leat {

struct PipelineSummary;

/// Limits of the format. What a store holds beyond them is damage; callers check before they build a group.
inline constexpr std::uint32_t kTasksPerPipelineMax = std::uint32_t{1} << 20;
inline constexpr std::size_t kExternalRefBytesMax = 256;
/// Contexts, output and definition included.
inline constexpr std::size_t kGroupBytesMax = std::size_t{64} << 20;

/// Introduces a workflow version, before the first pipeline that runs it. Takes no transition.
struct WorkflowDefined {
  std::uint32_t workflow_no = 0;                 ///< dense, from 1, unique for the store's life
  std::string_view name = {};                    ///< "tenant::package::workflow"
  std::uint64_t version = 0;                     ///< content hash
  std::span<const std::string_view> tasks = {};  ///< task names; a task's number is its index here
  std::string_view definition = {};  ///< free bytes of the definer, enough to build the workflow again
};

/// Introduces an executor key. Takes no transition.
struct KeyDefined {
  std::uint32_t key_no = 0;  ///< dense, from 1
  std::string_view key = {};
};

/// A schedule submits a pipeline: its cursor moves with that, or neither happens.
struct ScheduleFiring {
  std::string_view schedule = {};  ///< its name; empty: none submitted it
  std::uint64_t version = 0;       ///< see ScheduleChanged
  std::int64_t time_ns = 0;        ///< the time that it stands for; Unix time
  std::int64_t cursor_ns = 0;
};

/// A task that a pipeline takes over from an earlier one of the same workflow: it comes to be in this state.
struct TaskDone {
  std::uint32_t task = 0;
  TaskState state = TaskState::Completed;  ///< Completed, Failed or Skipped
  ContextView context = {};                ///< empty: as it came in
};

/// For PipelineTraits::tasks_done. @param tasks  in an order in which dependencies come first
std::string encode_done(std::span<const TaskDone> tasks);
/// @return  false: the bytes are damaged
bool decode_done(std::string_view bytes, const std::function<bool(const TaskDone&)>& take);

/// For PipelineTraits::signals: their values, JSON text, by name.
using SignalValues = std::map<std::string, std::string, std::less<>>;
std::string encode_signals(const SignalValues& signals);
/// @return  false: the bytes are damaged
bool decode_signals(std::string_view bytes, SignalValues& signals);

/// A task that was given up because its process died with it too often leaves the list of those. Takes no
/// transition.
struct QuarantineLeft {
  Uuid pipeline = {};  ///< zero: none
  std::uint32_t task = 0;

  friend bool operator==(const QuarantineLeft&, const QuarantineLeft&) = default;
};

/// The pipeline that a child was started by. Both end as one: see kChildDepthMax in <leat/workflow.h>.
struct ParentLink {
  Uuid pipeline = {};             ///< nil: it is nobody's child
  std::uint64_t pipeline_no = 0;  ///< the parent's
  std::uint32_t depth = 0;        ///< 1: of a parent that is no child
  std::string_view name = {};     ///< that the parent knows the child by: one of its signals
};

/// What few pipelines have.
struct PipelineTraits {
  std::string_view concurrency_key = {};  ///< of those with the same one, so many at once; empty: none

  std::int64_t start_at_ns =
      0;  ///< Unix time before which no task begins; 0: none; in rows where keeps_start
  std::string_view idempotency_key = {};  ///< with its workflow's name before it; empty: none; not in rows
  std::int64_t key_ends_ns = 0;           ///< Unix time until which that key stands for this pipeline
  ScheduleFiring firing = {};             ///< only its name and time in rows
  std::string_view tasks_done = {};  ///< by an earlier pipeline, as encode_done() gives them; not in rows
  Priority priority = Priority::Normal;
  std::int64_t deadline_ns = 0;   ///< Unix time at which what has not ended ends; 0: none
  QuarantineLeft redriven = {};   ///< the task that it does again, of an earlier pipeline; not in rows
  std::string_view signals = {};  ///< that have come, as encode_signals() gives them
  bool keeps_start = false;       ///< something is reckoned from start_at_ns on, which rows hold then
  ParentLink parent = {};
  std::string_view child_ends = {};  ///< of children, that are to be told as signals yet; in rows alone
  std::uint32_t attempts_max = 0;    ///< of each task, whatever its workflow says; below 2: nothing is said

  bool empty() const noexcept {
    return concurrency_key.empty() && start_at_ns == 0 && idempotency_key.empty() &&
           firing.schedule.empty() && tasks_done.empty() && priority == Priority::Normal &&
           deadline_ns == 0 && redriven == QuarantineLeft() && signals.empty() && parent.pipeline.is_nil() &&
           child_ends.empty() && attempts_max < 2;
  }
};

/// A pipeline and all its tasks come to be. Transitions: one creation per task (to NotStarted), then one
/// NotStarted -> Ready for each of `ready`.
struct PipelineCreated {
  std::uint64_t pipeline_no = 0;  ///< unique and rising for the store's life
  Uuid id = {};
  std::uint32_t workflow_no = 0;
  std::uint32_t task_count = 0;
  Durability level = Durability::Disk;
  std::span<const std::uint32_t> ready = {};  ///< ascending task numbers
  ContextView context = {};                   ///< the initial context, JSON text; empty = {}
  PipelineTraits traits = {};
};

/// Ready -> Running.
struct TaskStarted {
  std::uint64_t pipeline_no = 0;
  std::uint32_t task = 0;
  std::uint32_t attempt = 1;  ///< from 1
  std::uint32_t key_no = 0;   ///< the executor key that runs it
  std::optional<std::uint32_t> worker = {};  ///< its number in the executor; none: not known
  std::uint64_t waited_ns = 0;               ///< from its dispatch on; where the worker is known
};

/// What a task's end decides for another task that waited for it.
struct Successor {
  std::uint32_t task = 0;
  /// Ready or Skipped (from NotStarted), or Cancelled (from NotStarted or Ready)
  TaskState state = TaskState::Ready;

  friend bool operator==(const Successor&, const Successor&) = default;
};

/// One attempt's end, with everything that follows from it. Transitions: `from` -> `to`, then each
/// successor's. `to` is Ready for a retry (the next attempt is attempt + 1) and for a rescue or an
/// interruption (same attempt).
struct TaskEnded {
  enum class Cause : std::uint8_t {
    Result = 0,
    Retry = 1,
    Rescue = 2,
    Interrupted = 3,
    Cancel = 4,
    Abandoned = 5,
    GivenUp = 6  ///< nobody can run it: with it its pipeline fails, and what has not ended is cancelled
  };
  std::uint64_t pipeline_no = 0;
  std::uint32_t task = 0;
  std::uint32_t attempt = 1;
  TaskState from = TaskState::Running;
  TaskState to = TaskState::Completed;
  Cause cause = Cause::Result;
  std::int64_t retry_at_ns = 0;  ///< Unix time of a retry; 0 otherwise
  std::span<const Successor> successors = {};
  std::optional<PipelineState> pipeline = {};  ///< the pipeline's new state, where this step changed it
  std::string_view error = {};                 ///< empty unless Failed or retried
  ContextView context = {};                    ///< the task's saved context, JSON text; only with Completed
  std::string_view output = {};                ///< captured output, bounded by the executor
  /// Where a child ends by it: the value that its parent is to be told, JSON text. So in the next two as
  /// well.
  std::string_view told = {};
};

/// Tasks end without having run, and with them, perhaps, the pipeline (cancelled, skipped roots); `to` is
/// its state from then on, which may be the one it has. Transitions: each successor's.
struct PipelineChanged {
  std::uint64_t pipeline_no = 0;
  PipelineState to = PipelineState::Running;
  std::span<const Successor> successors = {};
  std::string_view reason = {};
  std::string_view told = {};
};

/// The attempt that runs has a name elsewhere, by which its work is found again after a crash. Takes no
/// transition. Forgotten when the attempt ends.
struct TaskReferred {
  std::uint64_t pipeline_no = 0;
  std::uint32_t task = 0;
  std::uint32_t attempt = 1;
  std::string_view external_ref = {};  ///< 1 to kExternalRefBytesMax bytes
};

/// A signal has come, which each name does once. Transitions: each successor's.
struct PipelineSignalled {
  std::uint64_t pipeline_no = 0;
  std::string_view name = {};
  std::string_view value = {};  ///< JSON text
  std::span<const Successor> successors =
      {};                        ///< that waited for nothing else: Ready, or Skipped with what follows
  std::int64_t start_at_ns = 0;  ///< Unix time before which they do not begin; 0: they may
  std::optional<PipelineState> pipeline = {};  ///< its new state, where this step changed it
  std::string_view told = {};
};

/// Pipelines that wait in the store alone, in the order of their places: of one workflow, executor key and
/// priority, so that none of them stands before one that could begin earlier.
struct WaitingLine {
  std::uint32_t workflow_no = 0;
  std::uint32_t key_no = 0;    ///< of the executor key to which its first task goes
  Priority priority = Priority::Normal;

  friend auto operator<=>(const WaitingLine&, const WaitingLine&) = default;
};

/// A pipeline comes to be, in the store alone: its row is written with this record. Transitions: as
/// PipelineCreated.
struct PipelineSetAside {
  WaitingLine line = {};
  std::uint64_t place = 0;  ///< from 0 in steps of 1
  PipelineCreated created = {};  ///< of the line's workflow
};

/// Pipelines of one line live in memory again: their rows go with this record, which holds them. Takes no
/// transition.
struct PipelinesTakenIn {
  WaitingLine line = {};
  bool in_turn = true;      ///< all from `place` up to `begin`; else the one at `place`
  std::uint64_t place = 0;
  std::uint64_t begin = 0;  ///< the line's lowest place from now on
  std::uint64_t end = 0;    ///< the line's next place
  std::uint64_t holes = 0;  ///< places between the two that were taken out of turn
  std::string_view rows = {};  ///< see append_waiting()
};

/// Stands for groups of others where the events of a few are kept: only the store itself writes it.
struct GroupsLeftOut {
  std::uint64_t transitions = 0;
};

/// An executor key, or the namespaces that a pattern matches, are paused or open again. Takes no transition.
struct PauseChanged {
  PauseScope scope = PauseScope::ExecutorKey;
  bool paused = false;
  std::string_view what = {};
  std::string_view reason = {};  ///< where paused
};

/// A schedule was made, redefined, paused, moved on without a pipeline, or removed. Takes no transition.
struct ScheduleChanged {
  std::string_view name = {};  ///< unique among those that are
  std::uint64_t version =
      0;  ///< from 1 in steps of 1, firings included: so what a row holds is not told twice
  bool removed = false;
  bool paused = false;
  std::int64_t cursor_ns = 0;        ///< up to where its times are dealt with; Unix time
  std::int64_t last_ns = 0;          ///< the time that was fired last; 0: none
  std::int64_t queued_ns = 0;        ///< a time that waits for the pipeline before it; 0: none
  std::string_view definition = {};  ///< free bytes of the definer; empty: as before
};

/// A large context on its way into the store.
struct ContextApart {
  ContextPlace place;
  std::string_view text;
};

/// One encoded transition group, ready to be published. Movable; small groups live inside the object. Of a
/// record's contexts it takes the large ones apart.
///
/// @pre  the encoded size is at most kGroupBytesMax, the number of tasks at most kTasksPerPipelineMax
/// Thread-safety: as a value.  Progress: allocates only above kInlineBytes.  Complexity: O(bytes).
class TransitionGroup {
 public:
  static constexpr std::size_t kInlineBytes = 64;

  /// An empty group: nothing is written for it.
  TransitionGroup() noexcept = default;
  TransitionGroup(std::int64_t time_ns, const WorkflowDefined& record);
  TransitionGroup(std::int64_t time_ns, const KeyDefined& record);
  TransitionGroup(std::int64_t time_ns, const PipelineCreated& record);
  TransitionGroup(std::int64_t time_ns, const TaskStarted& record);
  TransitionGroup(std::int64_t time_ns, const TaskEnded& record);
  TransitionGroup(std::int64_t time_ns, const PipelineChanged& record);
  TransitionGroup(std::int64_t time_ns, const TaskReferred& record);
  TransitionGroup(std::int64_t time_ns, const PipelineSignalled& record);
  TransitionGroup(std::int64_t time_ns, const PauseChanged& record);
  TransitionGroup(std::int64_t time_ns, const GroupsLeftOut& record);
  TransitionGroup(std::int64_t time_ns, const ScheduleChanged& record);
  TransitionGroup(std::int64_t time_ns, const QuarantineLeft& record);
  TransitionGroup(std::int64_t time_ns, const PipelineSetAside& record);
  TransitionGroup(std::int64_t time_ns, const PipelinesTakenIn& record);

  TransitionGroup(TransitionGroup&& other) noexcept;
  TransitionGroup& operator=(TransitionGroup&& other) noexcept;
  ~TransitionGroup() { reset(); }

  /// Becomes the empty group.
  void reset() noexcept {
    if (size_ > kInlineBytes) delete[] heap();
    size_ = 0;
    transitions_ = 0;
    summary_ = 0;
    apart_ = 0;
  }

  /// Adds how the pipeline went that this group finishes: it goes to the history. @pre it has none yet
  void add_summary(const PipelineSummary& summary);

  /// The encoded record without its time; empty for the empty group.
  std::span<const std::byte> bytes() const noexcept {
    return {data(), size_ - summary_ - apart_};
  }
  /// The encoded summary; empty: there is none.
  std::span<const std::byte> summary() const noexcept {
    return {data() + size_ - summary_, summary_};
  }
  /// The size of the contexts that are to lie apart; 0: it has none.
  std::size_t apart_bytes() const noexcept { return apart_; }
  /// Adds them; the texts stay the group's.
  void list_apart(std::vector<ContextApart>& out) const;
  /// Unix time.
  std::int64_t time_ns() const noexcept { return time_ns_; }
  /// How many sequence numbers the group takes.
  std::uint32_t transitions() const noexcept { return transitions_; }
  /// Whether this is a row of the checkpoint, see <leat/checkpoint.h>: it goes there instead of the journal.
  bool is_row() const noexcept { return size_ > 0 && bytes()[0] >= kFirstRow; }

  /// Whether the committer changes rows of pipelines that wait with it, see <leat/waiting.h>.
  bool changes_waiting() const noexcept { return size_ > 0 && bytes()[0] == kWaiting; }

  class Row;  ///< makes rows: private to storage

 private:
  class Writer;
  static constexpr std::byte kFirstRow{16};
  static constexpr std::byte kWaiting{14};

  void bring(const ContextView& context, const ContextPlace& place);
  const std::byte* data() const noexcept { return size_ > kInlineBytes ? heap() : inline_.data(); }
  std::byte* heap() const noexcept {
    std::byte* address = nullptr;
    std::memcpy(&address, inline_.data(), sizeof address);
    return address;
  }

  std::int64_t time_ns_ = 0;
  std::uint32_t size_ = 0;
  std::uint32_t transitions_ = 0;
  std::uint32_t summary_ = 0;                   ///< how many of the bytes, at their end, are the summary
  std::uint32_t apart_ = 0;                     ///< how many before those are contexts that are to lie apart
  std::array<std::byte, kInlineBytes> inline_;  ///< the bytes, or, where size_ is larger, their address
};

}  // namespace leat
