// Unpacks a group commit. Every read is bounded, every count limited, every enumerator checked.
#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "commit.h"
#include "record_format.h"
#include "record_parser.h"

namespace leat {
namespace {

using record_format::Kind;

std::unexpected<StoreError> damaged_commit(std::uint64_t first_sequence, std::string_view what) {
  return std::unexpected(StoreError{StoreErrorCode::Damaged,
                                    "commit " + std::to_string(first_sequence) + ": " + std::string(what)});
}

}  // namespace

/// Takes the journal's records off the front of a span.
class CommitReader::Parser : public RecordParser {
 public:
  using RecordParser::RecordParser;

  PipelineCreated pipeline_created(std::vector<Successor>& successors, std::vector<std::uint32_t>& ready);
  TaskStarted task_started();
  TaskEnded task_ended(std::int64_t time_ns, std::vector<Successor>& successors);
  PipelineChanged pipeline_changed(std::vector<Successor>& successors);
  TaskReferred task_referred();
  PipelineSignalled pipeline_signalled(std::vector<Successor>& successors);
  PauseChanged pause_changed();
  GroupRecord waiting(std::vector<Successor>& successors, std::vector<std::uint32_t>& ready);

  /// The record of a group that takes sequence numbers, or may. @return  false: the kind is none of those
  bool take_numbered(Kind kind, CommitReader& of);
  /// The same of one that takes none.
  bool take_unnumbered(Kind kind, CommitReader& of);
};

PipelineCreated CommitReader::Parser::pipeline_created(std::vector<Successor>& successors,
                                                       std::vector<std::uint32_t>& ready) {
  namespace flag = record_format::created;
  PipelineCreated record{};
  record.pipeline_no = varint();
  record.id = id();
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
  if ((bits & flag::kContext) != 0) record.context = context();
  if ((bits & flag::kTraits) != 0) record.traits = traits();
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
  const std::uint8_t states = flags(flag::kStatesMask | flag::kTold);
  record.from = enumerator(states & 7U, TaskState::Cancelled);
  record.to = enumerator(static_cast<std::uint8_t>((states & flag::kStatesMask) >> 3), TaskState::Cancelled);
  const std::uint8_t bits = u8();
  record.attempt = (bits & flag::kAttempt) != 0 ? number() : 1;
  if ((bits & flag::kCause) != 0) record.cause = enumerator(u8(), TaskEnded::Cause::GivenUp);
  if ((bits & flag::kRetryAt) != 0) record.retry_at_ns = record_format::sum(time_ns, zigzag());
  if ((bits & flag::kSuccessors) != 0) {
    changes(successors);
    record.successors = successors;
  }
  if ((bits & flag::kPipeline) != 0) record.pipeline = enumerator(u8(), PipelineState::Cancelled);
  if ((bits & flag::kError) != 0) record.error = text();
  if ((bits & flag::kContext) != 0) record.context = context();
  if ((bits & flag::kOutput) != 0) record.output = text();
  if ((states & flag::kTold) != 0) record.told = text();
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
  if ((bits & flag::kTold) != 0) record.told = text();
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

PipelineSignalled CommitReader::Parser::pipeline_signalled(std::vector<Successor>& successors) {
  namespace flag = record_format::signalled;
  PipelineSignalled record{};
  record.pipeline_no = varint();
  const std::uint8_t bits = flags(flag::kAll);
  if ((bits & flag::kPipeline) != 0)
    record.pipeline = enumerator(bits & flag::kStateMask, PipelineState::Cancelled);
  record.name = text();
  record.value = text();
  if ((bits & flag::kSuccessors) != 0) {
    changes(successors);
    record.successors = successors;
  }
  if ((bits & flag::kStart) != 0) record.start_at_ns = static_cast<std::int64_t>(u64());
  if ((bits & flag::kTold) != 0) record.told = text();
  return record;
}

std::optional<std::uint64_t> pipeline_of(const GroupRecord& record) {
  return std::visit(
      [](const auto& any) -> std::optional<std::uint64_t> {
        if constexpr (requires { any.pipeline_no; }) return any.pipeline_no;
        if constexpr (requires { any.created.pipeline_no; }) return any.created.pipeline_no;
        return std::nullopt;
      },
      record);
}

bool creates(const GroupRecord& record) noexcept {
  return std::holds_alternative<PipelineCreated>(record) || std::holds_alternative<PipelineSetAside>(record);
}

bool CommitReader::read_created(std::span<const std::byte> bytes,
                                const std::function<void(const PipelineCreated&)>& use) {
  std::vector<Successor> successors;
  std::vector<std::uint32_t> ready;
  Parser in(bytes);
  const PipelineCreated record = in.pipeline_created(successors, ready);
  if (!in.ok() || !in.rest().empty()) return false;
  use(record);
  return true;
}

/// The fields of a record that sets aside or takes in.
GroupRecord CommitReader::Parser::waiting(std::vector<Successor>& successors,
                                          std::vector<std::uint32_t>& ready) {
  namespace what = record_format::waiting;
  const WaitingLine line = waiting_line();
  const std::uint8_t change = u8();
  const std::uint64_t place = varint();
  if (change == what::kSetAside) {
    const PipelineSetAside record{line, place, pipeline_created(successors, ready)};
    if (record.created.workflow_no != line.workflow_no) fail();
    return record;
  }
  if (change > what::kOutOfTurn) fail();
  PipelinesTakenIn record{.line = line, .in_turn = change == what::kInTurn, .place = place};
  record.begin = varint();
  record.end = varint();
  record.holes = varint();
  record.rows = text();
  if (record.in_turn ? record.begin <= place : record.begin > place) fail();
  if (record.begin > record.end || record.holes > record.end - record.begin) fail();
  return record;
}

PauseChanged CommitReader::Parser::pause_changed() {
  namespace flag = record_format::pause;
  PauseChanged record{};
  const std::uint8_t bits = flags(flag::kAll);
  record.scope = enumerator(bits & flag::kScopeMask, PauseScope::Namespaces);
  record.paused = (bits & flag::kPaused) != 0;
  record.what = text();
  if (record.paused) record.reason = text();
  return record;
}

bool CommitReader::Parser::take_numbered(Kind kind, CommitReader& of) {
  const auto take = [&of](const auto& record, std::uint64_t transitions) {
    of.group_.record = record;
    of.group_.transitions = transitions;
    return true;
  };
  switch (kind) {
    case Kind::PipelineCreated: {
      const PipelineCreated record = pipeline_created(of.successors_, of.ready_);
      return take(record, std::uint64_t{record.task_count} + record.ready.size());
    }
    case Kind::TaskStarted:
      return take(task_started(), 1);
    case Kind::TaskStartedBy: {
      TaskStarted record = task_started();
      record.worker = number();
      record.waited_ns = varint();
      return take(record, 1);
    }
    case Kind::TaskEnded: {
      const TaskEnded record = task_ended(of.group_.time_ns, of.successors_);
      return take(record, 1 + record.successors.size());
    }
    case Kind::PipelineChanged: {
      const PipelineChanged record = pipeline_changed(of.successors_);
      return take(record, record.successors.size());
    }
    case Kind::PipelineSignalled: {
      const PipelineSignalled record = pipeline_signalled(of.successors_);
      return take(record, record.successors.size());
    }
    case Kind::GroupsLeftOut: {
      const std::uint64_t transitions = varint();
      return take(GroupsLeftOut{transitions}, transitions);
    }
    case Kind::Waiting: {
      const GroupRecord record = waiting(of.successors_, of.ready_);
      const auto* const aside = std::get_if<PipelineSetAside>(&record);
      if (aside == nullptr) return take(record, 0);
      return take(record, std::uint64_t{aside->created.task_count} + aside->created.ready.size());
    }
    default:
      return false;
  }
}

bool CommitReader::Parser::take_unnumbered(Kind kind, CommitReader& of) {
  GroupRecord& record = of.group_.record;
  switch (kind) {
    case Kind::WorkflowDefined:
      return record = workflow_defined(of.names_), true;
    case Kind::KeyDefined:
      return record = key_defined(), true;
    case Kind::TaskReferred:
      return record = task_referred(), true;
    case Kind::PauseChanged:
      return record = pause_changed(), true;
    case Kind::ScheduleChanged:
      return record = schedule_changed(), true;
    case Kind::QuarantineLeft:
      return record = quarantine_left(), true;
    default:
      return false;
  }
}

std::expected<CommitReader, StoreError> CommitReader::open(std::uint64_t first_sequence,
                                                           std::span<const std::byte> commit) {
  if (commit.size() <= record_format::kChecksumBytes) return damaged_commit(first_sequence, "too short");
  const auto version = static_cast<std::uint8_t>(commit[0]);
  const auto checked = commit.first(commit.size() - record_format::kChecksumBytes);
  // The checksum first: a flipped version byte is damage, not a later leat. Later versions keep its place.
  const std::uint64_t hash = hash_of_commit(commit);
  if (XXH3_64bits_withSeed(checked.data(), checked.size(), first_sequence) != hash) {
    return damaged_commit(first_sequence, "checksum mismatch");
  }
  if (version < record_format::kVersionUnlinked || version > record_format::kVersion) {
    return std::unexpected(StoreError{StoreErrorCode::NewerFormat,
                                      "commit " + std::to_string(first_sequence) + " has format " +
                                          std::to_string(version) + ", this leat knows formats up to " +
                                          std::to_string(record_format::kVersion)});
  }
  CommitReader reader;
  Parser in(checked.subspan(1));
  CommitHeader& header = reader.header_;
  header.first_sequence = first_sequence;
  header.hash = hash;
  if (version != record_format::kVersionUnlinked) header.link = in.u64();
  header.epoch = in.varint();
  header.gap = in.varint();
  const std::uint64_t unsynced = in.varint();
  header.transitions = in.varint();
  header.groups = in.varint();
  header.base_ns = static_cast<std::int64_t>(in.u64());
  if (version > record_format::kVersionUntimed) {
    const std::uint64_t synced_at = in.varint();
    if (synced_at > 0)
      header.synced_ns = record_format::sum(header.base_ns, record_format::unzigzag(synced_at - 1));
  }
  header.synced = first_sequence - unsynced;
  if (!in.ok() || header.gap > first_sequence || unsynced > first_sequence ||
      header.transitions > std::numeric_limits<std::uint64_t>::max() - first_sequence - 1) {
    return damaged_commit(first_sequence, "malformed header");
  }
  reader.rest_ = in.rest();
  return reader;
}

std::expected<const DecodedGroup*, StoreError> CommitReader::next() {
  const std::uint64_t first = header_.first_sequence;
  if (groups_read_ == header_.groups) {
    if (!rest_.empty()) return damaged_commit(first, "bytes after its last group");
    if (transitions_read_ != header_.transitions)
      return damaged_commit(first, "its groups and its header disagree");
    return nullptr;
  }
  Parser in(rest_);
  group_.time_ns = record_format::sum(header_.base_ns, in.zigzag());
  group_.transitions = 0;
  const std::span<const std::byte> packed = in.rest();
  const auto kind = static_cast<Kind>(in.u8());
  if (!in.take_numbered(kind, *this) && !in.take_unnumbered(kind, *this))
    return damaged_commit(first, "unknown record kind in group " + std::to_string(groups_read_));
  if (!in.ok()) return damaged_commit(first, "malformed group " + std::to_string(groups_read_));
  rest_ = in.rest();
  group_.bytes = packed.first(packed.size() - rest_.size());
  ++groups_read_;
  transitions_read_ += group_.transitions;
  return &group_;
}

}  // namespace leat
