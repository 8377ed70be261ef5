// Pipelines that wait in the store alone: their rows go and come with the records that say so, in every
// store; the fold and the verifier know where they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "journal_writer.h"
#include "leat/state_store.h"
#include "leat/store_image.h"
#include "leat/store_recovery.h"
#include "leat/store_verifier.h"
#include "leat/waiting.h"
#include "leat/wrapped_store.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kTasks[] = {"only"};
constexpr std::uint32_t kReady[] = {0};
constexpr WaitingLine kLine{.workflow_no = 1, .key_no = 2, .priority = Priority::Low};

PipelineCreated created(std::uint64_t number) {
  return {.pipeline_no = number,
          .id = Uuid::make_v7(number, 0, number),
          .workflow_no = 1,
          .task_count = 1,
          .level = Durability::Process,
          .ready = kReady,
          .context = "{\"a\":1}",
          .traits = {.priority = Priority::Low}};
}

TransitionGroup definition() {
  return {1, WorkflowDefined{.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}};
}
/// The pipeline's number is above its place.
TransitionGroup aside(std::uint64_t place) {
  return {10, PipelineSetAside{kLine, place, created(place + 1)}};
}

std::string packed(std::initializer_list<std::uint64_t> places) {
  std::string rows;
  for (const std::uint64_t place : places) {
    const std::string row = encode_waiting(10, created(place + 1));
    append_waiting(rows, std::as_bytes(std::span(row)));
  }
  return rows;
}

std::vector<std::uint64_t> places_in(StateStore& store, std::uint64_t from = 0) {
  std::vector<std::uint64_t> places;
  const auto read = store.replay_waiting(
      kLine, from,
      [&](std::uint64_t place, std::span<const std::byte> row) -> std::expected<bool, StoreError> {
        places.push_back(place);
        EXPECT_TRUE(decode_waiting(row, [&](std::int64_t created_ns, const PipelineCreated& read_back) {
          EXPECT_EQ(created_ns, 10);
          EXPECT_EQ(read_back.pipeline_no, place + 1);
          EXPECT_EQ(read_back.context, "{\"a\":1}");
          EXPECT_EQ(read_back.traits.priority, Priority::Low);
        }));
        return true;
      });
  EXPECT_TRUE(read);
  return places;
}

class WaitingRows : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    writer_.reset();
    store_.reset();
    if (GetParam()) {
      auto store = open_rocksdb_store(directory_.store());
      ASSERT_TRUE(store) << store.error().message;
      store_ = std::move(*store);
    } else {
      store_ = make_memory_store(medium_);
    }
    writer_ = std::make_unique<JournalWriter>(*store_);
  }
  template <typename... Groups>
  void append(const Groups&... groups) {
    ASSERT_TRUE(writer_->append(groups...));
  }

  TemporaryDirectory directory_;
  std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<JournalWriter> writer_;
};

INSTANTIATE_TEST_SUITE_P(Stores, WaitingRows, testing::Bool(),
                         [](const auto& param) { return param.param ? "Rocksdb" : "Memory"; });

