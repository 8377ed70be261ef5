// Events of pipelines that live outlast the journal that they were in.
#include "carried_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "journal_writer.h"
#include "leat/state_store.h"
#include "leat/store_reader.h"
#include "leat/store_verifier.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kTasks[] = {"first", "second"};
constexpr std::uint32_t kReady[] = {0};
constexpr Successor kSecond[] = {{1, TaskState::Ready}};

/// A store whose events go with every round.
class CarriedEvents : public testing::Test {
 protected:
  void SetUp() override {
    open();
    ASSERT_TRUE(writer_->append(
        TransitionGroup(1, WorkflowDefined{.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}),
        TransitionGroup(1, KeyDefined{.key_no = 1, .key = "default"})));
  }
  void open() {
    auto store = open_rocksdb_store(path_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    store_->retain_events({.age_ns = 0});
    writer_ = std::make_unique<JournalWriter>(*store_);
  }

  static TransitionGroup created(std::uint64_t number) {
    return {2, PipelineCreated{.pipeline_no = number,
                               .id = Uuid::make_v7(1, 1, number),
                               .workflow_no = 1,
                               .task_count = 2,
                               .ready = kReady}};
  }
  static TransitionGroup started(std::uint64_t number, std::uint32_t task) {
    return {3, TaskStarted{.pipeline_no = number, .task = task, .key_no = 1}};
  }
  static TransitionGroup ended(std::uint64_t number, std::uint32_t task, std::string_view output = {}) {
    TaskEnded record{.pipeline_no = number, .task = task, .output = output};
    if (task == 0) record.successors = kSecond;
    if (task == 1) record.pipeline = PipelineState::Completed;
    return {4, record};
  }
  /// A pipeline from its creation to its end, in one commit with what another one did meanwhile.
  template <typename... Groups>
  void pass(std::uint64_t number, const Groups&... meanwhile) {
    const std::string output(filler_, 'o');
    ASSERT_TRUE(writer_->append(created(number), started(number, 0), ended(number, 0, output), meanwhile...,
                                started(number, 1), ended(number, 1)));
  }

  /// @param live  pipelines whose second task is Ready, or Running
  void round(std::initializer_list<std::uint64_t> live, TaskState second = TaskState::Ready) {
    const std::uint64_t generation = ++generation_;
    std::vector<TransitionGroup> rows;
    rows.push_back(make_row(RoundBegun{generation, writer_->end(), 1000, 2, 2}));
    rows.push_back(
        make_row(WorkflowKept{generation, 1, {.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}}));
    rows.push_back(make_row(KeyKept{generation, {.key_no = 1, .key = "default"}}));
    for (const std::uint64_t number : live) {
      PipelineImage pipeline;
      pipeline.pipeline_no = number;
      pipeline.id = Uuid::make_v7(1, 1, number);
      pipeline.workflow_no = 1;
      pipeline.state = PipelineState::Running;
      pipeline.created_ns = 2;
      pipeline.last_completed = 0;
      pipeline.tasks.resize(2);
      pipeline.tasks[0].state = TaskState::Completed;
      pipeline.tasks[0].key_no = 1;
      pipeline.tasks[1].state = second;
      pipeline.tasks[1].key_no = second == TaskState::Running ? 1 : 0;
      for (TransitionGroup& row : make_rows({generation, pipeline})) rows.push_back(std::move(row));
    }
    rows.push_back(make_row(RoundEnded{generation, static_cast<std::int64_t>(generation)}));
    ASSERT_TRUE(writer_->append_rows(rows));
    ASSERT_TRUE(writer_->sync());
  }
  /// @return  in how many steps
  int tidy() {
    for (int steps = 1;; ++steps) {
      const auto more = store_->tidy();
      EXPECT_TRUE(more) << more.error().message;
      if (!more || !*more) return steps;
    }
  }

  std::vector<std::string> events_of(std::uint64_t number) {
    std::vector<std::string> lines;
    const auto image = read_rocksdb_store(path_, [&](const TransitionEvent& event) {
      if (event.pipeline->pipeline_no != number) return;
      lines.push_back(std::to_string(event.sequence) + " " + std::to_string(event.task) + " " +
                      std::string(to_string(event.to)) + " " + std::string(event.executor));
    });
    EXPECT_TRUE(image) << image.error().message;
    const auto found = verify_rocksdb_store(path_);
    EXPECT_TRUE(found && found->empty()) << found->front().message;
    return lines;
  }

  TemporaryDirectory directory_ = TemporaryDirectory::without_device();
  const std::string path_ = directory_.store();
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<JournalWriter> writer_;
  std::uint64_t generation_ = 0;
  std::size_t filler_ = 0;
};

TEST_F(CarriedEvents, OfAPipelineThatLivesOutlastTheJournal) {
  pass(2, created(1), started(1, 0));
  pass(3);
  pass(4, ended(1, 0));
  const auto before = events_of(1);
  ASSERT_EQ(before.size(), 6U);
  round({1});
  tidy();
  EXPECT_GT(store_->events_begin(), 20U);
  EXPECT_EQ(events_of(1), before);
  for (const std::uint64_t number : {2, 3, 4}) EXPECT_THAT(events_of(number), IsEmpty());
}

TEST_F(CarriedEvents, AreCarriedFromRoundToRoundAndGrow) {
  pass(2, created(1), started(1, 0), ended(1, 0));
  round({1});
  tidy();
  pass(3, started(1, 1));
  round({1}, TaskState::Running);
  tidy();
  pass(4);
  round({1}, TaskState::Running);
  tidy();
  const auto events = events_of(1);
  ASSERT_EQ(events.size(), 7U);
  EXPECT_THAT(events.back(), testing::EndsWith(" 1 Running default"));
  EXPECT_THAT(events_of(3), IsEmpty());
  ASSERT_TRUE(writer_->append(ended(1, 1)));
  EXPECT_EQ(events_of(1).size(), 8U) << "its end follows what was carried";
}

TEST_F(CarriedEvents, OfAFinishedPipelineGoWithTheNextRound) {
  pass(2, created(1), started(1, 0), ended(1, 0));
  round({1});
  tidy();
  ASSERT_TRUE(writer_->append(started(1, 1), ended(1, 1)));
  round({});
  tidy();
  EXPECT_THAT(events_of(1), IsEmpty());
}

TEST_F(CarriedEvents, AreAllThereWhereACrashCameBetweenTwoSteps) {
  filler_ = 200'000;
  ASSERT_TRUE(writer_->append(created(1), started(1, 0)));
  for (std::uint64_t number = 10; number < 40; ++number) pass(number);
  pass(40, ended(1, 0));
  const auto before = events_of(1);
  round({1});
  for (int steps = 0; steps < 3; ++steps) {
    const auto more = store_->tidy();
    ASSERT_TRUE(more && *more) << "it takes more than " << steps << " steps";
  }
  store_.reset();
  open();
  EXPECT_EQ(events_of(1), before);
  round({1});
  EXPECT_GT(tidy(), 3);
  EXPECT_EQ(events_of(1), before);
  EXPECT_THAT(events_of(20), IsEmpty());
}

TEST_F(CarriedEvents, OfWhatWasCreatedBehindTheRoundsBeginningAreTheJournals) {
  std::vector<TransitionGroup> begun;
  begun.push_back(make_row(RoundBegun{++generation_, writer_->end(), 1000, 2, 2}));
  ASSERT_TRUE(writer_->append_rows(begun));
  pass(2, created(1), started(1, 0), ended(1, 0));
  const auto before = events_of(1);
  --generation_;
  std::vector<TransitionGroup> rows;
  rows.push_back(make_row(WorkflowKept{1, 1, {.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}}));
  rows.push_back(make_row(KeyKept{1, {.key_no = 1, .key = "default"}}));
  PipelineImage pipeline;
  pipeline.pipeline_no = 1;
  pipeline.id = Uuid::make_v7(1, 1, 1);
  pipeline.workflow_no = 1;
  pipeline.state = PipelineState::Running;
  pipeline.created_ns = 2;
  pipeline.last_completed = 0;
  pipeline.tasks.resize(2);
  pipeline.tasks[0].state = TaskState::Completed;
  pipeline.tasks[0].key_no = 1;
  pipeline.tasks[1].state = TaskState::Ready;
  for (TransitionGroup& row : make_rows({1, pipeline})) rows.push_back(std::move(row));
  rows.push_back(make_row(RoundEnded{1, 1}));
  ASSERT_TRUE(writer_->append_rows(rows));
  ASSERT_TRUE(writer_->sync());
  tidy();
  EXPECT_EQ(events_of(1), before);
}

/// Lives that write rounds and carry events until each is killed. This process opens no store, so that a
/// child's threads are its own.
class KilledCarrier : public CarriedEvents {
 protected:
  void SetUp() override {}

