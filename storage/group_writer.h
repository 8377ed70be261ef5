// Encodes one record into a group. record_format.h documents the form.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

#include "check.h"
#include "leat/transition_group.h"
#include "record_format.h"

namespace leat {

/// Appends to a group: inside the object while it fits, on the heap from then on.
class TransitionGroup::Writer {
 public:
  explicit Writer(TransitionGroup& group) noexcept
      : group_(group), at_(group.inline_.data()), end_(at_ + kInlineBytes) {}
  struct Append {};
  static constexpr Append kAppend{};
  /// Goes on behind what the group holds.
  Writer(TransitionGroup& group, Append) noexcept : Writer(group) {
    if (group.size_ > kInlineBytes) {
      heap_ = group.heap();
      at_ = end_ = heap_ + group.size_;
    } else {
      at_ += group.size_;
    }
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  ~Writer() {
    const std::size_t size = this->size();
    if (heap_ != nullptr) std::memcpy(group_.inline_.data(), &heap_, sizeof heap_);
    group_.size_ = static_cast<std::uint32_t>(size);
  }

  void u8(std::uint8_t value) { *take(1) = std::byte{value}; }
  void kind(record_format::Kind kind) { u8(static_cast<std::uint8_t>(kind)); }
  void varint(std::uint64_t value) {
    record_format::put_varint(take(record_format::varint_size(value)), value);
  }
  void u64(std::uint64_t value) { record_format::put_u64(take(sizeof value), value); }

  void text(std::string_view value) {
    varint(value.size());
    raw(value.data(), value.size());
  }

  /// A context as it is to be remembered.
  void context(const ContextView& value) {
    if (!value.is_apart()) return text(value.text);
    varint(record_format::kContextMarkBytes);
    u8(record_format::kContextMark);
    u64(static_cast<std::uint64_t>(value.mark));
  }

  void raw(const void* data, std::size_t size) {
    if (size != 0) std::memcpy(take(size), data, size);
  }

  /// The fields of a definition, behind its kind.
  void workflow_defined(const WorkflowDefined& record) {
    LEAT_CHECK(record.tasks.size() <= kTasksPerPipelineMax);
    varint(record.workflow_no);
    text(record.name);
    u64(record.version);
    varint(record.tasks.size());
    for (const std::string_view task : record.tasks) text(task);
    text(record.definition);
  }
  void key_defined(const KeyDefined& record) {
    varint(record.key_no);
    text(record.key);
  }

  void waiting_line(const WaitingLine& line) {
    varint(line.workflow_no);
    varint(line.key_no);
    u8(static_cast<std::uint8_t>(line.priority));
  }

  void schedule_changed(const ScheduleChanged& record) {
    namespace flag = record_format::schedule;
    std::uint8_t flags = 0;
    if (record.removed) flags |= flag::kRemoved;
    if (record.paused) flags |= flag::kPaused;
    if (record.queued_ns != 0) flags |= flag::kQueued;
    if (!record.definition.empty()) flags |= flag::kDefinition;
    text(record.name);
    varint(record.version);
    u8(flags);
    u64(static_cast<std::uint64_t>(record.cursor_ns));
    u64(static_cast<std::uint64_t>(record.last_ns));
    if ((flags & flag::kQueued) != 0) u64(static_cast<std::uint64_t>(record.queued_ns));
    if ((flags & flag::kDefinition) != 0) text(record.definition);
  }

  void quarantine_left(const QuarantineLeft& record) {
    raw(record.pipeline.bytes.data(), record.pipeline.bytes.size());
    varint(record.task);
  }

  void traits(const PipelineTraits& traits) {
    namespace flag = record_format::traits;
    std::uint8_t flags = 0;
    if (!traits.concurrency_key.empty()) flags |= flag::kConcurrencyKey;
    if (!traits.firing.schedule.empty()) flags |= flag::kFiring;
    if (traits.start_at_ns != 0) flags |= flag::kStartAt;
    if (!traits.idempotency_key.empty()) flags |= flag::kIdempotencyKey;
    if (!traits.tasks_done.empty()) flags |= flag::kTasksDone;
    const std::uint8_t urgency = urgency_of(traits);
    if (urgency != kNoUrgency) flags |= flag::kUrgency;
    const std::uint8_t more = more_flags(traits);
    if (more != 0) flags |= flag::kMore;
    u8(flags);
    if ((flags & flag::kConcurrencyKey) != 0) text(traits.concurrency_key);
    if ((flags & flag::kStartAt) != 0) u64(static_cast<std::uint64_t>(traits.start_at_ns));
    if ((flags & flag::kIdempotencyKey) != 0) {
      text(traits.idempotency_key);
      u64(static_cast<std::uint64_t>(traits.key_ends_ns));
    }
    if ((flags & flag::kTasksDone) != 0) text(traits.tasks_done);
    if ((flags & flag::kFiring) != 0) {
      text(traits.firing.schedule);
      varint(traits.firing.version);
      u64(static_cast<std::uint64_t>(traits.firing.time_ns));
      u64(static_cast<std::uint64_t>(traits.firing.cursor_ns));
    }
    if (more != 0) u8(more);
    if ((more & record_format::more::kSignals) != 0) text(traits.signals);
    if ((more & record_format::more::kParent) != 0) {
      raw(traits.parent.pipeline.bytes.data(), traits.parent.pipeline.bytes.size());
      varint(traits.parent.pipeline_no);
      varint(traits.parent.depth);
      text(traits.parent.name);
    }
    if ((more & record_format::more::kChildEnds) != 0) text(traits.child_ends);
    if ((more & record_format::more::kAttempts) != 0) varint(traits.attempts_max);
    if (urgency == kNoUrgency) return;
    u8(urgency);
    if (traits.deadline_ns != 0) u64(static_cast<std::uint64_t>(traits.deadline_ns));
    if (traits.redriven != QuarantineLeft()) quarantine_left(traits.redriven);
  }

  void changes(std::span<const Successor> successors) {
    changes(successors.size(), [&](std::size_t index) { return successors[index]; });
  }

  void ready(std::span<const std::uint32_t> tasks) {
    changes(tasks.size(), [&](std::size_t index) { return Successor{tasks[index], TaskState::Ready}; });
  }

 private:
  static constexpr auto kNoUrgency = static_cast<std::uint8_t>(Priority::Normal);
  static std::uint8_t urgency_of(const PipelineTraits& traits) {
    namespace flag = record_format::urgency;
    return static_cast<std::uint8_t>(static_cast<unsigned>(traits.priority) |
                                     (traits.deadline_ns != 0 ? flag::kDeadline : 0U) |
                                     (traits.redriven != QuarantineLeft() ? flag::kRedriven : 0U));
  }
  static std::uint8_t more_flags(const PipelineTraits& traits) {
    namespace flag = record_format::more;
    std::uint8_t flags = 0;
    if (!traits.signals.empty()) flags |= flag::kSignals;
    if (traits.keeps_start) flags |= flag::kKeepsStart;
    if (!traits.parent.pipeline.is_nil()) flags |= flag::kParent;
    if (!traits.child_ends.empty()) flags |= flag::kChildEnds;
    if (traits.attempts_max > 1) flags |= flag::kAttempts;
    return flags;
  }

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
      varint(record_format::zigzag(std::int64_t{first.task} - expected) << 3 | (length > 1 ? 4U : 0U) |
             code(first.state));
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

}  // namespace leat
