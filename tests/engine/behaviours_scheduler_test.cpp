// Behaviours of the original system that leat keeps, from end to end; "row n" is the number of its line in
// the list of them, reference_behaviours.tsv. Rows about one class alone are tested beside that class.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "behaviours.h"
#include "eventually.h"
#include "leat/store_recovery.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;
using testing::Pair;

// --- scheduler ---

TEST(BehavioursScheduler, APipelineBeginsWithAllItsTasksAtOnce) {  // rows 43, 45, 46, 47
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<std::int32_t> max_attempts = 0;
  std::atomic<bool> open = false;
  const auto workflow = Workflow::builder("w")
                            .task("t1",
                                  [&](TaskContext& context) {
                                    max_attempts = context.event().max_attempts;
                                    open.wait(false);
                                  })
                            .task("t2", nothing, {.after = {"t1"}})
                            .build();
  Runner runner = make_started_runner(medium);
  auto handle = runner.submit(*workflow, {.durability = Durability::Process});
  ASSERT_TRUE(handle);
  EXPECT_EQ(handle->state(), PipelineState::Running);
  ASSERT_TRUE(eventually([&] { return max_attempts != 0; }));
  EXPECT_EQ(max_attempts, 3);
  EXPECT_THAT(handle->task_states(), ElementsAre(TaskState::Running, TaskState::NotStarted));
  open = true;
  open.notify_all();
  ASSERT_TRUE(handle->wait(kLong));
  ASSERT_TRUE(runner.stop(kLong));
  StoreImage first(StoreImage::Keep::Everything);
  ASSERT_GE(medium->commits.size(), 2U);
  for (const auto& commit : medium->commits) {  // up to the one that created the pipeline
    ASSERT_TRUE(first.apply(commit.first_sequence, commit.bytes));
    if (!first.pipelines().empty()) break;
  }
  ASSERT_EQ(first.pipelines().size(), 1U);
  const PipelineImage& created = first.pipelines().begin()->second;
  EXPECT_EQ(created.state, PipelineState::Pending);
  EXPECT_EQ(created.open_tasks, 2U);
  for (const TaskImage& task : created.tasks) EXPECT_EQ(task.attempt, 1U);
  std::vector<std::string> transitions = read(medium).transitions;
  transitions.resize(3);
  EXPECT_THAT(transitions, ElementsAre("t1 ->NotStarted 1", "t2 ->NotStarted 1", "t1 NotStarted->Ready 1"));
}

TEST(BehavioursScheduler, ATaskRunsOrIsSkippedAsAKeyOfItsContextIsThereOrNot) {  // row 69
  const auto workflow =
      *Workflow::builder("w")
           .task("t", nothing, {.trigger = *TriggerRule::context_value("k", TriggerOperator::Exists)})
           .build();
  Runner runner = make_started_runner();
  EXPECT_EQ(run(runner, workflow, R"({"k":null})").completed, 1U);
  EXPECT_EQ(run(runner, workflow, R"({"other":1})").skipped, 1U);
}

TEST(BehavioursScheduler, ATriggerRuleIsJudgedOnceAllDependenciesHaveEnded) {  // rows 47, 48, 50
  Runner runner = make_started_runner();
  std::atomic<bool> open = false;
  const auto workflow =
      Workflow::builder("w")
          .task("good", nothing)
          .task("bad", fails, {.retry = kOnce})
          .task("held", [&](TaskContext&) { open.wait(false); })
          .task("skipped", nothing, {.after = {"bad"}})
          .task("runs", nothing,
                {.after = {"good", "bad", "skipped", "held"}, .trigger = TriggerRule::all_done()})
          .task("does_not", nothing, {.after = {"good", "held"}, .trigger = TriggerRule::task_failed("good")})
          .build();
  ASSERT_TRUE(workflow) << workflow.error().message;
  auto handle = runner.submit(*workflow);
  ASSERT_TRUE(eventually([&] { return handle->task_states()[3] == TaskState::Skipped; }));
  EXPECT_EQ(handle->task_states()[4], TaskState::NotStarted);
  EXPECT_EQ(handle->task_states()[5], TaskState::NotStarted);
  open = true;
  open.notify_all();
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_EQ(handle->task_states()[4], TaskState::Completed);
  EXPECT_EQ(handle->task_states()[5], TaskState::Skipped);
}

