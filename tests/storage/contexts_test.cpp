// Contexts that lie apart: they are there with the record that brought them or not at all, nobody else's are
// touched, and they go when nothing refers to them any more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/convenience.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "commit.h"
#include "contexts_check.h"
#include "contexts_family.h"
#include "examined_store.h"
#include "faulty_file_system.h"
#include "journal_family.h"
#include "journal_writer.h"
#include "leat/store_recovery.h"
#include "leat/store_verifier.h"
#include "rocksdb_store.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kTasks[] = {"first", "second"};
constexpr std::uint32_t kReady[] = {0};
constexpr Successor kNext[] = {{1, TaskState::Ready}};

std::string large(char letter, std::size_t bytes = 3000) {
  return R"({"k":")" + std::string(bytes, letter) + R"("})";
}

TransitionGroup created(std::uint64_t number, const std::string& context) {
  return {1, PipelineCreated{.pipeline_no = number,
                             .id = Uuid::make_v7(1, 1, number),
                             .workflow_no = 1,
                             .task_count = 2,
                             .ready = kReady,
                             .context = context}};
}
TransitionGroup first_ended(std::uint64_t number, const std::string& context) {
  return {3, TaskEnded{.pipeline_no = number, .successors = kNext, .context = context}};
}
TransitionGroup second_ended(std::uint64_t number) {
  return {5, TaskEnded{.pipeline_no = number, .task = 1, .pipeline = PipelineState::Completed}};
}
TransitionGroup started(std::uint64_t number, std::uint32_t task) {
  return {2, TaskStarted{.pipeline_no = number, .task = task, .key_no = 1}};
}

TEST(LargeContext, LeavesAMarkInItsRecord) {
  const std::string context = large('x');
  const TransitionGroup group = created(7, context);
  EXPECT_LT(group.bytes().size(), 64U);
  std::vector<ContextApart> apart;
  group.list_apart(apart);
  ASSERT_EQ(apart.size(), 1U);
  EXPECT_EQ(apart[0].place, ContextPlace::of_pipeline(7));
  EXPECT_EQ(apart[0].text, context);
}

TEST(LargeContext, StaysInItsRecordUpToTheLimit) {
  const std::string context(kContextInlineBytesMax, 'x');
  const TransitionGroup group = created(7, context);
  EXPECT_GT(group.bytes().size(), context.size());
  EXPECT_EQ(group.apart_bytes(), 0U);
}

TEST(LargeContext, GoesApartFromASummaryAsWell) {
  TransitionGroup group(
      3, TaskEnded{.pipeline_no = 1, .pipeline = PipelineState::Completed, .context = large('x')});
  const std::size_t record_bytes = group.bytes().size();
  group.add_summary({.id = Uuid::make_v7(1, 1, 1), .workflow_no = 1, .tasks = 1, .completed = 1});
  EXPECT_EQ(group.bytes().size(), record_bytes);
  EXPECT_FALSE(group.summary().empty());
  std::vector<ContextApart> apart;
  group.list_apart(apart);
  ASSERT_EQ(apart.size(), 1U);
  EXPECT_EQ(apart[0].text, large('x'));
}

TEST(LargeContext, OfATaskThatIsTakenOverBecomesTheNewPipelines) {
  const std::string a = large('a');
  const std::string c = large('c');
  const TaskDone done[] = {
      {.task = 0, .context = a}, {.task = 2, .context = "{}"}, {.task = 5, .context = c}};
  const std::string tasks_done = encode_done(done);
  const TransitionGroup group(
      1, PipelineCreated{.pipeline_no = 9, .task_count = 6, .traits = {.tasks_done = tasks_done}});
  EXPECT_LT(group.bytes().size(), 100U);
  std::vector<ContextApart> apart;
  group.list_apart(apart);
  ASSERT_EQ(apart.size(), 2U);
  EXPECT_EQ(apart[0].place, ContextPlace::of_task(9, 0));
  EXPECT_EQ(apart[0].text, a);
  EXPECT_EQ(apart[1].place, ContextPlace::of_task(9, 5));
  EXPECT_EQ(apart[1].text, c);
}