  [[noreturn]] void live(int pipe) {
    const bool is_first = !std::filesystem::exists(path_);
    filler_ = 200'000;
    if (is_first) {
      CarriedEvents::SetUp();
      pass(2, created(1), started(1, 0), ended(1, 0));
    } else {
      open();
    }
    if (HasFailure()) ::_exit(2);
    generation_ = store_->next_generation() - 1;
    const auto report = [pipe] {
      if (::write(pipe, "r", 1) != 1) ::_exit(3);
    };
    for (;;) {
      report();
      for (int commits = 0; commits < 8; ++commits) pass(writer_->end());
      report();
      round({1});
      report();
      while (store_->tidy().value_or(false)) report();
      if (HasFailure()) ::_exit(4);
    }
  }

  /// @return  the child's status
  static int wait_for(pid_t child) {
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
  }
};

TEST_F(KilledCarrier, LeavesEveryEventOfWhatLivesAndAWholeStore) {
  const char* const given = std::getenv("LEAT_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "LEAT_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  for (int life = 0; life < 12; ++life) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) live(pipe[1]);
    ::close(pipe[1]);
    char heard = 0;
    for (std::uint64_t reports = 1 + random() % 16; reports > 0; --reports) {
      if (::read(pipe[0], &heard, 1) != 1) break;
    }
    ::kill(child, SIGKILL);
    ::close(pipe[0]);
    const int status = wait_for(child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "life " << life << " ended with status " << WEXITSTATUS(status);
    const pid_t looker = ::fork();
    ASSERT_GE(looker, 0);
    if (looker == 0) {
      // A life that was killed in its first moments has written nothing yet.
      const std::size_t events = events_of(1).size();
      ::_exit(HasFailure() ? 1 : (events == 6 || life == 0) ? 0 : 2);
    }
    ASSERT_EQ(wait_for(looker), 0) << "after life " << life;
  }
}

TEST(GroupsLeftOut, AreRefusedInTheJournal) {
  StoreImage image(StoreImage::Keep::Everything);
  CommitWriter writer;
  writer.begin(1, 1, 1, 1);
  writer.add(TransitionGroup(0, GroupsLeftOut{.transitions = 5}));
  EXPECT_FALSE(image.apply(1, writer.finish()));
}

}  // namespace
}  // namespace leat::test
