// Deferred tasks: they wait without slot and permit, and come back before others begin.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "behaviours.h"
#include "eventually.h"
#include "leat/task.h"
#include "one_task.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

Runner make_narrow_runner(std::shared_ptr<MemoryMedium> medium = nullptr, std::uint32_t max_queued = 0) {
  auto runner = Runner::builder()
                    .state_store(make_memory_store(std::move(medium)))
                    .default_limits({.max_concurrent = 1, .max_queued = max_queued})
                    .build();
  EXPECT_TRUE(runner) << runner.error().message;
  EXPECT_TRUE(runner->start());
  return std::move(*runner);
}

SlotAudit audit(const Runner& runner) {
  return runner.audit().front();
}

TEST(BehavioursDefer, AsksItsConditionUntilItIsTrueAndHasItsSlotAgain) {  // rows 37, 42
  int asked_without_slot = 0;
  bool met = false;
  std::uint64_t slots_after = 0;
  Runner runner = make_narrow_runner();
  run(runner, one_task([&](TaskContext&) -> Task {
        met = co_await leat::defer_until(
            [&] {  // for the first time perhaps before its worker came to give the slot back
              if (audit(runner).slots_taken == 0) ++asked_without_slot;
              return asked_without_slot == 3;
            },
            1ms);
        slots_after = audit(runner).slots_taken;
      }));
  EXPECT_TRUE(met);
  EXPECT_EQ(asked_without_slot, 3);
  EXPECT_EQ(slots_after, 1U);
}

TEST(BehavioursDefer, SleepsAnIntervalBeforeItFirstAsks) {  // row 38
  const auto clock = make_system_clock();
  std::int64_t began = 0, asked = 0;
  std::optional<SlotAudit> after;
  Runner runner = make_narrow_runner();
  run(runner, one_task([&](TaskContext&) -> Task {
        began = clock->steady_ns();
        co_await leat::defer_until(
            [&] {
              asked = clock->steady_ns();
              return true;
            },
            5ms);
        after = audit(runner);
      }));
  EXPECT_GE(asked - began, 5'000'000);
  EXPECT_EQ(after->slots_taken, 1U);
  EXPECT_THAT(after->holders, SizeIs(1));
}

TEST(BehavioursDefer, LeavesItsSlotToOthersAndSaysSo) {  // rows 39, 40, 196
  std::atomic<bool> go_on = false;
  std::vector<SubState> seen;
  std::optional<PipelineHandle> handle;
  std::atomic<bool> has_handle = false;
  Runner runner = make_narrow_runner();
  const auto workflow = one_task([&](TaskContext&) -> Task {
    has_handle.wait(false);
    seen.push_back(handle->sub_states()[0]);
    co_await leat::defer_until([&] { return go_on.load(); }, 1ms);
    seen.push_back(handle->sub_states()[0]);
  });
  handle = *runner.submit(workflow);
  has_handle = true;
  has_handle.notify_all();
  ASSERT_TRUE(eventually([&] { return handle->sub_states()[0] == SubState::Deferred; }));
  EXPECT_EQ(run(runner, one_task(nothing)).state, PipelineState::Completed);  // in the only slot
  EXPECT_EQ(handle->task_states()[0], TaskState::Running);
  EXPECT_EQ(runner.metrics("default").deferred_tasks, 1U);
  EXPECT_EQ(runner.explain(*handle, workflow.tasks()[0].name)->cause, TaskExplanation::Cause::Deferred);
  ASSERT_TRUE(eventually([&] { return runner.metrics("default").active_tasks == 0; }));
  EXPECT_THAT(audit(runner).deferred, SizeIs(1));
  EXPECT_TRUE(audit(runner).balanced());
  go_on = true;
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_EQ(handle->task_states()[0], TaskState::Completed);
  EXPECT_EQ(handle->sub_states()[0], SubState::None);
  EXPECT_THAT(seen, ElementsAre(SubState::Active, SubState::Active));
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(runner.metrics("default").deferred_tasks, 0U);
}

