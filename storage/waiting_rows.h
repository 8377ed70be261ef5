// Rows of pipelines that wait in the store alone: out of the groups of a commit, and checked when they are
// read. record_format.h documents the form.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "leat/store_error.h"
#include "leat/transition_group.h"
#include "leat/waiting.h"

namespace leat {

/// What the groups of one commit change among the rows.
class WaitingChanges {
 public:
  void clear() noexcept {
    changes_.clear();
    values_.clear();
  }
  /// @pre group.changes_waiting()
  void add(const TransitionGroup& group);
  /// In the order of the groups; valid until the next clear().
  std::span<const WaitingChange> all() const noexcept { return changes_; }

 private:
  std::vector<WaitingChange> changes_;
  std::deque<std::string> values_;  // of the rows put
};

/// @param value  a row as a store keeps it
/// @return       the row alone; Damaged
std::expected<std::span<const std::byte>, StoreError> check_waiting(std::uint64_t place,
                                                                    std::span<const std::byte> value);

}  // namespace leat
