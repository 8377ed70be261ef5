// The fold: what commits amount to, and what it refuses.
#include "leat/store_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "commit.h"
#include "leat/checkpoint.h"

namespace leat::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kTasks[] = {"extract", "transform", "load"};
constexpr std::uint32_t kFirstReady[] = {0};

/// Applies groups one commit at a time and collects the events as text.
class Folded {
 public:
  explicit Folded(StoreImage::Keep keep = StoreImage::Keep::Everything) : image(keep) {}

  /// A workflow of three tasks, an executor key, and pipeline 1 with its first task Ready.
  Folded& with_pipeline() {
    apply(TransitionGroup(1, WorkflowDefined{.workflow_no = 1, .name = "p::e::etl", .tasks = kTasks}));
    apply(TransitionGroup(2, KeyDefined{.key_no = 1, .key = "default"}));
    apply(TransitionGroup(3, PipelineCreated{.pipeline_no = 1,
                                             .id = Uuid::make_v7(1, 1, 1),
                                             .workflow_no = 1,
                                             .task_count = 3,
                                             .ready = kFirstReady,
                                             .context = "{\"a\":1}"}));
    events.clear();
    reasons.clear();
    return *this;
  }

  std::string apply(const TransitionGroup& group, std::uint64_t gap = 0) {
    writer_.begin(next_ + gap, next_, epoch, 1);
    writer_.add(group);
    const auto done = image.apply(next_ + gap, writer_.finish(), [this](const TransitionEvent& event) {
      const std::string from = event.from ? std::string(to_string(*event.from)) : "";
      events.push_back(std::to_string(event.sequence) + " " + event.workflow->tasks[event.task] + "#" +
                       std::to_string(event.attempt) + " " + from + ">" + std::string(to_string(event.to)) +
                       " " + std::string(event.executor));
      reasons.emplace_back(to_string(event.reason));
    });
    if (!done) return done.error().message;
    next_ = writer_.end_sequence();
    return "";
  }

  std::string start(std::uint32_t task, std::uint32_t attempt = 1) {
    return apply(
        TransitionGroup(10, TaskStarted{.pipeline_no = 1, .task = task, .attempt = attempt, .key_no = 1}));
  }
  std::string complete(std::uint32_t task, std::vector<Successor> successors = {},
                       std::optional<PipelineState> pipeline = {}) {
    return apply(TransitionGroup(
        20, TaskEnded{.pipeline_no = 1, .task = task, .successors = successors, .pipeline = pipeline}));
  }

  const PipelineImage& pipeline() const { return image.pipelines().at(1); }

  StoreImage image;
  std::vector<std::string> events;
  std::vector<std::string> reasons;
  std::uint64_t epoch = 1;

 private:
  CommitWriter writer_;
  std::uint64_t next_ = 1;
};

TEST(StoreImage, TheNameOfAnAttemptsWorkElsewhereIsForgottenWithTheAttempt) {
  Folded folded;
  folded.with_pipeline();
  const auto refer = [&](std::uint32_t attempt) {
    return folded.apply(TransitionGroup(
        15, TaskReferred{.pipeline_no = 1, .task = 0, .attempt = attempt, .external_ref = "job 7"}));
  };
  EXPECT_THAT(refer(1), HasSubstr("names the work of another attempt than runs"));
  folded = Folded();
  folded.with_pipeline().start(0);
  EXPECT_EQ(refer(1), "");
  EXPECT_EQ(folded.pipeline().tasks[0].external_ref, "job 7");
  EXPECT_EQ(folded.complete(0), "");
  EXPECT_EQ(folded.pipeline().tasks[0].external_ref, "");
}

TransitionGroup creation(std::uint64_t number) {
  return {3, PipelineCreated{.pipeline_no = number,
                             .id = Uuid::make_v7(number, 1, 1),
                             .workflow_no = 1,
                             .task_count = 3,
                             .ready = kFirstReady}};
}

TEST(StoreImage, MoreLiveTasksThanFitAreRefusedBeforeTheyTakeMemory) {
  Folded folded;
  folded.image.limit_tasks(5);
  folded.with_pipeline();
  EXPECT_EQ(folded.pipeline().tasks.size(), 3U);
  EXPECT_THAT(folded.apply(creation(2)),
              HasSubstr("names more live tasks than this machine's memory can hold"));
  EXPECT_EQ(folded.image.pipelines().at(2).tasks.size(), 0U);
}

