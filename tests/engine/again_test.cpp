// Doing tasks of an ended pipeline again: what failed, or from a task on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "behaviours.h"
#include "temporary_directory.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

/// a -> b -> c, beside it x; b fails while `broken`, c hands on what it got.
class Again : public testing::TestWithParam<Durability> {
 protected:
  TaskFunction noting(std::string name) {
    return [this, name](TaskContext& context) -> std::expected<void, TaskError> {
      note(name);
      if (name == "b" && broken_) return std::unexpected("no luck");
      const auto a = context.get<std::int64_t>("a");
      context.set(name, name == "a" ? std::int64_t{41} : a.value_or(0) + 1);
      return {};
    };
  }
  void note(const std::string& name) {
    const std::lock_guard lock(mutex_);
    ran_.push_back(name);
  }
  std::vector<std::string> take_ran() {
    const std::lock_guard lock(mutex_);
    return std::exchange(ran_, {});
  }
  void SetUp() override {
    auto workflow = Workflow::builder("w")
                        .task("a", noting("a"))
                        .task("x", noting("x"))
                        .task("b", noting("b"), {.after = {"a"}, .retry = kOnce})
                        .task("c", noting("c"), {.after = {"b"}})
                        .build();
    ASSERT_TRUE(workflow) << workflow.error().message;
    workflow_ = std::make_unique<Workflow>(*workflow);
  }
  PipelineHandle run_it(Runner& runner) {
    auto handle = runner.submit(*workflow_, {.durability = GetParam()});
    EXPECT_TRUE(handle);
    EXPECT_TRUE(handle->wait(kLong));
    return *handle;
  }

  std::atomic<bool> broken_ = true;
  std::mutex mutex_;
  std::vector<std::string> ran_;
  std::unique_ptr<Workflow> workflow_;
};

TEST_P(Again, WhatFailedRunsWithTheContextsOfWhatStays) {
  Runner runner = make_started_runner();
  const PipelineHandle failed = run_it(runner);
  EXPECT_EQ(failed.state(), PipelineState::Failed);
  EXPECT_THAT(take_ran(), UnorderedElementsAre("a", "x", "b"));
  broken_ = false;
  const auto again = runner.retry_failed(failed);
  ASSERT_TRUE(again) << again.error().message;
  const auto result = again->wait(kLong);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->state, PipelineState::Completed);
  EXPECT_EQ(result->completed, 4U);
  EXPECT_THAT(take_ran(), ElementsAre("b", "c"));
  EXPECT_THAT(result->context, HasSubstr("\"c\":42"));
  EXPECT_EQ(failed.state(), PipelineState::Failed) << "the old one stays as it ended";
  EXPECT_NE(again->id(), failed.id());
}

TEST_P(Again, FromATaskOnRunsItAndWhatDependsOnIt) {
  broken_ = false;
  Runner runner = make_started_runner();
  const PipelineHandle completed = run_it(runner);
  take_ran();
  EXPECT_EQ(runner.retry_failed(completed).error().code, ErrorCode::InvalidState);
  EXPECT_EQ(runner.restart_from(completed, "d").error().code, ErrorCode::NotFound);
  const auto again = runner.restart_from(completed, "b");
  ASSERT_TRUE(again) << again.error().message;
  ASSERT_TRUE(again->wait(kLong));
  EXPECT_THAT(take_ran(), ElementsAre("b", "c"));
}

TEST_P(Again, IsRefusedBeforeTheEnd) {
  std::atomic<bool> open = false;
  const auto workflow = Workflow::builder("v").task("t", [&](TaskContext&) { open.wait(false); }).build();
  Runner runner = make_started_runner();
  const auto handle = runner.submit(*workflow, {.durability = GetParam()});
  EXPECT_EQ(runner.retry_failed(*handle).error().code, ErrorCode::InvalidState);
  open = true;
  open.notify_all();
  ASSERT_TRUE(handle->wait(kLong));
}

INSTANTIATE_TEST_SUITE_P(Levels, Again, testing::Values(Durability::Memory, Durability::Process),
                         [](const auto& level) {
                           return level.param == Durability::Memory ? "Memory" : "Process";
                         });

