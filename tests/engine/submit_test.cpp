// What a submission may ask for besides a context: to be the only one with its key, to begin later, to come
// with others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "behaviours.h"
#include "jumping_clock.h"
#include "leat/store_recovery.h"

namespace leat::behaviours {
namespace {

/// A Runner that does all it can do now in run_some(), by a clock of the test's.
class Submitting : public testing::Test {
 protected:
  void open(std::uint64_t checkpoint_after = 1 << 20) {
    auto runner = Runner::builder()
                      .state_store(make_memory_store(medium_))
                      .clock(clock_)
                      .lent_threads()
                      .checkpoint_after(checkpoint_after)
                      .retain_events({.age_ns = 0})
                      .build();
    ASSERT_TRUE(runner) << runner.error().message;
    runner_ = std::make_unique<Runner>(std::move(*runner));
    ASSERT_TRUE(runner_->register_workflow(workflow_));
    ASSERT_TRUE(runner_->start());
  }
  void close() {
    ASSERT_TRUE(runner_->stop(kLong));
    runner_.reset();
  }
  void run_all() {
    while (runner_->run_some(16).value_or(0) > 0) {
    }
  }

  const std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  const std::shared_ptr<JumpingClock> clock_ = std::make_shared<JumpingClock>();
  std::atomic<int> ran_ = 0;
  const Workflow workflow_ = *Workflow::builder("w").task("t", [this](TaskContext&) { ++ran_; }).build();
  std::unique_ptr<Runner> runner_;
};

TEST_F(Submitting, WithAKeyTwiceLeadsToOnePipeline) {
  open();
  const auto first = runner_->submit(workflow_, {.idempotency_key = "order 7"});
  const auto second = runner_->submit(workflow_, {.idempotency_key = "order 7"});
  const auto other = runner_->submit(workflow_, {.idempotency_key = "order 8"});
  run_all();
  const auto third = runner_->submit(workflow_, {.idempotency_key = "order 7"});
  ASSERT_TRUE(first && second && other && third);
  EXPECT_EQ(second->id(), first->id());
  EXPECT_EQ(third->id(), first->id());
  EXPECT_NE(other->id(), first->id());
  EXPECT_EQ(third->wait(kLong)->state, PipelineState::Completed);
  EXPECT_EQ(ran_, 2);
}

TEST_F(Submitting, WithAKeyOfAnotherWorkflowIsAnother) {
  const auto other = Workflow::builder("x").task("t", nothing).build();
  open();
  const auto first = runner_->submit(workflow_, {.idempotency_key = "order 7"});
  const auto second = runner_->submit(*other, {.idempotency_key = "order 7"});
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->id(), second->id());
}

TEST_F(Submitting, WithAKeyBehindItsWindowIsNew) {
  open();
  const SubmitOptions options{.idempotency_key = "order 7", .idempotency_window = 1h};
  const auto first = runner_->submit(workflow_, options);
  clock_->pass(59min);
  const auto second = runner_->submit(workflow_, options);
  clock_->pass(2min);
  const auto third = runner_->submit(workflow_, options);
  ASSERT_TRUE(first && second && third);
  EXPECT_EQ(second->id(), first->id());
  EXPECT_NE(third->id(), first->id());
}

/// Windows of ten keys, from one submission to the next a minute apart.
constexpr int kWindows = 10;
SubmitOptions with_key(int key) {
  return {.idempotency_key = "order " + std::to_string(key), .idempotency_window = 1h};
}

TEST_F(Submitting, WithAKeyBehindItsWindowIsNewHoweverManyWindowsHaveEnded) {
  open();
  std::vector<Uuid> first(kWindows), second(kWindows);
  for (int key = 0; key < kWindows; ++key, clock_->pass(1min))
    first[static_cast<std::size_t>(key)] = runner_->submit(workflow_, with_key(key))->id();
  clock_->pass(9h);
  for (int key = kWindows - 1; key >= 0; --key)
    second[static_cast<std::size_t>(key)] = runner_->submit(workflow_, with_key(key))->id();
  run_all();
  EXPECT_EQ(ran_, 2 * kWindows);
  clock_->pass(59min);
  for (int key = 0; key < kWindows; ++key) {
    const auto place = static_cast<std::size_t>(key);
    EXPECT_NE(second[place], first[place]);
    EXPECT_EQ(runner_->submit(workflow_, with_key(key))->id(), second[place]) << "its window goes on";
  }
}

TEST_F(Submitting, WithAKeyThatWasRememberedIsNewBehindItsWindowToo) {
  open();
  for (int key = 0; key < kWindows; ++key) ASSERT_TRUE(runner_->submit(workflow_, with_key(key)));
  run_all();
  close();
  open();
  clock_->pass(2h);
  for (int key = kWindows - 1; key >= 0; --key) {
    const auto again = runner_->submit(workflow_, with_key(key));
    ASSERT_TRUE(again) << again.error().message;
  }
  run_all();
  EXPECT_EQ(ran_, 2 * kWindows);
}

TEST_F(Submitting, WithAKeyIsRememberedWhileItsPipelineLives) {
  open();
  const SubmitOptions options{.idempotency_key = "order 7", .start_at = clock_->after(1h)};
  const Uuid first = runner_->submit(workflow_, options)->id();
  close();
  open();
  const auto second = runner_->submit(workflow_, options);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->id(), first);
  clock_->pass(1h);
  EXPECT_TRUE(second->wait(kLong));
  EXPECT_EQ(ran_, 1);
}

