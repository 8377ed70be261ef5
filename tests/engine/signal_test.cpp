// Signals: a pipeline is told something by name, and tasks wait for that without a slot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "behaviours.h"
#include "eventually.h"
#include "leat/store_recovery.h"
#include "leat/task.h"
#include "one_task.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A clock that tests move.
class HandClock final : public Clock {
 public:
  std::int64_t steady_ns() noexcept override { return ns_; }
  std::int64_t unix_ns() noexcept override { return 1'700'000'000'000'000'000 + ns_; }
  void pass(std::chrono::nanoseconds time) { ns_ += time.count(); }
  std::chrono::system_clock::time_point after(std::chrono::nanoseconds time) {
    return std::chrono::system_clock::time_point(std::chrono::nanoseconds(unix_ns()) + time);
  }

 private:
  std::atomic<std::int64_t> ns_ = 1;
};

/// pack -> ship, which waits for "approved" as well; then bill.
class Signalled : public testing::TestWithParam<Durability> {
 protected:
  void open() {
    auto runner = Runner::builder()
                      .state_store(make_memory_store(medium_))
                      .clock(clock_)
                      .lent_threads()
                      .checkpoint_after(checkpoint_after_)
                      .build();
    ASSERT_TRUE(runner) << runner.error().message;
    runner_ = std::make_unique<Runner>(std::move(*runner));
    ASSERT_TRUE(runner_->register_workflow(workflow_));
    ASSERT_TRUE(runner_->start());
  }
  void reopen() {
    ASSERT_TRUE(runner_->stop(kLong));
    runner_.reset();
    open();
    ASSERT_EQ(runner_->resumed().size(), 1U);
  }
  void run_all() {
    while (runner_->run_some(16).value_or(0) > 0) {
    }
  }
  PipelineHandle submit(SubmitOptions options = {}) {
    options.durability = GetParam();
    auto handle = runner_->submit(workflow_, std::move(options));
    EXPECT_TRUE(handle) << handle.error().message;
    run_all();
    return *handle;
  }
  TaskFunction noting(std::string name) {
    return [this, name](TaskContext& task) -> std::expected<void, TaskError> {
      ran_.push_back(name + (task.get_json("approved") ? " " + *task.get_json("approved") : ""));
      if (name == fails_) return std::unexpected("no luck");
      return {};
    };
  }
  Workflow make(TaskOptions ship) {
    ship.after = {"pack"};
    ship.retry = kOnce;
    ship.signal = "approved";
    return *Workflow::builder("order")
                .task("pack", noting("pack"), {.retry = kOnce})
                .task("ship", noting("ship"), std::move(ship))
                .task("bill", noting("bill"), {.after = {"ship"}})
                .build();
  }

  const std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  const std::shared_ptr<HandClock> clock_ = std::make_shared<HandClock>();
  std::vector<std::string> ran_;
  std::string fails_;
  std::uint64_t checkpoint_after_ = 1 << 20;
  Workflow workflow_ = make({});
  std::unique_ptr<Runner> runner_;
};

TEST_P(Signalled, ATaskWaitsForItsDependenciesAndItsSignalAndFindsTheValue) {
  open();
  PipelineHandle handle = submit();
  EXPECT_THAT(ran_, ElementsAre("pack"));
  EXPECT_THAT(handle.task_states(),
              ElementsAre(TaskState::Completed, TaskState::NotStarted, TaskState::NotStarted));
  EXPECT_EQ(runner_->metrics("default").active_tasks + runner_->metrics("default").queued_tasks, 0U);
  ASSERT_TRUE(handle.signal("approved", R"({ "by": "Ada" })"));
  run_all();
  EXPECT_THAT(ran_, ElementsAre("pack", R"(ship {"by":"Ada"})", R"(bill {"by":"Ada"})"));
  EXPECT_EQ(handle.wait(kLong)->state, PipelineState::Completed);
}

TEST_P(Signalled, OneThatComesFirstIsKept) {
  open();
  auto handle = runner_->submit(workflow_, {.durability = GetParam(), .start_at = clock_->after(1h)});
  ASSERT_TRUE(runner_->signal(handle->id(), "approved"));
  clock_->pass(1h);
  run_all();
  EXPECT_THAT(ran_, ElementsAre("pack", "ship true", "bill true"));
}