TEST(BehavioursDefer, CompletesWithItsDependent) {  // row 41
  Runner runner = make_narrow_runner();
  const auto workflow = Workflow::builder("w")
                            .task("deferred",
                                  [](TaskContext& task) -> Task {
                                    co_await leat::defer(leat::sleep_for(1ms));
                                    task.set("by", "deferred");
                                  })
                            .task("dependent", nothing, {.after = {"deferred"}})
                            .build();
  const auto result = run(runner, *workflow);
  EXPECT_EQ(result.completed, 2U);
  EXPECT_EQ(result.context, R"({"by":"deferred"})");
}

TEST(Defer, ComesBackBeforeParkedAndQueuedTasks) {
  std::vector<std::string> order;  // the lane has one worker
  std::atomic<bool> open = false, may_return = false, asked = false;
  Runner runner = make_narrow_runner(nullptr, 1);
  const auto deferred = runner.submit(one_task([&](TaskContext&) -> Task {
    co_await leat::defer_until(
        [&] {
          asked = may_return.load();
          return asked.load();
        },
        1ms);
    order.push_back("deferred");
  }));
  ASSERT_TRUE(eventually([&] { return runner.metrics("default").deferred_tasks == 1; }));
  const auto holder = runner.submit(one_task([&](TaskContext&) -> Task {
    while (!open) co_await leat::sleep_for(1ms);  // holds the permit, and no thread
  }));
  ASSERT_TRUE(eventually([&] { return runner.metrics("default").active_tasks == 1; }));
  const auto queued = runner.submit(one_task([&](TaskContext&) { order.push_back("queued"); }));
  const auto parked = runner.submit(one_task([&](TaskContext&) { order.push_back("parked"); }));
  ASSERT_TRUE(eventually([&] { return runner.metrics("default").parked_tasks == 1; }));
  may_return = true;
  ASSERT_TRUE(
      eventually([&] { return asked.load(); }));  // it is in line before the worker looks at the holder
  open = true;
  for (const auto& handle : {*deferred, *holder, *queued, *parked}) ASSERT_TRUE(handle.wait(kLong));
  EXPECT_THAT(order, ElementsAre("deferred", "queued", "parked"));
}

TEST(Defer, IsEndedByACancelWhileOthersHoldAllPermits) {
  std::atomic<bool> open = false;
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .default_limits({.max_concurrent = 1, .max_queued = 0, .threads = 1})
                    .build();
  ASSERT_TRUE(runner->start());
  std::optional<bool> whole;
  auto handle = runner->submit(
      one_task([&](TaskContext&) -> Task { whole = co_await leat::defer(leat::sleep_for(1h)); }));
  ASSERT_TRUE(eventually([&] { return runner->metrics("default").deferred_tasks == 1; }));
  const auto holder = runner->submit(one_task([&](TaskContext&) -> Task {
    while (!open) co_await leat::sleep_for(1ms);  // holds the permit, and no thread
  }));
  ASSERT_TRUE(eventually([&] { return runner->metrics("default").active_tasks == 1; }));
  ASSERT_TRUE(handle->cancel());
  EXPECT_TRUE(handle->wait(kLong));
  EXPECT_EQ(whole, false);
  open = true;
  EXPECT_TRUE(holder->wait(kLong));
  ASSERT_TRUE(runner->wait_idle(kLong));
  EXPECT_TRUE(audit(*runner).balanced());
}

