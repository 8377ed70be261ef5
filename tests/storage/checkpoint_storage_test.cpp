// The checkpoint's parts: rows and slices as bytes, and what stores do with them.
#include "leat/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "checkpoint_slice.h"
#include "commit.h"
#include "journal_writer.h"
#include "leat/state_store.h"
#include "leat/store_reader.h"
#include "leat/store_recovery.h"
#include "leat/store_verifier.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Retention kNoEvents = {.age_ns = 0};
constexpr std::string_view kTasks[] = {"only"};
constexpr std::uint32_t kReady[] = {0};

PipelineImage sample_pipeline() {
  PipelineImage pipeline;
  pipeline.pipeline_no = 77;
  pipeline.id = Uuid::make_v7(1'700'000'000'000, 5, 6);
  pipeline.workflow_no = 3;
  pipeline.level = Durability::Process;
  pipeline.priority = Priority::Low;
  pipeline.state = PipelineState::Cancelled;
  pipeline.created_ns = 1'700'000'000'000'000'001;
  pipeline.finished_ns = pipeline.created_ns - 5;  // the clock was set back
  pipeline.context = "{\"a\":1}";
  pipeline.traits.touch() = {
      .concurrency_key = "customer-7", .schedule = "nightly", .scheduled_ns = -7, .attempts_max = 4};
  pipeline.last_completed = 0;
  pipeline.tasks.resize(200);
  pipeline.tasks[0].state = TaskState::Completed;
  pipeline.tasks[0].context = "{\"b\":2}";
  pipeline.tasks[0].key_no = 9;
  pipeline.tasks[1].state = TaskState::Ready;
  pipeline.tasks[1].attempt = 3;
  pipeline.tasks[1].rescues = 2;
  pipeline.tasks[1].retry_at_ns = -4;
  pipeline.tasks[1].error = "no route to host";
  for (std::size_t task = 2; task < 100; ++task) pipeline.tasks[task].state = TaskState::Skipped;
  pipeline.open_tasks = 101;
  return pipeline;
}

/// Packs rows into one slice and loads it.
StoreImage load(const std::vector<TransitionGroup>& rows, std::uint64_t sequence = 50) {
  CheckpointSliceWriter writer;
  writer.begin(sequence);
  for (const TransitionGroup& row : rows) writer.add(row, sequence + 3);
  StoreImage image(StoreImage::Keep::Unfinished);
  const auto loaded = image.load(sequence, writer.finish());
  EXPECT_TRUE(loaded) << loaded.error().message;
  return image;
}

TEST(CheckpointRow, MoreTasksThanFitAreRefused) {
  CheckpointSliceWriter writer;
  writer.begin(50);
  for (const TransitionGroup& row : make_rows({1, sample_pipeline()})) writer.add(row, 53);
  StoreImage image(StoreImage::Keep::Unfinished);
  image.limit_tasks(100);
  const auto loaded = image.load(50, writer.finish());
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, StoreErrorCode::Refused);
}

TEST(CheckpointRow, GivesThePipelineBack) {
  PipelineImage pipeline = sample_pipeline();
  const StoreImage image = load(make_rows({1, pipeline}));
  pipeline.folded_to = 53;
  EXPECT_EQ(image.pipelines().at(77), pipeline);
}

TEST(CheckpointRow, OfManyTasksThatAreAlikeIsSmall) {
  PipelineImage pipeline;
  pipeline.tasks.resize(kTasksPerPipelineMax);
  const auto rows = make_rows({1, pipeline});
  std::size_t bytes = 0;
  for (const TransitionGroup& row : rows) bytes += row.bytes().size();
  EXPECT_LT(bytes, 500U);
}

TEST(CheckpointRow, OfALiveTaskTakesLessThan40Bytes) {
  PipelineImage pipeline;
  pipeline.pipeline_no = 1'000'000;
  pipeline.workflow_no = 1;
  pipeline.tasks.resize(1);
  pipeline.tasks[0].state = TaskState::Ready;
  EXPECT_LT(make_rows({1, pipeline})[0].bytes().size(), 40U);
}

TEST(CheckpointRow, IsCutWhereThePipelineHoldsMuchText) {
  PipelineImage pipeline = sample_pipeline();
  for (std::size_t task = 0; task < 20; ++task) pipeline.tasks[task].context = std::string(1 << 20, 'c');
  const auto rows = make_rows({1, pipeline});
  EXPECT_GT(rows.size(), 4U);
  const StoreImage image = load(rows);
  pipeline.folded_to = 53;
  EXPECT_EQ(image.pipelines().at(77), pipeline);
}