TEST(BehavioursScheduler, AllCompletedIsCompletedAndOneFailedIsFailedWithTheCounts) {  // rows 53, 54, 55
  Runner runner = make_started_runner();
  const auto good = Workflow::builder("good").task("a", nothing).task("b", nothing).build();
  const PipelineResult completed = run(runner, *good);
  EXPECT_EQ(completed.state, PipelineState::Completed);
  EXPECT_EQ(completed.error, "");
  const auto bad = Workflow::builder("bad")
                       .task("a", nothing)
                       .task("b", fails, {.retry = kOnce})
                       .task("c", nothing, {.after = {"b"}})
                       .task("d", nothing, {.after = {"b"}, .trigger = TriggerRule::all_done()})
                       .build();
  const PipelineResult failed = run(runner, *bad);
  EXPECT_EQ(failed.state, PipelineState::Failed);
  EXPECT_EQ(failed.error, "1 task(s) failed, 2 completed, 1 skipped");
}

TEST(BehavioursScheduler, SkippedAndCompletedIsCompleted) {  // row 56
  Runner runner = make_started_runner();
  const auto workflow = Workflow::builder("w")
                            .task("a", nothing)
                            .task("b", nothing, {.after = {"a"}, .trigger = TriggerRule::task_failed("a")})
                            .build();
  const PipelineResult result = run(runner, *workflow);
  EXPECT_EQ(result.state, PipelineState::Completed);
  EXPECT_EQ(result.skipped, 1U);
}

TEST(BehavioursScheduler, AnEndedPipelineIsNotEndedAgain) {  // row 57
  Runner runner = make_started_runner();
  const auto workflow = Workflow::builder("w").task("a", nothing).build();
  auto handle = runner.submit(*workflow);
  ASSERT_TRUE(handle->wait(kLong));
  const auto cancelled = handle->cancel();
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code, ErrorCode::InvalidState);
  EXPECT_EQ(handle->wait(kLong)->state, PipelineState::Completed);
}

TEST(BehavioursScheduler, TheFinalContextIsThatOfTheLastCompletedTask) {  // row 58
  Runner runner = make_started_runner();
  const auto chain = Workflow::builder("chain")
                         .task("a", [](TaskContext& context) { context.set("by", "a"); })
                         .task("b", [](TaskContext& context) { context.set("by", "b"); }, {.after = {"a"}})
                         .task("c", fails, {.after = {"b"}, .retry = kOnce})
                         .build();
  EXPECT_EQ(run(runner, *chain).context, R"({"by":"b"})");
  const auto none = Workflow::builder("none").task("a", fails, {.retry = kOnce}).build();
  EXPECT_EQ(run(runner, *none, R"({"by":"submitter"})").context, R"({"by":"submitter"})");
}

TEST(BehavioursScheduler, ARetryDoesNotComeBeforeItsTime) {  // row 61
  using Clock = std::chrono::steady_clock;
  Runner runner = make_started_runner();
  std::vector<Clock::time_point> begun;
  const auto workflow = Workflow::builder("w")
                            .task("a",
                                  [&](TaskContext& context) -> std::expected<void, TaskError> {
                                    begun.push_back(Clock::now());
                                    if (context.attempt() == 1)
                                      return std::unexpected(TaskError("wait").after(20ms));
                                    return {};
                                  })
                            .build();
  run(runner, *workflow);
  ASSERT_EQ(begun.size(), 2U);
  EXPECT_GE(begun[1] - begun[0], 20ms);
}

// --- context ---

