// The observer of `leat torture`, and the command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

#include "../storage/examined_store.h"
#include "contexts_family.h"
#include "leat/leat.h"
#include "torture_ledger.h"

namespace leat::tools {
namespace {

using Kind = TortureReport::Kind;
using testing::HasSubstr;

const std::string kLarge(kContextInlineBytesMax, 'x');

/// A store in which one pipeline of two tasks has ended.
class TortureLedgerTest : public testing::Test {
 protected:
  void SetUp() override {
    submit({}, [this](const PipelineHandle& handle) {
      ASSERT_TRUE(handle.wait());
      pipeline_ = handle.id();
    });
  }
  void submit(SubmitOptions options, const std::function<void(const PipelineHandle&)>& use) {
    const Workflow workflow = *Workflow::builder("w")
                                   .task("a", [](TaskContext& task) { task.set("text", kLarge); })
                                   .task("b", [](TaskContext&) {}, {.after = {"a"}})
                                   .build();
    auto runner = Runner::builder().database_url("rocksdb://" + store()).build();
    ASSERT_TRUE(runner) << runner.error().message;
    ASSERT_TRUE(runner->start());
    const auto handle = runner->submit(workflow, std::move(options));
    ASSERT_TRUE(handle);
    use(*handle);
    ASSERT_TRUE(runner->stop(std::chrono::seconds(30)));
  }
  /// Another pipeline, which does not end: as one that a death has cut off.
  Uuid submit_for_later() {
    Uuid id;
    submit({.start_at = std::chrono::system_clock::now() + std::chrono::hours(1000)},
           [&id](const PipelineHandle& handle) { id = handle.id(); });
    return id;
  }
  std::string store() const { return (directory_.path() / "store").string(); }
  void hear_everything() {
    ledger_.hear({.kind = Kind::Acknowledged, .pipeline = pipeline_});
    for (const std::uint32_t task : {0U, 1U}) {
      ledger_.hear({.kind = Kind::Began, .task = task, .attempt = 1, .pipeline = pipeline_});
      ledger_.hear(
          {.kind = Kind::Done, .task = task, .attempt = 1, .pipeline = pipeline_, .saved = saved_[task]});
    }
    ledger_.hear({.kind = Kind::Ended, .state = PipelineState::Completed, .pipeline = pipeline_});
  }

