// What leat verify --repair is made of: only what follows from the rest is rebuilt, and what does not is
// said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "examined_store.h"
#include "filled_store.h"
#include "leat/history.h"
#include "leat/store_reader.h"
#include "leat/store_recovery.h"
#include "leat/store_verifier.h"

namespace leat::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using StoreRepair = ExaminedStore;

TEST_F(StoreRepair, RebuildsCurrentAndFloorOfAClosedStore) {
  close_with(2, 5);
  const auto before = snapshot();
  for (const std::string name : {"CURRENT", "FLOOR"}) {
    for (const bool missing : {true, false}) {
      missing ? static_cast<void>(fs::remove(path_ + "/" + name)) : write(name, "nonsense");
      ASSERT_THAT(findings(), testing::Not(IsEmpty()));
      const auto repaired = repair_rocksdb_store(path_);
      ASSERT_TRUE(repaired) << repaired.error().message;
      EXPECT_THAT(repaired->done, ElementsAre(HasSubstr(name)));
      EXPECT_THAT(findings(), IsEmpty());
    }
  }
  auto after = snapshot();
  after.at("FLOOR") = before.at("FLOOR");  // it counts its turns
  EXPECT_EQ(after, before);
}

class DerivedFamily : public ExaminedStore, public testing::WithParamInterface<const char*> {
 protected:
  /// The table of one family, by its name in it.
  std::string table_of(std::string_view family) {
    for (const auto& [name, bytes] : snapshot()) {
      const auto is_family = [&](std::string_view other) { return bytes.find(other) != std::string::npos; };
      if (name.ends_with(".sst") && is_family(family)) return name;
    }
    return {};
  }
  std::vector<std::string> history() {
    std::vector<std::string> lines;
    const auto read =
        read_rocksdb_history(path_, {}, [&](const PipelineSummary& summary, std::string_view name) {
          lines.push_back(fmt_line(summary, name));
        });
    EXPECT_TRUE(read) << read.error().message;
    return lines;
  }
  static std::string fmt_line(const PipelineSummary& summary, std::string_view name) {
    return summary.id.to_string() + std::string(name) + std::to_string(summary.finished_ns) +
           std::to_string(summary.created_ns) + std::to_string(summary.failed) +
           std::to_string(summary.skipped) + std::string(summary.error);
  }
};

TEST_P(DerivedFamily, IsRebuiltFromTheJournalWhereverItsTableWasAltered) {
  write_filled_store(path_, {});
  const auto before = history();
  ASSERT_EQ(before.size(), 1U);
  const std::string name = table_of(GetParam());
  ASSERT_FALSE(name.empty());
  const auto whole = snapshot();
  for (std::size_t at = 0; at < whole.at(name).size(); at += 97) {
    fs::remove_all(path_);
    fs::create_directory(path_);
    for (const auto& [other, bytes] : whole) write(other, bytes);
    std::string flipped = whole.at(name);
    flipped[at] = static_cast<char>(flipped[at] ^ 4);
    write(name, flipped);
    ASSERT_THAT(findings(), testing::Not(IsEmpty())) << at;
    const auto repaired = repair_rocksdb_store(path_);
    ASSERT_TRUE(repaired) << repaired.error().message;
    EXPECT_THAT(repaired->done, ElementsAre(HasSubstr(GetParam()))) << at;
    EXPECT_THAT(findings(), IsEmpty()) << at;
    EXPECT_EQ(history(), before) << at;
  }
  const auto store = open_rocksdb_store(path_);
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ(recover_unfinished(**store)->pipelines().size(), 2U);
}

class RepairWithoutTheJournalsBeginning : public DerivedFamily {
 protected:
  void alter_table() {
    write_filled_store(path_, {.age_ns = 0});
    const std::string name = table_of(GetParam());
    std::string bytes = snapshot().at(name);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
    write(name, bytes);
  }
};

using RowsWithoutAJournal = RepairWithoutTheJournalsBeginning;

TEST_P(RowsWithoutAJournal, AreLeftAsTheyAreAndSaidToBeLost) {
  alter_table();
  const auto damaged = snapshot();
  const auto repaired = repair_rocksdb_store(path_);
  ASSERT_TRUE(repaired) << repaired.error().message;
  EXPECT_THAT(repaired->done, IsEmpty());
  EXPECT_THAT(repaired->lost, ElementsAre(HasSubstr("checkpoint: no round of the checkpoint is whole")));
  EXPECT_EQ(snapshot(), damaged);
}

INSTANTIATE_TEST_SUITE_P(Families, RowsWithoutAJournal, testing::Values("checkpoint"),
                         [](const auto& family) { return std::string(family.param); });

