// leat in a caller's database: what it refuses there, and what verification finds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/slice_transform.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caller_database.h"
#include "filled_store.h"
#include "leat/journal.h"
#include "leat/rocksdb.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

using testing::HasSubstr;

TEST(RocksdbEmbedding, RefusesEveryOptionThatWouldBreakAGuarantee) {
  using Change = std::function<void(rocksdb::DBOptions&)>;
  const std::vector<std::pair<std::string, Change>> changes = {
      {"unordered_write", [](auto& options) { options.unordered_write = true; }},
      {"enable_pipelined_write", [](auto& options) { options.enable_pipelined_write = true; }},
      {"two_write_queues", [](auto& options) { options.two_write_queues = true; }},
      {"manual_wal_flush", [](auto& options) { options.manual_wal_flush = true; }},
      {"paranoid_checks", [](auto& options) { options.paranoid_checks = false; }},
      {"wal_recovery_mode",
       [](auto& options) { options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords; }},
  };
  for (const auto& [option, change] : changes) {
    const TemporaryDirectory directory;
    Database database(directory.store(), rocksdb::Env::Default(), change);
    ASSERT_TRUE(database.status().ok()) << database.status().ToString();
    ASSERT_FALSE(database.store()) << option;
    EXPECT_EQ(database.store().error().code, StoreErrorCode::Refused);
    EXPECT_THAT(database.store().error().message, HasSubstr(option));
  }
}

/// Of a batch that the database would find wrong only once it is in its log.
class RocksdbEmbeddingRefusal : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(database_.store()) << database_.store().error().message; }

  /// Refused in these words, and the store goes on as if nothing had been.
  void expect_refused(const RocksdbWrites& writes, const std::string& words) {
    const auto refused = (*database_.store())->takes(writes);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, StoreErrorCode::Refused);
    EXPECT_THAT(refused.error().message, HasSubstr(words));
    EXPECT_THAT(refused.error().message, testing::Not(HasSubstr("\n")));
    EXPECT_EQ(play(database_, Durability::Disk), kSubmissions);
  }

  const TemporaryDirectory directory_;
  Database database_{directory_.store()};
};

TEST_F(RocksdbEmbeddingRefusal, OfWritesIntoLeatsOwnFamilies) {
  RocksdbWrites writes;
  ASSERT_TRUE(writes.batch.Put(database_.family(2), "k", "v").ok());
  expect_refused(writes, "leat.main.journal: it is one of leat's own families");
}

TEST_F(RocksdbEmbeddingRefusal, OfAMergeIntoAFamilyWithoutAnOperator) {
  RocksdbWrites writes;
  ASSERT_TRUE(writes.batch.Merge(database_.orders(), "k", "v").ok());
  expect_refused(writes, "a merge in the column family orders: it has no merge_operator");
}

TEST_F(RocksdbEmbeddingRefusal, OfARangeThatEndsBeforeItBegins) {
  RocksdbWrites writes;
  ASSERT_TRUE(writes.batch.DeleteRange(database_.orders(), "b", "a").ok());
  expect_refused(writes, "a delete of a range in the column family orders: it ends before it begins");
}

TEST_F(RocksdbEmbeddingRefusal, OfWritesIntoAFamilyThatWasNotThereAtTheOpening) {
  rocksdb::ColumnFamilyHandle* later = nullptr;
  ASSERT_TRUE(database_.db().CreateColumnFamily({}, "later", &later).ok());
  RocksdbWrites writes;
  ASSERT_TRUE(writes.batch.Put(later, "k", "v").ok());
  ASSERT_TRUE(database_.db().DropColumnFamily(later).ok());
  database_.db().DestroyColumnFamilyHandle(later);
  expect_refused(writes, "which open_in() was not given");
}

TEST_F(RocksdbEmbeddingRefusal, OfMoreThanPlainWrites) {
  RocksdbWrites writes;
  const rocksdb::WideColumns columns = {{"a", "b"}};
  ASSERT_TRUE(writes.batch.PutEntity(database_.orders(), "k", columns).ok());
  expect_refused(writes, "the caller's writes: ");
}

TEST(RocksdbEmbedding, RefusesWritesIntoAnotherOwnersFamilies) {
  const TemporaryDirectory directory;
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  std::vector<rocksdb::ColumnFamilyDescriptor> families = {{rocksdb::kDefaultColumnFamilyName, {}}};
  const RocksdbStore one("one");
  const RocksdbStore two("two");
  one.configure(options, families);
  two.configure(options, families);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options, directory.store(), families, &handles, &raw).ok());
  const std::unique_ptr<rocksdb::DB> db(raw);
  {
    const auto store = one.open_in(*db, handles);
    ASSERT_TRUE(store) << store.error().message;
    RocksdbWrites writes;
    ASSERT_TRUE(writes.batch.Put(handles.back(), "k", "v").ok());
    const auto refused = (*store)->takes(writes);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("leat.two.waiting: it is one of leat's own families"));
  }
  for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
}