  test::TemporaryDirectory directory_ = test::TemporaryDirectory::without_device();
  Uuid pipeline_;
  TortureLedger ledger_;
  std::array<ContextMark, 2> saved_ = {mark_of("{\"text\":\"" + kLarge + "\"}", {}),
                                       {}};  // b changes nothing
};

TEST_F(TortureLedgerTest, FindsNothingWhereWhatWasHeardIsThere) {
  hear_everything();
  EXPECT_THAT(ledger_.check(store()), testing::IsEmpty());
  EXPECT_EQ(ledger_.acknowledgements(), 2U);
}

TEST_F(TortureLedgerTest, FindsAnAcknowledgedPipelineThatIsLost) {
  hear_everything();
  ledger_.hear({.kind = Kind::Acknowledged, .pipeline = Uuid::make_v7(1, 2, 3)});
  EXPECT_THAT(ledger_.check(store()), testing::ElementsAre(HasSubstr("was acknowledged and is lost")));
}

TEST_F(TortureLedgerTest, FindsAnEndThatIsNotTheOneAcknowledged) {
  hear_everything();
  ledger_.hear({.kind = Kind::Ended, .state = PipelineState::Failed, .pipeline = pipeline_});
  EXPECT_THAT(ledger_.check(store()),
              testing::ElementsAre(HasSubstr("was acknowledged as Failed and is Completed")));
}

TEST_F(TortureLedgerTest, FindsAnEndThatNoTaskTold) {
  EXPECT_THAT(ledger_.check(store()), testing::SizeIs(2));
}

TEST_F(TortureLedgerTest, FindsAnAttemptThatRunsAgainThoughItsEndWasRemembered) {
  hear_everything();
  ASSERT_THAT(ledger_.check(store()), testing::IsEmpty());
  ledger_.hear({.kind = Kind::Began, .task = 0, .attempt = 1, .pipeline = pipeline_});
  EXPECT_THAT(ledger_.check(store()), testing::ElementsAre(HasSubstr("runs again")));
  EXPECT_EQ(ledger_.repeats(), 1U);
}

/// Of the first task.
TortureReport began(const Uuid& pipeline) {
  return {.kind = Kind::Began, .task = 0, .attempt = 1, .pipeline = pipeline};
}

TEST_F(TortureLedgerTest, FindsAnAttemptThatRunsTwiceInOneLife) {
  hear_everything();
  ledger_.hear(began(pipeline_));
  EXPECT_THAT(ledger_.check(store()), testing::ElementsAre(HasSubstr("though it was not in flight")));
}

TEST_F(TortureLedgerTest, FindsAnAttemptThatRunsAgainThoughTheStoreDoesNotKnowOfIt) {
  hear_everything();
  const Uuid gone = Uuid::make_v7(1, 2, 3);
  ledger_.hear(began(gone));
  ASSERT_THAT(ledger_.check(store()), testing::IsEmpty());
  ledger_.hear(began(gone));
  EXPECT_THAT(ledger_.check(store()), testing::ElementsAre(HasSubstr("though it was not in flight")));
}

TEST_F(TortureLedgerTest, TakesAsManyRepeatsAsWereInFlightAtTheDeath) {
  hear_everything();
  const Uuid cut_off = submit_for_later();
  ledger_.hear(began(cut_off));
  for (int death = 1; death <= 2; ++death) {
    ASSERT_THAT(ledger_.check(store()), testing::IsEmpty());
    ledger_.hear(began(cut_off));
  }
  EXPECT_THAT(ledger_.check(store()), testing::IsEmpty());
  EXPECT_EQ(ledger_.repeats(), 2U);
}

TEST_F(TortureLedgerTest, FindsMoreRepeatsThanWereInFlightAtTheDeath) {
  hear_everything();
  const Uuid cut_off = submit_for_later();
  ledger_.hear(began(cut_off));
  ASSERT_THAT(ledger_.check(store()), testing::IsEmpty());
  ledger_.hear(began(cut_off));
  ledger_.hear(began(cut_off));
  EXPECT_THAT(ledger_.check(store()), testing::ElementsAre(HasSubstr("though it was not in flight")));
}

TEST_F(TortureLedgerTest, FindsATaskThatBeginsBeforeItsTime) {
  hear_everything();
  const Uuid later = submit_for_later();
  ledger_.hear({.kind = Kind::Claimed, .task = 0, .attempt = 1, .pipeline = later});
  ledger_.hear({.kind = Kind::Early, .task = 0, .attempt = 1, .pipeline = later});
  EXPECT_THAT(ledger_.check(store()), testing::ElementsAre(HasSubstr("begins before its time")));
}

TEST_F(TortureLedgerTest, LetsATaskThatWasClaimedBeginAgainBeforeItsTime) {
  hear_everything();
  const Uuid later = submit_for_later();
  ledger_.hear({.kind = Kind::Claimed, .task = 0, .attempt = 1, .pipeline = later});
  ASSERT_THAT(ledger_.check(store()), testing::IsEmpty());
  ledger_.hear({.kind = Kind::Early, .task = 0, .attempt = 1, .pipeline = later});
  EXPECT_THAT(ledger_.check(store()), testing::IsEmpty());
}

TEST_F(TortureLedgerTest, FindsNothingUndoneWhereAllHasEnded) {
  hear_everything();
  ASSERT_THAT(ledger_.check(store()), testing::IsEmpty());
  EXPECT_THAT(ledger_.check_ended(), testing::IsEmpty());
}

TEST_F(TortureLedgerTest, FindsAPipelineThatWasLeftUndone) {
  hear_everything();
  const Uuid undone = submit_for_later();
  ASSERT_THAT(ledger_.check(store()), testing::IsEmpty());
  EXPECT_THAT(ledger_.check_ended(), testing::ElementsAre(HasSubstr(undone.to_string() + " has not ended")));
}

TEST_F(TortureLedgerTest, FindsALargeContextThatIsNotWhatItsTaskTold) {
  saved_[0] = mark_of("{\"text\":\"another\"}", {});
  hear_everything();
  EXPECT_THAT(ledger_.check(store()), testing::ElementsAre(HasSubstr("is not the one that it told of")));
}

TEST_F(TortureLedgerTest, FindsALargeContextThatIsLost) {
  hear_everything();
  test::tamper(store(), [](JournalDb& journal) {
    return journal.db().Delete({}, journal.contexts(), context_key(ContextPlace::of_task(1, 0)));
  });
  EXPECT_THAT(ledger_.check(store()), testing::ElementsAre(HasSubstr("is lost")));
}

TEST_F(TortureLedgerTest, FindsATaskThatHasFoundAnothersContext) {
  hear_everything();
  ledger_.hear({.kind = Kind::Wrong, .task = 1, .attempt = 1, .pipeline = pipeline_});
  EXPECT_THAT(ledger_.check(store()), testing::ElementsAre(HasSubstr("has found another context")));
}

int run(const std::string& words) {
  const int status = std::system((std::string(LEAT_TOOL) + " torture " + words).c_str());
  return WEXITSTATUS(status);
}

TEST(Torture, MakesItsStorePrintsItsSeedAndFindsNothing) {
  const test::TemporaryDirectory directory;
  const std::string store = (directory.path() / "store").string();
  const std::string errors = (directory.path() / "errors").string();
  EXPECT_EQ(run("--minutes 0.03 --seed 5 --store " + store + " 2> " + errors), 0);
  std::string line;
  std::getline(std::ifstream(errors) >> std::ws, line);
  EXPECT_EQ(line, "leat: seed 5");
  EXPECT_TRUE(std::filesystem::exists(store));
}

TEST(Torture, LeavesADirectoryAloneThatIsNotEmpty) {
  const test::TemporaryDirectory directory;
  const auto file = directory.path() / "precious";
  std::ofstream(file) << "data";
  EXPECT_EQ(run("--minutes 0.01 --store " + directory.path().string() + " 2> /dev/null"), 2);
  EXPECT_TRUE(std::filesystem::exists(file));
}

}  // namespace
}  // namespace leat::tools
