// Encodes transition groups. record_format.h documents the form.
#include "leat/transition_group.h"

#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "group_writer.h"
#include "record_format.h"
#include "record_parser.h"
#include "tasks_done.h"

namespace leat {

using record_format::Kind;
using record_format::zigzag;

TransitionGroup::TransitionGroup(std::int64_t time_ns, const WorkflowDefined& record) : time_ns_(time_ns) {
  Writer out(*this);
  out.kind(Kind::WorkflowDefined);
  out.workflow_defined(record);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const KeyDefined& record) : time_ns_(time_ns) {
  Writer out(*this);
  out.kind(Kind::KeyDefined);
  out.key_defined(record);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const PipelineCreated& record)
    : time_ns_(time_ns), transitions_(record.task_count + static_cast<std::uint32_t>(record.ready.size())) {
  namespace flag = record_format::created;
  LEAT_CHECK(record.task_count <= kTasksPerPipelineMax);
  const ContextPlace place = ContextPlace::of_pipeline(record.pipeline_no);
  const ContextView context = as_remembered(record.context, place);
  PipelineTraits traits = record.traits;
  std::vector<TaskDone> done;  // those whose contexts are to lie apart are among them
  std::string remembered;
  if (traits.tasks_done.size() > kContextInlineBytesMax) {
    done = decode_all_done(traits.tasks_done);
    remembered = encode_remembered(done, record.pipeline_no);
    traits.tasks_done = remembered;
  }
  std::uint8_t flags = static_cast<std::uint8_t>(record.level);
  if (!record.ready.empty()) flags |= flag::kReady;
  if (!record.context.empty()) flags |= flag::kContext;
  if (!record.traits.empty()) flags |= flag::kTraits;
  {
    Writer out(*this);
    out.kind(Kind::PipelineCreated);
    out.varint(record.pipeline_no);
    out.raw(record.id.bytes.data(), record.id.bytes.size());
    out.varint(record.workflow_no);
    out.varint(record.task_count);
    out.u8(flags);
    if ((flags & flag::kReady) != 0) out.ready(record.ready);
    if ((flags & flag::kContext) != 0) out.context(context);
    if ((flags & flag::kTraits) != 0) out.traits(traits);
  }
  bring(record.context, place);
  for (const TaskDone& task : done)
    bring(task.context, ContextPlace::of_task(record.pipeline_no, task.task));
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const TaskStarted& record)
    : time_ns_(time_ns), transitions_(1) {
  Writer out(*this);
  out.kind(record.worker ? Kind::TaskStartedBy : Kind::TaskStarted);
  out.varint(record.pipeline_no);
  out.varint(record.task);
  out.varint(record.attempt);
  out.varint(record.key_no);
  if (!record.worker) return;
  out.varint(*record.worker);
  out.varint(record.waited_ns);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const TaskEnded& record)
    : time_ns_(time_ns), transitions_(1 + static_cast<std::uint32_t>(record.successors.size())) {
  namespace flag = record_format::ended;
  std::uint8_t flags = 0;
  if (record.attempt != 1) flags |= flag::kAttempt;
  if (record.cause != TaskEnded::Cause::Result) flags |= flag::kCause;
  if (record.retry_at_ns != 0) flags |= flag::kRetryAt;
  if (!record.successors.empty()) flags |= flag::kSuccessors;
  if (record.pipeline) flags |= flag::kPipeline;
  if (!record.error.empty()) flags |= flag::kError;
  if (!record.context.empty()) flags |= flag::kContext;
  if (!record.output.empty()) flags |= flag::kOutput;
  const ContextPlace place = ContextPlace::of_task(record.pipeline_no, record.task);
  {
    Writer out(*this);
    out.kind(Kind::TaskEnded);
    out.varint(record.pipeline_no);
    out.varint(record.task);
    out.u8(static_cast<std::uint8_t>(static_cast<unsigned>(record.from) |
                                     static_cast<unsigned>(record.to) << 3 |
                                     (record.told.empty() ? 0U : flag::kTold)));
    out.u8(flags);
    if ((flags & flag::kAttempt) != 0) out.varint(record.attempt);
    if ((flags & flag::kCause) != 0) out.u8(static_cast<std::uint8_t>(record.cause));
    if ((flags & flag::kRetryAt) != 0)
      out.varint(zigzag(record_format::difference(record.retry_at_ns, time_ns)));
    if ((flags & flag::kSuccessors) != 0) out.changes(record.successors);
    if ((flags & flag::kPipeline) != 0) out.u8(static_cast<std::uint8_t>(*record.pipeline));
    if ((flags & flag::kError) != 0) out.text(record.error);
    if ((flags & flag::kContext) != 0) out.context(as_remembered(record.context, place));
    if ((flags & flag::kOutput) != 0) out.text(record.output);
    if (!record.told.empty()) out.text(record.told);
  }
  bring(record.context, place);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const PipelineChanged& record)
    : time_ns_(time_ns), transitions_(static_cast<std::uint32_t>(record.successors.size())) {
  namespace flag = record_format::changed;
  std::uint8_t flags = static_cast<std::uint8_t>(record.to);
  if (!record.successors.empty()) flags |= flag::kSuccessors;
  if (!record.reason.empty()) flags |= flag::kReason;
  if (!record.told.empty()) flags |= flag::kTold;
  Writer out(*this);
  out.kind(Kind::PipelineChanged);
  out.varint(record.pipeline_no);
  out.u8(flags);
  if ((flags & flag::kSuccessors) != 0) out.changes(record.successors);
  if ((flags & flag::kReason) != 0) out.text(record.reason);
  if (!record.told.empty()) out.text(record.told);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const TaskReferred& record) : time_ns_(time_ns) {
  LEAT_CHECK(!record.external_ref.empty() && record.external_ref.size() <= kExternalRefBytesMax);
  Writer out(*this);
  out.kind(Kind::TaskReferred);
  out.varint(record.pipeline_no);
  out.varint(record.task);
  out.varint(record.attempt);
  out.text(record.external_ref);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const PipelineSignalled& record)
    : time_ns_(time_ns), transitions_(static_cast<std::uint32_t>(record.successors.size())) {
  namespace flag = record_format::signalled;
  std::uint8_t flags = record.pipeline ? static_cast<std::uint8_t>(*record.pipeline) | flag::kPipeline : 0;
  if (!record.successors.empty()) flags |= flag::kSuccessors;
  if (record.start_at_ns != 0) flags |= flag::kStart;
  if (!record.told.empty()) flags |= flag::kTold;
  Writer out(*this);
  out.kind(Kind::PipelineSignalled);
  out.varint(record.pipeline_no);
  out.u8(flags);
  out.text(record.name);
  out.text(record.value);
  if ((flags & flag::kSuccessors) != 0) out.changes(record.successors);
  if ((flags & flag::kStart) != 0) out.u64(static_cast<std::uint64_t>(record.start_at_ns));
  if (!record.told.empty()) out.text(record.told);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const GroupsLeftOut& record)
    : time_ns_(time_ns), transitions_(static_cast<std::uint32_t>(record.transitions)) {
  LEAT_CHECK(record.transitions == transitions_);
  Writer out(*this);
  out.kind(Kind::GroupsLeftOut);
  out.varint(record.transitions);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const PauseChanged& record) : time_ns_(time_ns) {
  Writer out(*this);
  out.kind(Kind::PauseChanged);
  out.u8(static_cast<std::uint8_t>(static_cast<unsigned>(record.scope) |
                                   (record.paused ? record_format::pause::kPaused : 0U)));
  out.text(record.what);
  if (record.paused) out.text(record.reason);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const ScheduleChanged& record) : time_ns_(time_ns) {
  Writer out(*this);
  out.kind(Kind::ScheduleChanged);
  out.schedule_changed(record);
}

/// Takes a context along that is to lie apart. @pre the record is written, and no summary is there yet
void TransitionGroup::bring(const ContextView& context, const ContextPlace& place) {
  if (context.text.size() <= kContextInlineBytesMax) return;
  const std::size_t before = size_;
  {
    Writer out(*this, Writer::kAppend);
    out.varint(place.pipeline_no);
    out.varint(place.place);
    out.text(context.text);
  }
  apart_ += static_cast<std::uint32_t>(size_ - before);
}

void TransitionGroup::list_apart(std::vector<ContextApart>& out) const {
  RecordParser in({data() + size_ - summary_ - apart_, apart_});
  while (!in.rest().empty()) {
    ContextApart context;
    context.place.pipeline_no = in.varint();
    context.place.place = in.number();
    context.text = in.text();
    out.push_back(context);
  }
  LEAT_CHECK(in.ok());
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const QuarantineLeft& record) : time_ns_(time_ns) {
  Writer out(*this);
  out.kind(Kind::QuarantineLeft);
  out.quarantine_left(record);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const PipelineSetAside& record) : time_ns_(time_ns) {
  const TransitionGroup created(time_ns, record.created);
  LEAT_CHECK(created.apart_ == 0);  // a row holds its context
  transitions_ = created.transitions_;
  Writer out(*this);
  out.kind(Kind::Waiting);
  out.waiting_line(record.line);
  out.u8(record_format::waiting::kSetAside);
  out.varint(record.place);
  const auto fields = created.bytes().subspan(1);  // behind the kind
  out.raw(fields.data(), fields.size());
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const PipelinesTakenIn& record) : time_ns_(time_ns) {
  Writer out(*this);
  out.kind(Kind::Waiting);
  out.waiting_line(record.line);
  out.u8(record.in_turn ? record_format::waiting::kInTurn : record_format::waiting::kOutOfTurn);
  out.varint(record.place);
  out.varint(record.begin);
  out.varint(record.end);
  out.varint(record.holes);
  out.text(record.rows);
}

TransitionGroup::TransitionGroup(TransitionGroup&& other) noexcept
    : time_ns_(other.time_ns_),
      size_(std::exchange(other.size_, 0)),
      transitions_(std::exchange(other.transitions_, 0)),
      summary_(std::exchange(other.summary_, 0)),
      apart_(std::exchange(other.apart_, 0)),
      inline_(other.inline_) {}

TransitionGroup& TransitionGroup::operator=(TransitionGroup&& other) noexcept {
  if (this == &other) return *this;
  reset();
  time_ns_ = other.time_ns_;
  size_ = std::exchange(other.size_, 0);
  transitions_ = std::exchange(other.transitions_, 0);
  summary_ = std::exchange(other.summary_, 0);
  apart_ = std::exchange(other.apart_, 0);
  inline_ = other.inline_;
  return *this;
}

}  // namespace leat