TEST_P(Signalled, TheSameValueAgainChangesNothingAnotherIsRefused) {
  open();
  PipelineHandle handle = submit();
  ASSERT_TRUE(handle.signal("approved", "1"));
  EXPECT_TRUE(handle.signal("approved", " 1 "));
  EXPECT_EQ(handle.signal("approved", "2").error().code, ErrorCode::AlreadyExists);
  run_all();
  EXPECT_EQ(handle.signal("approved", "1").error().code, ErrorCode::InvalidState) << "it has ended";
}

TEST_P(Signalled, WhatCannotBeIsRefusedWithTheReason) {
  open();
  PipelineHandle handle = submit();
  const auto unknown = handle.signal("aproved");
  EXPECT_EQ(unknown.error().code, ErrorCode::NotFound);
  EXPECT_THAT(unknown.error().message, HasSubstr("(accepted: approved)"));
  EXPECT_EQ(handle.signal("approved", "{").error().code, ErrorCode::InvalidArgument);
  EXPECT_EQ(handle.signal("approved", '"' + std::string(kSignalBytesMax, 'x') + '"').error().code,
            ErrorCode::InvalidArgument);
  EXPECT_EQ(runner_->signal(Uuid::make_v7(1, 2, 3), "approved").error().code, ErrorCode::NotFound);
  ASSERT_TRUE(handle.cancel());
  run_all();
  EXPECT_EQ(handle.wait(kLong)->state, PipelineState::Cancelled);
  EXPECT_EQ(handle.signal("approved").error().code, ErrorCode::InvalidState);
}

TEST_P(Signalled, ATaskThatIsNotToRunIsSkippedWithoutIt) {
  fails_ = "pack";
  open();
  EXPECT_EQ(submit().wait(kLong)->skipped, 2U);
}

TEST_P(Signalled, ARuleThatLooksAtTheContextIsAskedWithTheValue) {
  workflow_ = make({.trigger = *TriggerRule::context_value("approved", TriggerOperator::Equals, "true")});
  open();
  PipelineHandle yes = submit(), no = submit();
  ASSERT_TRUE(no.signal("approved", "false"));
  ASSERT_TRUE(yes.signal("approved", "true"));
  run_all();
  EXPECT_EQ(no.wait(kLong)->skipped, 2U);
  EXPECT_EQ(no.state(), PipelineState::Completed);
  EXPECT_EQ(yes.wait(kLong)->completed, 3U);
}

TEST_P(Signalled, OneThatDoesNotComeInTimeFailsItsTask) {
  workflow_ = make({.signal_timeout = 1h});
  open();
  PipelineHandle handle = submit();
  clock_->pass(59min);
  run_all();
  EXPECT_EQ(handle.task_states()[1], TaskState::NotStarted);
  if (GetParam() != Durability::Memory) {
    reopen();
    handle = runner_->resumed()[0];
  }
  clock_->pass(1min);
  run_all();
  const auto result = handle.wait(kLong);
  EXPECT_EQ(result->failed, 1U);
  EXPECT_EQ(result->skipped, 1U);
  EXPECT_THAT(ran_, ElementsAre("pack"));
}

TEST_P(Signalled, OneThatComesInTimeStopsTheTimer) {
  workflow_ = make({.signal_timeout = 1h});
  open();
  PipelineHandle handle = submit();
  ASSERT_TRUE(handle.signal("approved"));
  clock_->pass(2h);
  run_all();
  EXPECT_EQ(handle.wait(kLong)->completed, 3U);
  EXPECT_THAT(runner_->metrics_text(), HasSubstr("leat_timers 0"));
}

TEST_P(Signalled, WhatIsPausedHoldsWhatTheSignalMadeReady) {
  open();
  PipelineHandle handle = submit();
  ASSERT_TRUE(handle.pause());
  ASSERT_TRUE(handle.signal("approved"));
  run_all();
  EXPECT_THAT(ran_, ElementsAre("pack"));
  EXPECT_EQ(handle.task_states()[1], TaskState::Ready);
  ASSERT_TRUE(handle.resume());
  run_all();
  EXPECT_EQ(handle.wait(kLong)->completed, 3U);
}

