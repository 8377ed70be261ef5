// What the RocksDB store refuses, and what it makes of a directory that somebody has been at.
#include "rocksdb_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/file_system.h>
#include <xxhash.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "commit.h"
#include "journal_family.h"
#include "journal_writer.h"
#include "leat/state_store.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

class RocksdbStore : public testing::Test {
 protected:
  static constexpr std::uint64_t kOtherBoot = 12345;

  using Opened = std::expected<std::unique_ptr<StateStore>, StoreError>;

  Opened open() { return open_rocksdb_store(path_); }
  /// As after the machine was switched off and on: only what was synced counts as acknowledged.
  Opened open_after_power_cut() { return open_rocksdb_store(path_, StoreEnvironment{.boot = kOtherBoot}); }

  /// Appends pipelines first..last, one commit each. Synced after each number in `synced`; left as a crash
  /// leaves it.
  void crash_with(std::uint64_t first, std::uint64_t last, std::vector<std::uint64_t> synced = {}) {
    auto store = open();
    ASSERT_TRUE(store) << store.error().message;
    JournalWriter writer(**store);
    for (std::uint64_t number = first; number <= last; ++number) {
      ASSERT_TRUE(writer.append(start_of(number)));
      if (std::ranges::count(synced, number) > 0) {
        ASSERT_TRUE(writer.sync());
      }
    }
  }

  void close_with(std::uint64_t last) {
    auto store = open();
    ASSERT_TRUE(store) << store.error().message;
    JournalWriter writer(**store);
    for (std::uint64_t number = 1; number <= last; ++number) ASSERT_TRUE(writer.append(start_of(number)));
    ASSERT_TRUE((*store)->close());
  }

  static std::vector<std::uint64_t> contents(StateStore& store) {
    std::vector<std::uint64_t> found;
    const auto done = store.replay([&](std::uint64_t first, std::span<const std::byte> bytes) {
      auto commit = CommitReader::open(first, bytes);
      found.push_back(std::get<TaskStarted>((*commit->next())->record).pipeline_no);
      return std::expected<void, StoreError>();
    });
    EXPECT_TRUE(done);
    return found;
  }

  /// The only file in the store whose name has this beginning or this end.
  fs::path file(const std::string& affix) {
    fs::path found;
    for (const auto& entry : fs::directory_iterator(path_)) {
      const std::string name = entry.path().filename();
      if (!name.starts_with(affix) && !name.ends_with(affix)) continue;
      EXPECT_EQ(found, "") << affix << " is not unique: " << found << ", " << name;
      found = entry.path();
    }
    EXPECT_NE(found, "") << affix;
    return found;
  }

  std::map<std::string, std::string> snapshot() {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(path_))
      files[entry.path().filename()] = read(entry.path());
    return files;
  }

  /// Opening is refused with this code, a line that names the directory, and without a byte changed.
  void expect_refused(StoreErrorCode code, const std::string& words, bool power_cut = false) {
    const auto before = snapshot();
    const auto store = power_cut ? open_after_power_cut() : open();
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, code) << store.error().message;
    EXPECT_THAT(store.error().message, HasSubstr(words));
    EXPECT_THAT(store.error().message, HasSubstr(path_));
    EXPECT_THAT(store.error().message, testing::Not(HasSubstr("\n")));
    EXPECT_EQ(snapshot(), before);
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.store();
};

TEST_F(RocksdbStore, SecondOpenerIsLockedOut) {
  const auto first = open();
  ASSERT_TRUE(first);
  expect_refused(StoreErrorCode::Locked, "open in another process");
}

TEST_F(RocksdbStore, NewerFormatIsRefusedWithBothNumbers) {
  close_with(1);
  std::string text = "leat store format 7\nsomething new\n";
  char checksum[32];
  std::snprintf(checksum, sizeof checksum, "checksum %016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  write(path_ + "/LEAT", text + checksum);
  expect_refused(StoreErrorCode::NewerFormat,
                 "has format 7, this leat knows formats up to " + std::to_string(kStoreFormat));
}

TEST_F(RocksdbStore, DirectoryWithForeignFilesIsNotAStore) {
  fs::create_directory(path_);
  write(path_ + "/notes.txt", "mine");
  expect_refused(StoreErrorCode::NotAStore, "not a leat store");
}

TEST_F(RocksdbStore, FileIsNotAStore) {
  write(path_, "mine");
  const auto store = open();
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, StoreErrorCode::NotAStore);
  EXPECT_EQ(read(path_), "mine");
}