TEST(StoreImage, TasksOfPipelinesThatHaveEndedMakeRoomForOthers) {
  Folded folded(StoreImage::Keep::Unfinished);
  folded.image.limit_tasks(5);
  folded.with_pipeline().start(0);
  EXPECT_EQ(folded.complete(0, {{1, TaskState::Skipped}, {2, TaskState::Skipped}}, PipelineState::Completed),
            "");
  EXPECT_EQ(folded.apply(creation(2)), "");
}

TEST(StoreImage, ASignalComesOnceAndMakesReadyWhatWaitedForIt) {
  Folded folded;
  folded.with_pipeline();
  const std::vector<Successor> rest = {{1, TaskState::Ready}, {2, TaskState::Skipped}};
  const auto signal = [&](std::string_view name, std::span<const Successor> successors) {
    return folded.apply(TransitionGroup(
        15,
        PipelineSignalled{
            .pipeline_no = 1, .name = name, .value = "true", .successors = successors, .start_at_ns = 99}));
  };
  EXPECT_EQ(signal("early", {}), "");
  EXPECT_EQ(signal("approved", rest), "");
  EXPECT_EQ(folded.pipeline().traits->signals, (SignalValues{{"approved", "true"}, {"early", "true"}}));
  EXPECT_EQ(folded.pipeline().tasks[1].retry_at_ns, 99);
  EXPECT_EQ(folded.pipeline().tasks[2].retry_at_ns, 0);
  EXPECT_THAT(folded.reasons, testing::ElementsAre("Signal", "TriggerRule"));
  EXPECT_THAT(signal("early", {}), HasSubstr("brings a signal twice"));
}

TEST(StoreImage, CreationIsOneEventPerTaskThenReady) {
  Folded folded;
  folded.with_pipeline();
  EXPECT_EQ(folded.pipeline().state, PipelineState::Pending);
  EXPECT_EQ(folded.pipeline().context, "{\"a\":1}");
  EXPECT_EQ(folded.pipeline().open_tasks, 3U);
  EXPECT_EQ(folded.pipeline().tasks[0].state, TaskState::Ready);
  EXPECT_EQ(folded.pipeline().tasks[1].state, TaskState::NotStarted);
  EXPECT_EQ(folded.image.next_pipeline_no(), 2U);
  EXPECT_EQ(folded.image.workflows().at(1).tasks.size(), 3U);
  EXPECT_EQ(folded.image.keys().at(1), "default");
}

TEST(StoreImage, EventsCarryTheReasonOfEachTransition) {
  using Cause = TaskEnded::Cause;
  Folded folded;
  folded.with_pipeline();
  for (const Cause cause : {Cause::Rescue, Cause::Interrupted}) {
    EXPECT_EQ(folded.start(0), "");
    EXPECT_EQ(folded.apply(TransitionGroup(
                  20, TaskEnded{.pipeline_no = 1, .task = 0, .to = TaskState::Ready, .cause = cause})),
              "");
  }
  EXPECT_EQ(folded.start(0), "");
  const std::vector<Successor> rest = {{1, TaskState::Skipped}, {2, TaskState::Cancelled}};
  EXPECT_EQ(folded.apply(TransitionGroup(20, TaskEnded{.pipeline_no = 1,
                                                       .task = 0,
                                                       .to = TaskState::Failed,
                                                       .cause = Cause::Abandoned,
                                                       .successors = rest})),
            "");
  EXPECT_THAT(folded.reasons, testing::ElementsAre("Started", "Rescue", "Started", "Interrupted", "Started",
                                                   "Abandoned", "TriggerRule", "Cancel"));
}

TEST(StoreImage, EventsCarryNumbersStatesAndExecutor) {
  Folded folded;
  folded.with_pipeline();
  EXPECT_EQ(folded.start(0), "");
  EXPECT_EQ(folded.complete(0, {{1, TaskState::Ready}, {2, TaskState::Skipped}}), "");
  // Numbers 1 and 2 went to the commits that define, 3 to 6 to the creation.
  EXPECT_THAT(folded.events,
              ElementsAre("7 extract#1 Ready>Running default", "8 extract#1 Running>Completed default",
                          "9 transform#1 NotStarted>Ready ", "10 load#1 NotStarted>Skipped "));
}