TEST_P(Signalled, AnExplanationSaysWhatIsWaitedFor) {
  open();
  const PipelineHandle handle = submit();
  const auto why = runner_->explain(handle, "ship");
  EXPECT_EQ(why->cause, TaskExplanation::Cause::Signal);
  EXPECT_EQ(why->text, "waits for the signal 'approved'");
  EXPECT_EQ(runner_->explain(handle, "bill")->cause, TaskExplanation::Cause::Dependencies);
}

TEST_P(Signalled, TasksThatAreDoneAgainFindWhatCame) {
  fails_ = "ship";
  open();
  PipelineHandle handle = submit();
  ASSERT_TRUE(handle.signal("approved", "7"));
  run_all();
  EXPECT_EQ(handle.wait(kLong)->failed, 1U);
  fails_.clear();
  ran_.clear();
  const auto again = runner_->retry_failed(handle);
  ASSERT_TRUE(again);
  run_all();
  EXPECT_EQ(again->wait(kLong)->completed, 3U);
  EXPECT_THAT(ran_, ElementsAre("ship 7", "bill 7"));
}

INSTANTIATE_TEST_SUITE_P(Levels, Signalled, testing::Values(Durability::Memory, Durability::Disk),
                         [](const auto& level) {
                           return level.param == Durability::Memory ? "Memory" : "Disk";
                         });

class SignalledAcrossRestarts : public Signalled {
 protected:
  /// Goes on in another process, from rounds of the checkpoint as well.
  void expect_to_survive(bool signal_first, std::uint64_t checkpoint_after) {
    checkpoint_after_ = checkpoint_after;
    open();
    PipelineHandle handle =
        signal_first ? *runner_->submit(workflow_, {.start_at = clock_->after(1h)}) : submit();
    if (signal_first) {
      ASSERT_TRUE(handle.signal("approved", "3"));
    }
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(runner_->submit(*Workflow::builder("other").task("t", nothing).build()));
      run_all();  // rounds of the checkpoint, where those are small
      reopen();
    }
    handle = runner_->resumed()[0];
    EXPECT_EQ(handle.task_states()[1], TaskState::NotStarted);
    if (!signal_first) {
      ASSERT_TRUE(runner_->signal(handle.id(), "approved", "3"));
    }
    EXPECT_EQ(handle.signal("approved", "4").error().code, ErrorCode::AlreadyExists);
    clock_->pass(1h);
    run_all();
    EXPECT_EQ(handle.wait(kLong)->completed, 3U);
    EXPECT_THAT(ran_, ElementsAre("pack", "ship 3", "bill 3"));
  }
};

TEST_P(SignalledAcrossRestarts, TheWaitGoesOn) {
  expect_to_survive(false, 1 << 20);
}
TEST_P(SignalledAcrossRestarts, TheWaitGoesOnBehindACheckpoint) {
  expect_to_survive(false, 100);
}
TEST_P(SignalledAcrossRestarts, WhatCameIsKept) {
  expect_to_survive(true, 1 << 20);
}
TEST_P(SignalledAcrossRestarts, WhatCameIsKeptBehindACheckpoint) {
  expect_to_survive(true, 100);
}

TEST_P(SignalledAcrossRestarts, ALaterStartIsHeededByWhatASignalMakesReady) {
  for (const bool before : {true, false}) {  // the restart
    workflow_ =
        *Workflow::builder(before ? "a" : "b").task("ship", noting("ship"), {.signal = "approved"}).build();
    checkpoint_after_ = 100;
    ran_.clear();
    open();
    PipelineHandle handle = *runner_->submit(workflow_, {.start_at = clock_->after(1h)});
    if (before) reopen();
    if (before) handle = runner_->resumed()[0];
    ASSERT_TRUE(handle.signal("approved"));
    run_all();
    if (!before) reopen();
    handle = runner_->resumed()[0];
    run_all();
    EXPECT_THAT(ran_, testing::IsEmpty());
    EXPECT_EQ(handle.task_states()[0], TaskState::Ready);
    clock_->pass(1h);
    run_all();
    EXPECT_EQ(handle.wait(kLong)->completed, 1U);
    ASSERT_TRUE(runner_->stop(kLong));
    runner_.reset();
  }
}

