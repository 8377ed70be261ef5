// What a store does that keeps a journal and nothing else.
#include "leat/state_store.h"

namespace leat {

std::expected<void, StoreError> StateStore::replay_from(std::uint64_t sequence, const Visitor& visit) {
  return replay([&](std::uint64_t first, std::span<const std::byte> commit) {
    return first < sequence ? std::expected<void, StoreError>() : visit(first, commit);
  });
}

std::expected<void, StoreError> StateStore::replay_rows(std::uint64_t, const Visitor&) {
  return {};
}

std::expected<void, StoreError> StateStore::takes(const CallerWrites&) const {
  return std::unexpected(
      StoreError{StoreErrorCode::Refused,
                 "this store takes no caller's writes (accepted: one opened in the caller's database)"});
}

std::expected<void, StoreError> StateStore::append_rows(std::uint64_t first_sequence,
                                                        std::uint64_t end_sequence,
                                                        std::span<const std::byte> commit,
                                                        const CommitRows&) {
  return append(first_sequence, end_sequence, commit);
}

}  // namespace leat
