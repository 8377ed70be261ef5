// The journal with one thread that does everything: what is written, synced, told and freed, and when.
#include "leat/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "commit.h"
#include "journal_writer.h"
#include "leat/state_store.h"

namespace leat::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Told {
  std::uint64_t token;
  std::uint64_t sequence;
  bool reached;
  friend bool operator==(const Told&, const Told&) = default;
};

class Recorder final : public CommitListener {
 public:
  void on_commit(std::uint64_t token, std::uint64_t sequence, bool reached) noexcept override {
    told.push_back({token, sequence, reached});
    if (then) then();
  }
  std::vector<Told> told;
  std::function<void()> then;
};

/// A memory store that counts and, from one call on, fails.
class FlakyStore final : public StateStore {
 public:
  explicit FlakyStore(std::shared_ptr<MemoryMedium> medium) : store_(make_memory_store(std::move(medium))) {}

  std::uint64_t epoch() const noexcept override { return store_->epoch(); }
  std::uint64_t next_sequence() const noexcept override { return store_->next_sequence(); }
  std::uint64_t journal_end() const noexcept override { return store_->journal_end(); }
  std::uint64_t journal_hash() const noexcept override { return store_->journal_hash(); }
  bool closed_cleanly() const noexcept override { return store_->closed_cleanly(); }
  std::expected<void, StoreError> replay(const Visitor& visit) override { return store_->replay(visit); }
  std::expected<void, StoreError> append(std::uint64_t first, std::uint64_t end,
                                         std::span<const std::byte> commit) override {
    ++appends;
    if (fail_append) return std::unexpected(StoreError{StoreErrorCode::Io, "append failed"});
    return store_->append(first, end, commit);
  }
  std::expected<void, StoreError> acknowledge(std::uint64_t end) override {
    acknowledged = end;
    return store_->acknowledge(end);
  }
  std::expected<void, StoreError> sync() override {
    ++syncs;
    if (fail_sync) return std::unexpected(StoreError{StoreErrorCode::Io, "sync failed"});
    return store_->sync();
  }
  std::expected<void, StoreError> close() override { return store_->close(); }

  int appends = 0;
  int syncs = 0;
  std::uint64_t acknowledged = 0;
  bool fail_append = false;
  bool fail_sync = false;

 private:
  std::unique_ptr<StateStore> store_;
};

class JournalTest : public testing::Test {
 protected:
  void publish(std::uint64_t token, Durability level) {
    ASSERT_TRUE(journal_.try_reserve(1));
    journal_.publish(start_of(token), level, &recorder_, token);
  }
  void publish_unwatched(std::uint64_t number) {
    ASSERT_TRUE(journal_.try_reserve(1));
    journal_.publish(start_of(number), Durability::Disk, nullptr, 0);
  }

  static constexpr std::size_t kCells = 8;
  std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  FlakyStore store_{medium_};
  Journal journal_{store_, {.cells = kCells, .waits_commit = true}};
  Recorder recorder_;
};

TEST_F(JournalTest, HasNothingToCommitAtFirst) {
  EXPECT_EQ(journal_.commit_some(), 0U);
  EXPECT_EQ(store_.appends, 0);
}

TEST_F(JournalTest, PacksWhatIsPublishedIntoOneCommit) {
  for (std::uint64_t token = 1; token <= 5; ++token) publish(token, Durability::Process);
  EXPECT_EQ(journal_.commit_some(), 5U);
  EXPECT_EQ(store_.appends, 1);
  EXPECT_EQ(medium_->commits.size(), 1U);
}

TEST_F(JournalTest, NumbersTransitionsInTheOrderOfPublishing) {
  publish(10, Durability::Process);
  publish(11, Durability::Process);
  journal_.commit_some();
  publish(12, Durability::Process);
  journal_.commit_some();
  EXPECT_THAT(recorder_.told, ElementsAre(Told{10, 1, true}, Told{11, 2, true}, Told{12, 3, true}));
  EXPECT_EQ(journal_.written(), 4U);
}

TEST_F(JournalTest, SyncsOnlyIfSomebodyWaitsForDisk) {
  publish(1, Durability::Process);
  publish_unwatched(2);
  journal_.commit_some();
  EXPECT_EQ(store_.syncs, 0);
  EXPECT_EQ(journal_.synced(), 1U);
  publish(3, Durability::Disk);
  journal_.commit_some();
  EXPECT_EQ(store_.syncs, 1);
  EXPECT_EQ(journal_.synced(), 4U);
}

TEST_F(JournalTest, TellsProcessBeforeTheSyncAndDiskAfterIt) {
  publish(1, Durability::Disk);
  publish(2, Durability::Process);
  std::vector<int> syncs_when_told;
  recorder_.then = [&] { syncs_when_told.push_back(store_.syncs); };
  journal_.commit_some();
  EXPECT_THAT(recorder_.told, ElementsAre(Told{2, 2, true}, Told{1, 1, true}));
  EXPECT_THAT(syncs_when_told, ElementsAre(0, 1));
}