TEST_F(RocksdbStore, DirectoryWithoutParentIsNotWritable) {
  const auto store = open_rocksdb_store(path_ + "/missing/store");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, StoreErrorCode::NotWritable);
  EXPECT_THAT(store.error().message, HasSubstr(path_ + "/missing/store"));
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(RocksdbStore, CreationThatWasInterruptedStartsAgain) {
  fs::create_directory(path_);
  write(path_ + "/LEAT.new", "leat sto");
  const auto store = open();
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->epoch(), 1U);
}

TEST_F(RocksdbStore, TornTailOpensWithAllThatWasAcknowledged) {
  crash_with(1, 3);
  const fs::path log = file(".log");
  write(log, read(log) + std::string("\x12\x34\x56\x78\x40\x00\x01half a record", 20));
  const auto store = open();
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_THAT(contents(**store), ElementsAre(1, 2, 3));
}

TEST_F(RocksdbStore, StoreWithATornTailGoesOnAndClosesAndOpens) {
  crash_with(1, 3);
  const fs::path log = file(".log");
  write(log, read(log) + "half");
  crash_with(4, 4);
  crash_with(5, 5);
  const auto store = open();
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_THAT(contents(**store), ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(RocksdbStore, PowerCutMayTakeWhatWasNotSynced) {
  crash_with(1, 3, {2});
  const fs::path log = file(".log");
  fs::resize_file(log, fs::file_size(log) - 5);
  const auto store = open_after_power_cut();
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_THAT(contents(**store), ElementsAre(1, 2));
}

TEST_F(RocksdbStore, LossOfAWrittenCommitWithoutAPowerCutIsDamage) {
  crash_with(1, 3, {2});
  const fs::path log = file(".log");
  fs::resize_file(log, fs::file_size(log) - 5);
  expect_refused(StoreErrorCode::Damaged, "3 to 3 were acknowledged and are missing");
}

TEST_F(RocksdbStore, LossOfACommitThatNobodyWasToldOfIsATornTail) {
  crash_with(1, 2);
  {
    auto store = open();
    ASSERT_TRUE(store);
    ASSERT_TRUE(JournalWriter(**store).append_untold(start_of(3)));
  }
  const fs::path log = file(".log");
  fs::resize_file(log, fs::file_size(log) - 5);
  const auto store = open();
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_THAT(contents(**store), ElementsAre(1, 2));
}

TEST_F(RocksdbStore, LossOfASyncedCommitIsDamageAfterAPowerCutToo) {
  crash_with(1, 3, {3});
  const fs::path log = file(".log");
  fs::resize_file(log, fs::file_size(log) - 5);
  expect_refused(StoreErrorCode::Damaged, "3 to 3 were acknowledged and are missing", true);
}

TEST_F(RocksdbStore, LossOfTheFirstCommitsIsDamage) {
  crash_with(1, 5, {5});
  {
    rocksdb::DB* raw = nullptr;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    const auto families = journal_families();
    const rocksdb::DBOptions options = journal_db_options(rocksdb::Env::Default());
    ASSERT_TRUE(rocksdb::DB::Open(options, path_, families, &handles, &raw).ok());
    const std::unique_ptr<rocksdb::DB> db(raw);
    for (const std::uint64_t first : {1, 2}) ASSERT_TRUE(db->Delete({}, handles[1], journal_key(first)).ok());
    for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
  }
  expect_refused(StoreErrorCode::Damaged, "commit 3 is not linked to the one before it");
}

TEST_F(RocksdbStore, MissingWriteAheadLogIsDamage) {
  crash_with(1, 3, {3});
  fs::remove(file(".log"));
  expect_refused(StoreErrorCode::Damaged, "1 to 3 were acknowledged and are missing");
}

TEST_F(RocksdbStore, FlippedByteBeforeTheEndIsDamage) {
  crash_with(1, 9, {9});
  const fs::path log = file(".log");
  std::string bytes = read(log);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write(log, bytes);
  expect_refused(StoreErrorCode::Damaged, "were acknowledged and are missing");
}

TEST_F(RocksdbStore, CommitBehindABreakTestifiesWhereTheFloorIsStale) {
  crash_with(1, 1, {1});
  auto store = open();
  ASSERT_TRUE(store);
  JournalWriter writer(**store);
  const std::string stale_floor = read(file("FLOOR"));
  const std::string filler(40'000, 'x');  // the break and the witness lie in different blocks of the log
  const TransitionGroup large(0, TaskEnded{.pipeline_no = 2, .to = TaskState::Failed, .error = filler});
  ASSERT_TRUE(writer.append(large));
  ASSERT_TRUE(writer.sync());
  ASSERT_TRUE(writer.append(start_of(3)));  // says that what came before it was synced
  store->reset();
  write(file("FLOOR"), stale_floor);  // a power cut may leave it so: it is not synced with each commit
  const fs::path log = file(".log");
  std::string bytes = read(log);
  bytes[1000] = static_cast<char>(bytes[1000] ^ 1);
  write(log, bytes);
  expect_refused(StoreErrorCode::Damaged, "were acknowledged and are missing", true);
}

TEST_F(RocksdbStore, MissingFilesOfAClosedStoreAreDamage) {
  for (const char* affix : {"LEAT", "CURRENT", "MANIFEST", ".sst"}) {
    fs::remove_all(path_);
    close_with(3);
    fs::remove(file(affix));
    const auto store = open();
    ASSERT_FALSE(store) << affix;
    EXPECT_EQ(store.error().code, StoreErrorCode::Damaged) << affix << ": " << store.error().message;
  }
}

TEST_F(RocksdbStore, MissingFloorOfACrashedStoreIsDamage) {
  crash_with(1, 1);
  fs::remove(file("FLOOR"));
  expect_refused(StoreErrorCode::Damaged, "FLOOR");
}

TEST_F(RocksdbStore, EveryFlippedByteOfTheSuperblockIsDamage) {
  close_with(1);
  const std::string text = read(path_ + "/LEAT");
  for (std::size_t index = 0; index < text.size(); ++index) {
    std::string flipped = text;
    flipped[index] = static_cast<char>(flipped[index] ^ 1);
    write(path_ + "/LEAT", flipped);
    const auto store = open();
    ASSERT_FALSE(store) << index;
    EXPECT_EQ(store.error().code, StoreErrorCode::Damaged) << index;
  }
}

/// Looks for a store's reserve whenever a table is begun.
class ReserveWitness final : public rocksdb::FileSystemWrapper {
 public:
  explicit ReserveWitness(fs::path reserve)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), reserve_(std::move(reserve)) {}
  const char* Name() const override { return "ReserveWitness"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override {
    if (name.ends_with(".sst")) {
      ++tables;
      besides_reserve += fs::exists(reserve_) ? 1 : 0;
    }
    return FileSystemWrapper::NewWritableFile(name, options, result, debug);
  }

  int tables = 0;
  int besides_reserve = 0;

 private:
  const fs::path reserve_;
};

TEST_F(RocksdbStore, TheReserveThatACrashLeavesGoesBeforeARecoveryWrites) {
  crash_with(1, 3, {3});
  ASSERT_TRUE(fs::exists(path_ + "/RESERVE"));
  const auto witness = std::make_shared<ReserveWitness>(path_ + "/RESERVE");
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(witness);
  const auto store = open_rocksdb_store(path_, StoreEnvironment{.env = env.get()});
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_GT(witness->tables, 0);
  EXPECT_EQ(witness->besides_reserve, 0);
  EXPECT_TRUE(fs::exists(path_ + "/RESERVE")) << "it is taken once the store is open";
}

TEST_F(RocksdbStore, NumbersReachBeyondTheReservedBlock) {
  auto store = open();
  ASSERT_TRUE(store);
  const std::uint64_t far = (*store)->next_sequence() + (std::uint64_t{1} << 30);
  CommitWriter writer;
  writer.begin(far, 1, 1, 1);
  writer.add(start_of(1));
  ASSERT_TRUE((*store)->append(far, far + 1, writer.finish()));
  store->reset();
  store = open();
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_GT((*store)->next_sequence(), far);
}

TEST_F(RocksdbStore, ManyCommitsSurviveTablesAndCompactions) {
  constexpr std::uint64_t kCount = 120;
  const std::string output(std::size_t{1} << 20, 'o');
  {
    auto store = open();
    ASSERT_TRUE(store);
    JournalWriter writer(**store);
    for (std::uint64_t number = 1; number <= kCount; ++number) {
      ASSERT_TRUE(writer.append(TransitionGroup(0, TaskEnded{.pipeline_no = number, .output = output})));
    }
  }
  auto store = open();
  ASSERT_TRUE(store) << store.error().message;
  std::uint64_t count = 0;
  ASSERT_TRUE((*store)->replay([&](std::uint64_t first, std::span<const std::byte>) {
    EXPECT_EQ(first, ++count);
    return std::expected<void, StoreError>();
  }));
  EXPECT_EQ(count, kCount);
}

}  // namespace
}  // namespace leat::test