TEST(CheckpointRow, TakesNoSequenceNumber) {
  EXPECT_EQ(make_row(RoundBegun{.generation = 1}).transitions(), 0U);
  EXPECT_TRUE(make_row(RoundBegun{.generation = 1}).is_row());
  EXPECT_FALSE(start_of(1).is_row());
  EXPECT_FALSE(TransitionGroup().is_row());
}

TEST(CheckpointSlice, RefusesEveryAlteredByte) {
  CheckpointSliceWriter writer;
  writer.begin(50);
  for (const TransitionGroup& row : make_rows({1, sample_pipeline()})) writer.add(row, 50);
  const auto packed = writer.finish();
  std::vector<std::byte> bytes(packed.begin(), packed.end());
  for (std::byte& byte : bytes) {
    byte ^= std::byte{0x10};
    const auto slice = CheckpointSliceReader::open(50, bytes);
    EXPECT_FALSE(slice);
    byte ^= std::byte{0x10};
  }
  EXPECT_TRUE(CheckpointSliceReader::open(50, bytes));
  EXPECT_FALSE(CheckpointSliceReader::open(51, bytes)) << "a slice belongs to its commit";
  EXPECT_FALSE(CheckpointSliceReader::open(50, std::span(bytes).first(bytes.size() - 1)));
}

/// A round with one row, in which task 0 is as given, at number 50; then records below that number.
class FoldBelowARow {
 public:
  explicit FoldBelowARow(TaskState state) : image_(StoreImage::Keep::Unfinished) {
    PipelineImage pipeline;
    pipeline.pipeline_no = 1;
    pipeline.workflow_no = 1;
    pipeline.tasks.resize(1);
    pipeline.tasks[0].state = state;
    pipeline.tasks[0].attempt = 2;
    std::vector<TransitionGroup> rows = make_rows({1, pipeline});
    rows.push_back(make_row(WorkflowKept{1, 1, {.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}}));
    CheckpointSliceWriter slice;
    slice.begin(50);
    for (const TransitionGroup& row : rows) slice.add(row, 50);
    image_.begin_at({.generation = 1, .minimum = 40, .end = 60});
    EXPECT_TRUE(image_.load(50, slice.finish()));
  }

  FoldBelowARow& start(std::uint32_t attempt = 2) {
    return apply({0, TaskStarted{.pipeline_no = 1, .attempt = attempt, .key_no = 7}});
  }
  FoldBelowARow& end(TaskState to, TaskEnded::Cause cause, std::uint32_t attempt = 2) {
    return apply({0, TaskEnded{.pipeline_no = 1, .attempt = attempt, .to = to, .cause = cause}});
  }
  const TaskImage& task() const { return image_.pipelines().at(1).tasks[0]; }

 private:
  FoldBelowARow& apply(const TransitionGroup& group) {
    writer_.begin(next_, next_, 1, 1);
    writer_.add(group);
    const auto done = image_.apply(next_, writer_.finish());
    EXPECT_TRUE(done) << done.error().message;
    ++next_;
    return *this;
  }

  StoreImage image_;
  CommitWriter writer_;
  std::uint64_t next_ = 40;
};

TEST(CheckpointFold, AStartThatTheRowDoesNotKnowOfCounts) {
  FoldBelowARow fold(TaskState::Ready);
  EXPECT_EQ(fold.start().task().state, TaskState::Running);
  EXPECT_EQ(fold.task().key_no, 7U);
}

TEST(CheckpointFold, AStartOfAnEarlierAttemptIsInTheRow) {
  EXPECT_EQ(FoldBelowARow(TaskState::Ready).start(1).task().state, TaskState::Ready);
}

TEST(CheckpointFold, AStartThatWasInterruptedBeforeTheRowLeavesItReady) {
  FoldBelowARow fold(TaskState::Ready);
  fold.start().end(TaskState::Ready, TaskEnded::Cause::Interrupted);
  EXPECT_EQ(fold.task().state, TaskState::Ready);
  EXPECT_EQ(fold.task().rescues, 0U);
}

