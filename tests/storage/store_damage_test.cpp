// Files that are missing, damaged, or late: what a store says of them, and that nothing is taken for granted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>

#include "commit.h"
#include "faulty_file_system.h"
#include "journal_family.h"
#include "journal_writer.h"
#include "leat/journal.h"
#include "leat/store_reader.h"
#include "rocksdb_store.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Appends `count` commits of some kilobytes. @return the store, still open
std::unique_ptr<StateStore> fill(const std::string& place, std::uint64_t count) {
  auto store = open_rocksdb_store(place);
  EXPECT_TRUE(store) << store.error().message;
  if (!store) return nullptr;
  JournalWriter writer(**store);
  const std::string output(3'000, 'o');
  for (std::uint64_t number = 1; number <= count; ++number) {
    EXPECT_TRUE(writer.append(TransitionGroup(0, TaskEnded{.pipeline_no = number, .output = output})));
  }
  EXPECT_TRUE(writer.sync());
  return std::move(*store);
}

/// Opens and reads to the end. @return the commits, or the first error
std::expected<std::uint64_t, StoreError> open_and_replay(const std::string& place) {
  auto store = open_rocksdb_store(place);
  if (!store) return std::unexpected(store.error());
  std::uint64_t count = 0;
  auto done = (*store)->replay([&count](std::uint64_t, std::span<const std::byte>) {
    ++count;
    return std::expected<void, StoreError>();
  });
  if (!done) return std::unexpected(done.error());
  return count;
}

TEST(StoreDamage, AFlippedByteOfATableIsMetByTheReaderNotSwallowed) {
  const char* const given = std::getenv("LEAT_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "LEAT_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  const std::string whole = directory.store() + ".whole";
  constexpr std::uint64_t kCommits = 100;  // several blocks
  ASSERT_TRUE(fill(whole, kCommits)->close());
  for (int i = 0; i < 40; ++i) {
    const std::string place = directory.store();
    fs::remove_all(place);
    fs::copy(whole, place);
    for (const auto& entry : fs::directory_iterator(place)) {
      if (entry.path().extension() != ".sst") continue;
      std::string bytes = read(entry.path());
      const std::size_t at = random() % (kCommits * 3'000);  // within the blocks of commits
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
      std::ofstream(entry.path(), std::ios::binary) << bytes;
      const auto replayed = open_and_replay(place);
      ASSERT_FALSE(replayed) << "at " << at << ": " << *replayed << " commits";
      EXPECT_EQ(replayed.error().code, StoreErrorCode::Damaged) << replayed.error().message;
    }
  }
}

TEST(StoreDamage, EveryMissingFileOfACrashedStoreIsReported) {
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  const std::string crashed = directory.store() + ".crashed";
  ASSERT_TRUE(fill(crashed, 3)->close());
  fill(crashed, 0).reset();
  {
    auto store = open_rocksdb_store(crashed);  // a table of the life before, a log of this one
    ASSERT_TRUE(store);
    JournalWriter writer(**store);
    ASSERT_TRUE(writer.append(start_of(4)));
    ASSERT_TRUE(writer.sync());
  }
  int tried = 0;
  for (const auto& entry : fs::directory_iterator(crashed)) {
    const std::string name = entry.path().filename();
    const bool holds_data = name == "LEAT" || name == "FLOOR" || name == "CURRENT" ||
                            name.starts_with("MANIFEST") || name.ends_with(".sst") ||
                            (name.ends_with(".log") && entry.file_size() > 0);
    if (!holds_data) continue;
    ++tried;
    const std::string place = directory.store();
    fs::remove_all(place);
    fs::copy(crashed, place);
    fs::remove(place + "/" + name);
    const auto opened = open_rocksdb_store(place);
    ASSERT_FALSE(opened) << name;
    EXPECT_EQ(opened.error().code, StoreErrorCode::Damaged) << name << ": " << opened.error().message;
  }
  EXPECT_GE(tried, 6);
}

class Waiter final : public CommitListener {
 public:
  void on_commit(std::uint64_t, std::uint64_t, bool reached) noexcept override {
    told.store(reached ? 1 : -1, std::memory_order_release);  // pairs with the tests' acquire-loads
  }
  std::atomic<int> told{0};
};

TEST(StoreDamage, NobodyIsToldOfDiskWhileASyncIsLate) {
  const TemporaryDirectory directory;
  const auto system = std::make_shared<FaultyFileSystem>(FaultyFileSystem::Fault::Refuse, ~std::uint64_t{0});
  FaultyEnv env(system);
  auto store = open_rocksdb_store(directory.store(), StoreEnvironment{.env = &env});
  ASSERT_TRUE(store) << store.error().message;
  Journal journal(**store, {.cells = 64});
  Waiter process;
  Waiter disk;
  system->delay_syncs();
  ASSERT_TRUE(journal.reserve(2));
  journal.publish(start_of(1), Durability::Process, &process, 0);
  journal.publish(start_of(2), Durability::Disk, &disk, 0);
  std::thread committer([&journal] { journal.commit_some(); });
  system->await_delayed_sync();
  EXPECT_EQ(process.told.load(std::memory_order_acquire), 1) << "written is enough for it";
  EXPECT_EQ(disk.told.load(std::memory_order_acquire), 0);
  EXPECT_LT(journal.synced(), journal.written());
  system->resume_syncs();
  committer.join();
  EXPECT_EQ(disk.told.load(std::memory_order_acquire), 1);
  EXPECT_EQ(journal.synced(), journal.written());
  EXPECT_TRUE((*store)->close());
}

TEST(StoreDamage, AfterAFailedSyncNothingMoreIsAcknowledgedAndTheStoreOpensAgain) {
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  {
    const auto system =
        std::make_shared<FaultyFileSystem>(FaultyFileSystem::Fault::Refuse, ~std::uint64_t{0});
    FaultyEnv env(system);
    auto store = open_rocksdb_store(directory.store(), StoreEnvironment{.env = &env});
    ASSERT_TRUE(store) << store.error().message;
    Journal journal(**store, {.cells = 64});
    Waiter first;
    Waiter second;
    Waiter third;
    ASSERT_TRUE(journal.reserve(3));
    journal.publish(start_of(1), Durability::Disk, &first, 0);
    journal.commit_some();
    EXPECT_EQ(first.told.load(std::memory_order_acquire), 1);
    system->refuse_syncs();
    journal.publish(start_of(2), Durability::Disk, &second, 0);
    journal.commit_some();
    EXPECT_EQ(second.told.load(std::memory_order_acquire), -1);
    system->accept_syncs();
    journal.publish(start_of(3), Durability::Process, &third, 0);
    journal.commit_some();
    EXPECT_EQ(third.told.load(std::memory_order_acquire), -1) << "though the device would take it";
    EXPECT_EQ(journal.condition().health, StoreHealth::Failed);
    EXPECT_FALSE(journal.admits());
  }
  const auto replayed = open_and_replay(directory.store());
  ASSERT_TRUE(replayed) << replayed.error().message;
  EXPECT_GE(*replayed, 1U);
  EXPECT_LE(*replayed, 2U);  // the outcome of the second is unknown; nobody ever wrote the third
}

TEST(StoreDamage, TheLastCommitOfAStoreThatWasNotClosedIsNoOther) {
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  const std::string place = directory.store();
  std::uint64_t last = 0;
  {
    auto store = open_rocksdb_store(place);
    ASSERT_TRUE(store) << store.error().message;
    JournalWriter writer(**store);
    for (std::uint64_t number = 1; number <= 3; ++number) {
      ASSERT_TRUE(writer.append(start_of(number)));
    }
    last = writer.end() - 1;
  }
  auto journal =
      JournalDb::open(place, JournalDb::Access::Write, journal_db_options(rocksdb::Env::Default()));
  ASSERT_TRUE(journal);
  std::string before;
  ASSERT_TRUE(journal->db().Get({}, journal->family(), journal_key(last), &before).ok());
  const auto header = CommitReader::open(last, std::as_bytes(std::span(before)))->header();
  CommitWriter other(*header.link);
  other.begin(last, header.previous_end(), header.epoch, header.synced);
  other.add(start_of(77));
  const auto bytes = other.finish();
  const std::string after(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  ASSERT_TRUE(journal->db().Put({}, journal->family(), journal_key(last), after).ok());
  ASSERT_TRUE(journal->close().ok());
  const auto store = open_rocksdb_store(place);
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().message, testing::HasSubstr("is not the one that was acknowledged"));
}

}  // namespace
}  // namespace leat::test