TEST(BehavioursContext, TheInitialContextReachesATaskOnlyThroughItsDependencies) {  // rows 106, 107, 108
  Runner runner = make_started_runner();
  std::string root, child, grandchild;
  const auto workflow =
      Workflow::builder("w")
          .task("root",
                [&](TaskContext& context) {
                  root = context.context().to_json();
                  context.remove("secret");
                  context.set("root", true);
                })
          .task("child", [&](TaskContext& context) { child = context.context().to_json(); },
                {.after = {"root"}})
          .task("grandchild", [&](TaskContext& context) { grandchild = context.context().to_json(); },
                {.after = {"child"}})
          .build();
  run(runner, *workflow, R"({"secret":1,"shared":2})");
  EXPECT_EQ(root, R"({"secret":1,"shared":2})");
  EXPECT_EQ(child, R"({"root":true,"shared":2})");
  EXPECT_EQ(grandchild, child);  // child wrote nothing, and hands on all it had
}

TEST(BehavioursContext, ATriggerRuleSeesWhatTheTaskWillSee) {  // row 123
  Runner runner = make_started_runner();
  const auto holds = [](const char* value) {
    return *TriggerRule::context_value("list", TriggerOperator::Contains, value);
  };
  std::string seen;
  const auto workflow =
      Workflow::builder("w")
          .task("a", [](TaskContext& context) { context.set_json("list", "[1]"); })
          .task("b", [](TaskContext& context) { context.set_json("list", "[2]"); })
          .task("both", [&](TaskContext& context) { seen = context.context().to_json(); },
                {.after = {"a", "b"}, .trigger = TriggerRule::all({holds("1"), holds("2")})})
          .build();
  EXPECT_EQ(run(runner, *workflow).state, PipelineState::Completed);
  EXPECT_EQ(seen, R"({"list":[1,2]})");
}

// --- retry ---

TEST(BehavioursRetry, AScheduledRetryIsReadyWithTheNextAttemptAndItsTime) {  // row 148
  const auto medium = std::make_shared<MemoryMedium>();
  const auto workflow =
      Workflow::builder("w")
          .task("a", fails, {.retry = {.backoff = Backoff::Fixed, .initial = 1h, .cap = 2h, .jitter = false}})
          .build();
  {
    Runner runner = make_started_runner(medium);
    auto handle = runner.submit(*workflow, {.durability = Durability::Process});
    ASSERT_TRUE(eventually([&] { return runner.metrics("default").total_retried == 1; }));
    EXPECT_THAT(handle->task_states(), ElementsAre(TaskState::Ready));
    ASSERT_TRUE(runner.stop(kLong));
  }
  const Seen seen = read(medium);
  const TaskImage& task = seen.only().tasks[0];
  EXPECT_EQ(task.state, TaskState::Ready);
  EXPECT_EQ(task.attempt, 2U);
  EXPECT_EQ(task.error, "no luck");
  const std::int64_t delay = task.retry_at_ns - seen.only().created_ns;
  EXPECT_GE(delay, std::chrono::nanoseconds(1h).count());
  EXPECT_LT(delay, std::chrono::nanoseconds(1h + kLong).count());
  EXPECT_EQ(seen.transitions.back(), "a Running->Ready 2");
}

TEST(BehavioursRetry, TransientTwiceThenOkIsThreeAttempts) {  // row 149
  Runner runner = make_started_runner();
  std::atomic<int> attempts = 0;
  const auto workflow = Workflow::builder("w")
                            .task("a",
                                  [&](TaskContext&) -> std::expected<void, TaskError> {
                                    if (++attempts < 3) return std::unexpected("connection refused");
                                    return {};
                                  },
                                  {.retry = {.initial = 1us, .on = RetryOn::TransientOnly}})
                            .build();
  EXPECT_EQ(run(runner, *workflow).state, PipelineState::Completed);
  EXPECT_EQ(attempts, 3);
}

TEST(BehavioursRetry, NeverIsOneAttempt) {  // row 150
  Runner runner = make_started_runner();
  std::atomic<int> attempts = 0;
  const auto workflow = Workflow::builder("w")
                            .task("a", [&](TaskContext& context) { return ++attempts, fails(context); },
                                  {.retry = {.max_attempts = 5, .on = RetryOn::Never}})
                            .build();
  EXPECT_EQ(run(runner, *workflow).state, PipelineState::Failed);
  EXPECT_EQ(attempts, 1);
}

// --- recovery ---