TEST(LargeContext, TakesNoMoreThanAWordInAnImage) {
  static_assert(sizeof(ContextImage) == sizeof(std::uint64_t));
  const ContextView mark = as_remembered(large('x'), ContextPlace::of_task(1, 2));
  const ContextImage image = mark;
  EXPECT_TRUE(image.is_apart());
  EXPECT_EQ(ContextImage(image).view(), mark);
  EXPECT_NE(image, ContextImage(as_remembered(large('x'), ContextPlace::of_task(1, 3)))) << "it is another's";
}

class Contexts : public testing::Test {
 protected:
  void open() {
    auto store = open_rocksdb_store(path_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    store_->retain_events({.age_ns = 0});
    writer_ = std::make_unique<JournalWriter>(*store_);
  }
  void define() {
    open();
    ASSERT_TRUE(writer_->append(TransitionGroup(1, workflow()), TransitionGroup(1, key())));
  }
  static WorkflowDefined workflow() { return {.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}; }
  static KeyDefined key() { return {.key_no = 1, .key = "default"}; }

  /// A pipeline of which the first task has saved a context.
  void begin_pipeline(std::uint64_t number) {
    ASSERT_TRUE(writer_->append(created(number, large('i')), started(number, 0)));
    ASSERT_TRUE(writer_->append(first_ended(number, large('s')), started(number, 1)));
  }
  /// A round in which `live` have rows. @param tidy  whether what it lets go goes
  void keep(std::uint64_t generation, const std::vector<std::uint64_t>& live, bool tidy = true) {
    std::vector<TransitionGroup> rows;
    rows.push_back(make_row(RoundBegun{generation, writer_->end(), 1000, 2, 2}));
    rows.push_back(make_row(WorkflowKept{generation, writer_->end(), workflow()}));
    rows.push_back(make_row(KeyKept{generation, key()}));
    for (const std::uint64_t number : live) {
      for (TransitionGroup& row : make_rows({generation, image_of(number)})) rows.push_back(std::move(row));
    }
    rows.push_back(make_row(RoundEnded{generation, static_cast<std::int64_t>(generation)}));
    ASSERT_TRUE(writer_->append_rows(rows));
    ASSERT_TRUE(writer_->sync());
    while (tidy) {
      const auto more = store_->tidy();
      ASSERT_TRUE(more) << more.error().message;
      if (!*more) break;
    }
  }
  static PipelineImage image_of(std::uint64_t number) {
    PipelineImage image;
    image.pipeline_no = number;
    image.id = Uuid::make_v7(1, 1, number);
    image.workflow_no = 1;
    image.state = PipelineState::Running;
    image.created_ns = 1;
    image.context = as_remembered(large('i'), ContextPlace::of_pipeline(number));
    image.last_completed = 0;
    image.tasks.resize(2);
    image.tasks[0].state = TaskState::Completed;
    image.tasks[0].context = as_remembered(large('s'), ContextPlace::of_task(number, 0));
    image.tasks[1].state = TaskState::Running;
    for (TaskImage& task : image.tasks) task.key_no = 1;
    return image;
  }
  void close() {
    ASSERT_TRUE(store_->close());
    store_.reset();
  }
  std::vector<std::string> findings() const {
    std::vector<std::string> messages;
    const auto found = verify_rocksdb_store(path_);
    EXPECT_TRUE(found) << found.error().message;
    for (const StoreError& finding : *found) messages.push_back(finding.message);
    return messages;
  }
  /// The places of all contexts in the closed store.
  std::vector<std::string> left() const {
    auto journal =
        JournalDb::open(path_, JournalDb::Access::Read, journal_db_options(rocksdb::Env::Default()));
    EXPECT_TRUE(journal);
    std::vector<std::string> places;
    const auto at = journal->scan(journal->contexts());
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      const ContextPlace place = *place_in(at->key());
      places.push_back(std::to_string(place.pipeline_no) + "/" + std::to_string(place.place));
    }
    std::size_t listed = 0;
    EXPECT_TRUE(replay_listed(*journal, [&listed](const ListedContext&) { ++listed; }));
    EXPECT_EQ(listed, places.size());
    return places;
  }