TEST_F(Submitting, WithAKeyIsRememberedWhenItsPipelineHasEndedBehindACheckpoint) {
  open(2000);
  const auto first = runner_->submit(workflow_, {.idempotency_key = "order 7"});
  ASSERT_TRUE(first->wait(kLong));
  run_until_checkpoint(*runner_, *medium_);
  close();
  ran_ = 0;
  open();
  const auto again = runner_->submit(workflow_, {.idempotency_key = "order 7"});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::AlreadyExists);
  EXPECT_THAT(again.error().message, testing::HasSubstr(first->id().to_string()));
  run_all();
  EXPECT_EQ(ran_, 0);
  clock_->pass(25h);
  EXPECT_TRUE(runner_->submit(workflow_, {.idempotency_key = "order 7"}));
}

TEST(SubmittingAtOnce, WithOneKeyFromManyThreadsBeginsOnePipeline) {
  Runner runner = make_started_runner();
  std::atomic<int> ran = 0;
  const auto workflow = Workflow::builder("w").task("t", [&](TaskContext&) { ++ran; }).build();
  constexpr int kThreads = 8, kKeys = 50;
  std::vector<std::vector<Uuid>> ids(kThreads);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int key = 0; key < kKeys; ++key) {
        const auto handle = runner.submit(*workflow, {.idempotency_key = std::to_string(key)});
        ASSERT_TRUE(handle) << handle.error().message;
        ids[static_cast<std::size_t>(thread)].push_back(handle->id());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(runner.wait_idle(kLong));
  for (const auto& seen : ids) EXPECT_EQ(seen, ids.front());
  EXPECT_EQ(std::set<Uuid>(ids.front().begin(), ids.front().end()).size(), std::size_t{kKeys});
  EXPECT_EQ(ran, kKeys);
}

TEST_F(Submitting, ForLaterBeginsThen) {
  open();
  const auto handle = runner_->submit(workflow_, {.start_at = clock_->after(3h)});
  clock_->pass(3h - 1ms);
  run_all();
  EXPECT_EQ(ran_, 0);
  clock_->pass(2ms);
  run_all();
  EXPECT_EQ(ran_, 1);
}

