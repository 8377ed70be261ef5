// What a store does that keeps a journal and nothing else.
#include "leat/state_store.h"

#include <string_view>

#include "pipeline_search.h"

namespace leat {

std::expected<void, StoreError> StateStore::replay_from(std::uint64_t sequence, const Visitor& visit) {
  return replay([&](std::uint64_t first, std::span<const std::byte> commit) {
    return first < sequence ? std::expected<void, StoreError>() : visit(first, commit);
  });
}

std::expected<void, StoreError> StateStore::replay_rows(std::uint64_t, const Visitor&) {
  return {};
}

std::expected<std::optional<RememberedPipeline>, StoreError> StateStore::find_pipeline(const Uuid& id) {
  const CheckpointMarks marks = checkpoints();
  return find_in_rounds(
      id, marks.kept(),
      [this](std::uint64_t generation, const Visitor& visit) { return replay_rows(generation, visit); },
      [this](std::uint64_t sequence, const Visitor& visit) { return replay_from(sequence, visit); });
}

std::expected<std::vector<WaitingBounds>, StoreError> StateStore::waiting_lines() {
  return std::vector<WaitingBounds>();
}

std::expected<void, StoreError> StateStore::replay_waiting(const WaitingLine&, std::uint64_t,
                                                           const WaitingVisitor&) {
  return {};
}

std::expected<void, StoreError> StateStore::takes(const CallerWrites&) const {
  return std::unexpected(
      StoreError{StoreErrorCode::Refused,
                 "this store takes no caller's writes (accepted: one opened in the caller's database)"});
}

std::expected<std::string, StoreError> StateStore::read_context(const ContextPlace& place) {
  return std::unexpected(missing_context(place));
}

namespace {

StoreError context_error(const ContextPlace& place, std::string_view what) {
  const std::string whose =
      place.place == 0 ? "that it began with" : "of task " + std::to_string(place.place - 1);
  return {StoreErrorCode::Damaged, "pipeline " + std::to_string(place.pipeline_no) + ": the context " +
                                       whose + " " + std::string(what)};
}

}  // namespace

StoreError missing_context(const ContextPlace& place) {
  return context_error(place, "is missing");
}

StoreError other_context(const ContextPlace& place) {
  return context_error(place, "is not the one that was saved");
}

std::expected<void, StoreError> StateStore::append_rows(std::uint64_t first_sequence,
                                                        std::uint64_t end_sequence,
                                                        std::span<const std::byte> commit,
                                                        const CommitRows& rows) {
  if (!rows.contexts.empty()) {
    return std::unexpected(
        StoreError{StoreErrorCode::Refused, "this store keeps no contexts of more than " +
                                                std::to_string(kContextInlineBytesMax) + " bytes"});
  }
  return append(first_sequence, end_sequence, commit);
}

}  // namespace leat
