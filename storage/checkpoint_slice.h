// The rows of a checkpoint that one group commit brings, as bytes. record_format.h documents the form. What
// is unpacked may be damaged: nothing read is believed before it is checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "checkpoint_row.h"
#include "leat/checkpoint.h"
#include "leat/store_error.h"
#include "leat/transition_group.h"

namespace leat {

/// Packs rows. Reuses its buffer.
class CheckpointSliceWriter {
 public:
  void begin(std::uint64_t first_sequence) noexcept;
  /// @param sequence  the number of the next transition at the row's place in the ring
  void add(const TransitionGroup& row, std::uint64_t sequence);

  std::uint64_t rows() const noexcept { return rows_; }
  std::size_t size_bytes() const noexcept { return buffer_.size(); }
  std::uint64_t generation() const noexcept { return generation_; }
  /// The round that began or ended with one of the rows.
  const std::optional<RoundBegun>& begun() const noexcept { return begun_; }
  const std::optional<RoundEnded>& ended() const noexcept { return ended_; }

  /// @return the packed slice, valid until the next begin()
  std::span<const std::byte> finish();

 private:
  std::uint64_t first_sequence_ = 0;
  std::uint64_t rows_ = 0;
  std::uint64_t generation_ = 0;
  std::optional<RoundBegun> begun_;
  std::optional<RoundEnded> ended_;
  std::vector<std::byte> buffer_;  // room for the longest header, then the rows
};

/// A row as it was unpacked: a pipeline by value, the rest as views into the bytes and the reader.
using CheckpointRow = std::variant<RoundBegun, WorkflowKept, KeyKept, PauseKept, SubmissionKept, ScheduleKept,
                                   QuarantineKept, PipelineImage, TasksKept, RoundEnded>;

/// Unpacks one slice.
class CheckpointSliceReader {
 public:
  /// Checks version, checksum and header.
  ///
  /// @return  NewerFormat, or Damaged with what was found
  static std::expected<CheckpointSliceReader, StoreError> open(std::uint64_t first_sequence,
                                                               std::span<const std::byte> slice);

  std::uint64_t generation() const noexcept { return generation_; }

  /// @return  the next row, valid until the next call; null after the last one; Damaged
  std::expected<CheckpointRow*, StoreError> next();
  /// The number of the next transition at the row's place.
  std::uint64_t sequence() const noexcept { return sequence_; }

 private:
  std::uint64_t first_sequence_ = 0;
  std::uint64_t generation_ = 0;
  std::uint64_t rows_left_ = 0;
  std::span<const std::byte> rest_;
  std::uint64_t sequence_ = 0;
  CheckpointRow row_;
  std::vector<std::string_view> names_;
};

/// Adds the numbers of the pipelines that have a row in a slice.
std::expected<void, StoreError> note_pipelines(std::uint64_t first_sequence, std::span<const std::byte> slice,
                                               std::vector<std::uint64_t>& numbers);

}  // namespace leat