TEST(CheckpointFold, AnEndThatIsInTheRowChangesNothing) {
  FoldBelowARow fold(TaskState::Ready);
  fold.start(1).end(TaskState::Ready, TaskEnded::Cause::Retry, 1);
  EXPECT_EQ(fold.task().state, TaskState::Ready);
  EXPECT_EQ(fold.task().attempt, 2U);
  EXPECT_EQ(FoldBelowARow(TaskState::Completed).start().end(TaskState::Completed, {}).task().state,
            TaskState::Completed);
}

// --- stores ---

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

class CheckpointContract : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    reopen();
    ASSERT_TRUE(writer_->append(
        TransitionGroup(1, WorkflowDefined{.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}),
        TransitionGroup(1, KeyDefined{.key_no = 1, .key = "default"})));
  }

  /// As after a crash, where the store was not closed.
  void reopen() {
    writer_.reset();
    store_.reset();
    store_ = ground_->open();
    ASSERT_NE(store_, nullptr);
    store_->retain_events(events_);
    writer_ = std::make_unique<JournalWriter>(*store_);
  }

  void create(std::uint64_t number) {
    const auto done = writer_->append(TransitionGroup(
        2, PipelineCreated{.pipeline_no = number, .workflow_no = 1, .task_count = 1, .ready = kReady}));
    ASSERT_TRUE(done) << done.error().message;
  }
  void finish(std::uint64_t number) {
    const auto done = writer_->append(
        TransitionGroup(3, TaskStarted{.pipeline_no = number, .key_no = 1}),
        TransitionGroup(4, TaskEnded{.pipeline_no = number, .pipeline = PipelineState::Completed}));
    ASSERT_TRUE(done) << done.error().message;
  }

  std::vector<TransitionGroup> begin_round(std::uint64_t generation) {
    std::vector<TransitionGroup> rows;
    rows.push_back(make_row(RoundBegun{.generation = generation,
                                       .minimum = writer_->end(),
                                       .next_pipeline_no = 1000,
                                       .next_workflow_no = 2,
                                       .next_key_no = 2}));
    rows.push_back(
        make_row(WorkflowKept{generation, 1, {.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}}));
    rows.push_back(make_row(KeyKept{generation, {.key_no = 1, .key = "default"}}));
    return rows;
  }
  void add(std::vector<TransitionGroup>& rows, std::uint64_t generation, std::uint64_t number) {
    PipelineImage pipeline;
    pipeline.pipeline_no = number;
    pipeline.workflow_no = 1;
    pipeline.created_ns = 2;
    pipeline.tasks.resize(1);
    pipeline.tasks[0].state = TaskState::Ready;
    for (TransitionGroup& row : make_rows({generation, pipeline})) rows.push_back(std::move(row));
  }
  void write(const std::vector<TransitionGroup>& rows) {
    const auto done = writer_->append_rows(rows);
    ASSERT_TRUE(done) << done.error().message;
  }
  /// A whole round in two commits.
  void round(std::uint64_t generation, std::initializer_list<std::uint64_t> live) {
    std::vector<TransitionGroup> rows = begin_round(generation);
    for (const std::uint64_t number : live) add(rows, generation, number);
    write(rows);
    rows.clear();
    rows.push_back(make_row(RoundEnded{generation, static_cast<std::int64_t>(generation)}));
    write(rows);
    ASSERT_TRUE(writer_->sync());
    ASSERT_TRUE(store_->tidy());
  }

  std::vector<std::uint64_t> recovered() {
    const auto image = recover_unfinished(*store_);
    EXPECT_TRUE(image) << image.error().message;
    std::vector<std::uint64_t> numbers;
    if (!image) return numbers;
    for (const auto& [number, pipeline] : image->pipelines()) numbers.push_back(number);
    return numbers;
  }

  std::size_t commits() {
    std::size_t count = 0;
    EXPECT_TRUE(store_->replay([&count](std::uint64_t, std::span<const std::byte>) {
      ++count;
      return std::expected<void, StoreError>();
    }));
    return count;
  }

  const Retention events_ = kNoEvents;
  std::unique_ptr<Ground> ground_ = GetParam().make();
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<JournalWriter> writer_;
};

TEST_P(CheckpointContract, RecoversFromTheRoundAndTheJournalBehindIt) {
  create(1);
  create(2);
  round(1, {1, 2});
  create(3);
  finish(1);
  for (int opening = 0; opening < 2; ++opening) {
    EXPECT_THAT(recovered(), ElementsAre(2, 3));
    reopen();
  }
  EXPECT_EQ(recover_unfinished(*store_)->next_pipeline_no(), 1000U);
}