TEST_P(SignalledAcrossRestarts, TheEventSaysThatASignalMadeItReady) {
  open();
  PipelineHandle handle = submit();
  ASSERT_TRUE(handle.signal("approved"));
  run_all();
  ASSERT_TRUE(runner_->stop(kLong));
  runner_.reset();
  std::vector<std::string> reasons;
  StoreImage image(StoreImage::Keep::Everything);
  ASSERT_TRUE(make_memory_store(medium_)->replay([&](std::uint64_t first, std::span<const std::byte> commit) {
    return image.apply(first, commit, [&](const TransitionEvent& event) {
      if (event.task == 1) reasons.emplace_back(to_string(event.reason));
    });
  }));
  EXPECT_THAT(reasons, ElementsAre("Created", "Signal", "Started", "Result"));
}

INSTANTIATE_TEST_SUITE_P(Levels, SignalledAcrossRestarts, testing::Values(Durability::Disk),
                         [](const auto&) { return "Disk"; });

/// A coroutine that waits for "approved" and notes what it was told.
Workflow waiting(std::vector<std::string>& told, std::optional<std::chrono::nanoseconds> timeout = {}) {
  return *Workflow::builder("w")
              .version_tag(next_tag())
              .task("a",
                    [&told, timeout](TaskContext& task) -> Task {
                      const auto value = co_await task.signal("approved", timeout);
                      told.push_back(value ? *value : std::string(to_string(value.error().code)));
                    },
                    {.retry = kOnce, .awaits = {"approved"}})
              .build();
}

TEST(SignalInATask, IsWaitedForWithoutASlot) {
  std::vector<std::string> told;
  auto built = Runner::builder()
                   .state_store(make_memory_store())
                   .default_limits({.max_concurrent = 1, .max_queued = 0})
                   .build();
  Runner& runner = *built;
  ASSERT_TRUE(runner.start());
  auto handle = runner.submit(waiting(told));
  ASSERT_TRUE(eventually([&] { return handle->sub_states()[0] == SubState::Deferred; }));
  EXPECT_EQ(run(runner, one_task(nothing)).state, PipelineState::Completed);  // in the only slot
  EXPECT_EQ(runner.explain(*handle, "a")->text, "waits for the signal 'approved'");
  ASSERT_TRUE(runner.signal(handle->id(), "approved", R"("yes")"));
  EXPECT_EQ(handle->wait(kLong)->state, PipelineState::Completed);
  EXPECT_THAT(told, ElementsAre(R"("yes")"));
}

TEST(SignalInATask, ThatCameBeforeIsThereAtOnce) {
  std::vector<std::string> told;
  std::atomic<bool> open = false;
  Runner runner = make_started_runner();
  const auto workflow = one_task(
      [&](TaskContext& task) -> Task {
        open.wait(false);
        told.push_back(*co_await task.signal("approved"));
      },
      {.awaits = {"approved"}});
  auto handle = runner.submit(workflow);
  ASSERT_TRUE(handle->signal("approved", "1"));
  open = true;
  open.notify_all();
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_THAT(told, ElementsAre("1"));
}

TEST(SignalInATask, ThatDoesNotComeInTimeIsAnError) {
  std::vector<std::string> told;
  Runner runner = make_started_runner();
  run(runner, waiting(told, 1ms));
  EXPECT_THAT(told, ElementsAre("Timeout"));
}

TEST(SignalInATask, ACancelEndsTheWait) {
  std::vector<std::string> told;
  Runner runner = make_started_runner();
  auto handle = runner.submit(waiting(told));
  ASSERT_TRUE(eventually([&] { return handle->sub_states()[0] == SubState::Deferred; }));
  ASSERT_TRUE(handle->cancel());
  ASSERT_TRUE(handle->wait(kLong));
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_THAT(told, ElementsAre("Cancelled"));
}

TEST(SignalInATask, ThatNobodyDeclaredIsNotFound) {
  std::string code;
  Runner runner = make_started_runner();
  run(runner, one_task([&](TaskContext& task) -> Task {
        const auto value = co_await task.signal("approved");
        code = to_string(value.error().code);
      }));
  EXPECT_EQ(code, "NotFound");
}

