// A caller's database with leat in it, and submissions that bring writes of the caller's.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commit.h"
#include "journal_writer.h"
#include "leat/journal.h"
#include "leat/rocksdb.h"

namespace leat::test {

inline constexpr std::string_view kOrders = "orders";

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

inline constexpr std::uint64_t kSubmissions = 4;

/// Submits pipelines 1, 2, ..., each with an order of the same number. @return how many were acknowledged
inline std::uint64_t play(Database& database, Durability level) {
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

inline std::set<std::string> submitted(StateStore& store) {
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

}  // namespace leat::test
