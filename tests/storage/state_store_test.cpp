// The contract of StateStore, on every store.
#include "leat/state_store.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "commit.h"
#include "journal_writer.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

/// Something that stores come to life on, again and again.
class Ground {
 public:
  virtual ~Ground() = default;
  virtual std::unique_ptr<StateStore> open() = 0;
};

class MemoryGround final : public Ground {
 public:
  std::unique_ptr<StateStore> open() override { return make_memory_store(medium_); }

 private:
  std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
};

class RocksdbGround final : public Ground {
 public:
  std::unique_ptr<StateStore> open() override {
    auto store = open_rocksdb_store(directory_.store());
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(*store) : nullptr;
  }

 private:
  TemporaryDirectory directory_;
};

struct Kind {
  std::string name;
  std::function<std::unique_ptr<Ground>()> make;
};

class StateStoreContract : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override { reopen(); }

  /// As after a crash, where the store was not closed.
  void reopen() {
    writer_.reset();
    store_.reset();
    store_ = ground_->open();
    ASSERT_NE(store_, nullptr);
    writer_ = std::make_unique<JournalWriter>(*store_);
  }

  void append(std::uint64_t pipeline_no) {
    const auto done = writer_->append(start_of(pipeline_no));
    ASSERT_TRUE(done) << done.error().message;
  }

  /// The numbers of the pipelines that the store remembers, in order.
  std::vector<std::uint64_t> contents() {
    std::vector<std::uint64_t> found;
    const auto done = store_->replay([&](std::uint64_t first, std::span<const std::byte> bytes) {
      auto commit = CommitReader::open(first, bytes);
      EXPECT_TRUE(commit);
      for (const DecodedGroup* group = *commit->next(); group != nullptr; group = *commit->next()) {
        found.push_back(std::get<TaskStarted>(group->record).pipeline_no);
      }
      return std::expected<void, StoreError>();
    });
    EXPECT_TRUE(done) << done.error().message;
    return found;
  }

  std::unique_ptr<Ground> ground_ = GetParam().make();
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<JournalWriter> writer_;
};

using Numbers = std::vector<std::uint64_t>;

TEST_P(StateStoreContract, FreshStoreIsEmptyAndStartsAtOne) {
  EXPECT_EQ(store_->epoch(), 1U);
  EXPECT_EQ(store_->next_sequence(), 1U);
  EXPECT_EQ(store_->journal_end(), 1U);
  EXPECT_EQ(contents(), Numbers());
}

TEST_P(StateStoreContract, ReplayGivesWhatWasAppendedInOrder) {
  const Numbers numbers = {7, 3, 300, 1};
  for (const std::uint64_t number : numbers) append(number);
  EXPECT_EQ(contents(), numbers);
}

TEST_P(StateStoreContract, AppendedCommitsOutliveAStoreThatWasNotClosed) {
  append(1);
  append(2);
  reopen();
  EXPECT_EQ(contents(), (Numbers{1, 2}));
  EXPECT_EQ(store_->journal_end(), 3U);
}

TEST_P(StateStoreContract, AppendGoesOnAfterReopening) {
  append(1);
  reopen();
  append(2);
  reopen();
  append(3);
  EXPECT_EQ(contents(), (Numbers{1, 2, 3}));
}

TEST_P(StateStoreContract, EveryOpeningRaisesTheEpoch) {
  reopen();
  EXPECT_EQ(store_->epoch(), 2U);
  ASSERT_TRUE(store_->close());
  reopen();
  EXPECT_EQ(store_->epoch(), 3U);
}

TEST_P(StateStoreContract, NoNumberIsUsedTwiceAfterACrash) {
  append(1);
  const std::uint64_t used = writer_->end();
  reopen();
  EXPECT_GE(store_->next_sequence(), used);
}

TEST_P(StateStoreContract, NumbersGoOnWithoutAGapAfterClose) {
  append(1);
  const std::uint64_t used = writer_->end();
  ASSERT_TRUE(store_->close());
  reopen();
  EXPECT_EQ(store_->next_sequence(), used);
  EXPECT_EQ(store_->journal_end(), used);
}

TEST_P(StateStoreContract, KnowsWhetherItWasClosed) {
  reopen();
  EXPECT_FALSE(store_->closed_cleanly());
  ASSERT_TRUE(store_->close());
  reopen();
  EXPECT_TRUE(store_->closed_cleanly());
}

TEST_P(StateStoreContract, CloseTwiceDoesNothing) {
  append(1);
  EXPECT_TRUE(store_->close());
  EXPECT_TRUE(store_->close());
}

TEST_P(StateStoreContract, RefusesWritesAfterClose) {
  ASSERT_TRUE(store_->close());
  const auto appended = writer_->append(start_of(1));
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().code, StoreErrorCode::Closed);
  const auto synced = store_->sync();
  ASSERT_FALSE(synced);
  EXPECT_EQ(synced.error().code, StoreErrorCode::Closed);
}

