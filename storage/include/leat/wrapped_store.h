// A store that hands everything on to another: what simulators, tests and instruments override in part.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "leat/state_store.h"

namespace leat {

/// Thread-safety: that of the store behind it.
class WrappedStore : public StateStore {
 public:
  /// @param store  not null
  explicit WrappedStore(std::unique_ptr<StateStore> store) noexcept : store_(std::move(store)) {}

  std::uint64_t epoch() const noexcept override { return store_->epoch(); }
  std::uint64_t next_sequence() const noexcept override { return store_->next_sequence(); }
  std::uint64_t journal_end() const noexcept override { return store_->journal_end(); }
  std::uint64_t journal_hash() const noexcept override { return store_->journal_hash(); }
  bool closed_cleanly() const noexcept override { return store_->closed_cleanly(); }
  StoreCondition condition() noexcept override { return store_->condition(); }
  std::expected<void, StoreError> takes(const CallerWrites& writes) const override {
    return store_->takes(writes);
  }
  InFlightBoard* board() noexcept override { return store_->board(); }
  std::expected<void, StoreError> replay(const Visitor& visit) override { return store_->replay(visit); }
  std::expected<void, StoreError> replay_from(std::uint64_t sequence, const Visitor& visit) override {
    return store_->replay_from(sequence, visit);
  }
  bool keeps_checkpoints() const noexcept override { return store_->keeps_checkpoints(); }
  CheckpointMarks checkpoints() const override { return store_->checkpoints(); }
  std::uint64_t next_generation() const noexcept override { return store_->next_generation(); }
  std::expected<void, StoreError> replay_rows(std::uint64_t generation, const Visitor& visit) override {
    return store_->replay_rows(generation, visit);
  }
  void retain_events(const Retention& events) override { store_->retain_events(events); }
  std::uint64_t events_begin() const noexcept override { return store_->events_begin(); }
  const HistoryTail* history() const noexcept override { return store_->history(); }
  std::uint64_t history_begin() const noexcept override { return store_->history_begin(); }
  void retain_history(const Retention& history) override { store_->retain_history(history); }
  std::expected<std::optional<RememberedPipeline>, StoreError> find_pipeline(const Uuid& id) override {
    return store_->find_pipeline(id);
  }
  /// Goes through append_rows(), so that one override sees every commit.
  std::expected<void, StoreError> append(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                         std::span<const std::byte> commit) override {
    return append_rows(first_sequence, end_sequence, commit, {});
  }
  std::expected<void, StoreError> append_rows(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    return store_->append_rows(first_sequence, end_sequence, commit, rows);
  }
  std::expected<std::string, StoreError> read_context(const ContextPlace& place) override {
    return store_->read_context(place);
  }
  bool keeps_waiting() const noexcept override { return store_->keeps_waiting(); }
  std::expected<std::vector<WaitingBounds>, StoreError> waiting_lines() override {
    return store_->waiting_lines();
  }
  std::expected<void, StoreError> replay_waiting(const WaitingLine& line, std::uint64_t from,
                                                 const WaitingVisitor& visit) override {
    return store_->replay_waiting(line, from, visit);
  }
  std::expected<bool, StoreError> tidy() override { return store_->tidy(); }
  std::expected<void, StoreError> acknowledge(std::uint64_t end_sequence) override {
    return store_->acknowledge(end_sequence);
  }
  std::expected<void, StoreError> sync() override { return store_->sync(); }
  std::expected<void, StoreError> close() override { return store_->close(); }

 protected:
  StateStore& store() noexcept { return *store_; }

 private:
  const std::unique_ptr<StateStore> store_;
};

}  // namespace leat