TEST_F(JournalTest, StoreKnowsOfAnAcknowledgementBeforeTheListener) {
  publish(1, Durability::Process);
  std::uint64_t known = 0;
  recorder_.then = [&] { known = store_.acknowledged; };
  journal_.commit_some();
  EXPECT_EQ(known, 2U);
}

TEST_F(JournalTest, StoreHearsOfNoAcknowledgementThatNobodyGets) {
  publish_unwatched(1);
  publish(2, Durability::Disk);
  journal_.commit_some();
  EXPECT_EQ(store_.acknowledged, 0U);
}

TEST_F(JournalTest, DefinitionsTakeNoNumberButACommitOfThemDoes) {
  ASSERT_TRUE(journal_.try_reserve(2));
  journal_.publish(TransitionGroup(0, KeyDefined{.key_no = 1, .key = "default"}), Durability::Process,
                   &recorder_, 1);
  journal_.commit_some();
  journal_.publish(start_of(1), Durability::Process, &recorder_, 2);
  journal_.commit_some();
  EXPECT_THAT(recorder_.told, ElementsAre(Told{1, 1, true}, Told{2, 2, true}));
}

TEST_F(JournalTest, CreditsRunOutAndComeBackWithTheCommit) {
  ASSERT_TRUE(journal_.try_reserve(kCells));
  EXPECT_FALSE(journal_.try_reserve(1));
  journal_.publish(start_of(1), Durability::Process, nullptr, 0);
  EXPECT_FALSE(journal_.try_reserve(1));
  journal_.commit_some();
  EXPECT_TRUE(journal_.try_reserve(1));
  EXPECT_FALSE(journal_.try_reserve(1));
}

TEST_F(JournalTest, ReleasedCreditsCanBeTakenAgain) {
  ASSERT_TRUE(journal_.try_reserve(kCells));
  journal_.release(3);
  EXPECT_FALSE(journal_.try_reserve(4));
  EXPECT_TRUE(journal_.try_reserve(3));
}

TEST_F(JournalTest, GoesRoundTheRingManyTimes) {
  for (std::uint64_t token = 1; token <= 10 * kCells; ++token) {
    publish(token, Durability::Process);
    if (token % 3 == 0) journal_.commit_some();
  }
  journal_.commit_some();
  EXPECT_EQ(journal_.written(), 10 * kCells + 1);
  EXPECT_EQ(recorder_.told.size(), 10 * kCells);
}

TEST_F(JournalTest, ReserveWithoutACommitterCommitsForItself) {
  for (std::uint64_t token = 1; token <= kCells; ++token) publish(token, Durability::Process);
  EXPECT_TRUE(journal_.reserve(2));
  EXPECT_EQ(journal_.written(), kCells + 1);
}

TEST_F(JournalTest, ReserveGivesUpWhereNobodyCanFreeACell) {
  ASSERT_TRUE(journal_.try_reserve(kCells));
  EXPECT_FALSE(journal_.reserve(1));
}

TEST_F(JournalTest, FlushReachesTheLevelOfEverythingBefore) {
  publish_unwatched(1);
  ASSERT_TRUE(journal_.flush(Durability::Process));
  EXPECT_EQ(journal_.written(), 2U);
  EXPECT_EQ(store_.syncs, 0);
  ASSERT_TRUE(journal_.flush(Durability::Disk));
  EXPECT_EQ(journal_.synced(), 2U);
  EXPECT_EQ(medium_->synced, 1U);
}

TEST_F(JournalTest, FlushOfASyncedJournalWritesAndSyncsNothing) {
  publish(1, Durability::Disk);
  ASSERT_TRUE(journal_.flush(Durability::Disk));
  const int appends = store_.appends;
  const int syncs = store_.syncs;
  ASSERT_TRUE(journal_.flush(Durability::Disk));
  EXPECT_EQ(store_.appends, appends);
  EXPECT_EQ(store_.syncs, syncs);
}

TEST_F(JournalTest, FailedAppendIsToldToEveryListener) {
  store_.fail_append = true;
  publish(1, Durability::Process);
  publish(2, Durability::Disk);
  EXPECT_EQ(journal_.commit_some(), 2U);
  EXPECT_THAT(recorder_.told, ElementsAre(Told{1, 1, false}, Told{2, 2, false}));
  ASSERT_NE(journal_.failure(), nullptr);
  EXPECT_EQ(journal_.failure()->message, "append failed");
  EXPECT_EQ(journal_.written(), 1U);
}

TEST_F(JournalTest, FailedSyncLeavesProcessAcknowledged) {
  store_.fail_sync = true;
  publish(1, Durability::Process);
  publish(2, Durability::Disk);
  journal_.commit_some();
  EXPECT_THAT(recorder_.told, ElementsAre(Told{1, 1, true}, Told{2, 2, false}));
  EXPECT_EQ(journal_.synced(), 1U);
}

TEST_F(JournalTest, NothingIsWrittenOrAcknowledgedAfterAFailure) {
  store_.fail_sync = true;
  publish(1, Durability::Disk);
  journal_.commit_some();
  store_.fail_sync = false;
  publish(2, Durability::Process);
  publish(3, Durability::Disk);
  journal_.commit_some();
  EXPECT_EQ(store_.appends, 1);
  EXPECT_EQ(store_.syncs, 1);
  EXPECT_THAT(recorder_.told, ElementsAre(Told{1, 1, false}, Told{2, 2, false}, Told{3, 3, false}));
  const auto flushed = journal_.flush(Durability::Disk);
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().message, "sync failed");
}