  TemporaryDirectory directory_ = TemporaryDirectory::without_device();
  const std::string path_ = directory_.store();
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<JournalWriter> writer_;
};

TEST_F(Contexts, AreReadWhereTheyWereBroughtAlsoAfterReopening) {
  define();
  begin_pipeline(1);
  close();
  open();
  EXPECT_EQ(store_->read_context(ContextPlace::of_pipeline(1)).value(), large('i'));
  EXPECT_EQ(store_->read_context(ContextPlace::of_task(1, 0)).value(), large('s'));
  const auto none = store_->read_context(ContextPlace::of_task(1, 1));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "pipeline 1: the context of task 1 is missing");
  close();
  EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(Contexts, ThatAreCompressedTakeLessAndAreReadEitherWay) {
  const auto written = [this](bool compress) {
    std::filesystem::remove_all(path_);
    auto store = open_rocksdb_store(path_, {.compress_contexts = compress});
    EXPECT_TRUE(store) << store.error().message;
    JournalWriter writer(**store);
    EXPECT_TRUE(writer.append(TransitionGroup(1, workflow()), created(1, large('i', 1 << 20))));
    EXPECT_TRUE((*store)->close());
    std::uintmax_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(path_)) bytes += file.file_size();
    return bytes;
  };
  EXPECT_GT(written(false), std::uintmax_t{1} << 20);
  EXPECT_LT(written(true), std::uintmax_t{1} << 16);
  EXPECT_THAT(findings(), IsEmpty());
  open();
  EXPECT_EQ(store_->read_context(ContextPlace::of_pipeline(1)).value(), large('i', 1 << 20));
}

TEST_F(Contexts, AreNotReadFromAClosedStore) {
  define();
  begin_pipeline(1);
  ASSERT_TRUE(store_->close());
  const auto text = store_->read_context(ContextPlace::of_pipeline(1));
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, StoreErrorCode::Closed);
}

