#include "journal_walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "commit.h"

namespace leat {
namespace {

std::unexpected<StoreError> damaged(std::string message) {
  return std::unexpected(StoreError{StoreErrorCode::Damaged, std::move(message)});
}

}  // namespace

Promise Promise::of(const Superblock& block, const Floor& floor, std::uint64_t boot) noexcept {
  return {.end_min = std::max(floor.promised(boot), block.journal_end),
          .end_max = block.reserved_end,
          .last = {floor.promised(boot), floor.promised_hash(boot)}};
}

std::expected<void, StoreError> check_promise(const std::string& directory, const Promise& promise,
                                              std::uint64_t end) {
  if (end < promise.end_min) {
    return damaged(
        fmt::format("{}: transitions {} to {} were acknowledged and are missing; put back the missing or "
                    "altered files, or restore a backup",
                    directory, end, promise.end_min - 1));
  }
  if (end > promise.end_max) {
    return damaged(
        fmt::format("{}: the journal ends at {}, the superblock allows no more than {}; restore a backup",
                    directory, end, promise.end_max));
  }
  return {};
}

std::expected<JournalEnd, StoreError> end_of(const CommitHeader& header, const JournalEnd& known) {
  if (known.hash != 0 && header.end_sequence() == known.sequence && header.hash != known.hash) {
    return damaged(
        fmt::format("commit {} is not the one that the superblock remembers", header.first_sequence));
  }
  return JournalEnd{header.end_sequence(), header.hash};
}

std::expected<void, StoreError> JournalWalk::step(std::uint64_t sequence, std::span<const std::byte> bytes) {
  const auto commit = CommitReader::open(sequence, bytes);
  if (!commit) return std::unexpected(commit.error());
  const CommitHeader& header = commit->header();
  if (end_.sequence != 0 && header.previous_end() != end_.sequence) {
    return damaged(
        fmt::format("commits are missing: from number {} to {}", end_.sequence, header.previous_end()));
  }
  // Without a round the first commit is the store's first.
  const bool knows_link = end_.hash != 0 || end_.sequence == 0;
  if (knows_link && header.link && *header.link != end_.hash)
    return damaged(fmt::format("commit {} is not linked to the one before it", sequence));
  const auto after = end_of(header, known_);
  if (!after) return std::unexpected(after.error());
  if (told_.hash != 0 && after->sequence == told_.sequence && after->hash != told_.hash)
    return damaged(fmt::format("commit {} is not the one that was acknowledged", header.first_sequence));
  end_ = *after;
  return {};
}

std::uint64_t claim_of(std::uint64_t sequence, std::span<const std::byte> bytes) {
  const auto commit = CommitReader::open(sequence, bytes);
  return commit ? commit->header().synced : 0;
}

}  // namespace leat