TEST(StoreImage, FirstStartMakesThePipelineRunning) {
  Folded folded;
  folded.with_pipeline();
  folded.start(0);
  EXPECT_EQ(folded.pipeline().state, PipelineState::Running);
}

TEST(StoreImage, RetryRaisesTheAttemptAndRescueDoesNot) {
  Folded folded;
  folded.with_pipeline();
  folded.start(0);
  EXPECT_EQ(folded.apply(TransitionGroup(20, TaskEnded{.pipeline_no = 1,
                                                       .to = TaskState::Ready,
                                                       .cause = TaskEnded::Cause::Retry,
                                                       .retry_at_ns = 99,
                                                       .error = "again"})),
            "");
  EXPECT_EQ(folded.pipeline().tasks[0].attempt, 2U);
  EXPECT_EQ(folded.pipeline().tasks[0].retry_at_ns, 99);
  EXPECT_EQ(folded.pipeline().tasks[0].error, "again");
  EXPECT_EQ(folded.start(0, 2), "");
  EXPECT_EQ(folded.apply(TransitionGroup(30, TaskEnded{.pipeline_no = 1,
                                                       .attempt = 2,
                                                       .to = TaskState::Ready,
                                                       .cause = TaskEnded::Cause::Rescue})),
            "");
  EXPECT_EQ(folded.pipeline().tasks[0].attempt, 2U);
  EXPECT_EQ(folded.pipeline().tasks[0].rescues, 1U);
  EXPECT_EQ(folded.pipeline().tasks[0].retry_at_ns, 0);
}

TEST(StoreImage, InterruptionIsNotCountedAsARescue) {
  Folded folded;
  folded.with_pipeline();
  folded.start(0);
  folded.apply(TransitionGroup(
      20, TaskEnded{.pipeline_no = 1, .to = TaskState::Ready, .cause = TaskEnded::Cause::Interrupted}));
  EXPECT_EQ(folded.pipeline().tasks[0].rescues, 0U);
  EXPECT_EQ(folded.pipeline().tasks[0].state, TaskState::Ready);
}

TEST(StoreImage, SuccessLeavesNoErrorOfEarlierAttempts) {
  Folded folded;
  folded.with_pipeline();
  folded.start(0);
  folded.apply(TransitionGroup(
      20, TaskEnded{
              .pipeline_no = 1, .to = TaskState::Ready, .cause = TaskEnded::Cause::Retry, .error = "again"}));
  folded.start(0, 2);
  folded.apply(
      TransitionGroup(30, TaskEnded{.pipeline_no = 1, .attempt = 2, .context = "{}", .output = "out"}));
  EXPECT_EQ(folded.pipeline().tasks[0].error, "");
  EXPECT_EQ(folded.pipeline().tasks[0].context, "{}");
  EXPECT_EQ(folded.pipeline().tasks[0].output, "out");
}

TEST(StoreImage, FinishedPipelineLeavesAnImageOfTheUnfinished) {
  Folded folded(StoreImage::Keep::Unfinished);
  folded.with_pipeline();
  folded.start(0);
  folded.complete(0, {{1, TaskState::Skipped}, {2, TaskState::Skipped}}, PipelineState::Completed);
  EXPECT_TRUE(folded.image.pipelines().empty());
  EXPECT_EQ(folded.image.next_pipeline_no(), 2U);
}

TEST(StoreImage, FinishedPipelineStaysInAnImageOfEverything) {
  Folded folded;
  folded.with_pipeline();
  folded.start(0);
  folded.complete(0, {{1, TaskState::Skipped}, {2, TaskState::Skipped}}, PipelineState::Completed);
  EXPECT_EQ(folded.pipeline().state, PipelineState::Completed);
  EXPECT_EQ(folded.pipeline().finished_ns, 20);
  EXPECT_EQ(folded.pipeline().open_tasks, 0U);
}