/// a -> b -> c, in a store whose rounds of the checkpoint come soon; b fails in the first process.
class AgainById : public testing::TestWithParam<bool> {
 protected:
  Workflow make_workflow() {
    return *Workflow::builder("w")
                .task("a",
                      [this](TaskContext& context) {
                        ran_ += 'a';
                        context.set("large", std::string(3000, 'l'));  // it lies apart
                        context.set("a", std::int64_t{41});
                      })
                .task("b",
                      [this](TaskContext& context) -> std::expected<void, TaskError> {
                        ran_ += 'b';
                        if (broken_) return std::unexpected("no luck");
                        context.set("b", context.get<std::int64_t>("a").value_or(0) + 1);
                        return {};
                      },
                      {.after = {"a"}, .retry = kOnce})
                .task("c", [this](TaskContext&) { ran_ += 'c'; }, {.after = {"b"}})
                .build();
  }
  Runner open(Retention events) {
    auto runner = Runner::builder()
                      .database_url("rocksdb://" + directory_.path())
                      .checkpoint_after(20'000)
                      .retain_events(events)
                      .build();
    EXPECT_TRUE(runner) << runner.error().message;
    EXPECT_TRUE(runner->register_workflow(workflow_));
    EXPECT_TRUE(runner->start());
    return std::move(*runner);
  }
  /// Rounds of the checkpoint come meanwhile.
  void run_others(Runner& runner) {
    const auto other = *Workflow::builder("other").task("t", nothing).build();
    const std::vector<SubmitOptions> many(100, SubmitOptions{.durability = Durability::Process});
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(runner.submit_bulk(other, many));
      ASSERT_TRUE(runner.wait_idle(kLong));
    }
  }
  Uuid run_in_an_earlier_process(Retention events = {}) {
    Runner runner = open(events);
    const auto handle = runner.submit(workflow_, {.priority = Priority::High});
    EXPECT_TRUE(handle->wait(kLong));
    if (GetParam()) run_others(runner);
    EXPECT_TRUE(runner.stop(kLong));
    ran_.clear();
    return handle->id();
  }

  const TemporaryDirectory directory_;
  std::string ran_;
  std::atomic<bool> broken_ = true;
  const Workflow workflow_ = make_workflow();
};

TEST_P(AgainById, WhatFailedInAnEarlierProcessRunsWithTheContextsOfWhatStays) {
  const Uuid failed = run_in_an_earlier_process();
  broken_ = false;
  Runner runner = open({});
  const auto again = runner.retry_failed(failed);
  ASSERT_TRUE(again) << again.error().message;
  const auto result = again->wait(kLong);
  EXPECT_EQ(result->completed, 3U);
  EXPECT_EQ(ran_, "bc");
  EXPECT_THAT(result->context, HasSubstr("\"b\":42"));
}

TEST_P(AgainById, FromATaskOnRunsItAndWhatDependsOnIt) {
  broken_ = false;
  const Uuid completed = run_in_an_earlier_process();
  Runner runner = open({});
  EXPECT_EQ(runner.retry_failed(completed).error().code, ErrorCode::InvalidState);
  EXPECT_EQ(runner.restart_from(completed, "d").error().code, ErrorCode::NotFound);
  const auto again = runner.restart_from(completed, "c");
  ASSERT_TRUE(again) << again.error().message;
  ASSERT_TRUE(again->wait(kLong));
  EXPECT_EQ(ran_, "c");
}

TEST_P(AgainById, OfWhatTheStoreDoesNotHoldIsNotFound) {
  const Uuid failed = run_in_an_earlier_process({.count = 100});
  Runner runner = open({.count = 100});
  EXPECT_EQ(runner.retry_failed(Uuid()).error().code, ErrorCode::NotFound);
  if (!GetParam()) return;
  run_others(runner);
  EXPECT_EQ(runner.retry_failed(failed).error().code, ErrorCode::NotFound);
}