TEST_P(StateStoreContract, SyncWithNothingAppendedSucceeds) {
  EXPECT_TRUE(store_->sync());
  append(1);
  EXPECT_TRUE(store_->sync());
  EXPECT_TRUE(store_->sync());
}

TEST_P(StateStoreContract, ReplayEndsEarlyWithTheVisitorsError) {
  append(1);
  append(2);
  int visits = 0;
  const auto done = store_->replay([&](std::uint64_t, std::span<const std::byte>) {
    ++visits;
    return std::expected<void, StoreError>(std::unexpected(StoreError{StoreErrorCode::Io, "enough"}));
  });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().message, "enough");
  EXPECT_EQ(visits, 1);
}

TEST_P(StateStoreContract, KeepsACommitOfMegabytes) {
  const std::string output(std::size_t{5} << 20, 'x');
  const TransitionGroup group(
      0,
      TaskEnded{.pipeline_no = 1, .from = TaskState::Running, .to = TaskState::Completed, .output = output});
  ASSERT_TRUE(writer_->append(group));
  reopen();
  std::size_t size = 0;
  ASSERT_TRUE(store_->replay([&](std::uint64_t, std::span<const std::byte> bytes) {
    size += bytes.size();
    return std::expected<void, StoreError>();
  }));
  EXPECT_GT(size, output.size());
}

TEST_P(StateStoreContract, KeepsALargeContextApart) {
  const std::string context(std::size_t{5} << 20, 'x');
  ASSERT_TRUE(
      writer_->append(TransitionGroup(0, TaskEnded{.pipeline_no = 1, .task = 2, .context = context})));
  reopen();
  const auto text = store_->read_context(ContextPlace::of_task(1, 2));
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, context);
  EXPECT_FALSE(store_->read_context(ContextPlace::of_task(1, 1)));
}

TEST_P(StateStoreContract, BoardIsEmptyAtFirst) {
  ASSERT_NE(store_->board(), nullptr);
  EXPECT_TRUE(store_->board()->left_behind().empty());
}

TEST_P(StateStoreContract, BoardTellsWhatRanWhenTheStoreDied) {
  const auto lines = store_->board()->claim(100);
  ASSERT_TRUE(lines);
  ASSERT_EQ(lines->size(), 100U);
  (*lines)[7].begin({.pipeline_no = 5, .task = 6, .attempt = 7, .rescues = 1, .key_no = 9, .adoption = 3});
  (*lines)[7].note_child({.pid = 11, .identity = 12});
  (*lines)[8].begin({.pipeline_no = 50, .task = 1});
  (*lines)[8].clear();
  store_->board()->claim(1)->front().begin({.pipeline_no = 60});
  for (int opening = 0; opening < 2; ++opening) {  // nobody cleared it: it is told again
    reopen();
    const auto left = store_->board()->left_behind();
    ASSERT_EQ(left.size(), 2U);
    EXPECT_EQ(left[0].task().pipeline_no, 5U);
    EXPECT_EQ(left[0].task().task, 6U);
    EXPECT_EQ(left[0].task().attempt, 7U);
    EXPECT_EQ(left[0].task().rescues, 1U);
    EXPECT_EQ(left[0].task().key_no, 9U);
    EXPECT_EQ(left[0].task().adoption, 3U);
    EXPECT_EQ(left[0].child().pid, 11);
    EXPECT_EQ(left[0].child().identity, 12U);
    EXPECT_EQ(left[1].task().pipeline_no, 60U);
  }
}

TEST_P(StateStoreContract, BoardForgetsWhatWasCleared) {
  store_->board()->claim(1)->front().begin({.pipeline_no = 5});
  reopen();
  store_->board()->left_behind().front().clear();
  reopen();
  EXPECT_TRUE(store_->board()->left_behind().empty());
}

// It claimed to end where the lost commit had.
TEST(MemoryStore, EndsWhereItBeganOnceAPowerCutHasTakenItsOnlyCommit) {
  const auto medium = std::make_shared<MemoryMedium>();
  ASSERT_TRUE(make_memory_store(medium)->append(1, 2, std::vector<std::byte>(16)));
  medium->cut_power();
  const auto store = make_memory_store(medium);
  EXPECT_EQ(store->journal_end(), 1U);
  EXPECT_EQ(store->next_sequence(), 2U);
}

INSTANTIATE_TEST_SUITE_P(Every, StateStoreContract,
                         testing::Values(Kind{"Memory", [] { return std::make_unique<MemoryGround>(); }},
                                         Kind{"Rocksdb", [] { return std::make_unique<RocksdbGround>(); }}),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace leat::test
