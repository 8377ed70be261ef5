// The round of the checkpoint whose rows a store is being given: what is known of it until it is complete.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "check.h"
#include "leat/checkpoint.h"
#include "leat/state_store.h"

namespace leat {

/// How long events stay where nobody says otherwise.
inline constexpr Retention kRetainEvents = {.age_ns = std::chrono::nanoseconds(std::chrono::days(7)).count()};

class CheckpointRound {
 public:
  /// Takes note of rows that are about to be written.
  ///
  /// @param end_sequence   of the commit that brings them
  /// @param hash           of that commit
  /// @param journal_bytes  of the store's whole life, that commit included
  /// @return               the round's mark, where it is complete with them
  std::optional<CheckpointMark> add(const CommitRows& rows, std::uint64_t end_sequence,
                                    std::uint64_t hash, std::uint64_t journal_bytes) {
    if (rows.begun) mark_ = {.generation = rows.generation, .minimum = rows.begun->minimum};
    mark_.row_bytes += rows.slice.size();
    if (!rows.ended) return std::nullopt;
    LEAT_CHECK(rows.ended->generation == mark_.generation);
    mark_.end = end_sequence;
    mark_.hash = hash;
    mark_.ended_ns = rows.ended->time_ns;
    mark_.journal_bytes = journal_bytes;
    return mark_;
  }

 private:
  CheckpointMark mark_;
};

}  // namespace leat