TEST_F(Contexts, GoWithTheRecordsOfWhatEndedAndStayWithWhatLives) {
  define();
  for (std::uint64_t number = 1; number <= 3; ++number) begin_pipeline(number);
  ASSERT_TRUE(writer_->append(second_ended(1)));
  ASSERT_TRUE(writer_->append(second_ended(3)));
  keep(1, {2});
  EXPECT_EQ(store_->read_context(ContextPlace::of_task(2, 0)).value(), large('s'));
  close();
  EXPECT_THAT(left(), ElementsAre("2/0", "2/1"));
  EXPECT_THAT(findings(), IsEmpty());
  open();
  ASSERT_TRUE(writer_->append(second_ended(2)));
  keep(2, {});
  close();
  EXPECT_THAT(left(), IsEmpty());
  EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(Contexts, StayWhileTheEventsOfWhatEndedStay) {
  define();
  store_->retain_events({});
  begin_pipeline(1);
  ASSERT_TRUE(writer_->append(second_ended(1)));
  keep(1, {});
  close();
  EXPECT_THAT(left(), ElementsAre("1/0", "1/1"));
  EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(Contexts, ThatACrashKeptFromBeingFreedAreFreedByTheNextOpening) {
  define();
  begin_pipeline(1);
  ASSERT_TRUE(writer_->append(second_ended(1)));
  keep(1, {}, false);
  ASSERT_TRUE(*store_->tidy());  // the events are gone, the contexts are not
  close();
  EXPECT_THAT(left(), ElementsAre("1/0", "1/1"));
  EXPECT_THAT(findings(), IsEmpty()) << "they are about to be freed";
  open();
  while (*store_->tidy()) {
  }
  close();
  EXPECT_THAT(left(), IsEmpty());
  EXPECT_THAT(findings(), IsEmpty());
}

TEST_F(Contexts, OfAStoreThatRunsForEverTakeNoMoreSpace) {
  define();
  const auto taken = [this] {
    std::uintmax_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(path_)) bytes += file.file_size();
    return bytes;
  };
  constexpr std::uint64_t kEach = 200;
  constexpr std::size_t kBytes = 50'000;
  std::uintmax_t once = 0;
  for (std::uint64_t round = 1; round <= 12; ++round) {
    for (std::uint64_t number = (round - 1) * kEach + 1; number <= round * kEach; ++number) {
      ASSERT_TRUE(writer_->append(created(number, large('i', kBytes)), started(number, 0)));
      ASSERT_TRUE(writer_->append(first_ended(number, large('s')), started(number, 1), second_ended(number)));
    }
    keep(round, {});
    if (round == 3) once = taken();
  }
  close();
  EXPECT_THAT(left(), IsEmpty());
  EXPECT_LT(taken(), once + once / 2) << "12 rounds, each of 10 MB";
}

TEST_F(Contexts, ThatAreMissingAreReportedWithTheirTasksAndCannotBeRepaired) {
  define();
  begin_pipeline(1);
  close();
  tamper(path_, [](JournalDb& journal) {
    return journal.db().Delete({}, journal.contexts(), context_key(ContextPlace::of_task(1, 0)));
  });
  EXPECT_THAT(findings(), ElementsAre(path_ + ": pipeline 1: the context of task 0 is missing"));
  EXPECT_THAT(repair_rocksdb_store(path_).value().done, IsEmpty());
}

TEST_F(Contexts, ThatWereExchangedAreReported) {
  define();
  begin_pipeline(1);
  close();
  tamper(path_, [](JournalDb& journal) {
    return journal.db().Put({}, journal.contexts(), context_key(ContextPlace::of_pipeline(1)), large('s'));
  });
  EXPECT_THAT(
      findings(),
      ElementsAre(path_ + ": pipeline 1: the context that it began with is not the one that was saved"));
}

TEST_F(Contexts, ThatNobodyRefersToAreReportedAndFreedByARepair) {
  define();
  begin_pipeline(1);
  close();
  tamper(path_, [](JournalDb& journal) {
    return journal.db().Put({}, journal.contexts(), context_key(ContextPlace::of_task(77, 3)), large('z'));
  });
  EXPECT_THAT(findings(), ElementsAre(HasSubstr("contexts: pipeline 77, place 4: it is not in the list")));
  EXPECT_THAT(repair_rocksdb_store(path_).value().done, ElementsAre(HasSubstr("contexts: ")));
  EXPECT_THAT(findings(), IsEmpty());
  EXPECT_THAT(left(), ElementsAre("1/0", "1/1"));
}

TEST_F(Contexts, WhoseListIsIncompleteAreReportedAndListedByARepair) {
  define();
  begin_pipeline(1);
  close();
  ListedContext lost;
  tamper(path_, [&lost](JournalDb& journal) {
    EXPECT_TRUE(replay_listed(journal, [&lost](const ListedContext& one) { lost = one; }));
    return journal.db().Delete({}, journal.checkpoint(), listed_key(lost));
  });
  EXPECT_THAT(findings(), ElementsAre(HasSubstr("it is not in the list")));
  EXPECT_THAT(repair_rocksdb_store(path_).value().done, ElementsAre(HasSubstr("contexts: ")));
  EXPECT_THAT(findings(), IsEmpty());
  EXPECT_THAT(left(), ElementsAre("1/0", "1/1"));
}

TEST_F(Contexts, AFlippedByteInOneIsReported) {
  define();
  begin_pipeline(1);
  close();
  const std::string needle = large('s').substr(100, 500);
  int flipped = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    std::string bytes;
    {
      std::ifstream in(entry.path(), std::ios::binary);
      bytes.assign(std::istreambuf_iterator<char>(in), {});
    }
    const std::size_t at = bytes.find(needle);
    if (at == std::string::npos) continue;
    ++flipped;
    std::string damaged = bytes;
    damaged[at + 250] ^= 0x20;
    std::ofstream(entry.path(), std::ios::binary | std::ios::trunc) << damaged;
    EXPECT_FALSE(findings().empty());
    EXPECT_THAT(repair_rocksdb_store(path_).value().done, IsEmpty()) << "nothing else knows it";
    std::ofstream(entry.path(), std::ios::binary | std::ios::trunc) << bytes;
  }
  EXPECT_EQ(flipped, 1);
  EXPECT_THAT(findings(), IsEmpty());
}