TEST_P(AgainById, OfAVersionThatIsNotRegisteredIsRefused) {
  const Uuid failed = run_in_an_earlier_process();
  Runner runner = *Runner::builder().database_url("rocksdb://" + directory_.path()).build();
  ASSERT_TRUE(runner.start());
  EXPECT_EQ(runner.retry_failed(failed).error().code, ErrorCode::InvalidState);
}

INSTANTIATE_TEST_SUITE_P(Rounds, AgainById, testing::Bool(),
                         [](const auto& rounds) { return rounds.param ? "ComeMeanwhile" : "DoNotCome"; });

TEST(AgainByIdWhileItRuns, IsRefused) {
  std::atomic<bool> open = false;
  const auto workflow = Workflow::builder("v").task("t", [&](TaskContext&) { open.wait(false); }).build();
  Runner runner = make_started_runner();
  const auto handle = runner.submit(*workflow);
  EXPECT_EQ(runner.retry_failed(handle->id()).error().code, ErrorCode::InvalidState);
  open = true;
  open.notify_all();
  ASSERT_TRUE(handle->wait(kLong));
}

TEST(RetryStatistics, CountAttemptsBeyondTheFirst) {  // row 173
  Runner runner = make_started_runner();
  const RetryPolicy thrice{.max_attempts = 3, .initial = 0ns};
  const auto second_time = [](TaskContext& task) -> std::expected<void, TaskError> {
    if (task.event().attempt == 1) return std::unexpected("no luck");
    return {};
  };
  const auto plain = Workflow::builder("v").task("a", nothing).task("b", nothing).build();
  const auto handle = runner.submit(*plain);
  ASSERT_TRUE(handle->wait(kLong));
  const RetryStats none = handle->retry_stats();
  EXPECT_EQ(none.retries + none.tasks + none.exhausted, 0U);
  EXPECT_EQ(none.attempt_max, 1U);

  const auto retried = Workflow::builder("w")
                           .task("a", nothing)
                           .task("b", second_time, {.retry = thrice})
                           .task("c", fails, {.retry = thrice})
                           .task("d", fails, {.retry = kOnce})
                           .build();
  const auto failed = runner.submit(*retried);
  ASSERT_TRUE(failed->wait(kLong));
  const RetryStats some = failed->retry_stats();
  EXPECT_EQ(some.retries, 3U);
  EXPECT_EQ(some.tasks, 2U);
  EXPECT_EQ(some.attempt_max, 3U);
  EXPECT_EQ(some.exhausted, 2U);
}

TEST(AgainAfterACrash, GoesOnWithWhatItTookOver) {
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<int> phase = 0, a = 0;
  std::atomic<bool> open = false;
  const auto workflow = Workflow::builder("w")
                            .task("a",
                                  [&](TaskContext& context) {
                                    ++a;
                                    context.set("a", std::int64_t{41});
                                  })
                            .task("b",
                                  [&](TaskContext& context) -> std::expected<void, TaskError> {
                                    if (phase == 0) return std::unexpected("no luck");
                                    if (phase == 1) {
                                      phase = 2;
                                      open.wait(false);
                                    }
                                    context.set("b", context.get<std::int64_t>("a").value_or(0) + 1);
                                    return {};
                                  },
                                  {.after = {"a"}, .retry = kOnce})
                            .build();
  auto first = std::make_unique<Runner>(make_started_runner(medium));
  const auto failed = first->submit(*workflow);
  ASSERT_TRUE(failed->wait(kLong));
  phase = 1;
  const auto again = first->retry_failed(*failed);
  ASSERT_TRUE(again);
  while (phase != 2) std::this_thread::yield();
  const auto left = crash_now(*first, *medium);
  open = true;
  open.notify_all();
  first.reset();
  Runner second = make_runner(left);
  ASSERT_TRUE(second.register_workflow(*workflow));
  ASSERT_TRUE(second.start());
  ASSERT_EQ(second.resumed().size(), 1U);
  const auto result = second.resumed()[0].wait(kLong);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->completed, 2U);
  EXPECT_THAT(result->context, HasSubstr("\"b\":42"));
  EXPECT_EQ(a, 1);
}

}  // namespace
}  // namespace leat::behaviours