TEST(Defer, IsInterruptedByAStopWithoutWaitingForItsDeadline) {
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<int> begun = 0;
  std::atomic<bool> may_end = false;
  const auto workflow = one_task([&](TaskContext&) -> Task {
    ++begun;
    if (!may_end) co_await leat::defer(leat::sleep_for(1h));
  });
  {
    Runner runner = make_narrow_runner(medium);
    const auto handle = runner.submit(workflow);
    ASSERT_TRUE(eventually([&] { return runner.metrics("default").deferred_tasks == 1; }));
    ASSERT_TRUE(runner.stop(1h));
    EXPECT_EQ(handle->wait(0ns).error().code, ErrorCode::Stopped);
  }
  may_end = true;
  auto runner = Runner::builder().state_store(make_memory_store(medium)).build();
  ASSERT_TRUE(runner->register_workflow(workflow));
  ASSERT_TRUE(runner->start());
  EXPECT_EQ(runner->resumed()[0].wait(kLong)->state, PipelineState::Completed);
  EXPECT_EQ(begun, 2);
  ASSERT_TRUE(runner->stop(kLong));
  const Seen seen = read(medium);
  EXPECT_EQ(seen.only().tasks[0].rescues, 0U);
  EXPECT_THAT(seen.transitions,
              ElementsAre("a ->NotStarted 1", "a NotStarted->Ready 1", "a Ready->Running 1",
                          "a Running->Ready 1", "a Ready->Running 1", "a Running->Completed 1"));
}

TEST(Defer, IsRescuedAfterACrashLikeARunningTask) {
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<bool> may_end = false;
  const auto workflow = one_task([&](TaskContext&) -> Task {
    if (!may_end) co_await leat::defer(leat::sleep_for(1h));
  });
  Runner dies = make_narrow_runner(medium);
  ASSERT_TRUE(dies.submit(workflow));
  ASSERT_TRUE(eventually([&] { return dies.metrics("default").deferred_tasks == 1; }));
  const auto left = crash_now(dies, *medium);
  may_end = true;
  {
    auto runner = Runner::builder().state_store(make_memory_store(left)).build();
    ASSERT_TRUE(runner->register_workflow(workflow));
    ASSERT_TRUE(runner->start());
    EXPECT_EQ(runner->resumed()[0].wait(kLong)->state, PipelineState::Completed);
  }
  EXPECT_EQ(read(left).only().tasks[0].rescues, 1U);
}

TEST(Defer, IsOverdueLikeARunningTask) {
  Runner runner = make_narrow_runner();
  const auto result =
      run(runner, one_task([](TaskContext&) -> Task { co_await leat::defer(leat::sleep_for(1h)); },
                           {.retry = kOnce, .timeout = 3ms}));
  EXPECT_EQ(result.state, PipelineState::Failed);
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(runner.metrics("default").total_late, 1U);
  EXPECT_EQ(runner.metrics("default").deferred_tasks, 0U);
  EXPECT_TRUE(audit(runner).balanced());
}

TEST(Defer, ThrowsWhatItsConditionThrew) {
  std::string caught;
  Runner runner = make_narrow_runner();
  run(runner, one_task([&](TaskContext&) -> Task {
        try {
          co_await leat::defer_until([]() -> bool { throw std::runtime_error("no look"); }, 1us);
        } catch (const std::runtime_error& error) {
          caught = error.what();
        }
      }));
  EXPECT_EQ(caught, "no look");
}

TEST(Defer, HasRoomForThousands) {
  constexpr int kTasks = 5000;
  std::atomic<int> begun = 0, ended = 0;
  std::atomic<bool> go_on = false;
  auto runner = Runner::builder()
                    .state_store(make_memory_store())
                    .default_limits({.max_concurrent = 2, .max_queued = 8})
                    .build();
  ASSERT_TRUE(runner->start());
  const auto workflow = one_task([&](TaskContext&) -> Task {
    ++begun;
    co_await leat::defer_until([&] { return go_on.load(); }, 100ms);
    ++ended;
  });
  for (int i = 0; i < kTasks; ++i)
    ASSERT_TRUE(runner->submit_async(workflow, {.durability = Durability::Process}));
  ASSERT_TRUE(eventually([&] { return begun == kTasks; }));
  EXPECT_EQ(ended, 0);
  go_on = true;
  ASSERT_TRUE(runner->wait_idle(kLong));
  EXPECT_EQ(ended, kTasks);
  EXPECT_TRUE(audit(*runner).balanced());
  EXPECT_EQ(audit(*runner).slots_taken, 0U);
}