/// What a scenario was told before its device failed.
struct Told {
  std::uint64_t written = 0;
  std::uint64_t synced = 0;
};

/// Pipelines with large contexts, a round, and its freeing; gives up at the first error.
Told play(const std::string& path, rocksdb::Env& env) {
  Told told;
  auto store = open_rocksdb_store(path, StoreEnvironment{.env = &env});
  if (!store) return told;
  (*store)->retain_events({.age_ns = 0});
  JournalWriter writer(**store);
  if (!writer.append(
          TransitionGroup(1, WorkflowDefined{.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}),
          TransitionGroup(1, KeyDefined{.key_no = 1, .key = "default"})))
    return told;
  for (std::uint64_t number = 1; number <= 3; ++number) {
    if (!writer.append(created(number, large('i')), started(number, 0))) return told;
    told.written = number;
    if (!writer.append(first_ended(number, large('s')), started(number, 1), second_ended(number)))
      return told;
    if (!writer.sync()) return told;
    told.synced = number;
    if (number != 2) continue;
    std::vector<TransitionGroup> rows;
    rows.push_back(make_row(RoundBegun{1, writer.end(), 3, 2, 2}));
    rows.push_back(
        make_row(WorkflowKept{1, writer.end(), {.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}}));
    rows.push_back(make_row(KeyKept{1, {.key_no = 1, .key = "default"}}));
    rows.push_back(make_row(RoundEnded{1, 9}));
    if (!writer.append_rows(rows) || !writer.sync()) return told;
    for (auto more = (*store)->tidy(); !more || *more; more = (*store)->tidy())
      if (!more) return told;
  }
  static_cast<void>((*store)->close());  // where it fails, the next opening recovers
  return told;
}

class ContextsFault : public testing::TestWithParam<FaultyFileSystem::Fault> {};

TEST_P(ContextsFault, AreThereWithTheirRecordsOrNotAtAllAtAnyFailingCall) {
  const char* const given = std::getenv("LEAT_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "LEAT_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  const std::string path = directory.store();
  std::uint64_t fail_at = 1;
  for (bool untouched = false; !untouched; ++fail_at) {
    for (const bool power_cut : {false, true}) {
      if (!power_cut && GetParam() == FaultyFileSystem::Fault::RefuseOnce)
        continue;  // as Refuse, or untouched
      SCOPED_TRACE("the failing call is number " + std::to_string(fail_at) +
                   (power_cut ? ", power cut" : ""));
      std::filesystem::remove_all(path);
      const auto system = std::make_shared<FaultyFileSystem>(GetParam(), fail_at);
      FaultyEnv env(system);
      const Told told = play(path, env);
      if (power_cut) system->cut_power(&random);
      StoreEnvironment environment;
      if (power_cut) environment.boot = 12345;
      {
        auto store = open_rocksdb_store(path, environment);
        ASSERT_TRUE(store) << store.error().message;
        const auto image = recover_unfinished(**store);
        ASSERT_TRUE(image) << image.error().message;
        EXPECT_GT(image->next_pipeline_no(), power_cut ? told.synced : told.written);
        ASSERT_TRUE((*store)->close());
      }
      const auto findings = verify_rocksdb_store(path);
      ASSERT_TRUE(findings) << findings.error().message;
      for (const StoreError& finding : *findings) ADD_FAILURE() << finding.message;
      if (testing::Test::HasFailure()) return;
      untouched = system->calls() < fail_at;
    }
  }
  EXPECT_GT(fail_at, 40U);  // the scenario makes at least so many calls
}

INSTANTIATE_TEST_SUITE_P(Every, ContextsFault,
                         testing::Values(FaultyFileSystem::Fault::Refuse, FaultyFileSystem::Fault::RefuseOnce,
                                         FaultyFileSystem::Fault::Lie),
                         [](const auto& fault) -> std::string {
                           if (fault.param == FaultyFileSystem::Fault::Refuse) return "Refused";
                           return fault.param == FaultyFileSystem::Fault::Lie ? "LiedAbout" : "RefusedOnce";
                         });

}  // namespace
}  // namespace leat::test
