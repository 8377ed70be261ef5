// leat in a caller's database: both or neither, over failing calls and power cuts; and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/slice_transform.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "commit.h"
#include "faulty_file_system.h"
#include "filled_store.h"
#include "journal_writer.h"
#include "leat/journal.h"
#include "leat/rocksdb.h"
#include "surroundings.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

using Fault = FaultyFileSystem::Fault;
using testing::HasSubstr;

constexpr std::string_view kOrders = "orders";

/// A caller's database with a family of its own, and leat in it.
class Database {
 public:
  explicit Database(const std::string& path, rocksdb::Env* env = rocksdb::Env::Default(),
                    const std::function<void(rocksdb::DBOptions&)>& change = {}, std::string owner = "main") {
    rocksdb::DBOptions options;
    options.env = env;
    options.create_if_missing = true;
    std::vector<rocksdb::ColumnFamilyDescriptor> families = {{rocksdb::kDefaultColumnFamilyName, {}},
                                                             {std::string(kOrders), {}}};
    const RocksdbStore leat(owner);
    leat.configure(options, families);
    if (change) change(options);
    rocksdb::DB* db = nullptr;
    status_ = rocksdb::DB::Open(options, path, families, &handles_, &db);
    db_.reset(db);
    if (status_.ok()) store_ = leat.open_in(*db_, handles_);
  }
  ~Database() {
    store_ = std::unexpected(StoreError{});  // first: it uses the database
    if (db_ == nullptr) return;
    for (rocksdb::ColumnFamilyHandle* handle : handles_) {
      db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
    db_->Close().PermitUncheckedError();
  }

  const rocksdb::Status& status() const { return status_; }
  std::expected<std::unique_ptr<StateStore>, StoreError>& store() { return store_; }
  rocksdb::DB& db() const { return *db_; }
  rocksdb::ColumnFamilyHandle* orders() const { return handles_[1]; }
  const std::vector<rocksdb::ColumnFamilyHandle*>& families() const { return handles_; }
  rocksdb::ColumnFamilyHandle* family(std::size_t number) const { return handles_[number]; }

  std::set<std::string> order_keys() const {
    std::set<std::string> keys;
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}, handles_[1]));
    for (at->SeekToFirst(); at->Valid(); at->Next()) keys.insert(at->key().ToString());
    EXPECT_TRUE(at->status().ok());
    return keys;
  }

 private:
  rocksdb::Status status_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  std::expected<std::unique_ptr<StateStore>, StoreError> store_ = std::unexpected(StoreError{});
};

class Submission final : public WritesListener {
 public:
  explicit Submission(const RocksdbWrites& writes) : writes_(writes) {}
  const CallerWrites& writes() const noexcept override { return writes_; }
  void on_commit(std::uint64_t, std::uint64_t, bool reached) noexcept override { told = reached ? 1 : -1; }
  int told = 0;

 private:
  const RocksdbWrites& writes_;
};

constexpr std::uint64_t kSubmissions = 4;

/// Submits pipelines 1, 2, ..., each with an order of the same number. @return how many were acknowledged
std::uint64_t play(Database& database, Durability level) {
  if (!database.store()) return 0;
  Journal journal(**database.store(), {.cells = 16});
  std::uint64_t acknowledged = 0;
  for (std::uint64_t number = 1; number <= kSubmissions; ++number) {
    RocksdbWrites writes;
    EXPECT_TRUE(writes.batch.Put(database.orders(), std::to_string(number), "an order").ok());
    EXPECT_TRUE(journal.takes(writes));
    Submission submission(writes);
    EXPECT_TRUE(journal.reserve(1));
    journal.publish_with(start_of(number), level, submission, 0);
    journal.commit_some();
    EXPECT_NE(submission.told, 0);
    if (submission.told == 1) acknowledged = number;
  }
  return acknowledged;
}

std::set<std::string> submitted(StateStore& store) {
  std::set<std::string> numbers;
  EXPECT_TRUE(store.replay([&](std::uint64_t first, std::span<const std::byte> bytes) {
    auto commit = CommitReader::open(first, bytes);
    EXPECT_TRUE(commit);
    EXPECT_EQ(commit->header().groups, 1U) << "a caller's batch is a commit of its own";
    numbers.insert(std::to_string(std::get<TaskStarted>((*commit->next())->record).pipeline_no));
    return std::expected<void, StoreError>();
  }));
  return numbers;
}

