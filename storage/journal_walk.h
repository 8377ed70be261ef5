// Whether what is left of a journal is all that was acknowledged: asked by every opening of a store that was
// not closed, of the one on disk and of the simulator's. Knows commits and promises, never where they lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "leat/store_error.h"
#include "store_directory.h"

namespace leat {

/// Where a journal ends.
struct JournalEnd {
  std::uint64_t sequence = 1;  ///< the number after the last one
  std::uint64_t hash = 0;      ///< of the last commit; 0: there is none, or it was not kept

  static JournalEnd of(const Superblock& block) { return {block.journal_end, block.journal_hash}; }
};

/// What must be there, by the superblock and the floor.
struct Promise {
  std::uint64_t end_min = 1;
  std::uint64_t end_max = 1;
  JournalEnd last = {.sequence = 0};  ///< of an unclosed store: the commit that somebody was told of last

  /// @param boot  of the machine, now
  /// @pre         the store was not closed
  static Promise of(const Superblock& block, const Floor& floor, std::uint64_t boot) noexcept;
};

/// @param directory  for the message
/// @param end        the number after the last one that the journal holds
/// @return           Damaged, saying which numbers are missing and what to do
std::expected<void, StoreError> check_promise(const std::string& directory, const Promise& promise,
                                              std::uint64_t end);

/// Goes through the commits of a journal: each must be whole, follow the one before it and be linked to it.
class JournalWalk {
 public:
  /// @param from   where it begins, the minimum of a round of the checkpoint; 0: with the first commit
  /// @param known  where the journal once ended
  /// @param told   the last commit that somebody was told of
  JournalWalk(std::uint64_t from, const JournalEnd& known, const JournalEnd& told) noexcept
      : known_(known), told_(told), end_{.sequence = from} {}

  /// @return  Damaged or NewerFormat; then it stays where it was
  std::expected<void, StoreError> step(std::uint64_t sequence, std::span<const std::byte> bytes);

  /// Behind the last step.
  JournalEnd end() const noexcept { return end_.sequence == 0 ? known_ : end_; }

 private:
  const JournalEnd known_;
  const JournalEnd told_;
  JournalEnd end_;
};

/// What a commit that lies behind a break says: up to where all had been synced when it was written.
///
/// @return  0: it cannot be read
std::uint64_t claim_of(std::uint64_t sequence, std::span<const std::byte> bytes);

struct CommitHeader;
/// @return  Damaged where the commit ends at the known end and is another one
std::expected<JournalEnd, StoreError> end_of(const CommitHeader& header, const JournalEnd& known);

}  // namespace leat
