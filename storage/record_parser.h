// Takes a record's fields off its bytes, which may be damaged: every read is bounded, every count limited,
// every enumerator checked. record_format.h documents the form.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "leat/transition_group.h"
#include "record_format.h"

namespace leat {

/// Takes values off the front of a span. After the first failure every value is zero or empty, ok() false.
class RecordParser {
 public:
  explicit RecordParser(std::span<const std::byte> rest) noexcept : rest_(rest) {}

  bool ok() const noexcept { return ok_; }
  std::span<const std::byte> rest() const noexcept { return rest_; }

  std::span<const std::byte> raw(std::uint64_t size) {
    if (size > rest_.size()) return fail(), std::span<const std::byte>{};
    const auto front = rest_.first(static_cast<std::size_t>(size));
    rest_ = rest_.subspan(front.size());
    return front;
  }

  std::uint8_t u8() {
    const auto byte = raw(1);
    return byte.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(byte[0]);
  }

  std::uint64_t u64() {
    const auto bytes = raw(sizeof(std::uint64_t));
    return bytes.empty() ? 0 : record_format::get_u64(bytes.data());
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (std::size_t index = 0; index < record_format::kVarintBytesMax; ++index) {
      const std::uint8_t byte = u8();
      if (index == 9 && byte > 1) break;  // more than 64 bits
      if (index > 0 && byte == 0) break;  // longer than needed, or the end was met
      value |= std::uint64_t{byte & 0x7fU} << (7 * index);
      if (byte < 0x80) return value;
    }
    fail();
    return 0;
  }

  std::int64_t zigzag() { return record_format::unzigzag(varint()); }

  std::uint32_t number(std::uint64_t max = std::numeric_limits<std::uint32_t>::max()) {
    const std::uint64_t value = varint();
    if (value > max) return fail(), 0;
    return static_cast<std::uint32_t>(value);
  }

  std::uint32_t task() { return number(kTasksPerPipelineMax - 1); }