TEST(RocksdbEmbedding, WritesAndSubmissionsAreThereAfterAnOrderlyClose) {
  const TemporaryDirectory directory;
  {
    Database database(directory.store());
    ASSERT_TRUE(database.store()) << database.store().error().message;
    EXPECT_EQ(play(database, Durability::Disk), kSubmissions);
    ASSERT_TRUE((*database.store())->close());
  }
  Database database(directory.store());
  ASSERT_TRUE(database.store()) << database.store().error().message;
  EXPECT_EQ((*database.store())->epoch(), 2U);
  EXPECT_TRUE((*database.store())->closed_cleanly());
  EXPECT_EQ(submitted(**database.store()).size(), kSubmissions);
  EXPECT_EQ(database.order_keys(), submitted(**database.store()));
}

struct Cut {
  std::string name;
  Fault fault;
  bool torn;
};

class RocksdbEmbeddingCut : public testing::TestWithParam<Cut> {};

TEST_P(RocksdbEmbeddingCut, KeepsBothOrNeitherWhateverCallFailsBeforeThePowerDoes) {
  const auto [name, fault, torn] = GetParam();
  std::mt19937_64 random(7);
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  std::uint64_t fail_at = 1;
  bool untouched = false;
  for (; !untouched; ++fail_at) {
    SCOPED_TRACE("the failing call is number " + std::to_string(fail_at));
    const std::string place = directory.store();
    std::filesystem::remove_all(place);
    const auto system = std::make_shared<FaultyFileSystem>(fault, fail_at);
    FaultyEnv env(system);
    std::uint64_t acknowledged = 0;
    {
      Database database(place, &env);
      acknowledged = play(database, Durability::Disk);
    }
    system->cut_power(torn ? &random : nullptr);
    untouched = system->calls() < fail_at;
    Database database(place);
    if (!database.status().ok()) {
      EXPECT_EQ(acknowledged, 0U) << database.status().ToString();  // it never came to be
      continue;
    }
    ASSERT_TRUE(database.store()) << database.store().error().message;
    const std::set<std::string> both = submitted(**database.store());
    EXPECT_EQ(database.order_keys(), both);
    EXPECT_GE(both.size(), acknowledged);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(fail_at, 20U);
}

INSTANTIATE_TEST_SUITE_P(Every, RocksdbEmbeddingCut,
                         testing::Values(Cut{"Refused", Fault::Refuse, false},
                                         Cut{"RefusedTorn", Fault::Refuse, true},
                                         Cut{"LiedAboutTorn", Fault::Lie, true},
                                         Cut{"NoSpace", Fault::RefuseForSpace, false}),
                         [](const auto& cut) { return cut.param.name; });

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

/// Publishes pipeline 1 with these writes at level Disk; @return whether both are acknowledged
bool submit_with(Database& database, const RocksdbWrites& writes) {
  Journal journal(**database.store(), {.cells = 16});
  EXPECT_TRUE(journal.takes(writes));
  Submission submission(writes);
  EXPECT_TRUE(journal.reserve(1));
  journal.publish_with(start_of(1), Durability::Disk, submission, 0);
  journal.commit_some();
  return submission.told == 1;
}

TEST(RocksdbEmbedding, ABatchThatIsLimitedInSizeIsWrittenWithASubmission) {
  const TemporaryDirectory directory;
  Database database(directory.store());
  ASSERT_TRUE(database.store()) << database.store().error().message;
  RocksdbWrites writes;
  writes.batch = rocksdb::WriteBatch(0, 64);
  ASSERT_TRUE(writes.batch.Put(database.orders(), "1", "an order").ok());
  EXPECT_TRUE(submit_with(database, writes));
  EXPECT_EQ(database.order_keys(), submitted(**database.store()));
}

TEST(RocksdbEmbedding, ABatchThatIsLoggedInPartIsLoggedWholeWithASubmission) {
  const TemporaryDirectory directory;
  {
    Database database(directory.store());
    ASSERT_TRUE(database.store()) << database.store().error().message;
    RocksdbWrites writes;
    writes.batch.MarkWalTerminationPoint();
    ASSERT_TRUE(writes.batch.Put(database.orders(), "1", "an order").ok());
    EXPECT_TRUE(submit_with(database, writes));
  }  // without close(), so that the log alone has them
  Database database(directory.store());
  ASSERT_TRUE(database.store()) << database.store().error().message;
  EXPECT_EQ(submitted(**database.store()).size(), 1U);
  EXPECT_EQ(database.order_keys(), submitted(**database.store()));
}

TEST(RocksdbEmbedding, AFamilyThatIsDroppedTakesWritesToItAlongAndNothingElse) {
  const TemporaryDirectory directory;
  Database database(directory.store());
  ASSERT_TRUE(database.store()) << database.store().error().message;
  RocksdbWrites writes;
  ASSERT_TRUE(writes.batch.Put(database.orders(), "1", "an order").ok());
  ASSERT_TRUE(database.db().DropColumnFamily(database.orders()).ok());
  EXPECT_TRUE(submit_with(database, writes));
  EXPECT_EQ(submitted(**database.store()).size(), 1U);
  EXPECT_EQ((*database.store())->condition().health, StoreHealth::Healthy);
}

TEST(RocksdbEmbedding, AStoreOfItsOwnTakesNoCallersWrites) {
  const TemporaryDirectory directory;
  const auto store = open_rocksdb_store(directory.store());
  ASSERT_TRUE(store);
  EXPECT_FALSE((*store)->takes(RocksdbWrites()));
}

TEST(RocksdbEmbedding, OwnersOfOneDatabaseDoNotMeet) {
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
    const auto first = one.open_in(*db, handles);
    const auto second = two.open_in(*db, handles);
    ASSERT_TRUE(first && second);
    EXPECT_FALSE(one.open_in(*db, handles)) << "each owner is one at a time";
    Journal journal(**first, {.cells = 16});
    ASSERT_TRUE(journal.reserve(1));
    journal.publish(start_of(1), Durability::Process, nullptr, 0);
    journal.commit_some();
    EXPECT_EQ(submitted(**first).size(), 1U);
    EXPECT_EQ(submitted(**second).size(), 0U);
  }
  for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
}