/// Opens with one option of one of leat's families changed; @return why it is refused
std::string refusal_with(const std::function<void(rocksdb::ColumnFamilyOptions&)>& change) {
  const TemporaryDirectory directory;
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  std::vector<rocksdb::ColumnFamilyDescriptor> families = {{rocksdb::kDefaultColumnFamilyName, {}}};
  const RocksdbStore leat;
  leat.configure(options, families);
  options.allow_concurrent_memtable_write = false;  // with inplace_update_support RocksDB asks for it
  change(families.back().options);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, directory.store(), families, &handles, &raw);
  if (!status.ok()) return "the database: " + status.ToString();
  const std::unique_ptr<rocksdb::DB> db(raw);
  std::string refusal = "it opens";
  if (const auto store = leat.open_in(*db, handles); !store) refusal = store.error().message;
  EXPECT_FALSE(std::filesystem::exists(directory.store() + "/leat-main/LEAT")) << "a refusal leaves nothing";
  for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
  return refusal;
}

/// Keeps what there is, and could do otherwise.
class KeepingFilter final : public rocksdb::CompactionFilter {
 public:
  const char* Name() const override { return "KeepingFilter"; }
};

class KeepingFilterFactory final : public rocksdb::CompactionFilterFactory {
 public:
  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    return std::make_unique<KeepingFilter>();
  }
  const char* Name() const override { return "KeepingFilterFactory"; }
};

TEST(RocksdbEmbedding, RefusesEveryOptionOfItsFamiliesThatWouldDropOrReorderWhatLiesThere) {
  using Change = std::function<void(rocksdb::ColumnFamilyOptions&)>;
  static const KeepingFilter filter;
  const std::vector<std::pair<std::string, Change>> changes = {
      {"comparator", [](auto& options) { options.comparator = rocksdb::ReverseBytewiseComparator(); }},
      {"compaction_style", [](auto& options) { options.compaction_style = rocksdb::kCompactionStyleFIFO; }},
      {"compaction_filter", [](auto& options) { options.compaction_filter = &filter; }},
      {"compaction_filter_factory",
       [](auto& options) { options.compaction_filter_factory = std::make_shared<KeepingFilterFactory>(); }},
      {"prefix_extractor",
       [](auto& options) { options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(1)); }},
      {"inplace_update_support", [](auto& options) { options.inplace_update_support = true; }},
  };
  for (const auto& [option, change] : changes) {
    EXPECT_THAT(refusal_with(change),
                HasSubstr("the option " + option + " of the column family leat.main.waiting"));
  }
}

TEST(RocksdbEmbedding, CommitsWithoutTheDirectoryThatVouchesForThemAreDamageAndStayAsTheyAre) {
  const TemporaryDirectory directory;
  {
    Database database(directory.store());
    ASSERT_TRUE(database.store()) << database.store().error().message;
    EXPECT_EQ(play(database, Durability::Disk), kSubmissions);
  }
  const std::string ours = directory.store() + "/leat-main";
  std::filesystem::remove_all(ours);
  Database database(directory.store());
  ASSERT_FALSE(database.store());
  EXPECT_EQ(database.store().error().code, StoreErrorCode::Damaged);
  EXPECT_THAT(database.store().error().message, HasSubstr(ours + ": LEAT is missing"));
  EXPECT_FALSE(std::filesystem::exists(ours));
}

/// A store in a caller's database with something of everything, closed.
class RocksdbEmbeddingVerification : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(database_.store()) << database_.store().error().message;
    fill_and_close(**database_.store(), {});
    const std::unique_ptr<rocksdb::Iterator> at(database_.db().NewIterator({}, journal()));
    for (at->SeekToFirst(); at->Valid(); at->Next())
      commits_.emplace_back(at->key().ToString(), at->value().ToString());
    ASSERT_GT(commits_.size(), 5U);
  }

  rocksdb::ColumnFamilyHandle* journal() const { return database_.family(2); }
  void put(const std::string& key, const std::string& value) {
    ASSERT_TRUE(database_.db().Put({}, journal(), key, value).ok());
  }
  std::vector<StoreError> findings() {
    const auto found = leat_.verify_in(database_.db(), database_.families());
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : std::vector<StoreError>();
  }

  const TemporaryDirectory directory_;
  Database database_{directory_.store()};
  const RocksdbStore leat_;
  std::vector<std::pair<std::string, std::string>> commits_;
};

TEST_F(RocksdbEmbeddingVerification, FindsNothingInAWholeStore) {
  for (const StoreError& finding : findings()) ADD_FAILURE() << finding.message;
}

TEST_F(RocksdbEmbeddingVerification, FindsAFlippedByteOfEachCommit) {
  for (const auto& [key, value] : commits_) {
    std::string flipped = value;
    flipped.back() = static_cast<char>(flipped.back() ^ 1);
    put(key, flipped);
    const auto found = findings();
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found.front().code, StoreErrorCode::Damaged);
    EXPECT_THAT(found.front().message, HasSubstr("leat-main"));
    put(key, value);
  }
  EXPECT_TRUE(findings().empty());
}

TEST_F(RocksdbEmbeddingVerification, FindsEachCommitThatIsGone) {
  for (const auto& [key, value] : commits_) {
    ASSERT_TRUE(database_.db().Delete({}, journal(), key).ok());
    EXPECT_FALSE(findings().empty());
    put(key, value);
  }
}

TEST(RocksdbEmbedding, VerificationOfAnOwnerWithoutAStoreSaysSo) {
  const TemporaryDirectory directory;
  Database database(directory.store());
  ASSERT_TRUE(database.store());
  const auto findings = RocksdbStore("other").verify_in(database.db(), database.families());
  ASSERT_FALSE(findings);
  EXPECT_EQ(findings.error().code, StoreErrorCode::Refused);
  EXPECT_THAT(findings.error().message, HasSubstr("leat.other.journal"));
}

}  // namespace
}  // namespace leat::test
