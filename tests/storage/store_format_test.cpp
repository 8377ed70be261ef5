// Stores written by earlier versions open for ever. data/store_format_N is a store as format N left it,
// closed: never write it anew.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "every_kind_store.h"
#include "journal_writer.h"
#include "leat/history.h"
#include "leat/state_store.h"
#include "leat/store_image.h"
#include "leat/store_reader.h"
#include "leat/store_recovery.h"
#include "leat/store_verifier.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

class StoreFormat : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    std::filesystem::copy(std::filesystem::path(LEAT_STORAGE_TEST_DATA) / GetParam(), path_,
                          std::filesystem::copy_options::recursive);
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.store();
};

TEST_P(StoreFormat, IsWhole) {
  EXPECT_THAT(verify_rocksdb_store(path_).value(), testing::IsEmpty());
}

TEST_P(StoreFormat, TellsTheSameTransitions) {
  std::vector<std::string> lines;
  const auto image = read_rocksdb_store(path_, [&lines](const TransitionEvent& event) {
    lines.push_back(std::to_string(event.sequence) + " " + std::to_string(event.time_ns % 1'000'000'000) +
                    " " + event.workflow->tasks[event.task] + "#" + std::to_string(event.attempt) + " " +
                    std::string(to_string(event.to)) + " " + std::string(event.executor));
  });
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_THAT(lines,
              testing::ElementsAre("2 1 extract#1 NotStarted ", "3 1 transform#1 NotStarted ",
                                   "4 1 load#1 NotStarted ", "5 1 extract#1 Ready ",
                                   "6 2 extract#1 Running default", "7 3 extract#2 Ready default",
                                   "8 10 extract#2 Running default", "9 11 extract#2 Completed default",
                                   "10 11 transform#1 Ready ", "12 14 transform#1 Running default",
                                   "13 15 transform#1 Failed default", "14 15 load#1 Skipped "));
}

TEST_P(StoreFormat, AmountsToTheSameImage) {
  const auto image = read_rocksdb_store(path_);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->workflows().at(1).name, "public::embedded::etl");
  EXPECT_EQ(image->workflows().at(1).version, 42U);
  EXPECT_EQ(image->workflows().at(1).definition, "[workflow]");
  const PipelineImage& pipeline = image->pipelines().at(1);
  EXPECT_EQ(pipeline.id.to_string(), "018bcfe5-6800-7001-8000-000000000002");
  EXPECT_EQ(pipeline.level, Durability::Process);
  EXPECT_EQ(pipeline.state, PipelineState::Failed);
  EXPECT_EQ(pipeline.context, "{\"a\":1}");
  EXPECT_EQ(pipeline.tasks[0].context, "{\"b\":2}");
  EXPECT_EQ(pipeline.tasks[0].output, "out");
  EXPECT_EQ(pipeline.tasks[1].error, "no such file");
}

TEST_P(StoreFormat, IsCarriedOn) {
  auto store = open_rocksdb_store(path_);
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->epoch(), 2U);
  EXPECT_TRUE((*store)->closed_cleanly());
  EXPECT_EQ((*store)->next_sequence(), 15U);
  JournalWriter writer(**store);
  ASSERT_TRUE(writer.append(TransitionGroup(0, KeyDefined{.key_no = 2, .key = "gpu"})));
  ASSERT_TRUE((*store)->close());
  EXPECT_THAT(verify_rocksdb_store(path_).value(), testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Formats, StoreFormat, testing::Values("store_format_1"),
                         [](const auto& format) { return format.param; });

/// As write_filled_store() fills it, the events before its round gone.
class FilledStoreFormat : public StoreFormat {};

TEST_P(FilledStoreFormat, IsWhole) {
  EXPECT_THAT(verify_rocksdb_store(path_).value(), testing::IsEmpty());
}

TEST_P(FilledStoreFormat, RecoversFromItsRound) {
  auto store = open_rocksdb_store(path_);
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->checkpoints().newest().generation, 1U);
  const auto image = recover_unfinished(**store);
  ASSERT_TRUE(image) << image.error().message;
  ASSERT_EQ(image->pipelines().size(), 2U);
  const PipelineImage& second = image->pipelines().at(2);
  EXPECT_EQ(second.id.to_string(), "018bcfe5-6800-7001-8000-000000000002");
  EXPECT_EQ(second.state, PipelineState::Running);
  EXPECT_EQ(second.context, "{\"a\":1}");
  EXPECT_EQ(second.tasks[0].context, "{\"b\":2}");
  EXPECT_EQ(second.tasks[1].state, TaskState::Running);
  EXPECT_EQ(image->pipelines().at(3).tasks[0].state, TaskState::Ready);
  EXPECT_EQ(image->workflows().at(1).definition, "[workflow]");
  EXPECT_EQ(image->next_pipeline_no(), 4U);
  ASSERT_TRUE((*store)->close());
  EXPECT_THAT(verify_rocksdb_store(path_).value(), testing::IsEmpty());
}