TEST(BehavioursRecovery, NothingUnfinishedIsNothingToDo) {  // rows 164, 167
  const auto medium = std::make_shared<MemoryMedium>();
  for (int round = 0; round < 2; ++round) {
    Runner runner = make_started_runner(medium);
    EXPECT_TRUE(runner.resumed().empty());
    EXPECT_TRUE(runner.unfinished().empty());
    EXPECT_TRUE(runner.stop(5s));
  }
}

TEST(BehavioursRecovery, AllThatRanAtACrashRunAgainAndWhatHadEndedDoesNot) {  // rows 166, 170, 171
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<int> first = 0, held = 0;
  std::atomic<bool> open = false;
  const auto hold = [&](TaskContext&) { ++held, open.wait(false); };
  const auto workflow = Workflow::builder("w")
                            .task("first", [&](TaskContext&) { ++first; })
                            .task("x", hold, {.after = {"first"}})
                            .task("y", hold, {.after = {"first"}})
                            .task("z", hold, {.after = {"first"}})
                            .build();
  Runner dies = make_started_runner(medium);
  ASSERT_TRUE(dies.submit(*workflow, {.durability = Durability::Process}));
  ASSERT_TRUE(eventually([&] { return held == 3; }));
  const auto left = crash_now(dies, *medium);
  Runner runner = make_runner(left);
  ASSERT_TRUE(runner.register_workflow(*workflow));
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(eventually([&] { return held == 6; }));
  open = true;
  open.notify_all();
  ASSERT_EQ(runner.resumed().size(), 1U);
  ASSERT_TRUE(runner.resumed()[0].wait(kLong));
  EXPECT_EQ(first, 1);
  ASSERT_TRUE(runner.stop(kLong));
  const Seen seen = read(left);
  EXPECT_EQ(seen.only().tasks[0].rescues, 0U);
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(seen.only().tasks[i].state, TaskState::Completed);
    EXPECT_EQ(seen.only().tasks[i].rescues, 1U);
    EXPECT_EQ(seen.only().tasks[i].attempt, 1U);  // a rescue is not a failure
  }
}

TEST(BehavioursRecovery, AnAbandonedTaskSaysSo) {  // rows 169, 172
  auto medium = std::make_shared<MemoryMedium>();
  std::atomic<int> runs = 0;
  std::atomic<bool> open = false;
  const auto workflow =
      Workflow::builder("w").task("kills", [&](TaskContext&) { ++runs, open.wait(false); }).build();
  std::vector<std::unique_ptr<Runner>> dead;
  for (int crash = 1; crash <= 4; ++crash) {
    dead.push_back(std::make_unique<Runner>(make_runner(medium)));
    ASSERT_TRUE(dead.back()->register_workflow(*workflow));
    ASSERT_TRUE(dead.back()->start());
    if (crash == 1) {
      ASSERT_TRUE(dead.back()->submit(*workflow, {.durability = Durability::Process}));
    }
    ASSERT_TRUE(eventually([&] { return runs == crash; }));
    medium = crash_now(*dead.back(), *medium);
  }
  {
    Runner runner = make_runner(medium);
    ASSERT_TRUE(runner.register_workflow(*workflow));
    ASSERT_TRUE(runner.start());
    EXPECT_EQ(runner.resumed()[0].wait(kLong)->state, PipelineState::Failed);
    // A plain failure is none of these.
    EXPECT_EQ(run(runner, *Workflow::builder("x").task("t", fails, {.retry = kOnce}).build()).failed, 1U);
    const auto abandoned = runner.quarantined();
    ASSERT_EQ(abandoned.size(), 1U);
    EXPECT_EQ(abandoned[0].pipeline, runner.resumed()[0].id());
  }
  EXPECT_EQ(runs, 4);
  EXPECT_THAT(std::string(read(medium).only().tasks[0].error), testing::StartsWith("ABANDONED:"));
  open = true;
  open.notify_all();
}

// --- namespace, status, event log ---

TEST(BehavioursStatus, OnlyWhatIsNeverLeftIsTerminal) {  // row 194
  for (const auto state : {PipelineState::Completed, PipelineState::Failed, PipelineState::Cancelled}) {
    EXPECT_TRUE(is_terminal(state));
  }
  for (const auto state : {PipelineState::Pending, PipelineState::Running, PipelineState::Paused}) {
    EXPECT_FALSE(is_terminal(state));
  }
}

