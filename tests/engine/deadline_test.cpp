// Deadlines of pipelines: by the wall clock, whatever it does, and across restarts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "behaviours.h"
#include "jumping_clock.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// a -> b; a waits for somebody who completes it, or for its stop token. One thread, lent by the test.
class Deadline : public testing::TestWithParam<Durability> {
 protected:
  void open(std::uint64_t checkpoint_after = 1 << 20) {
    auto runner = Runner::builder()
                      .state_store(make_memory_store(medium_))
                      .clock(clock_)
                      .lent_threads()
                      .checkpoint_after(checkpoint_after)
                      .register_executor("default", outside_)
                      .build();
    ASSERT_TRUE(runner) << runner.error().message;
    runner_ = std::make_unique<Runner>(std::move(*runner));
    ASSERT_TRUE(runner_->register_workflow(workflow_));
    ASSERT_TRUE(runner_->start());
  }
  /// What runs goes as its tokens are dropped.
  void close() {
    outside_->running.clear();
    ASSERT_TRUE(runner_->stop(kLong));
    runner_.reset();
  }
  void crash() {
    const MemoryMedium left = *medium_;
    close();
    *medium_ = left;
    medium_->open = false;
  }
  void TearDown() override {
    if (runner_ != nullptr) close();
  }
  void run_all() {
    while (runner_->run_some(16).value_or(0) > 0) {
    }
  }
  PipelineHandle submit(SubmitOptions options) {
    options.durability = GetParam();
    auto handle = runner_->submit_async(workflow_, options);
    EXPECT_TRUE(handle) << handle.error().message;
    run_all();
    return *handle;
  }
  std::vector<TaskState> expect_failed(const PipelineHandle& handle) {
    const auto result = handle.wait(0s);
    EXPECT_TRUE(result) << result.error().message;
    if (!result) return {};
    EXPECT_EQ(result->state, PipelineState::Failed);
    EXPECT_THAT(result->error, HasSubstr("its deadline passed"));
    return handle.task_states();
  }

  /// Attempts end when the test says so.
  class Outside final : public TaskExecutor {
   public:
    void start(const TaskReadyEvent&, CompletionToken token) override {
      stop = token.stop_token();
      running.push_back(std::move(token));
    }
    std::vector<CompletionToken> running;
    std::stop_token stop;
  };

  const std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  const std::shared_ptr<JumpingClock> clock_ = std::make_shared<JumpingClock>();
  const std::shared_ptr<Outside> outside_ = std::make_shared<Outside>();
  const Workflow workflow_ =
      *Workflow::builder("w").task("a", nothing).task("b", nothing, {.after = {"a"}}).build();
  std::unique_ptr<Runner> runner_;
};

TEST_P(Deadline, EndsWhatHasNotBegun) {
  open();
  const PipelineHandle handle = submit({.start_at = clock_->after(3h), .deadline = clock_->after(4h)});
  clock_->pass(4h - 1ms);
  ASSERT_TRUE(runner_->pause_executor("default"));  // due, and not begun
  run_all();
  EXPECT_EQ(handle.state(), PipelineState::Running);
  clock_->pass(1ms);
  run_all();
  ASSERT_TRUE(runner_->resume_executor("default"));
  run_all();
  EXPECT_THAT(expect_failed(handle), ElementsAre(TaskState::Cancelled, TaskState::Cancelled));
  EXPECT_TRUE(outside_->running.empty());
}

TEST_P(Deadline, TellsWhatRunsToStop) {
  open();
  const PipelineHandle handle = submit({.deadline = clock_->after(1h)});
  ASSERT_EQ(outside_->running.size(), 1U);
  clock_->pass(1h);
  run_all();
  EXPECT_TRUE(outside_->stop.stop_requested());
  EXPECT_EQ(handle.wait(0s).error().code, ErrorCode::Timeout) << "it runs still";
  outside_->running.front().complete(ExecutionResult::retry({}, "told to stop", {}));
  run_all();
  EXPECT_THAT(expect_failed(handle), ElementsAre(TaskState::Cancelled, TaskState::Cancelled));
}

TEST_P(Deadline, LetsWhatRunsCompleteButNothingFollow) {
  open();
  const PipelineHandle handle = submit({.deadline = clock_->after(1h)});
  clock_->pass(1h);
  run_all();
  outside_->running.front().complete(ExecutionResult::success({}, {}));
  run_all();
  EXPECT_THAT(expect_failed(handle), ElementsAre(TaskState::Completed, TaskState::Cancelled));
}

TEST_P(Deadline, OfAPipelineThatHasEndedIsForgotten) {
  open();
  const PipelineHandle handle = submit({.deadline = clock_->after(1h)});
  for (int task = 0; task < 2; ++task) {
    outside_->running.back().complete(ExecutionResult::success({}, {}));
    run_all();
  }
  EXPECT_EQ(handle.wait(0s)->state, PipelineState::Completed);
  clock_->pass(2h);
  run_all();
  EXPECT_EQ(handle.wait(0s)->state, PipelineState::Completed);
}