TEST_P(FilledStoreFormat, RemembersWhatFinished) {
  std::vector<std::string> lines;
  const auto read =
      read_rocksdb_history(path_, {}, [&](const PipelineSummary& summary, std::string_view name) {
        lines.push_back(summary.id.to_string() + " " + std::string(name) + " " +
                        std::string(to_string(summary.state)) + " " + std::string(summary.error));
      });
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(lines, testing::ElementsAre("018bcfe5-6800-7001-8000-000000000001 public::embedded::etl Failed "
                                          "no such file"));
}

/// As write_every_kind() fills it: written today, or by the version of the directory's name.
class EveryKind : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "today") return write_every_kind(path_);
    std::filesystem::copy(std::filesystem::path(LEAT_STORAGE_TEST_DATA) / GetParam(), path_,
                          std::filesystem::copy_options::recursive);
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.store();
};

TEST_P(EveryKind, IsWholeAlsoWhenItWasCarriedOn) {
  EXPECT_THAT(verify_rocksdb_store(path_).value(), testing::IsEmpty());
  auto store = open_rocksdb_store(path_);
  ASSERT_TRUE(store) << store.error().message;
  ASSERT_TRUE((*store)->close());
  EXPECT_THAT(verify_rocksdb_store(path_).value(), testing::IsEmpty());
}

TEST_P(EveryKind, AmountsToTheSame) {
  auto store = open_rocksdb_store(path_);
  ASSERT_TRUE(store) << store.error().message;
  const auto image = recover_unfinished(**store);
  ASSERT_TRUE(image) << image.error().message;
  ASSERT_EQ(image->pipelines().size(), 2U);
  const PipelineImage& second = image->pipelines().at(2);
  EXPECT_EQ(second.state, PipelineState::Paused);
  EXPECT_EQ(second.traits->concurrency_key, "tenant");
  EXPECT_EQ(second.tasks[1].external_ref, "job-7");
  const auto initial = (*store)->read_context(ContextPlace::of_pipeline(2));
  ASSERT_TRUE(initial) << initial.error().message;
  EXPECT_EQ(*initial, every_kind_context('i'));
  EXPECT_EQ(mark_of(*initial, ContextPlace::of_pipeline(2)), second.context.mark());
  EXPECT_EQ((*store)->read_context(ContextPlace::of_task(2, 0)).value(), every_kind_context('s'));
  const PipelineImage& third = image->pipelines().at(3);
  EXPECT_EQ(third.traits->schedule, "nightly");
  EXPECT_EQ(third.tasks[0].state, TaskState::Completed);
  EXPECT_EQ((*store)->read_context(ContextPlace::of_task(3, 0)).value(), every_kind_context('s'));
  EXPECT_EQ(image->schedules().at("nightly").version, 2U);
  EXPECT_EQ(image->submissions().at("p::e::w once").pipeline, third.id);
  EXPECT_EQ(image->pauses().size(), 2U);
  ASSERT_TRUE((*store)->close());
}

TEST_P(EveryKind, StillTellsTheEventsOfWhatLives) {
  std::vector<std::uint64_t> pipelines;
  const auto image = read_rocksdb_store(path_, [&pipelines](const TransitionEvent& event) {
    pipelines.push_back(event.pipeline->pipeline_no);
  });
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_THAT(pipelines, testing::ElementsAre(2, 2, 2, 2, 2, 2, 2, 3, 3, 3));
}

INSTANTIATE_TEST_SUITE_P(Stores, EveryKind, testing::Values("today", "store_format_4"),
                         [](const auto& store) { return store.param; });

INSTANTIATE_TEST_SUITE_P(Formats, FilledStoreFormat, testing::Values("store_format_2", "store_format_3"),
                         [](const auto& format) { return format.param; });

}  // namespace
}  // namespace leat::test
