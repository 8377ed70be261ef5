// Encodes transition groups. record_format.h documents the form.
#include "leat/transition_group.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "check.h"
#include "record_format.h"

namespace leat {

using record_format::Kind;
using record_format::put_u64;
using record_format::put_varint;
using record_format::varint_size;
using record_format::zigzag;

/// Appends to a group: inside the object while it fits, on the heap from then on.
class TransitionGroup::Writer {
 public:
  explicit Writer(TransitionGroup& group) noexcept
      : group_(group), at_(group.inline_.data()), end_(at_ + kInlineBytes) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  ~Writer() {
    const std::size_t size = this->size();
    if (heap_ != nullptr) std::memcpy(group_.inline_.data(), &heap_, sizeof heap_);
    group_.size_ = static_cast<std::uint32_t>(size);
  }

  void u8(std::uint8_t value) { *take(1) = std::byte{value}; }
  void kind(Kind kind) { u8(static_cast<std::uint8_t>(kind)); }
  void varint(std::uint64_t value) { put_varint(take(varint_size(value)), value); }
  void u64(std::uint64_t value) { put_u64(take(sizeof value), value); }

  void text(std::string_view value) {
    varint(value.size());
    raw(value.data(), value.size());
  }

  void raw(const void* data, std::size_t size) {
    if (size != 0) std::memcpy(take(size), data, size);
  }

  void changes(std::span<const Successor> successors) {
    changes(successors.size(), [&](std::size_t index) { return successors[index]; });
  }

  void ready(std::span<const std::uint32_t> tasks) {
    changes(tasks.size(), [&](std::size_t index) { return Successor{tasks[index], TaskState::Ready}; });
  }

 private:
  std::size_t size() const {
    return static_cast<std::size_t>(at_ - (heap_ != nullptr ? heap_ : group_.inline_.data()));
  }

  std::byte* take(std::size_t count) {
    if (static_cast<std::size_t>(end_ - at_) < count) [[unlikely]]
      grow(count);
    return std::exchange(at_, at_ + count);
  }

  void grow(std::size_t count) noexcept {
    const std::size_t used = size();
    LEAT_CHECK(used <= kGroupBytesMax && count <= kGroupBytesMax - used);
    const std::size_t capacity = std::max(2 * used, used + count);
    auto* const larger = new std::byte[capacity];
    std::memcpy(larger, at_ - used, used);
    delete[] std::exchange(heap_, larger);
    at_ = larger + used;
    end_ = larger + capacity;
  }

  static std::uint64_t code(TaskState state) {
    const auto* const found = std::ranges::find(record_format::kSuccessorStates, state);
    LEAT_CHECK(found != std::ranges::end(record_format::kSuccessorStates));
    return static_cast<std::uint64_t>(found - record_format::kSuccessorStates);
  }

  /// @return the index after the run of neighbours with the same state that starts at `first`
  template <typename At>
  static std::size_t run_end(std::size_t count, const At& at, std::size_t first) {
    std::size_t end = first + 1;
    while (end < count && at(end).state == at(first).state && at(end).task == at(end - 1).task + 1) ++end;
    return end;
  }

  template <typename At>
  void changes(std::size_t count, const At& at) {
    LEAT_CHECK(count <= kTasksPerPipelineMax);
    std::uint64_t runs = 0;
    for (std::size_t index = 0; index < count; index = run_end(count, at, index)) ++runs;
    varint(runs);
    std::int64_t expected = 0;
    for (std::size_t index = 0; index < count;) {
      const std::size_t end = run_end(count, at, index);
      const std::uint64_t length = end - index;
      const Successor first = at(index);
      varint(zigzag(std::int64_t{first.task} - expected) << 3 | (length > 1 ? 4U : 0U) | code(first.state));
      if (length > 1) varint(length - 2);
      expected = std::int64_t{first.task} + static_cast<std::int64_t>(length);
      index = end;
    }
  }

