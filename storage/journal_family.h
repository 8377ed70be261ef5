// How a store lies in RocksDB, and what follows from that for options, reading, checking. Private: includes
// RocksDB.
//
// journal      one pair per group commit; key: first sequence number, big endian
// checkpoint   key 'm': CheckpointMarks; key 'r', generation, first sequence number, both big endian: a
//              slice; key 'c', the same: a commit that was carried to that round
// history      key: first sequence number, big endian, and a zero byte: a pack
// contexts     see contexts_family.h, as for the checkpoint's key 'a'
// waiting      line: u32 workflow_no, u8 priority, u32 key_no, all numbers big endian. Key 'b', line: u64
//              begin, end, holes, see WaitingBounds, as of the last taking in; key 'r', line, u64 place: the
//              row of a pipeline that waits. Below a line's begin lie rows that nobody reads: they go by the
//              thousand
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "journal_walk.h"
#include "leat/checkpoint.h"
#include "leat/state_store.h"
#include "leat/store_error.h"
#include "leat/waiting.h"

namespace leat {

inline constexpr std::string_view kJournalFamily = "journal";
inline constexpr std::string_view kCheckpointFamily = "checkpoint";
inline constexpr std::string_view kHistoryFamily = "history";
inline constexpr std::string_view kContextsFamily = "contexts";
inline constexpr std::string_view kWaitingFamily = "waiting";
inline constexpr std::string_view kMarksKey = "m";
inline constexpr std::size_t kJournalKeyBytes = sizeof(std::uint64_t);

std::string journal_key(std::uint64_t first_sequence);
/// @return  the key of a slice; with sequence 0: a key before every slice of the round
std::string row_key(std::uint64_t generation, std::uint64_t first_sequence);

/// @return  the key of a carried commit; with sequence 0: a key before every one of the round
std::string carried_key(std::uint64_t generation, std::uint64_t first_sequence);
/// @return  the number in a key of the journal, a row, a carried commit or a pack, or Damaged
std::expected<std::uint64_t, StoreError> sequence_in(const rocksdb::Slice& key);

std::string history_key(std::uint64_t first_sequence);

/// Adds to a batch what a commit does to the rows of pipelines that wait.
rocksdb::Status put_waiting(rocksdb::WriteBatch& batch, rocksdb::ColumnFamilyHandle* family,
                            std::span<const WaitingChange> changes);

/// Modest in memory, files and threads; quiet. Recovery mode: absolute consistency.
rocksdb::DBOptions journal_db_options(rocksdb::Env* env);
/// The default family, which stays empty, the journal's, the checkpoint's, the history's, the contexts', the
/// waiting pipelines'.
std::vector<rocksdb::ColumnFamilyDescriptor> journal_families(const StoreOptions& store_options = {});

/// @return  Refused: this RocksDB cannot serve them
std::expected<void, StoreError> check_options(const StoreOptions& store_options);

/// RocksDB's checksums do not cover a record whose length was altered so that it looks cut off; this does.
///
/// @return  XXH3-64 of CURRENT and the MANIFEST that it names; 0 where they cannot be read
std::uint64_t manifest_digest(const std::string& directory, rocksdb::Env& env);
/// The same for the content that CURRENT would have with that manifest.
std::uint64_t manifest_digest(const std::string& directory, rocksdb::Env& env, std::string_view current);

/// @param deed  what was tried, and where
StoreError to_store_error(const rocksdb::Status& status, std::string_view deed);

/// RocksDB open on a store's directory, closed when destroyed.
class JournalDb {
 public:
  enum class Access { Write, Create, Read };

  static std::expected<JournalDb, rocksdb::Status> open(const std::string& directory, Access access,
                                                        const rocksdb::DBOptions& options,
                                                        const StoreOptions& store_options = {});
  /// One that stays its owner's.
  ///
  /// @param families  the default one, the journal's, the checkpoint's
  static JournalDb borrow(rocksdb::DB& db, const std::vector<rocksdb::ColumnFamilyHandle*>& families);
  JournalDb(JournalDb&&) noexcept = default;
  JournalDb& operator=(JournalDb&& other) noexcept;
  ~JournalDb();

