// Rows of the checkpoint to bytes, and back.
#include "checkpoint_row.h"

#include <algorithm>
#include <utility>

#include "check.h"
#include "group_writer.h"
#include "record_format.h"

namespace leat {
namespace {

namespace flag = record_format::kept;
using record_format::Kind;

// Without texts: head, run, flags, three numbers, a time, two lengths, a mark.
constexpr std::size_t kTaskBytesMax = 56;

/// Which details of a task differ from those of one that never ran.
std::uint8_t details_of(const TaskImage& task) {
  std::uint8_t details = 0;
  if (task.attempt != 1) details |= flag::kAttempt;
  if (task.rescues != 0) details |= flag::kRescues;
  if (task.key_no != 0) details |= flag::kKey;
  if (task.retry_at_ns != 0) details |= flag::kRetryAt;
  if (!task.error.empty()) details |= flag::kError;
  if (!task.context.empty()) details |= flag::kTaskContext;
  if (!task.external_ref.empty()) details |= flag::kExternalRef;
  return details;
}

bool has_no_text(const TaskImage& task) {
  return task.error.empty() && task.context.empty() && task.external_ref.empty();
}

bool alike(const TaskImage& a, const TaskImage& b) {
  return a.state == b.state && a.attempt == b.attempt && a.rescues == b.rescues && a.key_no == b.key_no &&
         a.retry_at_ns == b.retry_at_ns && has_no_text(a) && has_no_text(b);
}

TaskImage parse_task(RecordParser& in, std::uint8_t head) {
  TaskImage task;
  task.state = in.enumerator(head & flag::kTaskStateMask, TaskState::Cancelled);
  const std::uint8_t details = (head & flag::kDetails) != 0 ? in.flags(flag::kDetailsAll) : std::uint8_t{0};
  if ((details & flag::kAttempt) != 0) task.attempt = in.number();
  if ((details & flag::kRescues) != 0) task.rescues = in.number();
  if ((details & flag::kKey) != 0) task.key_no = in.number();
  if ((details & flag::kRetryAt) != 0) task.retry_at_ns = static_cast<std::int64_t>(in.u64());
  if ((details & flag::kError) != 0) task.error = in.text();
  if ((details & flag::kTaskContext) != 0) task.context = in.context();
  if ((details & flag::kExternalRef) != 0) task.external_ref = in.text();
  return task;
}

std::vector<TaskImage> parse_tasks(RecordParser& in) {
  std::vector<TaskImage> tasks;
  const std::uint32_t count = in.number(kTasksPerPipelineMax);
  while (in.ok() && tasks.size() < count) {
    const std::uint8_t head = in.flags(flag::kTaskAll);
    const std::uint64_t run = (head & flag::kRun) != 0 ? std::uint64_t{in.number()} + 2 : 1;
    const TaskImage task = parse_task(in, head);
    if (run > count - tasks.size()) in.fail();
    if (in.ok()) tasks.insert(tasks.end(), static_cast<std::size_t>(run), task);
  }
  return tasks;
}

}  // namespace

/// Opens a row: its kind and generation.
class TransitionGroup::Row : public Writer {
 public:
  static_assert(kFirstRow == std::byte{static_cast<std::uint8_t>(Kind::RoundBegun)});

  Row(TransitionGroup& group, Kind row, std::uint64_t generation) : Writer(group) {
    kind(row);
    varint(generation);
  }

  std::span<const TaskImage> tasks(std::span<const TaskImage> tasks);

