// Writes commits to a store as the journal does, without a ring: for tests of stores and of what they hold.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint_slice.h"
#include "commit.h"
#include "history_pack.h"
#include "leat/state_store.h"
#include "leat/transition_group.h"
#include "waiting_rows.h"

namespace leat::test {

class JournalWriter {
 public:
  explicit JournalWriter(StateStore& store)
      : store_(store),
        writer_(store.journal_hash()),
        history_(store.history() != nullptr ? *store.history() : HistoryTail()),
        next_(store.next_sequence()),
        end_(store.journal_end()),
        synced_(store.journal_end()) {}

  /// One commit that somebody was told of.
  template <typename... Groups>
  std::expected<void, StoreError> append(const Groups&... groups) {
    auto done = append_untold(groups...);
    return done ? store_.acknowledge(end_) : done;
  }

  /// One commit that nobody waited for.
  template <typename... Groups>
  std::expected<void, StoreError> append_untold(const Groups&... groups) {
    writer_.begin(next_, end_, store_.epoch(), synced_);
    history_.begin(next_);
    (writer_.add(groups), ...);
    std::vector<ContextApart> contexts;
    (groups.list_apart(contexts), ...);
    ((groups.summary().empty() ? void() : history_.add(groups)), ...);
    const auto bytes = writer_.finish();
    CommitRows rows;
    if (history_.count() > 0) rows.history = history_.finish();
    rows.contexts = contexts;
    waiting_.clear();
    ((groups.changes_waiting() ? waiting_.add(groups) : void()), ...);
    rows.waiting = waiting_.all();
    auto done = store_.append_rows(next_, writer_.end_sequence(), bytes, rows);
    if (done) next_ = end_ = writer_.end_sequence();
    return done;
  }

  /// One commit that brings rows of the checkpoint and nothing else, as the journal writes it.
  std::expected<void, StoreError> append_rows(const std::vector<TransitionGroup>& groups) {
    writer_.begin(next_, end_, store_.epoch(), synced_);
    rows_.begin(next_);
    for (const TransitionGroup& row : groups) rows_.add(row, next_);
    const auto slice = rows_.finish();
    auto done = store_.append_rows(next_, writer_.end_sequence(), writer_.finish(),
                                   {slice, rows_.generation(), rows_.begun(), rows_.ended()});
    if (done) next_ = end_ = writer_.end_sequence();
    return done ? store_.acknowledge(end_) : done;
  }

  std::expected<void, StoreError> sync() {
    auto done = store_.sync();
    if (done) synced_ = end_;
    return done;
  }

  std::uint64_t end() const { return end_; }

 private:
  StateStore& store_;
  CommitWriter writer_;
  CheckpointSliceWriter rows_;
  HistoryPackWriter history_;
  WaitingChanges waiting_;
  std::uint64_t next_;
  std::uint64_t end_;
  std::uint64_t synced_;
};

/// A start of a task, told apart by its pipeline's number: one transition.
inline TransitionGroup start_of(std::uint64_t pipeline_no) {
  return {0, TaskStarted{.pipeline_no = pipeline_no, .task = 0, .attempt = 1, .key_no = 1}};
}

}  // namespace leat::test