  rocksdb::DB& db() const noexcept { return *db_; }
  bool is_borrowed() const noexcept { return borrowed_; }
  /// The journal's.
  rocksdb::ColumnFamilyHandle* family() const noexcept { return handles_[1]; }
  /// Null: read in a store of format 1.
  rocksdb::ColumnFamilyHandle* checkpoint() const noexcept {
    return handles_.size() > 2 ? handles_[2] : nullptr;
  }
  /// Null: read in a store that never had one.
  rocksdb::ColumnFamilyHandle* history() const noexcept {
    return handles_.size() > 3 ? handles_[3] : nullptr;
  }
  /// Null: read in a store of a format before 4.
  rocksdb::ColumnFamilyHandle* contexts() const noexcept {
    return handles_.size() > 4 ? handles_[4] : nullptr;
  }
  /// Null: read in a store that never had one.
  rocksdb::ColumnFamilyHandle* waiting() const noexcept {
    return handles_.size() > 5 ? handles_[5] : nullptr;
  }
  std::span<rocksdb::ColumnFamilyHandle* const> families() const noexcept { return handles_; }
  rocksdb::Status close();

  /// Drops a family with all that it holds, and makes an empty one of its name.
  rocksdb::Status renew(std::string_view family);

  /// Visits every commit in order that begins at `from` or later.
  std::expected<void, StoreError> replay(const StateStore::Visitor& visit, std::uint64_t from = 0) const;

  /// The rounds of the checkpoint.
  std::expected<CheckpointMarks, StoreError> marks() const;
  /// A number above that of any row.
  std::expected<std::uint64_t, StoreError> next_generation() const;
  /// Visits every slice of a round in order.
  std::expected<void, StoreError> replay_rows(std::uint64_t generation,
                                              const StateStore::Visitor& visit) const;

  /// Visits every commit that was carried to a round in order.
  std::expected<void, StoreError> replay_carried(std::uint64_t generation,
                                                 const StateStore::Visitor& visit) const;

  /// All lines of pipelines that wait, in order, also those that are empty.
  std::expected<std::vector<WaitingBounds>, StoreError> waiting_lines() const;
  /// Visits the checked rows of a line from a place on.
  std::expected<void, StoreError> replay_waiting(const WaitingLine& line, std::uint64_t from,
                                                 const StateStore::WaitingVisitor& visit) const;

  /// Reads in order of keys, past the cache, with checksums.
  std::unique_ptr<rocksdb::Iterator> scan(rocksdb::ColumnFamilyHandle* family) const;

  /// @return  how long the history is
  std::expected<HistoryTail, StoreError> history_tail() const;
  /// Visits packs in order from the first one on that belongs to `sequence` or later.
  ///
  /// @param visit  returns whether to go on
  std::expected<void, StoreError> replay_history(
      std::uint64_t sequence,
      const std::function<std::expected<bool, StoreError>(std::uint64_t first_sequence,
                                                          std::span<const std::byte> pack)>& visit) const;

  /// Checks the last commit.
  ///
  /// @param known  where it once ended; the answer where it holds nothing
  /// @return       Damaged also where another commit ends there than is known
  std::expected<JournalEnd, StoreError> end(const JournalEnd& known) const;

  /// Checks the checksum of every commit from the newest round of the checkpoint on, and that each is linked
  /// to the one before.
  ///
  /// @param known  as for end()
  /// @param told   the last commit that somebody was told of
  std::expected<JournalEnd, StoreError> check(const JournalEnd& known, const JournalEnd& told) const;

 private:
  JournalDb() = default;

  std::expected<void, StoreError> replay_range(const std::string& first, const std::string& end,
                                               const StateStore::Visitor& visit) const;

  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  bool borrowed_ = false;
};

}  // namespace leat