using HistoryWithoutAJournal = RepairWithoutTheJournalsBeginning;

TEST_P(HistoryWithoutAJournal, IsRebuiltFromTheRoundOnAndSaysWhatIsLost) {
  alter_table();
  const auto repaired = repair_rocksdb_store(path_);
  ASSERT_TRUE(repaired) << repaired.error().message;
  EXPECT_THAT(repaired->done, ElementsAre(HasSubstr("history: rebuilt")));
  EXPECT_THAT(repaired->lost, ElementsAre(HasSubstr("history: what altered tables held of before number")));
  EXPECT_THAT(findings(), IsEmpty());
  EXPECT_THAT(history(), IsEmpty());
  const auto store = open_rocksdb_store(path_);
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ(recover_unfinished(**store)->pipelines().size(), 2U);
}

INSTANTIATE_TEST_SUITE_P(Families, HistoryWithoutAJournal, testing::Values("history"),
                         [](const auto& family) { return std::string(family.param); });

using HistoryInRepair = DerivedFamily;

TEST_P(HistoryInRepair, ThatIsCutShortIsRefusedUntilItIsTakenUpAgain) {
  write_filled_store(path_, {});
  const auto before = history();
  {
    auto place = StoreDirectory::open(path_);
    ASSERT_TRUE(place);
    Superblock block = place->superblock();
    block.manifest = 0;
    block.repairing = 2;
    ASSERT_TRUE(place->replace(block));
    auto journal =
        JournalDb::open(path_, JournalDb::Access::Write, journal_db_options(rocksdb::Env::Default()));
    ASSERT_TRUE(journal);
    ASSERT_TRUE(journal->renew(kHistoryFamily).ok());
  }
  const auto found = findings();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0].message, HasSubstr("a repair was cut short"));
  EXPECT_EQ(open_rocksdb_store(path_).error().code, StoreErrorCode::Damaged);
  EXPECT_FALSE(read_rocksdb_store(path_));
  EXPECT_THAT(repair_rocksdb_store(path_).value().done, ElementsAre(HasSubstr("history: rebuilt")));
  EXPECT_THAT(findings(), IsEmpty());
  EXPECT_EQ(history(), before);
}

INSTANTIATE_TEST_SUITE_P(Families, HistoryInRepair, testing::Values("history"),
                         [](const auto& family) { return std::string(family.param); });

TEST_F(StoreRepair, DropsARoundThatDisagreesThoughTheJournalsBeginningIsGone) {
  write_filled_store(path_, {.age_ns = 0});
  {
    auto store = open_rocksdb_store(path_);  // without a limit in time: both rounds stay
    ASSERT_TRUE(store) << store.error().message;
    JournalWriter writer(**store);
    const std::uint64_t end = writer.end();
    constexpr std::string_view kThree[] = {"extract", "transform", "load"};
    std::vector<TransitionGroup> rows;  // pipelines 2 and 3 are left out, as if they had ended
    rows.push_back(make_row(RoundBegun{2, end, 4, 2, 2}));
    rows.push_back(make_row(WorkflowKept{2,
                                         end,
                                         {.workflow_no = 1,
                                          .name = "public::embedded::etl",
                                          .version = 42,
                                          .tasks = kThree,
                                          .definition = "[workflow]"}}));
    rows.push_back(make_row(KeyKept{2, {.key_no = 1, .key = "default"}}));
    rows.push_back(make_row(RoundEnded{2, 1}));
    ASSERT_TRUE(writer.append_rows(rows));
    ASSERT_TRUE((*store)->close());
  }
  const auto found = findings();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0].message, HasSubstr("the checkpoint's round 2 and the journal disagree"));
  EXPECT_THAT(repair_rocksdb_store(path_).value().done,
              ElementsAre(HasSubstr("checkpoint: round 2 dropped")));
  EXPECT_THAT(findings(), IsEmpty());
  const auto store = open_rocksdb_store(path_);
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ(recover_unfinished(**store)->pipelines().size(), 2U);
}