TEST_F(Submitting, ForLaterBeginsWithinAMinuteOfAJumpOfTheWallClock) {
  open();
  const auto handle = runner_->submit(workflow_, {.start_at = clock_->after(3h)});
  run_all();
  clock_->jump(3h);  // or a suspend, in which the steady clock stood still
  clock_->pass(1min);
  run_all();
  EXPECT_EQ(ran_, 1);
}

TEST_F(Submitting, ForLaterDoesNotBeginEarlyWhereTheWallClockGoesBack) {
  open();
  const auto handle = runner_->submit(workflow_, {.start_at = clock_->after(30s)});
  clock_->jump(-1h);
  clock_->pass(50min);
  run_all();
  EXPECT_EQ(ran_, 0);
  clock_->pass(11min);
  run_all();
  EXPECT_EQ(ran_, 1);
}

TEST_F(Submitting, ForLaterIsRemembered) {  // row 61
  open();
  ASSERT_TRUE(runner_->submit(workflow_, {.start_at = clock_->after(3h)}));
  close();
  clock_->pass(2h);
  open();
  run_all();
  EXPECT_EQ(ran_, 0);
  clock_->pass(1h);
  run_all();
  EXPECT_EQ(ran_, 1);
}

TEST_F(Submitting, InBulkGivesAHandleForEach) {
  open();
  std::vector<SubmitOptions> options(20);
  options[7].context = R"({"a": 1})";
  options[9].idempotency_key = options[8].idempotency_key = "twice";
  const auto handles = runner_->submit_bulk(workflow_, options);
  ASSERT_TRUE(handles) << handles.error().message;
  ASSERT_EQ(handles->size(), 20U);
  for (const PipelineHandle& handle : *handles) EXPECT_TRUE(handle.wait(kLong));
  EXPECT_EQ(handles->at(9).id(), handles->at(8).id());
  EXPECT_EQ(ran_, 19);
  options[3].context = "no object";
  EXPECT_EQ(runner_->submit_bulk(workflow_, options).error().code, ErrorCode::InvalidArgument);
}

TEST_F(Submitting, InBulkBeginsNothingWhereOneIsWrong) {
  open();
  std::vector<SubmitOptions> options(3);
  options[2].context = "no object";
  EXPECT_EQ(runner_->submit_bulk(workflow_, options).error().code, ErrorCode::InvalidArgument);
  run_all();
  EXPECT_EQ(ran_, 0);
}

TEST_F(Submitting, InBulkBeginsNothingWhereAKeyIsThatOfOneThatHasEnded) {
  open();
  ASSERT_TRUE(runner_->submit(workflow_, with_key(7)));
  run_all();
  close();
  open();
  const std::vector<SubmitOptions> options{{}, with_key(7)};
  EXPECT_EQ(runner_->submit_bulk(workflow_, options).error().code, ErrorCode::AlreadyExists);
  run_all();
  EXPECT_EQ(ran_, 1);
}

/// Fails each attempt. Retries come every 10 min.
Workflow failing(std::atomic<int>& ran) {
  return *Workflow::builder("failing")
              .task("t",
                    [&ran](TaskContext&) -> std::expected<void, TaskError> {
                      ++ran;
                      return std::unexpected("no luck");
                    },
                    {.retry = {.max_attempts = 100,
                               .backoff = Backoff::Fixed,
                               .initial = 10min,
                               .cap = 1h,
                               .jitter = false,
                               .max_age = 25min}})
              .build();
}

TEST_F(Submitting, WithAMaximumAgeIsTriedNoMoreBeyondItAcrossARestart) {
  const Workflow workflow = failing(ran_);
  open();
  ASSERT_TRUE(runner_->submit(workflow));
  run_all();
  EXPECT_EQ(ran_, 1);
  close();
  clock_->pass(15min);
  open();
  ASSERT_TRUE(runner_->register_workflow(workflow));
  run_all();
  EXPECT_EQ(ran_, 2) << "15 min old: another try would come 25 min after the submission";
  clock_->pass(10min);
  run_all();
  EXPECT_EQ(ran_, 3);
  EXPECT_EQ(runner_->resumed().at(0).wait(kLong)->state, PipelineState::Failed)
      << "the next would be too old";
}

