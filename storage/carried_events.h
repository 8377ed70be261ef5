// Old events of what still lives: when the journal's beginning goes, the groups of the pipelines that live
// are copied out of it, into commits that say of all others only how many numbers they took. Private:
// includes RocksDB.
#pragma once

#include <rocksdb/iterator.h>
#include <rocksdb/write_batch.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "commit.h"
#include "journal_family.h"
#include "leat/checkpoint.h"
#include "leat/store_error.h"

namespace leat {

/// Copies what lies before round `to` of the pipelines that have a row in it, under its generation: from the
/// journal behind round `from` and from what was carried to that one. Reads the journal backwards, so that it
/// ends where the oldest of them was created.
///
/// Thread-safety: one thread at a time, beside the committer. Ends before the database is closed.
/// Invariant: what it has written counts only once `to` is the oldest round; done once more, it writes the
/// same.
class EventCarrier {
 public:
  EventCarrier(const JournalDb& journal, const CheckpointMark& from, const CheckpointMark& to);

  /// Reads about a megabyte.
  ///
  /// @return  whether there is more to do
  std::expected<bool, StoreError> step();

 private:
  enum class Phase : std::uint8_t { Rows, Younger, Journal, Carried, Done };

  void enter(Phase phase);
  bool in_range() const;
  std::expected<void, StoreError> visit(rocksdb::WriteBatch& batch);
  std::expected<void, StoreError> note_younger(std::uint64_t first, std::span<const std::byte> commit);
  std::expected<void, StoreError> carry(std::uint64_t first, std::span<const std::byte> commit,
                                        rocksdb::WriteBatch& batch);
  std::optional<std::size_t> place_of(const GroupRecord& record) const;
  void found(std::size_t place);

  const JournalDb& journal_;
  const CheckpointMark from_;
  const CheckpointMark to_;
  Phase phase_ = Phase::Rows;
  std::unique_ptr<rocksdb::Iterator> at_;
  std::vector<std::uint64_t> live_;  // by number
  std::vector<bool> created_;        // whether the creation of each was met
  std::size_t missing_ = 0;          // how many were not
};

}  // namespace leat