TEST_P(WaitingRows, ComeBackInOrderAfterAReopening) {
  append(definition(), aside(0), aside(1), aside(2));
  append(aside(3));
  reopen();
  EXPECT_THAT(places_in(*store_), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(places_in(*store_, 2), ElementsAre(2, 3));
  const auto lines = store_->waiting_lines();
  ASSERT_TRUE(lines);
  EXPECT_THAT(*lines, ElementsAre(WaitingBounds{kLine, 0, 4, 0}));
}

TEST_P(WaitingRows, GoWithTheRecordThatTakesThemIn) {
  append(definition(), aside(0), aside(1), aside(2), aside(3));
  append(TransitionGroup(
      11, PipelinesTakenIn{.line = kLine, .begin = 2, .end = 4, .holes = 0, .rows = packed({0, 1})}));
  append(TransitionGroup(11, PipelinesTakenIn{.line = kLine,
                                              .in_turn = false,
                                              .place = 3,
                                              .begin = 2,
                                              .end = 4,
                                              .holes = 1,
                                              .rows = packed({3})}));
  reopen();
  EXPECT_THAT(places_in(*store_, 2), ElementsAre(2));
  const auto lines = store_->waiting_lines();
  ASSERT_TRUE(lines);
  EXPECT_THAT(*lines, ElementsAre(WaitingBounds{kLine, 2, 4, 1}));
  const auto image = recover_unfinished(*store_);
  ASSERT_TRUE(image) << image.error().message;
  std::vector<std::uint64_t> live;
  for (const auto& [number, pipeline] : image->pipelines()) {
    live.push_back(number);
    EXPECT_EQ(pipeline.tasks[0].state, TaskState::Ready);
    EXPECT_EQ(pipeline.created_ns, 10);
  }
  EXPECT_THAT(live, ElementsAre(1, 2, 4));
  EXPECT_EQ(image->next_pipeline_no(), 5U);
}

TEST_P(WaitingRows, OfALineThatIsEmptyLeaveItsEnd) {
  append(definition(), aside(0), aside(1));
  append(TransitionGroup(
      11, PipelinesTakenIn{.line = kLine, .begin = 2, .end = 2, .holes = 0, .rows = packed({0, 1})}));
  reopen();
  EXPECT_THAT(places_in(*store_), IsEmpty());
  const auto lines = store_->waiting_lines();
  ASSERT_TRUE(lines);
  EXPECT_THAT(*lines, ElementsAre(WaitingBounds{kLine, 2, 2, 0}));
}

TEST(WaitingRowsFold, RefusesAPipelineThatIsTakenInTwice) {
  const auto store = make_memory_store();
  JournalWriter writer(*store);
  ASSERT_TRUE(writer.append(definition(), aside(0), aside(1)));
  ASSERT_TRUE(writer.append(TransitionGroup(
      11, PipelinesTakenIn{.line = kLine, .begin = 1, .end = 2, .holes = 0, .rows = packed({0})})));
  ASSERT_TRUE(writer.append(TransitionGroup(
      11,
      PipelinesTakenIn{.line = kLine, .place = 1, .begin = 2, .end = 2, .holes = 0, .rows = packed({0})})));
  const auto image = recover_unfinished(*store);
  ASSERT_FALSE(image);
  EXPECT_THAT(image.error().message, HasSubstr("takes in a pipeline that lives"));
}

TEST(WaitingRowsFold, KeepsWhoWaitsForWhoeverLooksOn) {
  const auto store = make_memory_store();
  JournalWriter writer(*store);
  ASSERT_TRUE(writer.append(definition(), aside(0), aside(1)));
  StoreImage unfinished(StoreImage::Keep::Unfinished);
  StoreImage everything(StoreImage::Keep::Everything);
  std::size_t events = 0;
  ASSERT_TRUE(store->replay([&](std::uint64_t first, std::span<const std::byte> commit) {
    auto done = unfinished.apply(first, commit, [&](const TransitionEvent&) { ++events; });
    return done ? everything.apply(first, commit) : done;
  }));
  EXPECT_EQ(events, 4U);
  EXPECT_EQ(unfinished.pipelines().size(), 0U);
  EXPECT_EQ(everything.pipelines().size(), 2U);
}

/// Loses the row of one place.
class LosingStore final : public WrappedStore {
 public:
  using WrappedStore::WrappedStore;
  std::expected<void, StoreError> append_rows(std::uint64_t first, std::uint64_t end,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    std::vector<WaitingChange> kept(rows.waiting.begin(), rows.waiting.end());
    std::erase_if(kept, [](const WaitingChange& change) { return change.place == 1; });
    CommitRows others = rows;
    others.waiting = kept;
    return WrappedStore::append_rows(first, end, commit, others);
  }
};

TEST(WaitingRowsVerifier, ReportsARowThatIsMissing) {
  for (const bool loses : {false, true}) {
    const TemporaryDirectory directory;
    auto opened = open_rocksdb_store(directory.store());
    ASSERT_TRUE(opened);
    std::unique_ptr<StateStore> store = std::move(*opened);
    if (loses) store = std::make_unique<LosingStore>(std::move(store));
    ASSERT_TRUE(JournalWriter(*store).append(definition(), aside(0), aside(1), aside(2)));
    ASSERT_TRUE(store->close());
    const auto findings = verify_rocksdb_store(directory.store());
    ASSERT_TRUE(findings);
    ASSERT_EQ(findings->size(), loses ? 1U : 0U);
    if (loses) {
      EXPECT_THAT(findings->front().message, HasSubstr("2 of 3 are there"));
    }
  }
}

}  // namespace
}  // namespace leat::test
