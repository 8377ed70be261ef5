// The inside of a StoreImage, and the fold that fills it.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "commit.h"
#include "leat/store_image.h"

namespace leat {

/// Said of what names more than StoreImage::limit_tasks() allows.
inline constexpr char kTooManyTasks[] =
    "names more live tasks than this machine's memory can hold: open the store on a larger one";

/// Where its pause stands among a store's.
inline PauseImages::key_type pause_of(const PipelineImage& pipeline) {
  return {PauseScope::Pipeline, pipeline.id.to_string()};
}

struct StoreImage::State {
  Keep keep;
  std::uint64_t tasks_max = 0;
  std::uint64_t tasks = 0;  // of the pipelines below
  bool refused = false;
  bool prefers_events = false;
  bool carries = false;  // a carried commit is applied
  std::uint64_t end_sequence = 0;
  std::uint64_t epoch = 0;
  std::uint64_t folded_bytes = 0;
  std::uint64_t hash = 0;        // of the last commit applied
  std::uint64_t round_end = 0;   // of the checkpoint with which it began, see CheckpointMark::end
  std::uint64_t round_hash = 0;  // the same, see CheckpointMark::hash
  std::uint64_t next_pipeline_no = 1;
  std::uint32_t next_workflow_no = 1;
  std::uint32_t next_key_no = 1;
  std::function<void(const PipelineImage&)> on_finish;
  std::map<std::uint64_t, PipelineImage> pipelines;
  std::map<std::uint32_t, WorkflowImage> workflows;
  std::map<std::uint32_t, std::string> keys;
  PauseImages pauses;
  SubmissionImages submissions;
  std::map<std::string, ScheduleImage> schedules;
  QuarantineImages quarantine;
  std::map<WaitingLine, WaitingLineImage> waiting;

  /// Before memory is taken for them. @return false: they are too many
  bool hold(std::uint64_t count) noexcept { return (tasks += count) <= tasks_max; }
  void forget(const PipelineImage& pipeline) noexcept { tasks -= pipeline.tasks.size(); }
};

/// The fold of one group. Each overload returns what is wrong with its record, or null, or kFolded.
class StoreImage::Fold {
 public:
  Fold(State& state, const OnEvent& on_event, const CommitHeader& commit, std::uint64_t sequence,
       std::int64_t time_ns)
      : state_(state), on_event_(on_event), commit_(commit), sequence_(sequence), time_ns_(time_ns) {}

  /// All groups of a commit.
  static std::expected<void, StoreError> apply(State& state, CommitReader& reader, const OnEvent& on_event);
  static std::unexpected<StoreError> refuse(State& state, std::uint64_t first_sequence,
                                            std::string_view what);

  const char* operator()(const WorkflowDefined& record);
  const char* operator()(const KeyDefined& record);
  const char* operator()(const PipelineCreated& record);
  const char* operator()(const TaskStarted& record);
  const char* operator()(const TaskEnded& record);
  const char* operator()(const PipelineChanged& record);
  const char* operator()(const TaskReferred& record);
  const char* operator()(const PipelineSignalled& record);
  const char* operator()(const PauseChanged& record);
  const char* operator()(const GroupsLeftOut& record);
  const char* operator()(const ScheduleChanged& record);
  const char* operator()(const QuarantineLeft& record);
  const char* operator()(const PipelineSetAside& record);
  const char* operator()(const PipelinesTakenIn& record);
  /// A pipeline whose row says how it is.
  const char* take_in(std::int64_t created_ns, const PipelineCreated& record);

 private:
  const char* begin_image(PipelineImage& image, const PipelineCreated& record, std::int64_t created_ns);
  const char* fire(const ScheduleFiring& firing);
  /// A record without a number of its own may stand in the rows.
  bool may_be_in_rows() const { return sequence_ <= state_.round_end; }
  bool is_folded() const { return sequence_ < pipeline_->folded_to; }
  const char* find(std::uint64_t pipeline_no);
  const char* find(std::uint64_t pipeline_no, std::uint32_t task);
  const char* start_again(const TaskStarted& record);
  void quarantine(const TaskEnded& record);
  const char* end_again(const TaskEnded& record);
  const char* change_pipeline(PipelineState to);
  const char* apply(std::span<const Successor> successors,
                    TransitionReason ready = TransitionReason::Dependencies);
  TransitionReason unless_failed(TransitionReason reason) const;
  void move_task(std::uint32_t number, TaskState to, std::uint32_t attempt, TransitionReason reason);
  void emit(std::uint32_t task, std::uint32_t attempt, std::optional<TaskState> from, TaskState to,
            TransitionReason reason);
  void tell_parent(std::string_view told);
  void forget_if_finished();

  State& state_;
  const OnEvent& on_event_;
  const CommitHeader& commit_;
  std::uint64_t sequence_;  // of the next transition
  const std::int64_t time_ns_;
  std::optional<std::uint32_t> worker_;  // of a start
  std::int64_t dispatched_ns_ = 0;
  PipelineImage* pipeline_ = nullptr;  // set by find()
  TaskImage* task_ = nullptr;
};

}  // namespace leat