TEST(BehavioursEventLog, AStateAndItsEventAreWrittenAtOnceWhereverTheJournalEnds) {  // row 198
  const auto medium = std::make_shared<MemoryMedium>();
  {
    Runner runner = make_started_runner(medium);
    run(runner, *Workflow::builder("w").task("a", nothing).task("b", fails, {.retry = kOnce}).build());
  }
  std::map<std::uint32_t, TaskState> told;
  StoreImage image(StoreImage::Keep::Everything);
  for (const auto& commit : medium->commits) {
    ASSERT_TRUE(image.apply(commit.first_sequence, commit.bytes,
                            [&](const TransitionEvent& event) { told[event.task] = event.to; }));
    const auto cut = std::make_shared<MemoryMedium>(*medium);
    std::erase_if(cut->commits,
                  [&](const auto& later) { return later.first_sequence > commit.first_sequence; });
    cut->open = cut->clean = false;
    const auto left = recover_unfinished(*make_memory_store(cut));
    ASSERT_TRUE(left) << left.error().message;
    for (const auto& [number, pipeline] : left->pipelines()) {
      for (const auto& [task, state] : told) EXPECT_EQ(pipeline.tasks[task].state, state);
    }
  }
  EXPECT_THAT(told, ElementsAre(Pair(0, TaskState::Completed), Pair(1, TaskState::Failed)));
}

TEST(BehavioursEventLog, SequencesRiseStrictlyAcrossRestarts) {  // row 198
  const auto medium = std::make_shared<MemoryMedium>();
  const auto workflow =
      Workflow::builder("w").task("a", nothing).task("b", nothing, {.after = {"a"}}).build();
  for (int round = 0; round < 3; ++round) {
    Runner runner = make_started_runner(medium);
    run(runner, *workflow);
    run(runner, *workflow);
  }
  const Seen seen = read(medium);
  EXPECT_GE(seen.sequences.size(), 36U);
  EXPECT_TRUE(std::ranges::is_sorted(seen.sequences, std::ranges::less_equal()));
}

// --- what a cancel leaves behind ---

TEST(BehavioursCancel, LeavesNothingOfAPipelineWhoseRetryWasFarAway) {
  auto witness = std::make_shared<int>(0);
  const std::weak_ptr<int> alive = witness;
  {
    Runner runner = make_started_runner();
    {
      const auto workflow = Workflow::builder("w")
                                .task("a", [witness](TaskContext& context) { return fails(context); },
                                      {.retry = {.initial = 1h, .cap = 1h}})
                                .build();
      witness.reset();
      auto handle = runner.submit(*workflow);
      ASSERT_TRUE(eventually([&] { return runner.metrics("default").total_retried == 1; }));
      ASSERT_TRUE(handle->cancel());
      EXPECT_EQ(handle->wait(kLong)->state, PipelineState::Cancelled);
    }
    EXPECT_TRUE(runner.wait_idle(5s)) << "nothing is queued, parked, due or running";
  }
  EXPECT_TRUE(alive.expired());
}

TEST(BehavioursCancel, OutlivesAStopThatInterruptsTheCancelledTask) {
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<int> runs = 0;
  const auto workflow = Workflow::builder("w")
                            .task("slow to end",
                                  [&](TaskContext& context) -> std::expected<void, TaskError> {
                                    ++runs;
                                    while (!context.stop_requested()) std::this_thread::yield();
                                    return std::unexpected("interrupted");
                                  })
                            .build();
  {
    Runner runner = make_started_runner(medium);
    auto handle = runner.submit(*workflow, {.durability = Durability::Process});
    ASSERT_TRUE(eventually([&] { return runs == 1; }));
    ASSERT_TRUE(handle->cancel());
    static_cast<void>(runner.stop(0s));
  }
  Runner runner = make_runner(medium);
  ASSERT_TRUE(runner.register_workflow(*workflow));
  ASSERT_TRUE(runner.start());
  EXPECT_TRUE(runner.resumed().empty());
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace leat::behaviours