  static std::vector<TransitionGroup> make(const PipelineKept& record);
  static TransitionGroup make(const RoundBegun& record);
  static TransitionGroup make(const WorkflowKept& record);
  static TransitionGroup make(const KeyKept& record);
  static TransitionGroup make(const PauseKept& record);
  static TransitionGroup make(const SubmissionKept& record);
  static TransitionGroup make(const ScheduleKept& record);
  static TransitionGroup make(const QuarantineKept& record);
  static TransitionGroup make(const RoundEnded& record);
};

/// @return  those for which the row has no room any more
std::span<const TaskImage> TransitionGroup::Row::tasks(std::span<const TaskImage> tasks) {
  LEAT_CHECK(tasks.size() <= kTasksPerPipelineMax);
  std::size_t count = 0;
  for (std::size_t bytes = 0; count < tasks.size() && bytes < record_format::kRowBytesMax; ++count) {
    bytes += tasks[count].error.size() + tasks[count].context.view().text.size() + kTaskBytesMax;
  }
  const std::span<const TaskImage> rest = tasks.subspan(count);
  tasks = tasks.first(count);
  varint(tasks.size());
  while (!tasks.empty()) {
    const TaskImage& first = tasks.front();
    std::size_t run = 1;
    while (run < tasks.size() && alike(first, tasks[run])) ++run;
    const std::uint8_t details = details_of(first);
    u8(static_cast<std::uint8_t>(static_cast<unsigned>(first.state) | (run > 1 ? flag::kRun : 0U) |
                                 (details != 0 ? flag::kDetails : 0U)));
    if (run > 1) varint(run - 2);
    if (details != 0) u8(details);
    if ((details & flag::kAttempt) != 0) varint(first.attempt);
    if ((details & flag::kRescues) != 0) varint(first.rescues);
    if ((details & flag::kKey) != 0) varint(first.key_no);
    if ((details & flag::kRetryAt) != 0) u64(static_cast<std::uint64_t>(first.retry_at_ns));
    if ((details & flag::kError) != 0) text(first.error);
    if ((details & flag::kTaskContext) != 0) context(first.context.view());
    if ((details & flag::kExternalRef) != 0) text(first.external_ref);
    tasks = tasks.subspan(run);
  }
  return rest;
}

std::vector<TransitionGroup> TransitionGroup::Row::make(const PipelineKept& record) {
  const PipelineImage& pipeline = record.pipeline;
  std::span<const TaskImage> rest;
  std::vector<TransitionGroup> rows(1);
  {
    Row out(rows.back(), Kind::PipelineKept, record.generation);
    out.varint(pipeline.pipeline_no);
    out.raw(pipeline.id.bytes.data(), pipeline.id.bytes.size());
    out.varint(pipeline.workflow_no);
    const auto state = static_cast<unsigned>(pipeline.state) << flag::kStateShift;
    const std::string signals = encode_signals(pipeline.traits->signals);
    const std::string child_ends = encode_signals(pipeline.traits->child_ends);
    const PipelineTraits traits{
        .concurrency_key = pipeline.traits->concurrency_key,
        .start_at_ns = pipeline.traits->start_at_ns,
        .firing = {.schedule = pipeline.traits->schedule, .time_ns = pipeline.traits->scheduled_ns},
        .priority = pipeline.priority,
        .deadline_ns = pipeline.traits->deadline_ns,
        .signals = signals,
        .keeps_start = pipeline.traits->start_at_ns != 0,
        .parent = pipeline.traits->parent.link(),
        .child_ends = child_ends,
        .attempts_max = pipeline.traits->attempts_max};
    out.u8(static_cast<std::uint8_t>(
        static_cast<unsigned>(pipeline.level) | state | (pipeline.context.empty() ? 0U : flag::kContext) |
        (pipeline.finished_ns != 0 ? flag::kFinished : 0U) | (traits.empty() ? 0U : flag::kTraits)));
    out.u64(static_cast<std::uint64_t>(pipeline.created_ns));
    if (pipeline.finished_ns != 0) {
      out.varint(record_format::zigzag(record_format::difference(pipeline.finished_ns, pipeline.created_ns)));
    }
    if (!pipeline.context.empty()) out.context(pipeline.context.view());
    out.varint(pipeline.last_completed ? std::uint64_t{*pipeline.last_completed} + 1 : 0);
    if (!traits.empty()) out.traits(traits);
    rest = out.tasks(pipeline.tasks);
  }
  while (!rest.empty()) {
    const std::size_t first = pipeline.tasks.size() - rest.size();
    Row out(rows.emplace_back(), Kind::TasksKept, record.generation);
    out.varint(pipeline.pipeline_no);
    out.varint(first);
    rest = out.tasks(rest);
  }
  if (record.pause != nullptr) {
    const std::string id = pipeline.id.to_string();
    rows.push_back(make(PauseKept{.generation = record.generation,
                                  .scope = PauseScope::Pipeline,
                                  .since_ns = record.pause->since_ns,
                                  .what = id,
                                  .reason = record.pause->reason}));
  }
  return rows;
}

TransitionGroup TransitionGroup::Row::make(const RoundBegun& record) {
  TransitionGroup group;
  {
    Row out(group, Kind::RoundBegun, record.generation);
    out.varint(record.minimum);
    out.varint(record.next_pipeline_no);
    out.varint(record.next_workflow_no);
    out.varint(record.next_key_no);
  }
  return group;
}

TransitionGroup TransitionGroup::Row::make(const WorkflowKept& record) {
  TransitionGroup group;
  {
    Row out(group, Kind::WorkflowKept, record.generation);
    out.varint(record.last_needed);
    out.workflow_defined(record.workflow);
  }
  return group;
}

TransitionGroup TransitionGroup::Row::make(const KeyKept& record) {
  TransitionGroup group;
  {
    Row out(group, Kind::KeyKept, record.generation);
    out.key_defined(record.key);
  }
  return group;
}

TransitionGroup TransitionGroup::Row::make(const PauseKept& record) {
  TransitionGroup group;
  {
    Row out(group, Kind::PauseKept, record.generation);
    out.u8(static_cast<std::uint8_t>(record.scope));
    out.u64(static_cast<std::uint64_t>(record.since_ns));
    out.text(record.what);
    out.text(record.reason);
  }
  return group;
}

TransitionGroup TransitionGroup::Row::make(const SubmissionKept& record) {
  TransitionGroup group;
  {
    Row out(group, Kind::SubmissionKept, record.generation);
    out.text(record.key);
    out.raw(record.pipeline.bytes.data(), record.pipeline.bytes.size());
    out.u64(static_cast<std::uint64_t>(record.ends_ns));
  }
  return group;
}

TransitionGroup TransitionGroup::Row::make(const ScheduleKept& record) {
  TransitionGroup group;
  {
    Row out(group, Kind::ScheduleKept, record.generation);
    out.schedule_changed(record.schedule);
  }
  return group;
}

TransitionGroup TransitionGroup::Row::make(const QuarantineKept& record) {
  TransitionGroup group;
  {
    Row out(group, Kind::QuarantineKept, record.generation);
    out.quarantine_left({record.pipeline, record.task});
    out.text(record.name);
    out.varint(record.attempt);
    out.varint(record.rescues);
    out.u64(static_cast<std::uint64_t>(record.since_ns));
    out.text(record.error);
  }
  return group;
}

TransitionGroup TransitionGroup::Row::make(const RoundEnded& record) {
  TransitionGroup group;
  {
    Row out(group, Kind::RoundEnded, record.generation);
    out.u64(static_cast<std::uint64_t>(record.time_ns));
  }
  return group;
}

TransitionGroup make_row(const RoundBegun& record) {
  return TransitionGroup::Row::make(record);
}
TransitionGroup make_row(const WorkflowKept& record) {
  return TransitionGroup::Row::make(record);
}
TransitionGroup make_row(const KeyKept& record) {
  return TransitionGroup::Row::make(record);
}
TransitionGroup make_row(const PauseKept& record) {
  return TransitionGroup::Row::make(record);
}
TransitionGroup make_row(const SubmissionKept& record) {
  return TransitionGroup::Row::make(record);
}
TransitionGroup make_row(const ScheduleKept& record) {
  return TransitionGroup::Row::make(record);
}
TransitionGroup make_row(const QuarantineKept& record) {
  return TransitionGroup::Row::make(record);
}
TransitionGroup make_row(const RoundEnded& record) {
  return TransitionGroup::Row::make(record);
}
std::vector<TransitionGroup> make_rows(const PipelineKept& record) {
  return TransitionGroup::Row::make(record);
}

RoundBegun parse_round_begun(RecordParser& in, std::uint64_t generation) {
  RoundBegun record{.generation = generation};
  record.minimum = in.varint();
  record.next_pipeline_no = in.varint();
  record.next_workflow_no = in.number();
  record.next_key_no = in.number();
  return record;
}

RoundEnded parse_round_ended(RecordParser& in, std::uint64_t generation) {
  return {.generation = generation, .time_ns = static_cast<std::int64_t>(in.u64())};
}

PauseKept parse_pause_kept(RecordParser& in, std::uint64_t generation) {
  PauseKept record{.generation = generation};
  record.scope = in.enumerator(in.u8(), PauseScope::Pipeline);
  record.since_ns = static_cast<std::int64_t>(in.u64());
  record.what = in.text();
  record.reason = in.text();
  return record;
}

SubmissionKept parse_submission_kept(RecordParser& in, std::uint64_t generation) {
  SubmissionKept record{.generation = generation};
  record.key = in.text();
  record.pipeline = in.id();
  record.ends_ns = static_cast<std::int64_t>(in.u64());
  return record;
}

QuarantineKept parse_quarantine_kept(RecordParser& in, std::uint64_t generation) {
  QuarantineKept record{.generation = generation};
  const QuarantineLeft place = in.quarantine_left();
  record.pipeline = place.pipeline;
  record.task = place.task;
  record.name = in.text();
  record.attempt = in.number();
  record.rescues = in.number();
  record.since_ns = static_cast<std::int64_t>(in.u64());
  record.error = in.text();
  return record;
}

TasksKept parse_tasks_kept(RecordParser& in) {
  TasksKept record;
  record.pipeline_no = in.varint();
  record.first = in.task();
  record.tasks = parse_tasks(in);
  return record;
}

PipelineImage parse_pipeline_kept(RecordParser& in) {
  PipelineImage pipeline;
  pipeline.pipeline_no = in.varint();
  pipeline.id = in.id();
  pipeline.workflow_no = in.number();
  const std::uint8_t bits = in.flags(flag::kAll);
  pipeline.level = in.enumerator(bits & flag::kLevelMask, Durability::Disk);
  pipeline.state = in.enumerator(static_cast<std::uint8_t>(bits >> flag::kStateShift & flag::kStateMask),
                                 PipelineState::Cancelled);
  pipeline.created_ns = static_cast<std::int64_t>(in.u64());
  if ((bits & flag::kFinished) != 0) {
    pipeline.finished_ns = record_format::sum(pipeline.created_ns, in.zigzag());
  }
  if ((bits & flag::kContext) != 0) pipeline.context = in.context();
  const std::uint64_t completed = in.varint();
  if (completed > kTasksPerPipelineMax) in.fail();
  if (completed != 0) pipeline.last_completed = static_cast<std::uint32_t>(completed - 1);
  if ((bits & flag::kTraits) != 0) {
    const PipelineTraits traits = in.traits();
    pipeline.traits.touch() = {.concurrency_key = std::string(traits.concurrency_key),
                               .schedule = std::string(traits.firing.schedule),
                               .scheduled_ns = traits.firing.time_ns,
                               .deadline_ns = traits.deadline_ns,
                               .start_at_ns = traits.start_at_ns,
                               .parent = ParentImage(traits.parent),
                               .attempts_max = traits.attempts_max};
    if (!decode_signals(traits.signals, pipeline.traits.touch().signals) ||
        !decode_signals(traits.child_ends, pipeline.traits.touch().child_ends)) {
      in.fail();
    }
    pipeline.priority = traits.priority;
  }
  pipeline.tasks = parse_tasks(in);
  return pipeline;
}

}  // namespace leat