/// Its work is elsewhere: the test ends it.
class Elsewhere final : public TaskExecutor {
 public:
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    std::lock_guard lock(mutex_);
    id_ = event.task_execution_id;
    token_ = std::move(token);
    token_.on_cancel([this] { told = true; });
    ++started;
  }
  bool defer() {
    std::lock_guard lock(mutex_);
    return token_.defer();
  }
  void take_again(std::function<void()> callback) {
    std::lock_guard lock(mutex_);
    token_.take_again(std::move(callback));
  }
  void end() {
    CompletionToken token;
    {
      std::lock_guard lock(mutex_);
      token = std::move(token_);
    }
    token.complete(ExecutionResult::success(id_));
  }
  CompletionToken let_go() {
    std::lock_guard lock(mutex_);
    return std::move(token_);
  }
  std::atomic<int> started = 0;
  std::atomic<bool> told = false;

 private:
  std::mutex mutex_;
  Uuid id_;
  CompletionToken token_;
};

class DeferredToken : public testing::Test {
 protected:
  void SetUp() override {
    auto runner = Runner::builder()
                      .state_store(make_memory_store())
                      .register_executor("default", executor_, {.max_concurrent = 1, .max_queued = 0})
                      .build();
    runner_.emplace(std::move(*runner));
    ASSERT_TRUE(runner_->start());
    handle_ = *runner_->submit(one_task(nothing));
    ASSERT_TRUE(eventually([&] { return executor_->started == 1; }));
  }
  const std::shared_ptr<Elsewhere> executor_ = std::make_shared<Elsewhere>();
  std::optional<Runner> runner_;
  std::optional<PipelineHandle> handle_;
};

TEST_F(DeferredToken, GivesItsSlotBackOnce) {
  EXPECT_TRUE(executor_->defer());
  EXPECT_FALSE(executor_->defer());
  EXPECT_EQ(audit(*runner_).slots_taken, 0U);
  EXPECT_EQ(handle_->sub_states()[0], SubState::Deferred);
  executor_->end();
  EXPECT_EQ(handle_->wait(kLong)->state, PipelineState::Completed);
  ASSERT_TRUE(runner_->wait_idle(kLong));
  EXPECT_TRUE(audit(*runner_).balanced());
  EXPECT_EQ(runner_->metrics("default").deferred_tasks, 0U);
}

TEST_F(DeferredToken, TakesItsSlotAgain) {
  ASSERT_TRUE(executor_->defer());
  std::atomic<bool> back = false;
  executor_->take_again([&] {
    EXPECT_EQ(audit(*runner_).slots_taken, 1U);
    EXPECT_THAT(audit(*runner_).deferred, IsEmpty());
    back = true;
  });
  ASSERT_TRUE(eventually([&] { return back.load(); }));
  executor_->end();
  EXPECT_TRUE(handle_->wait(kLong));
  ASSERT_TRUE(runner_->wait_idle(kLong));
  EXPECT_EQ(audit(*runner_).slots_taken, 0U);
  EXPECT_TRUE(audit(*runner_).balanced());
}

/// Its tasks hold the only slot until the test ends them.
TEST_F(DeferredToken, IsCalledBackWithoutThemWhenItIsToldToEnd) {
  ASSERT_TRUE(executor_->defer());
  CompletionToken deferred = executor_->let_go();
  const auto other = runner_->submit_async(one_task(nothing));
  ASSERT_TRUE(eventually([&] { return executor_->started == 2; }));
  std::atomic<bool> back = false;
  deferred.take_again([&] { back = true; });
  EXPECT_FALSE(back);
  ASSERT_TRUE(handle_->cancel());
  ASSERT_TRUE(eventually([&] { return back.load(); }));
  EXPECT_TRUE(executor_->told);
  EXPECT_EQ(audit(*runner_).slots_taken, 1U);  // the other one's
  deferred.complete(ExecutionResult::failed(handle_->id(), "wound up"));
  EXPECT_EQ(handle_->wait(kLong)->state, PipelineState::Cancelled);
  executor_->end();
  EXPECT_TRUE(other->wait(kLong));
}

}  // namespace
}  // namespace leat::behaviours