TEST_F(StoreRepair, GoesOnFromALaterRoundWhereTheOldestOneIsBroken) {
  write_filled_store(path_, {.age_ns = 0});
  std::string row;
  {
    auto store = open_rocksdb_store(path_);
    ASSERT_TRUE(store) << store.error().message;
    const auto image = recover_unfinished(**store);
    ASSERT_TRUE(image);
    JournalWriter writer(**store);
    const std::uint64_t end = writer.end();
    constexpr std::string_view kThree[] = {"extract", "transform", "load"};
    std::vector<TransitionGroup> rows;
    rows.push_back(make_row(RoundBegun{2, end, 4, 2, 2}));
    rows.push_back(make_row(WorkflowKept{2,
                                         end,
                                         {.workflow_no = 1,
                                          .name = "public::embedded::etl",
                                          .version = 42,
                                          .tasks = kThree,
                                          .definition = "[workflow]"}}));
    rows.push_back(make_row(KeyKept{2, {.key_no = 1, .key = "default"}}));
    for (const auto& [number, pipeline] : image->pipelines()) {
      for (TransitionGroup& one : make_rows({2, pipeline})) rows.push_back(std::move(one));
    }
    rows.push_back(make_row(RoundEnded{2, 1}));
    ASSERT_TRUE(writer.append_rows(rows));
    ASSERT_TRUE((*store)->close());
  }
  ASSERT_THAT(findings(), IsEmpty());
  tamper(path_, [](JournalDb& journal) {
    return journal.db().DeleteRange({}, journal.checkpoint(), row_key(1, 0), row_key(2, 0));
  });
  ASSERT_THAT(findings(), testing::Not(IsEmpty()));
  const auto repaired = repair_rocksdb_store(path_);
  ASSERT_TRUE(repaired);
  EXPECT_THAT(repaired->done, ElementsAre(HasSubstr("checkpoint: round 1 dropped, round 2")));
  EXPECT_THAT(repaired->lost, ElementsAre(HasSubstr("events: those before number")));
  EXPECT_THAT(findings(), IsEmpty());
  const auto store = open_rocksdb_store(path_);
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ(recover_unfinished(**store)->pipelines().size(), 2U);
}

INSTANTIATE_TEST_SUITE_P(Families, DerivedFamily, testing::Values("checkpoint", "history"),
                         [](const auto& family) { return std::string(family.param); });

TEST_F(StoreRepair, MakesAHistoryAnewThatDisagreesWithTheJournal) {
  constexpr std::uint32_t kReady[] = {0};
  for (const bool invented : {true, false}) {
    fs::remove_all(path_);
    open();
    define();
    const TransitionGroup created(
        2, PipelineCreated{.pipeline_no = 1, .workflow_no = 1, .task_count = 1, .ready = kReady});
    TransitionGroup ended(4, TaskEnded{.pipeline_no = 1, .pipeline = PipelineState::Completed});
    PipelineSummary summary{
        .workflow_no = 1, .tasks = 1, .completed = 1, .created_ns = invented ? 3 : 2, .finished_ns = 4};
    ended.add_summary(summary);
    ASSERT_TRUE(
        writer_->append(created, TransitionGroup(3, TaskStarted{.pipeline_no = 1, .key_no = 1}), ended));
    ASSERT_TRUE(store_->close());
    store_.reset();
    const auto found = findings();
    EXPECT_EQ(found.empty(), !invented);
    if (invented) {
      EXPECT_THAT(found.at(0).message, HasSubstr("the history and the journal disagree"));
      EXPECT_THAT(repair_rocksdb_store(path_).value().done, ElementsAre(HasSubstr("history")));
      EXPECT_THAT(findings(), IsEmpty());
    }
  }
}

TEST_F(StoreRepair, LeavesAWholeStoreAsItIs) {
  close_with(2, 5);
  const auto before = snapshot();
  EXPECT_THAT(repair_rocksdb_store(path_).value().done, IsEmpty());
  EXPECT_EQ(snapshot(), before);
}

TEST_F(StoreRepair, TouchesNoAcknowledgedData) {
  close_with(2, 5);
  for (const auto& [name, bytes] : snapshot()) {
    if (!name.ends_with(".sst") && !name.starts_with("MANIFEST-") && name != "LEAT") continue;
    std::string flipped = bytes;
    flipped[bytes.size() / 2] = static_cast<char>(flipped[bytes.size() / 2] ^ 1);
    write(name, flipped);
    const auto damaged = snapshot();
    EXPECT_THAT(repair_rocksdb_store(path_).value().done, IsEmpty()) << name;
    EXPECT_EQ(snapshot(), damaged) << name;
    EXPECT_THAT(findings(), testing::Not(IsEmpty())) << name;
    write(name, bytes);
  }
}

TEST_F(StoreRepair, IsRefusedBesideALiveWriter) {
  open();
  const auto repaired = repair_rocksdb_store(path_);
  ASSERT_FALSE(repaired);
  EXPECT_EQ(repaired.error().code, StoreErrorCode::Locked);
}

}  // namespace
}  // namespace leat::test