TEST(RocksdbEmbedding, WriteStallsOfTheDatabaseCloseAdmissionUntilTheyPass) {
  const TemporaryDirectory directory;
  std::shared_ptr<rocksdb::EventListener> listener;  // what configure() has the database tell
  Database database(directory.store(), rocksdb::Env::Default(),
                    [&listener](const rocksdb::DBOptions& options) { listener = options.listeners.back(); });
  ASSERT_TRUE(database.store()) << database.store().error().message;
  StateStore& store = **database.store();
  const auto tell = [&listener](rocksdb::WriteStallCondition now) {
    rocksdb::WriteStallInfo info;
    info.condition.cur = now;
    listener->OnStallConditionsChanged(info);
  };
  Journal journal(store, {});
  EXPECT_EQ(store.condition().health, StoreHealth::Healthy);
  tell(rocksdb::WriteStallCondition::kDelayed);
  EXPECT_EQ(store.condition().health, StoreHealth::Degraded);
  EXPECT_TRUE(journal.admits());
  tell(rocksdb::WriteStallCondition::kStopped);
  EXPECT_EQ(store.condition().health, StoreHealth::ReadOnly);
  EXPECT_THAT(store.condition().reason, HasSubstr("the device does not keep up"));
  tell(rocksdb::WriteStallCondition::kNormal);
  EXPECT_EQ(store.condition().health, StoreHealth::Healthy);
  EXPECT_TRUE(journal.admits());
}

/// Tells as RocksDB does.
void tell(rocksdb::EventListener& listener, const std::string& family, rocksdb::WriteStallCondition now) {
  rocksdb::WriteStallInfo info;
  info.cf_name = family;
  info.condition.cur = now;
  listener.OnStallConditionsChanged(info);
}

TEST(RocksdbEmbedding, AFamilyThatDoesNotStallHidesNoneThatDoes) {
  StallListener listener;
  tell(listener, "orders", rocksdb::WriteStallCondition::kStopped);
  tell(listener, "leat.main.journal", rocksdb::WriteStallCondition::kDelayed);
  EXPECT_EQ(listener.condition(), rocksdb::WriteStallCondition::kStopped);
  tell(listener, "orders", rocksdb::WriteStallCondition::kNormal);
  EXPECT_EQ(listener.condition(), rocksdb::WriteStallCondition::kDelayed);
  tell(listener, "leat.main.journal", rocksdb::WriteStallCondition::kNormal);
  EXPECT_EQ(listener.condition(), rocksdb::WriteStallCondition::kNormal);
}

TEST(RocksdbEmbedding, AStallOfAnEarlierOpeningIsForgotten) {
  const TemporaryDirectory directory;
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  std::vector<rocksdb::ColumnFamilyDescriptor> families = {{rocksdb::kDefaultColumnFamilyName, {}}};
  const RocksdbStore leat;
  leat.configure(options, families);
  for (int opening = 0; opening < 2; ++opening) {
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* raw = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open(options, directory.store(), families, &handles, &raw).ok());
    const std::unique_ptr<rocksdb::DB> db(raw);
    {
      const auto store = leat.open_in(*db, handles);
      ASSERT_TRUE(store) << store.error().message;
      EXPECT_EQ((*store)->condition().health, StoreHealth::Healthy);
      tell(*options.listeners.back(), "leat.main.journal", rocksdb::WriteStallCondition::kStopped);
      EXPECT_EQ((*store)->condition().health, StoreHealth::ReadOnly);
    }
    for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
  }
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