TEST_P(CheckpointContract, DropsTheJournalBelowTheRound) {
  for (std::uint64_t number = 1; number <= 50; ++number) create(number);
  EXPECT_EQ(commits(), 51U);
  for (std::uint64_t number = 2; number <= 50; ++number) finish(number);
  round(1, {1});
  EXPECT_EQ(commits(), 2U);
  reopen();
  EXPECT_EQ(commits(), 2U);
  EXPECT_THAT(recovered(), ElementsAre(1));
}

TEST_P(CheckpointContract, ARoundThatWasCutShortCountsForNothingAndItsRowsGo) {
  create(1);
  round(1, {1});
  create(2);
  std::vector<TransitionGroup> rows = begin_round(2);
  add(rows, 2, 1);
  write(rows);
  reopen();
  EXPECT_THAT(recovered(), ElementsAre(1, 2));
  EXPECT_EQ(store_->next_generation(), 3U);
  round(3, {1, 2});
  const auto none = store_->replay_rows(2, [](std::uint64_t, std::span<const std::byte>) {
    ADD_FAILURE() << "a row of the round that was cut short is still there";
    return std::expected<void, StoreError>();
  });
  EXPECT_TRUE(none);
  reopen();
  EXPECT_THAT(recovered(), ElementsAre(1, 2));
  EXPECT_EQ(store_->next_generation(), 4U);
}

TEST_P(CheckpointContract, WhatEndedDuringTheRoundWithoutARowIsNotMissed) {
  create(1);
  create(2);
  std::vector<TransitionGroup> rows = begin_round(1);
  write(rows);
  finish(2);  // before the round came to it
  rows.clear();
  add(rows, 1, 1);
  rows.push_back(make_row(RoundEnded{1, 1}));
  write(rows);
  reopen();
  EXPECT_THAT(recovered(), ElementsAre(1));
}

TEST_P(CheckpointContract, AnUnknownPipelineBehindTheRoundIsDamage) {
  create(1);
  create(2);
  round(1, {1});
  finish(2);  // it has no row, as if its row were lost
  const auto image = recover_unfinished(*store_);
  ASSERT_FALSE(image);
  EXPECT_EQ(image.error().code, StoreErrorCode::Damaged);
  EXPECT_THAT(image.error().message, HasSubstr("unknown pipeline"));
}

TEST_P(CheckpointContract, StaysAfterAnOrderlyClose) {
  create(1);
  round(1, {1});
  create(2);
  ASSERT_TRUE(store_->close());
  reopen();
  EXPECT_THAT(recovered(), ElementsAre(1, 2));
}

INSTANTIATE_TEST_SUITE_P(Stores, CheckpointContract,
                         testing::Values(Kind{"Memory", [] { return std::make_unique<MemoryGround>(); }},
                                         Kind{"Rocksdb", [] { return std::make_unique<RocksdbGround>(); }}),
                         [](const auto& one) { return one.param.name; });

TEST(CheckpointSpace, OfDroppedEventsIsGivenBack) {
  const TemporaryDirectory directory;
  auto store = open_rocksdb_store(directory.store());
  ASSERT_TRUE(store) << store.error().message;
  (*store)->retain_events(kNoEvents);
  JournalWriter writer(**store);
  const auto used = [&] {
    std::uintmax_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory.store())) {
      if (entry.path().extension() == ".sst") bytes += entry.file_size();
    }
    return bytes;
  };
  const std::string output(std::size_t{4} << 20, 'o');
  constexpr std::uintmax_t kRoundBytes = std::uintmax_t{160} << 20;
  constexpr std::uint64_t kRounds = 4;
  for (std::uint64_t round = 1; round <= kRounds; ++round) {
    for (int commit = 0; commit < 40; ++commit) {
      ASSERT_TRUE(writer.append(TransitionGroup(0, TaskEnded{.pipeline_no = 1, .output = output})));
    }
    std::vector<TransitionGroup> rows;
    rows.push_back(make_row(RoundBegun{.generation = round, .minimum = writer.end()}));
    rows.push_back(make_row(RoundEnded{round, 1}));
    ASSERT_TRUE(writer.append_rows(rows));
    ASSERT_TRUE(writer.sync());
    ASSERT_TRUE((*store)->tidy());
  }
  // What is not yet in a lower level stays a while: a few memory tables.
  EXPECT_LT(used(), kRounds * kRoundBytes / 2);
}

}  // namespace
}  // namespace leat::test
