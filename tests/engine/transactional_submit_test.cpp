// A caller's rows and the pipelines that go with them, through a Runner: both or neither.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "../storage/faulty_file_system.h"
#include "../storage/temporary_directory.h"
#include "commit.h"
#include "leat/leat.h"
#include "leat/rocksdb.h"

namespace leat::test {
namespace {

using testing::HasSubstr;

constexpr int kOrders = 6;

/// A caller's database with a family of its own, and a Runner in it.
class Shop {
 public:
  explicit Shop(const std::string& path, rocksdb::Env* env = rocksdb::Env::Default()) {
    rocksdb::DBOptions options;
    options.env = env;
    options.create_if_missing = true;
    std::vector<rocksdb::ColumnFamilyDescriptor> families = {{rocksdb::kDefaultColumnFamilyName, {}},
                                                             {"orders", {}}};
    const RocksdbStore leat;
    leat.configure(options, families);
    rocksdb::DB* db = nullptr;
    is_open_ = rocksdb::DB::Open(options, path, families, &handles_, &db).ok();
    db_.reset(db);
    if (is_open_) store_ = leat.open_in(*db_, handles_);
  }
  ~Shop() {
    runner_.reset();
    store_ = std::unexpected(StoreError{});  // before the database that it uses
    if (db_ == nullptr) return;
    for (rocksdb::ColumnFamilyHandle* handle : handles_)
      db_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    db_->Close().PermitUncheckedError();
  }

  bool is_open() const { return is_open_; }
  std::expected<std::unique_ptr<StateStore>, StoreError>& store() { return store_; }

  /// @return whether it runs
  bool start() {
    if (!store_) return false;
    auto runner =
        Runner::builder().state_store(std::move(*store_)).log_sink([](Severity, std::string_view) {}).build();
    if (!runner || !runner->start()) return false;
    runner_ = std::make_unique<Runner>(std::move(*runner));
    return true;
  }

  /// Submits with a row of that name.
  std::expected<PipelineHandle, Error> submit(const std::string& order, const std::string& key = "") {
    RocksdbWrites writes;
    EXPECT_TRUE(writes.batch.Put(handles_[1], order, "an order").ok());
    return submit_with(writes, order, key);
  }
  /// The same by a merge, which the family does not know.
  std::expected<PipelineHandle, Error> merge(const std::string& order) {
    RocksdbWrites writes;
    EXPECT_TRUE(writes.batch.Merge(handles_[1], order, "an order").ok());
    return submit_with(writes, order, "");
  }
  std::expected<PipelineHandle, Error> submit_with(const RocksdbWrites& writes, const std::string& order,
                                                   const std::string& key) {
    static const auto ship = Workflow::builder("ship").task("pack", [](TaskContext&) {}).build();
    auto handle = runner_->submit(
        *ship, {.context = "{\"order\":\"" + order + "\"}", .idempotency_key = key, .writes = &writes});
    if (!handle) return handle;
    if (auto done = handle->acknowledged(); !done) return std::unexpected(done.error());
    return handle;
  }

  std::set<std::string> orders() const {
    std::set<std::string> names;
    const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator({}, handles_[1]));
    for (at->SeekToFirst(); at->Valid(); at->Next()) names.insert(at->key().ToString());
    EXPECT_TRUE(at->status().ok());
    return names;
  }

  /// Of the pipelines that the journal holds. @pre start() was not called
  std::set<std::string> shipped() {
    std::set<std::string> names;
    const auto done = (*store_)->replay([&](std::uint64_t first, std::span<const std::byte> bytes) {
      auto commit = CommitReader::open(first, bytes);
      EXPECT_TRUE(commit);
      for (auto next = commit->next(); next && *next != nullptr; next = commit->next()) {
        const auto* const created = std::get_if<PipelineCreated>(&(*next)->record);
        if (created == nullptr) continue;
        const std::string context(created->context.text);
        names.insert(context.substr(10, context.size() - 12));
      }
      return std::expected<void, StoreError>();
    });
    EXPECT_TRUE(done);
    return names;
  }

 private:
  bool is_open_ = false;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  std::expected<std::unique_ptr<StateStore>, StoreError> store_ = std::unexpected(StoreError{});
  std::unique_ptr<Runner> runner_;
};

TEST(TransactionalSubmit, KeepsBothOrNeitherWhereverTheDeviceFailsBeforeAPowerCut) {
  constexpr std::uint64_t kStride = 5;
  const char* const given = std::getenv("LEAT_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "LEAT_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  bool untouched = false;
  for (std::uint64_t fail_at = 1 + random() % kStride; !untouched; fail_at += kStride) {
    SCOPED_TRACE("the failing call is number " + std::to_string(fail_at));
    const std::string place = directory.store();
    std::filesystem::remove_all(place);
    const auto system = std::make_shared<FaultyFileSystem>(FaultyFileSystem::Fault::Refuse, fail_at);
    FaultyEnv env(system);
    std::set<std::string> acknowledged;
    {
      Shop shop(place, &env);
      const bool runs = shop.start();
      for (int i = 0; runs && i < kOrders; ++i) {
        const std::string order = std::to_string(i);
        if (shop.submit(order)) acknowledged.insert(order);
      }
    }
    untouched = system->calls() < fail_at;
    system->cut_power(&random);
    Shop shop(place);
    if (!shop.is_open()) {
      EXPECT_TRUE(acknowledged.empty());  // it never came to be
      continue;
    }
    ASSERT_TRUE(shop.store()) << shop.store().error().message;
    EXPECT_EQ(shop.orders(), shop.shipped());
    EXPECT_TRUE(std::ranges::includes(shop.orders(), acknowledged));
    if (testing::Test::HasFailure()) return;
  }
}

TEST(TransactionalSubmit, WritesUnderAKeyThatIsKnownAreRefusedAndNotWritten) {
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  Shop shop(directory.store());
  ASSERT_TRUE(shop.start());
  const auto first = shop.submit("one", "key");
  ASSERT_TRUE(first) << first.error().message;
  const auto again = shop.submit("two", "key");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::AlreadyExists);
  EXPECT_THAT(again.error().message, HasSubstr(first->id().to_string()));
  EXPECT_THAT(again.error().message, HasSubstr("writes: "));
  EXPECT_EQ(shop.orders(), std::set<std::string>{"one"});
}

TEST(TransactionalSubmit, ABatchThatIsRefusedIsItsCallersErrorAlone) {
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  Shop shop(directory.store());
  ASSERT_TRUE(shop.start());
  const auto refused = shop.merge("one");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::InvalidArgument);
  EXPECT_TRUE(shop.submit("two"));
  EXPECT_EQ(shop.orders(), std::set<std::string>{"two"});
}

}  // namespace
}  // namespace leat::test