TEST(StoreImage, CancelledPipelineStaysUntilItsRunningTaskHasEnded) {
  Folded folded(StoreImage::Keep::Unfinished);
  folded.with_pipeline();
  folded.start(0);
  const Successor rest[] = {{1, TaskState::Cancelled}, {2, TaskState::Cancelled}};
  EXPECT_EQ(folded.apply(TransitionGroup(
                20, PipelineChanged{.pipeline_no = 1, .to = PipelineState::Cancelled, .successors = rest})),
            "");
  ASSERT_EQ(folded.image.pipelines().size(), 1U);
  EXPECT_EQ(
      folded.apply(TransitionGroup(
          30, TaskEnded{.pipeline_no = 1, .to = TaskState::Cancelled, .cause = TaskEnded::Cause::Cancel})),
      "");
  EXPECT_TRUE(folded.image.pipelines().empty());
}

TEST(StoreImage, RefusesWhatContradictsTheTransitionTable) {
  EXPECT_THAT(Folded().with_pipeline().start(1), HasSubstr("not Ready"));
  EXPECT_THAT(Folded().with_pipeline().complete(0), HasSubstr("may not follow"));
  EXPECT_THAT(Folded().with_pipeline().start(0, 2), HasSubstr("another attempt"));
  Folded running;
  running.with_pipeline().start(0);
  EXPECT_THAT(running.complete(0, {{0, TaskState::Ready}}), HasSubstr("may not follow"));
  Folded doubled;
  doubled.with_pipeline().start(0);
  EXPECT_THAT(doubled.complete(0, {{1, TaskState::Ready}, {1, TaskState::Ready}}),
              HasSubstr("may not follow"));
}

TEST(StoreImage, RefusesWhatNamesTheUnknown) {
  EXPECT_THAT(Folded().start(0), HasSubstr("unknown pipeline"));
  EXPECT_THAT(Folded().with_pipeline().start(3), HasSubstr("task that its pipeline does not have"));
  EXPECT_THAT(Folded().with_pipeline().apply(TransitionGroup(0, TaskStarted{.pipeline_no = 1, .key_no = 5})),
              HasSubstr("unknown executor key"));
  EXPECT_THAT(Folded().apply(TransitionGroup(0, PipelineCreated{.pipeline_no = 1, .workflow_no = 1})),
              HasSubstr("unknown workflow"));
  EXPECT_THAT(Folded().with_pipeline().apply(
                  TransitionGroup(0, PipelineCreated{.pipeline_no = 2, .workflow_no = 1, .task_count = 2})),
              HasSubstr("other tasks"));
}

TEST(StoreImage, RefusesWhatComesTwice) {
  const TransitionGroup key(0, KeyDefined{.key_no = 1, .key = "other"});
  EXPECT_THAT(Folded().with_pipeline().apply(key), HasSubstr("twice"));
  const TransitionGroup workflow(0, WorkflowDefined{.workflow_no = 1, .name = "other"});
  EXPECT_THAT(Folded().with_pipeline().apply(workflow), HasSubstr("twice"));
  const TransitionGroup pipeline(0, PipelineCreated{.pipeline_no = 1, .workflow_no = 1, .task_count = 3});
  EXPECT_THAT(Folded().with_pipeline().apply(pipeline), HasSubstr("twice"));
}

TEST(StoreImage, AcceptsNumbersThatAReopeningSkipped) {
  Folded folded;
  folded.with_pipeline();
  folded.epoch = 2;
  const TransitionGroup start(10, TaskStarted{.pipeline_no = 1, .key_no = 1});
  EXPECT_EQ(folded.apply(start, 1000), "");
  EXPECT_EQ(folded.image.end_sequence(), 1008U);
}

TEST(StoreImage, RefusesACommitThatIsLinkedToAnother) {
  StoreImage image(StoreImage::Keep::Everything);
  CommitWriter writer;
  writer.begin(1, 1, 1, 1);
  writer.add(TransitionGroup(0, KeyDefined{.key_no = 1, .key = "k"}));
  ASSERT_TRUE(image.apply(1, writer.finish()));
  CommitWriter other(image.hash() + 1);
  other.begin(2, 2, 1, 1);
  const auto refused = image.apply(2, other.finish());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, StoreErrorCode::Damaged);
  EXPECT_THAT(refused.error().message, HasSubstr("not linked"));
}