TEST(SignalInATask, ThatCameIsFoundAfterACrash) {
  const auto medium = std::make_shared<MemoryMedium>();
  std::vector<std::string> told;
  std::atomic<int> begun = 0;
  std::atomic<bool> open = false;
  const auto workflow = one_task(
      [&](TaskContext& task) -> Task {
        const auto value = co_await task.signal("approved");
        if (++begun == 1) open.wait(false);
        if (value) told.push_back(*value);
      },
      {.awaits = {"approved"}});
  auto first = std::make_unique<Runner>(make_started_runner(medium));
  auto handle = first->submit(workflow);
  ASSERT_TRUE(handle->signal("approved", "5"));
  ASSERT_TRUE(eventually([&] { return begun == 1; }));
  const auto left = crash_now(*first, *medium);
  open = true;
  open.notify_all();
  first.reset();
  told.clear();
  Runner second = make_runner(left);
  ASSERT_TRUE(second.register_workflow(workflow));
  ASSERT_TRUE(second.start());
  ASSERT_TRUE(second.resumed()[0].wait(kLong));
  EXPECT_THAT(told, ElementsAre("5"));
}

/// Holds syncs back while it is told to.
class HeldStore final : public WrappedStore {
 public:
  HeldStore(std::unique_ptr<StateStore> store, std::atomic<bool>& held, std::atomic<int>& written)
      : WrappedStore(std::move(store)), held_(held), written_(written) {}
  std::expected<void, StoreError> append_rows(std::uint64_t first, std::uint64_t end,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    auto done = WrappedStore::append_rows(first, end, commit, rows);
    ++written_;
    return done;
  }
  std::expected<void, StoreError> sync() override {
    held_.wait(true);
    return WrappedStore::sync();
  }

 private:
  std::atomic<bool>& held_;
  std::atomic<int>& written_;
};

TEST(SignalInATask, IsHeardOnceItHasReachedTheLevel) {
  std::vector<std::string> told;
  std::atomic<bool> held = false;
  std::atomic<int> written = 0;
  auto built =
      Runner::builder().state_store(std::make_unique<HeldStore>(make_memory_store(), held, written)).build();
  Runner& runner = *built;
  ASSERT_TRUE(runner.start());
  auto handle = runner.submit(waiting(told));
  ASSERT_TRUE(eventually([&] { return handle->sub_states()[0] == SubState::Deferred; }));
  ASSERT_TRUE(runner.flush());
  held = true;
  const int before = written;
  std::thread sender([&] { EXPECT_TRUE(handle->signal("approved", "1")); });
  ASSERT_TRUE(eventually([&] { return written > before; }));  // and not synced
  EXPECT_EQ(handle->sub_states()[0], SubState::Deferred);
  EXPECT_TRUE(told.empty());
  held = false;
  held.notify_all();
  sender.join();
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_THAT(told, ElementsAre("1"));
}

TEST(SignalledWorkflow, IsCheckedWhenItIsBuilt) {
  const auto code_of = [](TaskOptions options) {
    const auto built = Workflow::builder("w").task("a", nothing, std::move(options)).build();
    return built ? std::string("built") : std::string(to_string(built.error().code));
  };
  EXPECT_EQ(code_of({.signal = std::string(kSignalNameBytesMax + 1, 'x')}), "InvalidOption");
  EXPECT_EQ(code_of({.signal_timeout = 1s}), "InvalidOption");
  EXPECT_EQ(code_of({.signal = "s", .signal_timeout = -1s}), "InvalidOption");
  EXPECT_EQ(code_of({.awaits = {""}}), "InvalidOption");
  EXPECT_EQ(code_of({.signal = "s", .signal_timeout = 1s, .awaits = {"s", "t"}}), "built");
}

TEST(SignalledWorkflow, HasAnotherVersion) {
  const auto version = [](TaskOptions options) {
    return Workflow::builder("w").task("a", nothing, std::move(options)).build()->version();
  };
  EXPECT_NE(version({}), version({.signal = "s"}));
  EXPECT_NE(version({.signal = "s"}), version({.signal = "t"}));
  EXPECT_NE(version({.signal = "s"}), version({.signal = "s", .signal_timeout = 1s}));
  EXPECT_NE(version({.signal = "s"}), version({.awaits = {"s"}}));
}

}  // namespace
}  // namespace leat::behaviours
