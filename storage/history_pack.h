// The summaries of the pipelines that one group commit finished, as bytes. record_format.h documents the
// form. What is unpacked may be damaged: nothing read is believed before it is checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <vector>

#include "leat/history.h"
#include "leat/state_store.h"
#include "leat/store_error.h"
#include "leat/transition_group.h"

namespace leat {

/// Packs summaries. Reuses its buffer.
class HistoryPackWriter {
 public:
  /// @param tail  of the store as it was opened
  explicit HistoryPackWriter(const HistoryTail& tail) : tail_(tail) {}

  void begin(std::uint64_t first_sequence) noexcept;
  /// @pre  the group has a summary
  void add(const TransitionGroup& group);

  std::uint64_t count() const noexcept { return count_; }
  std::size_t size_bytes() const noexcept { return buffer_.size(); }
  /// With all that was packed.
  const HistoryTail& tail() const noexcept { return tail_; }

  /// @return  the packed summaries, valid until the next begin()
  std::span<const std::byte> finish();

 private:
  HistoryTail tail_;
  std::uint64_t first_sequence_ = 0;
  std::uint64_t count_ = 0;
  std::int64_t base_ns_ = 0;
  std::vector<std::byte> buffer_;  // room for the longest header, then the summaries
};

/// Unpacks one commit's summaries.
class HistoryPackReader {
 public:
  /// Checks version, checksum and header.
  static std::expected<HistoryPackReader, StoreError> open(std::uint64_t first_sequence,
                                                           std::span<const std::byte> pack);

  /// The store's whole history up to and without this pack; its time is with it.
  const HistoryTail& before() const noexcept { return before_; }
  std::uint64_t count() const noexcept { return count_; }

  /// @return  the next one, valid until the next call; null after the last; Damaged
  std::expected<const PipelineSummary*, StoreError> next();

 private:
  std::uint64_t first_sequence_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t left_ = 0;
  std::int64_t base_ns_ = 0;
  HistoryTail before_;
  std::span<const std::byte> rest_;
  PipelineSummary summary_;
};

}  // namespace leat
