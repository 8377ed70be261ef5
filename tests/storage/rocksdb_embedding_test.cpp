// leat in a caller's database: both or neither, over failing calls and power cuts; and what stalls do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "caller_database.h"
#include "faulty_file_system.h"
#include "leat/journal.h"
#include "leat/rocksdb.h"
#include "surroundings.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

using Fault = FaultyFileSystem::Fault;
using testing::HasSubstr;

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

}  // namespace
}  // namespace leat::test
