// Summaries of finished pipelines as bytes.
#include "history_pack.h"

#include <gtest/gtest.h>

#include <vector>

#include "leat/transition_group.h"

namespace leat::test {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'123'456'789;

PipelineSummary plain() {
  return {.id = Uuid::make_v7(1'700'000'000'121, 77, 0x123456789abcdef),
          .workflow_no = 5,
          .state = PipelineState::Completed,
          .tasks = 1,
          .completed = 1,
          .created_ns = kNow - 2'000'000,
          .finished_ns = kNow};
}

TransitionGroup end_with(const PipelineSummary& summary, std::string_view output = {}) {
  TransitionGroup group(kNow, TaskEnded{.pipeline_no = 9, .pipeline = summary.state, .output = output});
  group.add_summary(summary);
  return group;
}

std::vector<std::byte> pack(const std::vector<TransitionGroup>& groups) {
  HistoryPackWriter writer({.count = 10, .bytes = 300, .high_ns = 5});
  writer.begin(40);
  for (const TransitionGroup& group : groups) writer.add(group);
  const auto packed = writer.finish();
  return {packed.begin(), packed.end()};
}

TEST(HistoryPack, GivesEverySummaryBack) {
  std::vector<PipelineSummary> summaries(4, plain());
  summaries[1].state = PipelineState::Failed;
  summaries[1].tasks = 3;
  summaries[1].failed = 1;
  summaries[1].skipped = 1;
  summaries[1].error = "no such file";
  summaries[2].state = PipelineState::Cancelled;
  summaries[2].finished_ns = kNow - 7;  // cancelled before its last task came back
  summaries[2].created_ns = kNow + 9;   // the clock was set back
  summaries[3].id = *Uuid::parse("f0000000-0000-4000-8000-00000000000f");  // no time in it
  std::vector<TransitionGroup> groups;
  for (const PipelineSummary& summary : summaries) groups.push_back(end_with(summary, std::string(90, 'o')));
  const auto bytes = pack(groups);
  auto reader = HistoryPackReader::open(40, bytes);
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_EQ(reader->count(), 4U);
  EXPECT_EQ(reader->before().count, 10U);
  EXPECT_EQ(reader->before().bytes, 300U);
  EXPECT_EQ(reader->before().high_ns, kNow);
  for (const PipelineSummary& summary : summaries) EXPECT_EQ(**reader->next(), summary);
  EXPECT_EQ(*reader->next(), nullptr);
}

TEST(HistoryPack, TakesLessThan24BytesForATaskOfItsOwn) {
  EXPECT_LT(end_with(plain()).summary().size(), 24U);
}

TEST(HistoryPack, LeavesTheJournalsRecordAsItWas) {
  const TransitionGroup bare(kNow, TaskEnded{.pipeline_no = 9, .pipeline = PipelineState::Completed});
  const TransitionGroup group = end_with(plain());
  EXPECT_TRUE(std::ranges::equal(group.bytes(), bare.bytes()));
  EXPECT_TRUE(bare.summary().empty());
}

TEST(HistoryPack, RefusesEveryAlteredByte) {
  std::vector<TransitionGroup> groups;
  groups.push_back(end_with(plain()));
  std::vector<std::byte> bytes = pack(groups);
  for (std::byte& byte : bytes) {
    byte ^= std::byte{1};
    EXPECT_FALSE(HistoryPackReader::open(40, bytes));
    byte ^= std::byte{1};
  }
  EXPECT_TRUE(HistoryPackReader::open(40, bytes));
  EXPECT_FALSE(HistoryPackReader::open(41, bytes));
}

}  // namespace
}  // namespace leat::test