TEST_P(Deadline, IsTheWallClocksWithinAMinuteOfAJump) {
  open();
  const PipelineHandle handle = submit({.deadline = clock_->after(1h)});
  clock_->jump(-30min);
  clock_->pass(1h);
  run_all();
  EXPECT_FALSE(outside_->stop.stop_requested()) << "by the clock that was put back half an hour is left";
  clock_->jump(30min);
  clock_->pass(1min);
  run_all();
  EXPECT_TRUE(outside_->stop.stop_requested());
}

TEST_P(Deadline, HoldsWhilePaused) {
  open();
  PipelineHandle handle = submit({.start_at = clock_->after(30min), .deadline = clock_->after(1h)});
  ASSERT_TRUE(handle.pause("an operator"));
  clock_->pass(1h);
  run_all();
  EXPECT_THAT(expect_failed(handle), ElementsAre(TaskState::Cancelled, TaskState::Cancelled));
}

TEST_P(Deadline, IsRefusedWhereItCannotBeKept) {
  open();
  const auto refused = [&](SubmitOptions options) {
    return runner_->submit_async(workflow_, options).error().code == ErrorCode::InvalidArgument;
  };
  EXPECT_TRUE(refused({.deadline = clock_->after(0s)}));
  EXPECT_TRUE(refused({.start_at = clock_->after(2h), .deadline = clock_->after(2h)}));
}

INSTANTIATE_TEST_SUITE_P(Levels, Deadline, testing::Values(Durability::Memory, Durability::Disk),
                         [](const auto& level) {
                           return level.param == Durability::Memory ? "Memory" : "Disk";
                         });

class DeadlineAcrossRestarts : public Deadline {
 protected:
  TransitionReason last_reason() {
    TransitionReason reason{};
    StoreImage image(StoreImage::Keep::Everything);
    const auto read = make_memory_store(medium_)->replay([&](auto first, auto commit) {
      return image.apply(first, commit, [&](const TransitionEvent& event) { reason = event.reason; });
    });
    EXPECT_TRUE(read) << read.error().message;
    return reason;
  }
};

TEST_P(DeadlineAcrossRestarts, IsHonouredAfterOne) {
  open();
  submit({.start_at = clock_->after(30min), .deadline = clock_->after(1h)});
  close();
  open();
  const PipelineHandle handle = runner_->resumed().at(0);
  clock_->pass(1h - 1ms);
  ASSERT_TRUE(handle.wait(0s).error().code == ErrorCode::Timeout);
  ASSERT_TRUE(runner_->pause_executor("default"));
  clock_->pass(1ms);
  ASSERT_TRUE(runner_->resume_executor("default"));
  run_all();
  EXPECT_THAT(expect_failed(handle), ElementsAre(TaskState::Cancelled, TaskState::Cancelled));
}

TEST_P(DeadlineAcrossRestarts, ThatPassedInBetweenEndsItBeforeAnythingRuns) {
  open();
  submit({.start_at = clock_->after(30min), .deadline = clock_->after(1h)});
  submit({.deadline = clock_->after(1h)});
  ASSERT_EQ(outside_->running.size(), 1U);
  crash();
  clock_->pass(2h);
  open();
  run_all();
  EXPECT_TRUE(outside_->running.empty());
  for (const PipelineHandle& handle : runner_->resumed()) {
    EXPECT_THAT(expect_failed(handle), ElementsAre(TaskState::Cancelled, TaskState::Cancelled));
  }
  close();
  EXPECT_EQ(last_reason(), TransitionReason::Deadline);
}

TEST_P(DeadlineAcrossRestarts, ThatPassedBeforeACrashIsNotForgotten) {
  open();
  submit({.deadline = clock_->after(1h)});
  clock_->pass(1h);
  run_all();  // what runs is told to stop, and has not yet
  ASSERT_TRUE(outside_->stop.stop_requested());
  crash();
  clock_->jump(-2h);
  open();
  run_all();
  EXPECT_TRUE(outside_->running.empty());
  EXPECT_THAT(expect_failed(runner_->resumed().at(0)),
              ElementsAre(TaskState::Cancelled, TaskState::Cancelled));
}

TEST_P(DeadlineAcrossRestarts, StandsInTheRowsOfTheCheckpoint) {
  open(2000);
  submit({.start_at = clock_->after(30min), .deadline = clock_->after(1h)});
  const auto filler = *Workflow::builder("filler").task("t", nothing).build();
  for (int i = 0; i < 200; ++i) {
    const auto handle = runner_->submit_async(filler);
    run_all();
    outside_->running.back().complete(ExecutionResult::success({}, {}));
    run_all();
    outside_->running.clear();
  }
  close();
  EXPECT_GT(make_memory_store(medium_)->checkpoints().newest().generation, 1U);
  clock_->pass(1h);
  open();
  run_all();
  EXPECT_THAT(expect_failed(runner_->resumed().at(0)),
              ElementsAre(TaskState::Cancelled, TaskState::Cancelled));
}

INSTANTIATE_TEST_SUITE_P(Levels, DeadlineAcrossRestarts, testing::Values(Durability::Process),
                         [](const auto&) { return "Process"; });

}  // namespace
}  // namespace leat::behaviours
