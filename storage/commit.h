// One group commit as bytes: packed by the journal's committer, unpacked by recovery, inspection and
// verification. record_format.h documents the form. What is unpacked may be damaged: nothing read is
// believed before it is checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "leat/store_error.h"
#include "leat/transition_group.h"

namespace leat {

struct CommitHeader {
  std::uint64_t first_sequence = 0;
  std::uint64_t epoch = 0;
  std::uint64_t gap = 0;       ///< numbers left out since the end of the commit before it
  std::uint64_t synced = 0;    ///< the synced watermark when it was written
  std::int64_t synced_ns = 0;  ///< when that sync had returned, Unix time; 0: not known
  std::uint64_t transitions = 0;
  std::uint64_t groups = 0;
  std::int64_t base_ns = 0;  ///< Unix time
  /// The hash of the commit before it; 0: it is the first; none: version 1.
  std::optional<std::uint64_t> link = {};
  std::uint64_t hash = 0;  ///< its checksum: stands for it and, by the links, for all before it

  std::uint64_t end_sequence() const noexcept { return first_sequence + (transitions > 0 ? transitions : 1); }
  /// The end of the commit before it.
  std::uint64_t previous_end() const noexcept { return first_sequence - gap; }
};

/// The hash of a packed commit, unchecked. @pre it is one
std::uint64_t hash_of_commit(std::span<const std::byte> commit) noexcept;

/// Packs groups, each commit linked to the one before. Reuses its buffer, so that packing allocates nothing
/// once the buffer has grown.
class CommitWriter {
 public:
  /// @param link  the hash of the commit before the first one; 0: there is none
  explicit CommitWriter(std::uint64_t link = 0) noexcept : link_(link) {}

  /// Starts a commit of the opening `epoch`.
  void begin(std::uint64_t first_sequence, std::uint64_t previous_end, std::uint64_t epoch,
             std::uint64_t synced, std::int64_t synced_ns = 0);
  void add(const TransitionGroup& group) { add(group.time_ns(), group.bytes(), group.transitions()); }
  /// A group as its record's bytes.
  void add(std::int64_t time_ns, std::span<const std::byte> record, std::uint64_t transitions);

  std::uint64_t first_sequence() const noexcept { return header_.first_sequence; }
  std::uint64_t groups() const noexcept { return header_.groups; }
  std::uint64_t transitions() const noexcept { return header_.transitions; }
  std::uint64_t end_sequence() const noexcept { return header_.end_sequence(); }
  std::size_t size_bytes() const noexcept { return used_; }

  /// @return the packed commit, valid until the next begin()
  std::span<const std::byte> finish();

 private:
  std::byte* take(std::size_t size_max);

  CommitHeader header_;
  std::uint64_t link_;
  std::vector<std::byte> buffer_;  ///< room for the longest header, then the groups
  std::size_t used_ = 0;
};

using GroupRecord =
    std::variant<WorkflowDefined, KeyDefined, PipelineCreated, TaskStarted, TaskEnded, PipelineChanged,
                 TaskReferred, PipelineSignalled, PauseChanged, ScheduleChanged, GroupsLeftOut,
                 QuarantineLeft, PipelineSetAside, PipelinesTakenIn>;

/// @return  the number of the pipeline that the record is about; none: it is about none, or several
std::optional<std::uint64_t> pipeline_of(const GroupRecord& record);
/// @return  whether it is the first that is about its pipeline
bool creates(const GroupRecord& record) noexcept;

struct DecodedGroup {
  std::int64_t time_ns = 0;
  std::uint64_t transitions = 0;
  GroupRecord record;
  std::span<const std::byte> bytes = {};  ///< the record, packed
};

/// Unpacks one commit. The records' views point into the bytes given and into the reader.
///
/// Invariant: memory is bounded by the bytes given plus kTasksPerPipelineMax changes.
class CommitReader {
 public:
  /// Checks version, checksum and header.
  ///
  /// @return NewerFormat, or Damaged with what was found
  static std::expected<CommitReader, StoreError> open(std::uint64_t first_sequence,
                                                      std::span<const std::byte> commit);

  const CommitHeader& header() const noexcept { return header_; }

  /// @return the next group, valid until the next call; null after the last one; Damaged
  std::expected<const DecodedGroup*, StoreError> next();

  /// The fields of PipelineCreated alone. @param use  called once. @return false: the bytes are damaged
  static bool read_created(std::span<const std::byte> bytes,
                           const std::function<void(const PipelineCreated&)>& use);

 private:
  class Parser;

  CommitHeader header_;
  std::span<const std::byte> rest_;
  std::uint64_t groups_read_ = 0;
  std::uint64_t transitions_read_ = 0;
  DecodedGroup group_;
  std::vector<std::string_view> names_;
  std::vector<Successor> successors_;
  std::vector<std::uint32_t> ready_;
};

}  // namespace leat
