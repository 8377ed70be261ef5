// What leat verify is made of: no altered byte goes unreported, and nothing whole is reported.
#include "leat/store_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <thread>

#include "examined_store.h"
#include "filled_store.h"
#include "leat/history.h"

namespace leat::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

using StoreVerifier = ExaminedStore;

/// The files that the header names as holding none.
bool holds_data(const std::string& name) {
  return !name.starts_with("LOG") && !name.starts_with("OPTIONS-") && name != "IDENTITY" && name != "LOCK";
}

TEST_F(StoreVerifier, FindsNothingWrongWithAWholeStoreAndChangesNothing) {
  close_with(3, 5);
  const auto before = snapshot();
  EXPECT_THAT(findings(), IsEmpty());
  EXPECT_EQ(snapshot(), before);
}

TEST_F(StoreVerifier, ReportsACommitThatContradictsTheOnesBefore) {
  open();
  ASSERT_TRUE(writer_->append(start_of(1)));  // a task of a pipeline that nobody created
  ASSERT_TRUE(store_->close());
  const auto found = findings();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found.front().message, HasSubstr("unknown pipeline"));
}

TEST_F(StoreVerifier, ReportsACommitThatWasExchanged) {
  open();
  for (const std::uint32_t number : {1, 2, 3})
    ASSERT_TRUE(writer_->append(TransitionGroup(1, KeyDefined{.key_no = number, .key = "a"})));
  ASSERT_TRUE(store_->close());
  ASSERT_THAT(findings(), IsEmpty());
  exchange(2, TransitionGroup(1, KeyDefined{.key_no = 2, .key = "b"}));
  const auto found = findings();
  ASSERT_FALSE(found.empty());
  EXPECT_THAT(found.front().message, HasSubstr("commit 3 is not linked to the commit before it"));
}

TEST_F(StoreVerifier, ReportsALastCommitThatWasExchanged) {
  open();
  for (const std::uint32_t number : {1, 2})
    ASSERT_TRUE(writer_->append(TransitionGroup(1, KeyDefined{.key_no = number, .key = "a"})));
  ASSERT_TRUE(store_->close());
  exchange(2, TransitionGroup(1, KeyDefined{.key_no = 2, .key = "b"}));
  const auto found = findings();
  ASSERT_FALSE(found.empty());
  EXPECT_THAT(found.front().message, HasSubstr("commit 2 is not the one that the superblock remembers"));
  EXPECT_FALSE(open_rocksdb_store(path_));
}

/// Each byte of every file, one bit of it flipped: one byte in kStride in one run, all with
/// LEAT_EXHAUSTIVE=1.
TEST_F(StoreVerifier, ReportsAFlippedByteAtAnyPlaceThatHoldsData) {
  constexpr std::size_t kStride = 5;
  const char* const given = std::getenv("LEAT_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "LEAT_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  const std::size_t stride = std::getenv("LEAT_EXHAUSTIVE") != nullptr ? 1 : kStride;
  for (const Retention& events : {Retention(), Retention{.age_ns = 0}}) {
    fs::remove_all(path_);
    write_filled_store(path_, events);
    ASSERT_THAT(findings(), IsEmpty());
    std::size_t tables = 0;
    for (const auto& [name, bytes] : snapshot()) {
      if (!holds_data(name)) continue;
      tables += name.ends_with(".sst");
      for (std::size_t at = random() % stride; at < bytes.size(); at += stride) {
        std::string flipped = bytes;
        flipped[at] = static_cast<char>(flipped[at] ^ (1 << random() % 8));
        write(name, flipped);
        const auto found = verify_rocksdb_store(path_);
        EXPECT_TRUE(found && !found->empty()) << name << " at " << at;
      }
      write(name, bytes);
    }
    EXPECT_EQ(tables, 3U) << "one of each column family";
    EXPECT_THAT(findings(), IsEmpty());
  }
}

TEST_F(StoreVerifier, ReportsEveryFileThatIsMissingOrCutShort) {
  close_with(2, 5);
  for (const auto& [name, bytes] : snapshot()) {
    if (!holds_data(name) || bytes.empty()) continue;
    write(name, bytes.substr(0, bytes.size() - 1));
    EXPECT_THAT(findings(), testing::Not(IsEmpty())) << name << " is one byte short";
    fs::remove(path_ + "/" + name);
    EXPECT_THAT(findings(), testing::Not(IsEmpty())) << name << " is missing";
    write(name, bytes);
  }
  EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(StoreVerifier, FindsNothingWrongBesideALiveWriter) {
  open();
  define();
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (int i = 0; i < 20'000; ++i) add_pipeline();
    done.store(true, std::memory_order_relaxed);  // relaxed: only a signal to end
  });
  while (!done.load(std::memory_order_relaxed)) {
    for (const StoreError& finding : findings()) ADD_FAILURE() << finding.message;
  }
  writer.join();
  EXPECT_EQ(store_->epoch(), 1U);
  ASSERT_TRUE(store_->close());
  EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(StoreVerifier, DoesNotKeepAWriterOut) {
  close_with(1, 3);
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done.load(std::memory_order_relaxed)) static_cast<void>(findings());  // relaxed: as above
  });
  for (int i = 0; i < 10; ++i) close_with(1, 0);
  done.store(true, std::memory_order_relaxed);
  reader.join();
}

TEST_F(StoreVerifier, FindsNothingWrongWithACrashedStore) {
  open();
  define();
  for (int i = 0; i < 5; ++i) add_pipeline();
  store_.reset();
  EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(StoreVerifier, ReportsWhatACrashedStoreHasLost) {
  open();
  define();
  for (int i = 0; i < 5; ++i) add_pipeline();
  store_.reset();
  for (const auto& entry : fs::directory_iterator(path_)) {
    if (entry.path().extension() == ".log") fs::resize_file(entry.path(), entry.file_size() - 5);
  }
  const auto found = findings();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found.front().message, HasSubstr("were acknowledged and are missing"));
}

}  // namespace
}  // namespace leat::test
