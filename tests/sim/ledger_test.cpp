// Every rule that the ledger checks speaks about a forged history: what must never be, shown to it.
#include "ledger.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "commit.h"

namespace leat::sim {
namespace {

class LedgerTest : public testing::Test {
 protected:
  LedgerTest() { ledger_.submitted(id_, {.level = Durability::Disk}); }
  std::optional<Rule> spoken() const {
    return ledger_.violation() ? std::optional(ledger_.violation()->rule) : std::nullopt;
  }
  /// One task of the pipeline, created and Ready.
  void create() {
    ledger_.transition({id_, 0, 1, {}, TaskState::NotStarted});
    ledger_.transition({id_, 0, 1, TaskState::NotStarted, TaskState::Ready});
  }

  const Uuid id_ = Uuid::make_v7(1, 1, 1);
  Ledger ledger_{{{}, {.after = {0}}}};
};

TEST_F(LedgerTest, AcceptsWhatTheTableAllows) {
  create();
  EXPECT_EQ(spoken(), std::nullopt);
}

TEST_F(LedgerTest, FindsATransitionThatIsNotInTheTable) {
  create();
  ledger_.transition({id_, 0, 1, TaskState::Ready, TaskState::Completed});
  EXPECT_EQ(spoken(), Rule::TransitionTable);
}

TEST_F(LedgerTest, FindsASecondEnd) {
  create();
  ledger_.cancelled(id_);
  ledger_.transition({id_, 0, 1, TaskState::Ready, TaskState::Cancelled});
  EXPECT_EQ(spoken(), std::nullopt);
  ledger_.transition({id_, 0, 1, TaskState::Cancelled, TaskState::Ready});
  EXPECT_EQ(spoken(), Rule::OneEnd);
}

TEST_F(LedgerTest, FindsAStartThatNoExecutorMade) {
  create();
  ledger_.transition({id_, 0, 1, TaskState::Ready, TaskState::Running});
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(LedgerTest, FindsACancelThatNobodyAskedFor) {
  create();
  ledger_.transition({id_, 0, 1, TaskState::Ready, TaskState::Cancelled});
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(LedgerTest, FindsASlotThatWasNotGivenBack) {
  const LaneView leaking{
      .key = "k", .admitted = 2, .limit = 4, .queued = 1, .holding = 0, .parked = 0, .braked = false};
  ledger_.look_at(std::vector{leaking}, false);
  EXPECT_EQ(spoken(), Rule::Conservation);
}

TEST_F(LedgerTest, FindsASlotThatIsStillTakenWhenAllIsOver) {
  const LaneView left{
      .key = "k", .admitted = 1, .limit = 4, .queued = 1, .holding = 0, .parked = 0, .braked = false};
  ledger_.look_at(std::vector{left}, false);
  EXPECT_EQ(spoken(), std::nullopt);
  ledger_.look_at(std::vector{left}, true);
  EXPECT_EQ(spoken(), Rule::Conservation);
}

TEST_F(LedgerTest, FindsATaskThatADeadProcessLeftRunning) {
  const EngineView view{
      id_, Durability::Disk, true, {}, {{TaskState::Running, 1}, {TaskState::NotStarted, 1}}, {}};
  ledger_.look_at(std::vector{view}, false);
  EXPECT_EQ(spoken(), Rule::DeadEpoch);
}

TEST_F(LedgerTest, FindsADependentThatStartsBeforeItsDependency) {
  ledger_.started({id_, 1, 1});
  EXPECT_EQ(spoken(), Rule::DurableDependencies);
}

TEST_F(LedgerTest, FindsAStartWhileAPauseHolds) {
  ledger_.paused({PauseScope::ExecutorKey, "default"});
  ledger_.started({id_, 0, 1});
  EXPECT_EQ(spoken(), Rule::PausesHold);
}

TEST_F(LedgerTest, FindsAnAcknowledgedPauseThatIsLost) {
  ledger_.paused({PauseScope::ExecutorKey, "default"});
  ledger_.died(Death::Kill, MemoryMedium());
  EXPECT_EQ(spoken(), Rule::AcknowledgedKept);
}

TEST_F(LedgerTest, FindsAStartBeforeItsTime) {
  const Uuid later = Uuid::make_v7(2, 2, 2);
  ledger_.submitted(later, {.level = Durability::Memory, .start_at_ns = 1000});
  ledger_.started({later, 0, 1}, 999);
  EXPECT_EQ(spoken(), Rule::NotTooEarly);
}

TEST_F(LedgerTest, FindsAnEndByADeadlineThatHasNotPassed) {
  const Uuid pressed = Uuid::make_v7(2, 2, 2);
  ledger_.submitted(pressed, {.level = Durability::Disk, .deadline_ns = 1000});
  for (const std::uint32_t task : {0U, 1U}) ledger_.transition({pressed, task, 1, {}, TaskState::NotStarted});
  ledger_.transition({pressed, 0, 1, TaskState::NotStarted, TaskState::Cancelled}, 1000);
  EXPECT_EQ(spoken(), std::nullopt);
  ledger_.transition({pressed, 1, 1, TaskState::NotStarted, TaskState::Cancelled}, 999);
  EXPECT_EQ(spoken(), Rule::NotTooEarly);
}

TEST_F(LedgerTest, FindsAStartAfterADeadlineThatPassedBeforeTheProcess) {
  const SubmissionTerms terms{.level = Durability::Memory, .deadline_ns = 1000};
  for (const std::uint32_t number : {2U, 3U}) ledger_.submitted(Uuid::make_v7(number, number, number), terms);
  ledger_.opened(999);
  ledger_.started({Uuid::make_v7(2, 2, 2), 0, 1});
  EXPECT_EQ(spoken(), std::nullopt);
  ledger_.opened(1000);
  ledger_.started({Uuid::make_v7(3, 3, 3), 0, 1});
  EXPECT_EQ(spoken(), Rule::DeadlinesHold);
}

TEST_F(LedgerTest, FindsADeadlineThatNothingWaitsFor) {
  ledger_.stand_still();
  EXPECT_EQ(spoken(), std::nullopt);
  ledger_.submitted(Uuid::make_v7(2, 2, 2), {.level = Durability::Memory, .deadline_ns = 1000});
  ledger_.stand_still();
  EXPECT_EQ(spoken(), Rule::DeadlinesHold);
}

TEST_F(LedgerTest, FindsAContextThatItsAttemptCannotRead) {
  ledger_.context_missing({id_, 0, 1}, "there is none");
  EXPECT_EQ(spoken(), Rule::AcknowledgedKept);
}

/// One attempt of a task that runs, and a task behind it.
class AttemptLedgerTest : public LedgerTest {
 protected:
  AttemptLedgerTest() {
    ledger_.submitted(other_, {.level = Durability::Memory});
    for (const std::uint32_t task : {0U, 1U})
      ledger_.transition({other_, task, 1, {}, TaskState::NotStarted});
    ledger_.transition({other_, 0, 1, TaskState::NotStarted, TaskState::Ready});
    ledger_.started({other_, 0, 1});
    ledger_.transition({other_, 0, 1, TaskState::Ready, TaskState::Running});
  }
  void tell(ExecutionStatus status) {
    ExecutionResult result;
    result.status = status;
    ledger_.told({other_, 0, 1}, result);
  }
  /// @param time_ns  of the policy's pause, which is 0.75 s at least
  void retry_after(std::int64_t time_ns) {
    ledger_.transition({.pipeline = other_,
                        .task = 0,
                        .attempt = 2,
                        .from = TaskState::Running,
                        .to = TaskState::Ready,
                        .reason = TransitionReason::Retry,
                        .retry_at_ns = time_ns});
  }
  void end(TaskState to, TransitionReason reason = TransitionReason::Result) {
    ledger_.transition({other_, 0, 1, TaskState::Running, to, reason});
  }
  void decide(TaskState to) { ledger_.transition({other_, 1, 1, TaskState::NotStarted, to}); }

  const Uuid other_ = Uuid::make_v7(2, 2, 2);
};

TEST_F(AttemptLedgerTest, FindsAFailureThatNobodySaid) {
  end(TaskState::Failed);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(AttemptLedgerTest, FindsAFailureOfWhatWasSaidToBeDone) {
  tell(ExecutionStatus::Completed);
  end(TaskState::Failed);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(AttemptLedgerTest, FindsAFailureForGoodWhileAttemptsAreLeft) {
  tell(ExecutionStatus::Retry);
  end(TaskState::Failed);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(AttemptLedgerTest, FindsARetryThatNoFailureGoesBefore) {
  retry_after(1'000'000'000);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(AttemptLedgerTest, FindsARetryOfWhatHasFailedForGood) {
  tell(ExecutionStatus::Failed);
  retry_after(1'000'000'000);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(AttemptLedgerTest, FindsARetryWithoutItsPause) {
  tell(ExecutionStatus::Retry);
  retry_after(700'000'000);
  EXPECT_EQ(spoken(), Rule::NotTooEarly);
}

TEST_F(AttemptLedgerTest, AcceptsARetryAfterItsPause) {
  tell(ExecutionStatus::Retry);
  retry_after(750'000'000);
  EXPECT_EQ(spoken(), std::nullopt);
}

TEST_F(AttemptLedgerTest, FindsARescueWithoutADeath) {
  end(TaskState::Ready, TransitionReason::Rescue);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(AttemptLedgerTest, FindsAnInterruptionWithoutAStop) {
  end(TaskState::Ready, TransitionReason::Interrupted);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(AttemptLedgerTest, AcceptsAnInterruptionByAStop) {
  ledger_.stopping();
  end(TaskState::Ready, TransitionReason::Interrupted);
  EXPECT_EQ(spoken(), std::nullopt);
}

TEST_F(AttemptLedgerTest, FindsATaskThatIsGivenUpThoughItMayBeRescued) {
  end(TaskState::Failed, TransitionReason::Abandoned);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(AttemptLedgerTest, FindsAContextThatIsNotWhatItsTaskSaved) {
  ledger_.saved({other_, 0, 1}, R"({"a":1})");
  tell(ExecutionStatus::Completed);
  end(TaskState::Completed);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(AttemptLedgerTest, FindsATaskThatIsReadyBeforeItsDependenciesEnd) {
  decide(TaskState::Ready);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(AttemptLedgerTest, FindsATaskThatRunsAgainstItsTriggerRule) {
  tell(ExecutionStatus::Failed);
  end(TaskState::Failed);
  EXPECT_EQ(spoken(), std::nullopt);
  decide(TaskState::Ready);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(AttemptLedgerTest, FindsATaskThatIsSkippedAgainstItsTriggerRule) {
  tell(ExecutionStatus::Completed);
  end(TaskState::Completed);
  EXPECT_EQ(spoken(), std::nullopt);
  decide(TaskState::Skipped);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST(LimitLedgerTest, FindsALimitThatEndsATaskEarly) {
  const auto spoken = [](std::int64_t steady_ns, bool runs, TaskTerms terms) {
    Ledger ledger({std::move(terms)});
    const Uuid id = Uuid::make_v7(1, 1, 1);
    ledger.submitted(id, {.level = Durability::Memory});
    ledger.transition({id, 0, 1, {}, TaskState::NotStarted});
    ledger.transition({id, 0, 1, TaskState::NotStarted, TaskState::Ready});
    ledger.started({id, 0, 1});
    if (runs) ledger.transition({id, 0, 1, TaskState::Ready, TaskState::Running});
    ledger.transition({id, 0, 1, runs ? TaskState::Running : TaskState::Ready, TaskState::Failed}, INT64_MAX,
                      steady_ns);
    return ledger.violation() ? std::optional(ledger.violation()->rule) : std::nullopt;
  };
  const RetryPolicy once{.max_attempts = 1};
  EXPECT_EQ(spoken(10, true, {.retry = once, .timeout_ns = 10}), std::nullopt);
  EXPECT_EQ(spoken(9, true, {.retry = once, .timeout_ns = 10}), Rule::NotTooEarly);
  EXPECT_EQ(spoken(10, false, {.queue_timeout_ns = 10}), std::nullopt);
  EXPECT_EQ(spoken(9, false, {.queue_timeout_ns = 10}), Rule::NotTooEarly);
  EXPECT_EQ(spoken(10, true, {.total_timeout_ns = 10}), std::nullopt);
  EXPECT_EQ(spoken(9, true, {.total_timeout_ns = 10}), Rule::NotTooEarly);
}

class ScheduleLedgerTest : public LedgerTest {
 protected:
  ScheduleLedgerTest() {
    ledger_.schedule_kept({.name = "s", .period_ns = 10, .alone = true, .complete = true});
  }
  /// Begins another pipeline for this time, and ends the one before unless told not to.
  void fire(std::int64_t time_ns, std::int64_t latest_ns = INT64_MAX) {
    const Uuid id = Uuid::make_v7(++fired_, 2, 2);
    ledger_.scheduled(id, {.level = Durability::Disk, .schedule = "s"}, time_ns, latest_ns);
    ledger_.fired(id, time_ns);
    if (ends_)
      ledger_.look_at(std::vector{EngineView{id, Durability::Disk, true, PipelineState::Completed, {}, {}}},
                      false);
  }

  bool ends_ = true;
  std::int64_t fired_ = 1;
};

TEST_F(ScheduleLedgerTest, AcceptsEachTimeInItsTurn) {
  for (const std::int64_t time : {10, 20, 30}) fire(time, time);
  EXPECT_EQ(spoken(), std::nullopt);
}

TEST_F(ScheduleLedgerTest, FindsATimeThatIsDealtWithTwice) {
  for (const std::int64_t time : {10, 20, 20}) fire(time);
  EXPECT_EQ(spoken(), Rule::SchedulesHold);
}

TEST_F(ScheduleLedgerTest, FindsATimeThatIsLeftOut) {
  for (const std::int64_t time : {10, 30}) fire(time);
  EXPECT_EQ(spoken(), Rule::SchedulesHold);
}

TEST_F(ScheduleLedgerTest, FindsATimeThatIsNoneOfTheSchedules) {
  fire(15);
  EXPECT_EQ(spoken(), Rule::SchedulesHold);
}

TEST_F(ScheduleLedgerTest, FindsAPipelineThatIsBegunBesideTheOneBefore) {
  ends_ = false;
  for (const std::int64_t time : {10, 20}) fire(time);
  EXPECT_EQ(spoken(), Rule::SchedulesHold);
}

TEST_F(ScheduleLedgerTest, FindsATimeThatHasNotCome) {
  fire(10, 9);
  EXPECT_EQ(spoken(), Rule::NotTooEarly);
}

TEST_F(ScheduleLedgerTest, FindsAPausedScheduleThatFires) {
  ledger_.schedule_quiet();
  fire(10);
  EXPECT_EQ(spoken(), Rule::PausesHold);
}

TEST_F(ScheduleLedgerTest, FindsAnAcknowledgedScheduleThatIsLost) {
  Ledger other(std::vector<TaskTerms>(1));
  other.schedule_kept({.name = "s", .period_ns = 10, .alone = true, .complete = true});
  other.died(Death::Kill, MemoryMedium());
  ASSERT_TRUE(other.violation());
  EXPECT_EQ(other.violation()->rule, Rule::AcknowledgedKept);
}

TEST_F(ScheduleLedgerTest, FindsAScheduleThatIsInMemoryAlone) {
  ledger_.look_at(std::vector<ScheduleInfo>(1));
  EXPECT_EQ(spoken(), Rule::RestartEquality);
}

/// A task that waits for a signal, 10 ns at most, and one that waits for none. Both are in the store.
class SignalLedgerTest : public testing::Test {
 protected:
  static constexpr std::int64_t kCreatedNs = 5;

  SignalLedgerTest() {
    constexpr std::string_view kTasks[] = {"waits", "does not"};
    ledger_.submitted(id_, {.level = Durability::Disk});
    append({kCreatedNs, WorkflowDefined{.workflow_no = 1, .name = "t::p::w", .version = 1, .tasks = kTasks}});
    append({kCreatedNs, PipelineCreated{.pipeline_no = 1, .id = id_, .workflow_no = 1, .task_count = 2}});
  }
  /// By an engine that the ledger watches.
  void append(const TransitionGroup& group) {
    put(group);
    ledger_.appended(medium_.commits.back().first_sequence, medium_.commits.back().bytes, INT64_MAX, INT64_MAX);
  }
  void put(const TransitionGroup& group) {
    writer_.begin(next_, next_, 1, next_);
    writer_.add(group);
    const auto commit = writer_.finish();
    medium_.commits.push_back({next_, writer_.end_sequence(), {commit.begin(), commit.end()}});
    next_ = writer_.end_sequence();
  }
  void lose_latest() {
    next_ = medium_.commits.back().first_sequence;
    medium_.commits.pop_back();
  }
  void signal() { append({6, PipelineSignalled{.pipeline_no = 1, .name = "go", .value = "true"}}); }
  void end_wait(TaskState to, std::uint32_t task = 0, std::int64_t latest_ns = INT64_MAX) {
    ledger_.transition({id_, task, 1, TaskState::NotStarted, to}, latest_ns);
  }
  std::optional<Rule> spoken() const {
    return ledger_.violation() ? std::optional(ledger_.violation()->rule) : std::nullopt;
  }

  const Uuid id_ = Uuid::make_v7(1, 1, 1);
  Ledger ledger_{{{.signal = "go", .signal_timeout_ns = 10}, {}}};
  MemoryMedium medium_;

 private:
  CommitWriter writer_;
  std::uint64_t next_ = 1;
};

TEST_F(SignalLedgerTest, FindsATaskThatIsReadyBeforeItsSignal) {
  end_wait(TaskState::Ready);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(SignalLedgerTest, AcceptsATaskThatIsReadyWithItsSignal) {
  signal();
  end_wait(TaskState::Ready);
  EXPECT_EQ(spoken(), std::nullopt);
}

TEST_F(SignalLedgerTest, FindsAFailureBeforeTheTimeForItsSignalHasPassed) {
  end_wait(TaskState::Failed, 0, kCreatedNs + 9);
  EXPECT_EQ(spoken(), Rule::NotTooEarly);
}

TEST_F(SignalLedgerTest, AcceptsAFailureOnceTheTimeForItsSignalHasPassed) {
  end_wait(TaskState::Failed, 0, kCreatedNs + 10);
  EXPECT_EQ(spoken(), std::nullopt);
}

TEST_F(SignalLedgerTest, FindsAFailureForASignalThatHasCome) {
  signal();
  end_wait(TaskState::Failed);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(SignalLedgerTest, FindsAFailureForASignalThatItsTaskDoesNotWaitFor) {
  end_wait(TaskState::Failed, 1);
  EXPECT_EQ(spoken(), Rule::NothingInvented);
}

TEST_F(SignalLedgerTest, FindsAnAcknowledgedSignalThatIsLost) {
  ledger_.signalled(id_, "go");
  ledger_.died(Death::PowerCut, medium_);
  EXPECT_EQ(spoken(), Rule::AcknowledgedKept);
}

TEST_F(SignalLedgerTest, AcceptsAnAcknowledgedSignalThatIsKept) {
  signal();
  ledger_.signalled(id_, "go");
  ledger_.died(Death::PowerCut, medium_);
  EXPECT_EQ(spoken(), std::nullopt);
}

TEST_F(SignalLedgerTest, FindsALostPipelineWhoseNumberAnotherOneHas) {
  ledger_.acknowledged(id_);
  lose_latest();
  put({6, PipelineCreated{.pipeline_no = 1, .id = Uuid::make_v7(2, 2, 2), .workflow_no = 1, .task_count = 2}});
  ledger_.died(Death::PowerCut, medium_);
  EXPECT_EQ(spoken(), Rule::AcknowledgedKept);
}

TEST_F(LedgerTest, FindsTwoPipelinesOfOneIdempotencyKey) {
  const SubmissionTerms terms{.level = Durability::Disk, .idempotency_key = "key"};
  EXPECT_TRUE(ledger_.submitted(Uuid::make_v7(2, 2, 2), terms));
  EXPECT_FALSE(ledger_.submitted(Uuid::make_v7(2, 2, 2), terms));
  EXPECT_EQ(spoken(), std::nullopt);
  ledger_.submitted(Uuid::make_v7(3, 3, 3), terms);
  EXPECT_EQ(spoken(), Rule::KeysHold);
}

TEST_F(LedgerTest, FindsTwoPipelinesUnderWayWithOneConcurrencyKey) {
  const SubmissionTerms terms{.level = Durability::Memory, .concurrency_key = "key"};
  for (const std::uint32_t number : {2U, 3U}) {
    const Uuid id = Uuid::make_v7(number, number, number);
    ledger_.submitted(id, terms);
    EXPECT_EQ(spoken(), std::nullopt);
    ledger_.started({id, 0, 1});
  }
  EXPECT_EQ(spoken(), Rule::KeysHold);
}

TEST_F(LedgerTest, FindsAPipelineThatIsInMemoryAlone) {
  const EngineView view{id_, Durability::Disk, true, {}, {{TaskState::Ready, 1}, {TaskState::NotStarted, 1}},
                        {}};
  ledger_.look_at(std::vector{view}, true);
  EXPECT_EQ(spoken(), Rule::RestartEquality);
}

TEST_F(LedgerTest, FindsAnAcknowledgedPipelineThatIsLost) {
  const EngineView view{id_, Durability::Disk, true, {}, {{TaskState::Ready, 1}, {TaskState::NotStarted, 1}},
                        {}};
  ledger_.look_at(std::vector{view}, false);
  ledger_.died(Death::PowerCut, MemoryMedium());
  EXPECT_EQ(spoken(), Rule::AcknowledgedKept);
}

}  // namespace
}  // namespace leat::sim
