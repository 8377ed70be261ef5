// Contexts that lie apart, in RocksDB: where they lie, how they are read, when they go. Private: includes
// RocksDB.
//
// contexts     key: pipeline's number, place, both big endian: the text
// checkpoint   key 'a', first sequence number of the commit that brought it, then as above: nothing. By this
//              list, in the order of the journal, the contexts are found that go with the journal's beginning
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/iterator.h>
#include <rocksdb/write_batch.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "journal_family.h"
#include "leat/checkpoint.h"
#include "leat/context_image.h"
#include "leat/store_error.h"
#include "leat/transition_group.h"

namespace leat {

std::string context_key(const ContextPlace& place);
/// @return  none: it is not such a key
std::optional<ContextPlace> place_in(const rocksdb::Slice& context_key);

/// A context as the list has it.
struct ListedContext {
  ContextPlace place;
  std::uint64_t first_sequence = 0;  ///< of the commit that brought it
};
/// @return  a key of the list; all of a later commit are above those of an earlier one
std::string listed_key(const ListedContext& context);
/// @return  none: it is not such a key
std::optional<ListedContext> listed_in(const rocksdb::Slice& key);

/// Adds the contexts that a commit brings, and what lists them.
rocksdb::Status put_contexts(const JournalDb& journal, std::uint64_t first_sequence,
                             std::span<const ContextApart> contexts, rocksdb::WriteBatch& batch);

/// @return  the text, or Damaged: there is none
std::expected<std::string, StoreError> read_context(const JournalDb& journal, const ContextPlace& place);

/// Visits the list.
std::expected<void, StoreError> replay_listed(const JournalDb& journal,
                                              const std::function<void(const ListedContext&)>& visit);

/// Frees the contexts that were brought before the round where the events begin, but for those of pipelines
/// that have a row in it: their records are gone.
///
/// Thread-safety: one thread at a time, beside the committer. Ends before the database is closed.
/// Invariant: what it frees, no record and no row refers to; ended early, it finds the rest the next time.
class ContextSweeper {
 public:
  /// @param oldest  the round where the events begin, durably
  ContextSweeper(const JournalDb& journal, const CheckpointMark& oldest);

  /// Reads about a megabyte.
  ///
  /// @return  whether there is more to do
  std::expected<bool, StoreError> step();

 private:
  bool may_go() const;
  std::expected<void, StoreError> note_rows();
  std::expected<void, StoreError> free_some();
  std::expected<void, StoreError> drop_files();

  const JournalDb& journal_;
  const CheckpointMark oldest_;
  std::unique_ptr<rocksdb::Iterator> rows_;  // null: they are noted
  std::unique_ptr<rocksdb::Iterator> listed_;
  std::vector<std::uint64_t> live_;  // by number, once the rows are noted
};

}  // namespace leat