TEST_F(JournalTest, CreditsStillCirculateAfterAFailure) {
  store_.fail_append = true;
  for (std::uint64_t token = 1; token <= 4 * kCells; ++token) {
    ASSERT_TRUE(journal_.reserve(1));
    journal_.publish(start_of(token), Durability::Disk, &recorder_, token);
  }
  while (journal_.commit_some() > 0) {
  }
  EXPECT_EQ(recorder_.told.size(), 4 * kCells);
  EXPECT_TRUE(journal_.try_reserve(kCells));
}

TEST_F(JournalTest, WaitForWorkDrainsBeforeItEnds) {
  publish(1, Durability::Process);
  journal_.stop();
  EXPECT_TRUE(journal_.wait_for_work());
  journal_.commit_some();
  EXPECT_FALSE(journal_.wait_for_work());
}

TEST_F(JournalTest, FlushAfterStopIsRefused) {
  journal_.stop();
  const auto flushed = journal_.flush(Durability::Disk);
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().code, StoreErrorCode::Closed);
}

/// Ends the journal while somebody waits, as a stop on another thread may.
class Stopper final : public JournalHelper {
 public:
  bool help() noexcept override {
    if (std::exchange(stopped_, true)) return false;
    journal->stop();
    while (journal->wait_for_work()) journal->commit_some();
    return true;
  }
  void wake() noexcept override {}
  Journal* journal = nullptr;

 private:
  bool stopped_ = false;
};

TEST_F(JournalTest, FlushThatAStopOvertakesIsRefused) {
  Stopper stopper;
  Journal journal(store_, {.cells = 2, .helper = &stopper});
  stopper.journal = &journal;
  for (std::uint64_t number = 1; number <= 2; ++number) {
    ASSERT_TRUE(journal.try_reserve(1));
    journal.publish(start_of(number), Durability::Process, nullptr, 0);
  }
  const auto flushed = journal.flush(Durability::Process);  // waits for a credit, which the stop frees
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().code, StoreErrorCode::Closed);
  EXPECT_TRUE(journal.try_reserve(2)) << "the credit is back";
}

TEST_F(JournalTest, CommitIsClosedWhenItPassesItsLimit) {
  Journal journal(store_, {.cells = 64, .commit_bytes_max = 4096});
  const std::string context(1500, 'x');
  ASSERT_TRUE(journal.try_reserve(9));
  for (std::uint64_t number = 1; number <= 9; ++number) {
    journal.publish(TransitionGroup(0, TaskEnded{.pipeline_no = number, .context = context}),
                    Durability::Process, nullptr, 0);
  }
  EXPECT_EQ(journal.commit_some(), 3U);
  EXPECT_EQ(journal.commit_some(), 3U);
  EXPECT_EQ(journal.commit_some(), 3U);
}

TEST_F(JournalTest, CommitHasOneGroupWhereTheLimitIsLowerThanAny) {
  Journal journal(store_, {.cells = 64, .commit_bytes_max = 1});
  ASSERT_TRUE(journal.try_reserve(2));
  for (const std::uint64_t number : {1, 2})
    journal.publish(start_of(number), Durability::Process, nullptr, 0);
  EXPECT_EQ(journal.commit_some(), 1U);
  EXPECT_EQ(journal.commit_some(), 1U);
}

TEST_F(JournalTest, CountsWhatItDid) {
  publish(1, Durability::Disk);
  publish(2, Durability::Disk);
  journal_.commit_some();
  const Journal::Counters counters = journal_.counters();
  EXPECT_EQ(counters.groups, 2U);
  EXPECT_EQ(counters.transitions, 2U);
  EXPECT_EQ(counters.commits, 1U);
  EXPECT_EQ(counters.syncs, 1U);
  EXPECT_EQ(counters.bytes, medium_->commits.back().bytes.size());
}

TEST_F(JournalTest, GoesOnWithTheNumbersOfTheStore) {
  publish(1, Durability::Process);
  journal_.commit_some();
  auto store = std::make_shared<MemoryMedium>(*medium_);
  store->open = false;
  store->used_below = 100;  // as after a crash: numbers up to here may have been used
  const auto reopened = make_memory_store(store);
  Journal journal(*reopened, {.cells = 8, .waits_commit = true});
  ASSERT_TRUE(journal.try_reserve(1));
  journal.publish(start_of(2), Durability::Process, &recorder_, 2);
  journal.commit_some();
  EXPECT_EQ(recorder_.told.back(), (Told{2, 100, true}));
  const auto commit = CommitReader::open(100, store->commits.back().bytes);
  ASSERT_TRUE(commit);
  EXPECT_EQ(commit->header().previous_end(), 2U);
  EXPECT_EQ(commit->header().epoch, 2U);
}

}  // namespace
}  // namespace leat::test
