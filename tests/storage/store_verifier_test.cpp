// What leat verify is made of: no altered byte goes unreported, nothing whole is reported, and only what
// follows from the rest is rebuilt.
#include "leat/store_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "commit.h"
#include "filled_store.h"
#include "journal_family.h"
#include "journal_writer.h"
#include "leat/history.h"
#include "leat/state_store.h"
#include "leat/store_reader.h"
#include "leat/store_recovery.h"
#include "store_directory.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kTasks[] = {"only"};
constexpr std::uint32_t kReady[] = {0};

class StoreVerifier : public testing::Test {
 protected:
  void open() {
    auto store = open_rocksdb_store(path_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    writer_ = std::make_unique<JournalWriter>(*store_);
  }

  void define() {
    ASSERT_TRUE(writer_->append(
        TransitionGroup(1, WorkflowDefined{.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}),
        TransitionGroup(1, KeyDefined{.key_no = 1, .key = "default"})));
  }

  /// One commit: a pipeline from its creation to its end.
  void add_pipeline() {
    const std::uint64_t number = ++pipelines_;
    ASSERT_TRUE(writer_->append(
        TransitionGroup(
            2, PipelineCreated{.pipeline_no = number, .workflow_no = 1, .task_count = 1, .ready = kReady}),
        TransitionGroup(3, TaskStarted{.pipeline_no = number, .key_no = 1}),
        TransitionGroup(4, TaskEnded{.pipeline_no = number, .pipeline = PipelineState::Completed})));
  }

  /// Each opening leaves a table of its own.
  void close_with(int openings, int pipelines_each) {
    for (int opening = 0; opening < openings; ++opening) {
      open();
      if (opening == 0) define();
      for (int i = 0; i < pipelines_each; ++i) add_pipeline();
      ASSERT_TRUE(store_->close());
      store_.reset();
    }
  }

  /// Puts a commit that is valid for itself in the place of another one of a closed store, and lets the
  /// superblock agree with the files.
  void exchange(std::uint64_t first, const TransitionGroup& group) {
    auto place = StoreDirectory::open(path_);
    ASSERT_TRUE(place);
    Superblock block = place->superblock();
    auto journal =
        JournalDb::open(path_, JournalDb::Access::Write, journal_db_options(rocksdb::Env::Default()));
    ASSERT_TRUE(journal);
    std::string before;
    ASSERT_TRUE(journal->db().Get({}, journal->family(), journal_key(first), &before).ok());
    const auto header = CommitReader::open(first, std::as_bytes(std::span(before)))->header();
    CommitWriter writer(*header.link);
    writer.begin(first, header.previous_end(), header.epoch, header.synced);
    writer.add(group);
    const auto bytes = writer.finish();
    ASSERT_EQ(writer.end_sequence(), header.end_sequence());
    ASSERT_NE(hash_of_commit(bytes), header.hash);
    const std::string after(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    ASSERT_TRUE(journal->db().Put({}, journal->family(), journal_key(first), after).ok());
    ASSERT_TRUE(journal->db().Flush({}, journal->family()).ok());
    ASSERT_TRUE(journal->close().ok());
    block.manifest = manifest_digest(path_, *rocksdb::Env::Default());
    ASSERT_TRUE(place->replace(block));
  }

  std::vector<StoreError> findings() {
    auto found = verify_rocksdb_store(path_);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : std::vector<StoreError>();
  }

  static std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(path_ + "/" + name, std::ios::binary | std::ios::trunc) << bytes;
  }
  std::map<std::string, std::string> snapshot() {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(path_))
      files[entry.path().filename()] = read(entry.path());
    return files;
  }

  TemporaryDirectory directory_ = TemporaryDirectory::without_device();
  const std::string path_ = directory_.store();
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<JournalWriter> writer_;
  std::uint64_t pipelines_ = 0;
};

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

TEST_F(StoreVerifier, RepairRebuildsCurrentAndFloorOfAClosedStore) {
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

class DerivedFamily : public StoreVerifier, public testing::WithParamInterface<const char*> {
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

/// Changes the closed store behind leat's back, and lets the superblock agree with the files.
void tamper(const std::string& path, const std::function<rocksdb::Status(JournalDb&)>& change) {
  auto place = StoreDirectory::open(path);
  ASSERT_TRUE(place);
  auto journal = JournalDb::open(path, JournalDb::Access::Write, journal_db_options(rocksdb::Env::Default()));
  ASSERT_TRUE(journal);
  ASSERT_TRUE(change(*journal).ok());
  ASSERT_TRUE(journal->db().Flush({}, {journal->families().begin(), journal->families().end()}).ok());
  ASSERT_TRUE(journal->close().ok());
  Superblock block = place->superblock();
  block.manifest = manifest_digest(path, *rocksdb::Env::Default());
  ASSERT_TRUE(place->replace(block));
}

TEST_F(StoreVerifier, RepairDropsARoundThatDisagreesThoughTheJournalsBeginningIsGone) {
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

TEST_F(StoreVerifier, RepairGoesOnFromALaterRoundWhereTheOldestOneIsBroken) {
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

TEST_F(StoreVerifier, ReportsAHistoryThatDisagreesWithTheJournalAndRepairsIt) {
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

TEST_F(StoreVerifier, RepairLeavesAWholeStoreAsItIs) {
  close_with(2, 5);
  const auto before = snapshot();
  EXPECT_THAT(repair_rocksdb_store(path_).value().done, IsEmpty());
  EXPECT_EQ(snapshot(), before);
}

TEST_F(StoreVerifier, RepairTouchesNoAcknowledgedData) {
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

TEST_F(StoreVerifier, RepairIsRefusedBesideALiveWriter) {
  open();
  const auto repaired = repair_rocksdb_store(path_);
  ASSERT_FALSE(repaired);
  EXPECT_EQ(repaired.error().code, StoreErrorCode::Locked);
}

}  // namespace
}  // namespace leat::test
