// Unpacks a group commit. Every read is bounded, every count limited, every enumerator checked.
#include <xxhash.h>
#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "commit.h"
#include "record_format.h"

namespace leat {
namespace {

using record_format::Kind;

std::unexpected<StoreError> damaged(std::uint64_t first_sequence, std::string_view what) {
  return std::unexpected(StoreError{StoreErrorCode::Damaged,
                                    "commit " + std::to_string(first_sequence) + ": " + std::string(what)});
}

}  // namespace

/// Takes values off the front of a span. After the first failure every value is zero or empty, ok() false.
class CommitReader::Parser {
 public:
  explicit Parser(std::span<const std::byte> rest) noexcept : rest_(rest) {}

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

  WorkflowDefined workflow_defined(std::vector<std::string_view>& names);
  KeyDefined key_defined();
  PipelineCreated pipeline_created(std::vector<Successor>& successors, std::vector<std::uint32_t>& ready);
  TaskStarted task_started();
  TaskEnded task_ended(std::int64_t time_ns, std::vector<Successor>& successors);
  PipelineChanged pipeline_changed(std::vector<Successor>& successors);
  TaskReferred task_referred();

 private:
  void fail() {
    ok_ = false;
    rest_ = {};
  }

  std::span<const std::byte> rest_;
  bool ok_ = true;
};

WorkflowDefined CommitReader::Parser::workflow_defined(std::vector<std::string_view>& names) {
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

KeyDefined CommitReader::Parser::key_defined() {
  KeyDefined record{};
  record.key_no = number();
  record.key = text();
  return record;
}

PipelineCreated CommitReader::Parser::pipeline_created(std::vector<Successor>& successors,
                                                       std::vector<std::uint32_t>& ready) {
  namespace flag = record_format::created;
  PipelineCreated record{};
  record.pipeline_no = varint();
  const auto id = raw(record.id.bytes.size());
  std::ranges::transform(id, record.id.bytes.begin(),
                         [](std::byte byte) { return static_cast<std::uint8_t>(byte); });
  record.workflow_no = number();
  record.task_count = number(kTasksPerPipelineMax);
  const std::uint8_t bits = flags(flag::kAll);
  record.level = enumerator(bits & flag::kLevelMask, Durability::Disk);
  ready.clear();
  if ((bits & flag::kReady) != 0)
    changes(successors);
  else
    successors.clear();
  for (const Successor& change : successors) {
    if (change.state != TaskState::Ready || change.task >= record.task_count) fail();
    ready.push_back(change.task);
  }
  record.ready = ready;
  if ((bits & flag::kContext) != 0) record.context = text();
  return record;
}

TaskStarted CommitReader::Parser::task_started() {
  TaskStarted record{};
  record.pipeline_no = varint();
  record.task = task();
  record.attempt = number();
  record.key_no = number();
  return record;
}

TaskEnded CommitReader::Parser::task_ended(std::int64_t time_ns, std::vector<Successor>& successors) {
  namespace flag = record_format::ended;
  TaskEnded record{};
  record.pipeline_no = varint();
  record.task = task();
  const std::uint8_t states = flags(0x3f);
  record.from = enumerator(states & 7U, TaskState::Cancelled);
  record.to = enumerator(static_cast<std::uint8_t>(states >> 3), TaskState::Cancelled);
  const std::uint8_t bits = u8();
  record.attempt = (bits & flag::kAttempt) != 0 ? number() : 1;
  if ((bits & flag::kCause) != 0) record.cause = enumerator(u8(), TaskEnded::Cause::Abandoned);
  if ((bits & flag::kRetryAt) != 0) record.retry_at_ns = record_format::sum(time_ns, zigzag());
  if ((bits & flag::kSuccessors) != 0) {
    changes(successors);
    record.successors = successors;
  }
  if ((bits & flag::kPipeline) != 0) record.pipeline = enumerator(u8(), PipelineState::Cancelled);
  if ((bits & flag::kError) != 0) record.error = text();
  if ((bits & flag::kContext) != 0) record.context = text();
  if ((bits & flag::kOutput) != 0) record.output = text();
  return record;
}

PipelineChanged CommitReader::Parser::pipeline_changed(std::vector<Successor>& successors) {
  namespace flag = record_format::changed;
  PipelineChanged record{};
  record.pipeline_no = varint();
  const std::uint8_t bits = flags(flag::kAll);
  record.to = enumerator(bits & flag::kStateMask, PipelineState::Cancelled);
  if ((bits & flag::kSuccessors) != 0) {
    changes(successors);
    record.successors = successors;
  }
  if ((bits & flag::kReason) != 0) record.reason = text();
  return record;
}

TaskReferred CommitReader::Parser::task_referred() {
  TaskReferred record{};
  record.pipeline_no = varint();
  record.task = task();
  record.attempt = number();
  record.external_ref = text();
  if (record.external_ref.empty() || record.external_ref.size() > kExternalRefBytesMax) fail();
  return record;
}

std::expected<CommitReader, StoreError> CommitReader::open(std::uint64_t first_sequence,
                                                           std::span<const std::byte> commit) {
  if (commit.size() <= record_format::kChecksumBytes) return damaged(first_sequence, "too short");
  const auto version = static_cast<std::uint8_t>(commit[0]);
  const auto checked = commit.first(commit.size() - record_format::kChecksumBytes);
  // The checksum first: a flipped version byte is damage, not a later leat. Later versions keep its place.
  if (XXH3_64bits_withSeed(checked.data(), checked.size(), first_sequence) !=
      record_format::get_u64(checked.data() + checked.size())) {
    return damaged(first_sequence, "checksum mismatch");
  }
  if (version != record_format::kVersion) {
    return std::unexpected(StoreError{StoreErrorCode::NewerFormat,
                                      "commit " + std::to_string(first_sequence) + " has format " +
                                          std::to_string(version) + ", this leat knows formats up to " +
                                          std::to_string(record_format::kVersion)});
  }
  CommitReader reader;
  Parser in(checked.subspan(1));
  CommitHeader& header = reader.header_;
  header.first_sequence = first_sequence;
  header.epoch = in.varint();
  header.gap = in.varint();
  const std::uint64_t unsynced = in.varint();
  header.transitions = in.varint();
  header.groups = in.varint();
  header.base_ns = static_cast<std::int64_t>(in.u64());
  header.synced = first_sequence - unsynced;
  if (!in.ok() || header.gap > first_sequence || unsynced > first_sequence ||
      header.transitions > std::numeric_limits<std::uint64_t>::max() - first_sequence - 1) {
    return damaged(first_sequence, "malformed header");
  }
  reader.rest_ = in.rest();
  return reader;
}

std::expected<const DecodedGroup*, StoreError> CommitReader::next() {
  const std::uint64_t first = header_.first_sequence;
  if (groups_read_ == header_.groups) {
    if (!rest_.empty()) return damaged(first, "bytes after its last group");
    if (transitions_read_ != header_.transitions) return damaged(first, "its groups and its header disagree");
    return nullptr;
  }
  Parser in(rest_);
  group_.time_ns = record_format::sum(header_.base_ns, in.zigzag());
  group_.transitions = 0;
  switch (static_cast<Kind>(in.u8())) {
    case Kind::WorkflowDefined:
      group_.record = in.workflow_defined(names_);
      break;
    case Kind::KeyDefined:
      group_.record = in.key_defined();
      break;
    case Kind::PipelineCreated: {
      const PipelineCreated record = in.pipeline_created(successors_, ready_);
      group_.transitions = std::uint64_t{record.task_count} + record.ready.size();
      group_.record = record;
      break;
    }
    case Kind::TaskStarted:
      group_.transitions = 1;
      group_.record = in.task_started();
      break;
    case Kind::TaskEnded: {
      const TaskEnded record = in.task_ended(group_.time_ns, successors_);
      group_.transitions = 1 + record.successors.size();
      group_.record = record;
      break;
    }
    case Kind::PipelineChanged: {
      const PipelineChanged record = in.pipeline_changed(successors_);
      group_.transitions = record.successors.size();
      group_.record = record;
      break;
    }
    case Kind::TaskReferred:
      group_.record = in.task_referred();
      break;
    default:
      return damaged(first, "unknown record kind in group " + std::to_string(groups_read_));
  }
  if (!in.ok()) return damaged(first, "malformed group " + std::to_string(groups_read_));
  rest_ = in.rest();
  ++groups_read_;
  transitions_read_ += group_.transitions;
  return &group_;
}

}  // namespace leat