  std::string_view text() {
    const auto bytes = raw(varint());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  ContextView context() {
    const std::string_view value = text();
    if (value.empty() || static_cast<std::uint8_t>(value[0]) != record_format::kContextMark) return value;
    RecordParser in(std::as_bytes(std::span(value.substr(1))));
    const std::uint64_t mark = in.u64();
    if (!in.ok() || !in.rest().empty() || (mark & 1) == 0) return fail(), ContextView();
    return ContextView(static_cast<ContextMark>(mark));
  }

  /// @param last  the enumerator with the highest value; they are dense from 0
  template <typename Enum>
  Enum enumerator(std::uint8_t value, Enum last) {
    if (value > static_cast<std::uint8_t>(last)) return fail(), Enum{};
    return static_cast<Enum>(value);
  }

  std::uint8_t flags(std::uint8_t known) {
    const std::uint8_t value = u8();
    if ((value & ~known) != 0) return fail(), std::uint8_t{0};
    return value;
  }

  void changes(std::vector<Successor>& out) {
    out.clear();
    std::int64_t expected = 0;
    for (std::uint64_t runs = varint(); runs > 0 && ok_; --runs) {
      const std::uint64_t head = varint();
      const std::uint64_t length = (head & 4) != 0 ? std::uint64_t{number()} + 2 : 1;
      const std::int64_t first = expected + record_format::unzigzag(head >> 3);
      if ((head & 3) > 2 || first < 0 || length > kTasksPerPipelineMax ||
          first > std::int64_t{kTasksPerPipelineMax} - static_cast<std::int64_t>(length) ||
          out.size() + length > kTasksPerPipelineMax) {
        return fail();
      }
      for (std::uint64_t index = 0; ok_ && index < length; ++index) {
        out.push_back({static_cast<std::uint32_t>(first + static_cast<std::int64_t>(index)),
                       record_format::kSuccessorStates[head & 3]});
      }
      expected = first + static_cast<std::int64_t>(length);
    }
  }

  /// The fields of WorkflowDefined.
  ///
  /// @param names  hold the record's task names
  WorkflowDefined workflow_defined(std::vector<std::string_view>& names);
  KeyDefined key_defined();
  PipelineTraits traits();
  ScheduleChanged schedule_changed();
  QuarantineLeft quarantine_left();
  Uuid id();
  WaitingLine waiting_line();

  /// Takes nothing more.
  void fail() {
    ok_ = false;
    rest_ = {};
  }

 private:
  std::span<const std::byte> rest_;
  bool ok_ = true;
};

inline WorkflowDefined RecordParser::workflow_defined(std::vector<std::string_view>& names) {
  WorkflowDefined record{};
  record.workflow_no = number();
  record.name = text();
  record.version = u64();
  names.clear();
  for (std::uint32_t count = number(kTasksPerPipelineMax); count > 0 && ok_; --count) names.push_back(text());
  record.tasks = names;
  record.definition = text();
  return record;
}

inline KeyDefined RecordParser::key_defined() {
  KeyDefined record{};
  record.key_no = number();
  record.key = text();
  return record;
}

inline Uuid RecordParser::id() {
  Uuid id;
  const auto bytes = raw(id.bytes.size());
  std::ranges::transform(bytes, id.bytes.begin(),
                         [](std::byte byte) { return static_cast<std::uint8_t>(byte); });
  return id;
}

inline QuarantineLeft RecordParser::quarantine_left() {
  QuarantineLeft record;
  record.pipeline = id();
  record.task = task();
  return record;
}

inline PipelineTraits RecordParser::traits() {
  namespace flag = record_format::traits;
  PipelineTraits traits{};
  const std::uint8_t bits = flags(flag::kAll);
  if ((bits & flag::kConcurrencyKey) != 0) traits.concurrency_key = text();
  if ((bits & flag::kStartAt) != 0) traits.start_at_ns = static_cast<std::int64_t>(u64());
  if ((bits & flag::kIdempotencyKey) != 0) {
    traits.idempotency_key = text();
    traits.key_ends_ns = static_cast<std::int64_t>(u64());
  }
  if ((bits & flag::kTasksDone) != 0) traits.tasks_done = text();
  if ((bits & flag::kFiring) != 0) {
    traits.firing.schedule = text();
    traits.firing.version = varint();
    traits.firing.time_ns = static_cast<std::int64_t>(u64());
    traits.firing.cursor_ns = static_cast<std::int64_t>(u64());
    if (traits.firing.schedule.empty()) fail();
  }
  if ((bits & flag::kMore) != 0) {
    const std::uint8_t more = flags(record_format::more::kAll);
    if ((more & record_format::more::kSignals) != 0) traits.signals = text();
    traits.keeps_start = (more & record_format::more::kKeepsStart) != 0;
    if ((more & record_format::more::kParent) != 0) {
      traits.parent.pipeline = id();
      traits.parent.pipeline_no = varint();
      traits.parent.depth = number();
      traits.parent.name = text();
      if (traits.parent.pipeline.is_nil() || traits.parent.name.empty()) fail();
    }
    if ((more & record_format::more::kChildEnds) != 0) traits.child_ends = text();
    if ((more & record_format::more::kAttempts) != 0) {
      traits.attempts_max = number(std::numeric_limits<std::int32_t>::max());
      if (traits.attempts_max < 2) fail();
    }
  }
  if ((bits & flag::kUrgency) != 0) {
    namespace urgency = record_format::urgency;
    const std::uint8_t urgent = flags(urgency::kAll);
    traits.priority = enumerator(urgent & urgency::kPriorityMask, Priority::Low);
    if ((urgent & urgency::kDeadline) != 0) traits.deadline_ns = static_cast<std::int64_t>(u64());
    if ((urgent & urgency::kRedriven) != 0) traits.redriven = quarantine_left();
  }
  return traits;
}

inline ScheduleChanged RecordParser::schedule_changed() {
  namespace flag = record_format::schedule;
  ScheduleChanged record{};
  record.name = text();
  record.version = varint();
  const std::uint8_t bits = flags(flag::kAll);
  record.removed = (bits & flag::kRemoved) != 0;
  record.paused = (bits & flag::kPaused) != 0;
  record.cursor_ns = static_cast<std::int64_t>(u64());
  record.last_ns = static_cast<std::int64_t>(u64());
  if ((bits & flag::kQueued) != 0) record.queued_ns = static_cast<std::int64_t>(u64());
  if ((bits & flag::kDefinition) != 0) record.definition = text();
  if (record.name.empty() || record.version == 0) fail();
  return record;
}

inline WaitingLine RecordParser::waiting_line() {
  WaitingLine line{};
  line.workflow_no = number();
  line.key_no = number();
  line.priority = enumerator(u8(), Priority::Low);
  return line;
}

}  // namespace leat
