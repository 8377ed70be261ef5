// Reading a store that is not ours: after its owner, and beside it.
#include "leat/store_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "journal_writer.h"
#include "leat/state_store.h"
#include "leat/store_image.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

constexpr std::string_view kTasks[] = {"only"};
constexpr std::uint32_t kReady[] = {0};

/// A store with one workflow and one executor key, to which pipelines of one task are added.
class StoreReader : public testing::Test {
 protected:
  void SetUp() override {
    auto store = open_rocksdb_store(path_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    writer_ = std::make_unique<JournalWriter>(*store_);
    ASSERT_TRUE(writer_->append(
        TransitionGroup(1, WorkflowDefined{.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}),
        TransitionGroup(1, KeyDefined{.key_no = 1, .key = "default"})));
  }

  /// One commit: created, started, completed.
  void add_pipeline(std::uint64_t number, std::string_view output = {}) {
    const auto done = writer_->append(
        TransitionGroup(
            2, PipelineCreated{.pipeline_no = number, .workflow_no = 1, .task_count = 1, .ready = kReady}),
        TransitionGroup(3, TaskStarted{.pipeline_no = number, .key_no = 1}),
        TransitionGroup(
            4, TaskEnded{.pipeline_no = number, .pipeline = PipelineState::Completed, .output = output}));
    ASSERT_TRUE(done) << done.error().message;
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.store();
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<JournalWriter> writer_;
};

TEST_F(StoreReader, SeesWhatALiveOwnerHasWritten) {
  add_pipeline(1);
  const auto image = read_rocksdb_store(path_);
  ASSERT_TRUE(image) << image.error().message;
  ASSERT_EQ(image->pipelines().size(), 1U);
  EXPECT_EQ(image->pipelines().at(1).state, PipelineState::Completed);
  EXPECT_EQ(image->epoch(), 1U);
}

TEST_F(StoreReader, SeesTheSameAfterTheOwnerWasClosed) {
  add_pipeline(1);
  ASSERT_TRUE(store_->close());
  const auto image = read_rocksdb_store(path_);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->pipelines().size(), 1U);
}

TEST_F(StoreReader, DoesNotKeepAnOwnerOutNorRaiseTheEpoch) {
  store_.reset();
  ASSERT_TRUE(read_rocksdb_store(path_));
  const auto store = open_rocksdb_store(path_);
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->epoch(), 2U);
}

TEST_F(StoreReader, ListsEveryTransitionOnceInOrder) {
  add_pipeline(1);
  add_pipeline(2);
  std::vector<std::uint64_t> sequences;
  std::string states;
  const auto image = read_rocksdb_store(path_, [&](const TransitionEvent& event) {
    sequences.push_back(event.sequence);
    states += to_string(event.to).substr(0, 1);
  });
  ASSERT_TRUE(image);
  EXPECT_EQ(states, "NRRCNRRC");
  EXPECT_TRUE(std::ranges::is_sorted(sequences, std::ranges::less_equal{}));
}

TEST_F(StoreReader, MissingStoreIsNotFoundAndNotMade) {
  const auto image = read_rocksdb_store(path_ + "x");
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, StoreErrorCode::NotFound);
  EXPECT_FALSE(std::filesystem::exists(path_ + "x"));
}

TEST_F(StoreReader, MissingWriteAheadLogIsDamage) {
  add_pipeline(1);
  store_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    if (entry.path().extension() == ".log") std::filesystem::remove(entry.path());
  }
  const auto image = read_rocksdb_store(path_);
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, StoreErrorCode::Damaged);
  EXPECT_THAT(image.error().message, testing::HasSubstr(path_));
}

TEST_F(StoreReader, ReadsAWholePrefixWhileTheOwnerReplacesLogsAndTables) {
  std::atomic<bool> written{false};
  std::jthread owner([&] {
    const std::string output(std::size_t{1} << 20, 'o');  // so that logs and tables change while it is read
    for (std::uint64_t number = 1; number <= 150; ++number) add_pipeline(number, output);
    written.store(true, std::memory_order_release);  // pairs with the load below
  });
  std::size_t last = 0;
  while (!written.load(std::memory_order_acquire)) {  // pairs with the store above
    const auto image = read_rocksdb_store(path_);
    ASSERT_TRUE(image) << image.error().message;
    const std::size_t count = image->pipelines().size();
    EXPECT_GE(count, last);
    if (count > 0) {
      EXPECT_EQ(image->pipelines().rbegin()->first, count);
    }
    last = count;
  }
}

}  // namespace
}  // namespace leat::test