TEST_F(Submitting, WithAMaximumAgeCountsFromALaterStartAcrossARestart) {
  const Workflow workflow = failing(ran_);
  open();
  ASSERT_TRUE(runner_->submit(workflow, {.start_at = clock_->after(2h)}));
  close();
  clock_->pass(2h);
  open();
  ASSERT_TRUE(runner_->register_workflow(workflow));
  run_all();
  for (int tries = 2; tries <= 3; ++tries) {
    clock_->pass(10min);
    run_all();
    EXPECT_EQ(ran_, tries);
  }
  EXPECT_EQ(runner_->resumed().at(0).wait(kLong)->state, PipelineState::Failed);
}

/// A task that is dispatched alone, fails, and is to be tried three times.
class DispatchedAlone : public Submitting {
 protected:
  void open_with_task(std::uint64_t checkpoint_after = 1 << 20) {
    auto runner = Runner::builder()
                      .state_store(make_memory_store(medium_))
                      .clock(clock_)
                      .lent_threads()
                      .checkpoint_after(checkpoint_after)
                      .build();
    ASSERT_TRUE(runner) << runner.error().message;
    runner_ = std::make_unique<Runner>(std::move(*runner));
    ASSERT_TRUE(runner_->register_workflow(workflow_));
    task_ = *runner_->register_task("public::embedded::alone::fails",
                               [this](TaskContext&) -> std::expected<void, TaskError> {
                                 ++ran_;
                                 return std::unexpected("no luck");
                               });
    ASSERT_TRUE(runner_->start());
  }
  void dispatch() {
    ASSERT_TRUE(runner_->dispatcher().dispatch(runner_->make_event(task_, 3)));
  }
  void run_attempts() {
    for (int i = 0; i < 5; ++i) {
      run_all();
      clock_->pass(1h);
    }
  }

  Namespace task_;
};

TEST_F(DispatchedAlone, HasAsManyAttemptsAfterARestart) {
  open_with_task();
  dispatch();
  close();
  open_with_task();
  run_attempts();
  EXPECT_EQ(ran_, 3);
}

TEST_F(DispatchedAlone, IsTriedAgainOnlyAsOftenAsIsLeftAfterARestart) {
  open_with_task();
  dispatch();
  run_all();
  EXPECT_EQ(ran_, 1);
  close();
  clock_->pass(1h);
  open_with_task();
  run_attempts();
  EXPECT_EQ(ran_, 3);
}

TEST_F(DispatchedAlone, HasAsManyAttemptsAfterARoundOfTheCheckpoint) {
  open_with_task(1);
  dispatch();
  const auto generation = [this] {
    return make_memory_store(medium_->after_kill())->checkpoints().newest().generation;
  };
  for (const std::uint64_t before = generation(); generation() < before + 2;) {
    run_all();  // fails once, and waits
    ASSERT_TRUE(runner_->submit(workflow_, {.start_at = clock_->after(24h)}));
    clock_->pass(1ms);
  }
  const int before = ran_;
  EXPECT_EQ(before, 1);
  ran_ = 0;
  close();
  clock_->pass(1h);
  open_with_task();
  for (int i = 0; i < 3; ++i) {
    run_all();
    clock_->pass(1h);
  }
  EXPECT_EQ(ran_, 2);
}

TEST_F(Submitting, RefusesAKeyOrAWindowThatCannotBe) {
  open();
  EXPECT_EQ(runner_->submit(workflow_, {.idempotency_key = std::string(257, 'k')}).error().code,
            ErrorCode::InvalidArgument);
  EXPECT_EQ(runner_->submit(workflow_, {.idempotency_key = "k", .idempotency_window = 0s}).error().code,
            ErrorCode::InvalidArgument);
}

}  // namespace
}  // namespace leat::behaviours