  TransitionGroup& group_;
  std::byte* heap_ = nullptr;
  std::byte* at_;
  std::byte* end_;
};

TransitionGroup::TransitionGroup(std::int64_t time_ns, const WorkflowDefined& record) : time_ns_(time_ns) {
  LEAT_CHECK(record.tasks.size() <= kTasksPerPipelineMax);
  Writer out(*this);
  out.kind(Kind::WorkflowDefined);
  out.varint(record.workflow_no);
  out.text(record.name);
  out.u64(record.version);
  out.varint(record.tasks.size());
  for (const std::string_view task : record.tasks) out.text(task);
  out.text(record.definition);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const KeyDefined& record) : time_ns_(time_ns) {
  Writer out(*this);
  out.kind(Kind::KeyDefined);
  out.varint(record.key_no);
  out.text(record.key);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const PipelineCreated& record)
    : time_ns_(time_ns), transitions_(record.task_count + static_cast<std::uint32_t>(record.ready.size())) {
  namespace flag = record_format::created;
  LEAT_CHECK(record.task_count <= kTasksPerPipelineMax);
  std::uint8_t flags = static_cast<std::uint8_t>(record.level);
  if (!record.ready.empty()) flags |= flag::kReady;
  if (!record.context.empty()) flags |= flag::kContext;
  Writer out(*this);
  out.kind(Kind::PipelineCreated);
  out.varint(record.pipeline_no);
  out.raw(record.id.bytes.data(), record.id.bytes.size());
  out.varint(record.workflow_no);
  out.varint(record.task_count);
  out.u8(flags);
  if ((flags & flag::kReady) != 0) out.ready(record.ready);
  if ((flags & flag::kContext) != 0) out.text(record.context);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const TaskStarted& record)
    : time_ns_(time_ns), transitions_(1) {
  Writer out(*this);
  out.kind(Kind::TaskStarted);
  out.varint(record.pipeline_no);
  out.varint(record.task);
  out.varint(record.attempt);
  out.varint(record.key_no);
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
  Writer out(*this);
  out.kind(Kind::TaskEnded);
  out.varint(record.pipeline_no);
  out.varint(record.task);
  out.u8(
      static_cast<std::uint8_t>(static_cast<unsigned>(record.from) | static_cast<unsigned>(record.to) << 3));
  out.u8(flags);
  if ((flags & flag::kAttempt) != 0) out.varint(record.attempt);
  if ((flags & flag::kCause) != 0) out.u8(static_cast<std::uint8_t>(record.cause));
  if ((flags & flag::kRetryAt) != 0)
    out.varint(zigzag(record_format::difference(record.retry_at_ns, time_ns)));
  if ((flags & flag::kSuccessors) != 0) out.changes(record.successors);
  if ((flags & flag::kPipeline) != 0) out.u8(static_cast<std::uint8_t>(*record.pipeline));
  if ((flags & flag::kError) != 0) out.text(record.error);
  if ((flags & flag::kContext) != 0) out.text(record.context);
  if ((flags & flag::kOutput) != 0) out.text(record.output);
}

TransitionGroup::TransitionGroup(std::int64_t time_ns, const PipelineChanged& record)
    : time_ns_(time_ns), transitions_(static_cast<std::uint32_t>(record.successors.size())) {
  namespace flag = record_format::changed;
  std::uint8_t flags = static_cast<std::uint8_t>(record.to);
  if (!record.successors.empty()) flags |= flag::kSuccessors;
  if (!record.reason.empty()) flags |= flag::kReason;
  Writer out(*this);
  out.kind(Kind::PipelineChanged);
  out.varint(record.pipeline_no);
  out.u8(flags);
  if ((flags & flag::kSuccessors) != 0) out.changes(record.successors);
  if ((flags & flag::kReason) != 0) out.text(record.reason);
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

TransitionGroup::TransitionGroup(TransitionGroup&& other) noexcept
    : time_ns_(other.time_ns_),
      size_(std::exchange(other.size_, 0)),
      transitions_(std::exchange(other.transitions_, 0)),
      inline_(other.inline_) {}

TransitionGroup& TransitionGroup::operator=(TransitionGroup&& other) noexcept {
  if (this == &other) return *this;
  reset();
  time_ns_ = other.time_ns_;
  size_ = std::exchange(other.size_, 0);
  transitions_ = std::exchange(other.transitions_, 0);
  inline_ = other.inline_;
  return *this;
}

}  // namespace leat