TEST(StoreImage, RefusesAFirstCommitThatHadOnesBefore) {
  StoreImage image(StoreImage::Keep::Everything);
  CommitWriter writer(7);
  writer.begin(1, 1, 1, 1);
  EXPECT_FALSE(image.apply(1, writer.finish()));
}

TEST(StoreImage, RefusesAnotherCommitThanTheOneThatCompletedItsRound) {
  for (const bool same : {true, false}) {
    CommitWriter writer(7);
    writer.begin(40, 40, 1, 1);
    const auto bytes = writer.finish();
    StoreImage image(StoreImage::Keep::Unfinished);
    image.begin_at(
        {.generation = 1, .minimum = 40, .end = 41, .hash = hash_of_commit(bytes) + (same ? 0 : 1)});
    EXPECT_EQ(image.apply(40, bytes).has_value(), same);
  }
}

TEST(StoreImage, RefusesAMissingCommit) {
  StoreImage image(StoreImage::Keep::Everything);
  CommitWriter writer;
  const auto apply = [&](std::uint64_t first, std::uint64_t previous_end) {
    writer.begin(first, previous_end, 1, 1);
    writer.add(TransitionGroup(0, KeyDefined{.key_no = static_cast<std::uint32_t>(first), .key = "k"}));
    return image.apply(first, writer.finish());
  };
  ASSERT_TRUE(apply(1, 1));
  const auto refused = apply(3, 3);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, StoreErrorCode::Damaged);
  EXPECT_THAT(refused.error().message, HasSubstr("commits are missing"));
  EXPECT_FALSE(apply(2, 2));  // nothing is applied after a refusal
}

TransitionGroup schedule_changed(std::uint64_t version, std::int64_t cursor_ns,
                                 std::string_view definition = "") {
  return TransitionGroup(
      5, ScheduleChanged{.name = "s", .version = version, .cursor_ns = cursor_ns, .definition = definition});
}

TransitionGroup fired(std::uint64_t pipeline_no, const ScheduleFiring& firing) {
  return TransitionGroup(
      6, PipelineCreated{
             .pipeline_no = pipeline_no, .workflow_no = 1, .task_count = 3, .traits = {.firing = firing}});
}

TEST(StoreImage, MovesAScheduleWithThePipelineThatItSubmits) {
  Folded folded;
  folded.with_pipeline();
  EXPECT_EQ(folded.apply(schedule_changed(1, 100, "d")), "");
  EXPECT_EQ(folded.apply(fired(2, {.schedule = "s", .version = 2, .time_ns = 150, .cursor_ns = 160})), "");
  const ScheduleImage& schedule = folded.image.schedules().at("s");
  EXPECT_EQ(schedule, (ScheduleImage{.version = 2, .cursor_ns = 160, .last_ns = 150, .definition = "d"}));
  EXPECT_EQ(folded.image.pipelines().at(2).traits->schedule, "s");
  EXPECT_EQ(folded.image.pipelines().at(2).traits->scheduled_ns, 150);
}

TEST(StoreImage, RefusesWhatNoScheduleCanDo) {
  Folded folded;
  folded.with_pipeline();
  EXPECT_THAT(folded.apply(schedule_changed(1, 100)), HasSubstr("changes an unknown schedule"));
  Folded twice;
  twice.with_pipeline();
  EXPECT_EQ(twice.apply(schedule_changed(1, 100, "d")), "");
  EXPECT_EQ(twice.apply(fired(2, {.schedule = "s", .version = 2})), "");
  EXPECT_THAT(twice.apply(fired(3, {.schedule = "s", .version = 2})), HasSubstr("fires a schedule twice"));
  Folded gone;
  gone.with_pipeline();
  EXPECT_EQ(gone.apply(schedule_changed(1, 100, "d")), "");
  EXPECT_EQ(gone.apply(TransitionGroup(7, ScheduleChanged{.name = "s", .version = 2, .removed = true})), "");
  EXPECT_TRUE(gone.image.schedules().empty());
  EXPECT_THAT(gone.apply(fired(2, {.schedule = "s", .version = 3})), HasSubstr("fires an unknown schedule"));
}

}  // namespace
}  // namespace leat::test
