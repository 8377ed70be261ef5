// then() and co_await: what goes on when a pipeline has ended, and where.
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <coroutine>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "behaviours.h"
#include "eventually.h"

namespace leat::behaviours {
namespace {

using Result = std::expected<PipelineResult, Error>;

std::string thread_name() {
  char name[16] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  return name;
}

/// A coroutine of a user's own that nobody waits for.
struct Detached {
  struct promise_type {
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

/// Holds a task until it is opened.
class Gate {
 public:
  Workflow workflow() {
    return *Workflow::builder("w").task("waits", [this](TaskContext&) { open_.wait(false); }).build();
  }
  void open() {
    open_ = true;
    open_.notify_all();
  }

 private:
  std::atomic<bool> open_ = false;
};

Runner make_two_key_runner() {
  auto runner = Runner::builder()
                    .state_store(make_memory_store())
                    .default_limits({.max_concurrent = 1})
                    .register_executor("other", std::make_shared<ThreadTaskExecutor>(), {.max_concurrent = 1})
                    .build();
  EXPECT_TRUE(runner) << runner.error().message;
  EXPECT_TRUE(runner->start());
  return std::move(*runner);
}

class ContinuationTest : public testing::TestWithParam<Durability> {};
INSTANTIATE_TEST_SUITE_P(Levels, ContinuationTest, testing::Values(Durability::Memory, Durability::Disk),
                         [](const auto& param) { return std::string(to_string(param.param)); });

TEST_P(ContinuationTest, RunsOnTheDefaultExecutorWhenThePipelineHasEnded) {
  Gate gate;
  Runner runner = make_two_key_runner();
  const auto handle = runner.submit(gate.workflow(), {.durability = GetParam()});
  std::atomic<bool> called = false;
  std::string where;
  ASSERT_TRUE(handle->then([&](const Result& result) {
    where = thread_name();
    EXPECT_EQ(result->state, PipelineState::Completed);
    EXPECT_EQ(handle->state(), PipelineState::Completed);
    called = true;
  }));
  EXPECT_FALSE(called);
  gate.open();
  ASSERT_TRUE(eventually([&] { return called.load(); }));
  EXPECT_EQ(where, "leat-defaul-0");
}

TEST_P(ContinuationTest, RunsAtOnceForAPipelineThatHasEnded) {
  Runner runner = make_two_key_runner();
  const auto workflow = Workflow::builder("w").task("a", nothing).build();
  const auto handle = runner.submit(*workflow, {.durability = GetParam()});
  ASSERT_TRUE(handle->wait(kLong));
  std::atomic<bool> called = false;
  std::string where;
  ASSERT_TRUE(handle->then([&](const Result&) { where = thread_name(), called = true; }, "other"));
  ASSERT_TRUE(eventually([&] { return called.load(); }));
  EXPECT_EQ(where, "leat-other-0");
}

TEST(Continuation, IsRefusedWhereTheKeyNeverHadAnExecutor) {
  Runner runner = make_two_key_runner();
  const auto workflow = Workflow::builder("w").task("a", nothing).build();
  const auto handle = runner.submit(*workflow);
  const auto refused = handle->then([](const Result&) {}, "nowhere");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::NotFound);
  EXPECT_EQ(refused.error().message,
            "executor key 'nowhere' is not registered; registered are: default, other");
}

TEST(Continuation, NeedsNeitherSlotNorPermit) {
  Runner runner = make_two_key_runner();
  const auto workflow = Workflow::builder("w").task("a", nothing).build();
  const auto ended = runner.submit(*workflow);
  ASSERT_TRUE(ended->wait(kLong));
  ASSERT_TRUE(runner.wait_idle(kLong));
  std::atomic<bool> called = false;
  ASSERT_TRUE(ended->then([&](const Result&) {
    const SlotAudit audit = runner.audit().front();
    EXPECT_EQ(audit.slots_taken, 0U);
    EXPECT_LE(audit.permits_taken, 1U);  // a worker that looks for work holds one for a moment
    EXPECT_TRUE(audit.holders.empty());
    called = true;
  }));
  ASSERT_TRUE(eventually([&] { return called.load(); }));
  EXPECT_EQ(runner.metrics("default").total_executed, 1U);
}

TEST(Continuation, MayNotWaitButMaySubmit) {
  Runner runner = make_two_key_runner();
  const auto workflow = Workflow::builder("w").task("a", nothing).build();
  const auto handle = runner.submit(*workflow);
  std::atomic<bool> called = false;
  std::optional<PipelineHandle> second;
  ASSERT_TRUE(handle->then([&](const Result&) {
    const auto idle = runner.wait_idle(kLong);
    EXPECT_FALSE(idle);
    EXPECT_EQ(idle.error().code, ErrorCode::WouldDeadlock);
    second = *runner.submit_async(*workflow);
    called = true;
  }));
  ASSERT_TRUE(eventually([&] { return called.load(); }));
  EXPECT_TRUE(second->wait(kLong));
}

TEST(Continuation, IsWaitedForByWaitIdle) {
  Gate gate;
  Runner runner = make_two_key_runner();
  const auto handle = runner.submit(gate.workflow());
  std::atomic<int> tasks = 0;
  const auto workflow = *Workflow::builder("next").task("a", [&](TaskContext&) { ++tasks; }).build();
  ASSERT_TRUE(handle->then([&](const Result&) { EXPECT_TRUE(runner.submit_async(workflow)); }));
  gate.open();
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(tasks, 1);
}

TEST(Continuation, HearsStoppedWhenTheRunnerEndsFirst) {
  std::atomic<bool> began = false;
  const auto workflow = *Workflow::builder("w")
                             .task("first",
                                   [&](TaskContext& task) {
                                     began = true;
                                     while (!task.stop_requested()) std::this_thread::yield();
                                   })
                             .build();
  std::optional<PipelineHandle> handle;
  std::optional<Result> heard;
  {
    Runner runner = make_two_key_runner();
    handle = *runner.submit(workflow);
    ASSERT_TRUE(eventually([&] { return began.load(); }));
    ASSERT_TRUE(handle->then([&](Result result) { heard = std::move(result); }));
    ASSERT_TRUE(runner.stop(0ns));
  }
  ASSERT_TRUE(heard);
  ASSERT_FALSE(*heard);
  EXPECT_EQ(heard->error().code, ErrorCode::Stopped);
  heard.reset();
  ASSERT_TRUE(handle->then([&](Result result) { heard = std::move(result); }));  // at once, after its end
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->error().code, ErrorCode::Stopped);
}

TEST(Continuation, ThatThrowsIsLogged) {
  std::string logged;
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .log_sink([&](Severity, std::string_view line) { logged = line; })
                    .build();
  ASSERT_TRUE(runner->start());
  const auto workflow = Workflow::builder("w").task("a", nothing).build();
  const auto handle = runner->submit(*workflow);
  ASSERT_TRUE(handle->then([](const Result&) { throw std::runtime_error("as planned"); }));
  ASSERT_TRUE(runner->stop(kLong));
  EXPECT_EQ(logged, "a callback of then() for pipeline " + handle->id().to_string() +
                        " threw, and nobody is there to catch it: as planned");
}

TEST(Continuation, RunsOnLentThreads) {
  auto runner = Runner::builder().database_url("memory:").lent_threads().build();
  ASSERT_TRUE(runner->start());
  const auto workflow = Workflow::builder("w").task("a", nothing).build();
  const auto handle = runner->submit_async(*workflow);
  std::optional<std::thread::id> where;
  ASSERT_TRUE(handle->then([&](const Result&) { where = std::this_thread::get_id(); }));
  ASSERT_TRUE(runner->run_until_idle(kLong));
  EXPECT_EQ(where, std::this_thread::get_id());
}

TEST(AwaitedHandle, GoesOnWhereItIsTold) {
  Gate gate;
  Runner runner = make_two_key_runner();
  const auto handle = runner.submit(gate.workflow());
  std::string first, second;
  std::atomic<bool> done = false;
  [](PipelineHandle awaited, std::string& default_name, std::string& other_name,
     std::atomic<bool>& over) -> Detached {
    const Result result = co_await awaited;
    EXPECT_EQ(result->state, PipelineState::Completed);
    default_name = thread_name();
    const Result again = co_await awaited.on("other");  // has ended: goes on where it is
    EXPECT_TRUE(again);
    other_name = thread_name();
    over = true;
  }(*handle, first, second, done);
  gate.open();
  ASSERT_TRUE(eventually([&] { return done.load(); }));
  EXPECT_EQ(first, "leat-defaul-0");
  EXPECT_EQ(second, "leat-defaul-0");
}

TEST(AwaitedHandle, GoesOnWithAnotherExecutor) {
  Gate gate;
  Runner runner = make_two_key_runner();
  const auto handle = runner.submit(gate.workflow());
  std::string where;
  std::atomic<bool> done = false;
  [](PipelineHandle awaited, std::string& name, std::atomic<bool>& over) -> Detached {
    static_cast<void>(co_await awaited.on("other"));
    name = thread_name();
    const Result nowhere = co_await awaited.on("nowhere");
    EXPECT_TRUE(nowhere);  // has ended: no executor is asked for
    over = true;
  }(*handle, where, done);
  gate.open();
  ASSERT_TRUE(eventually([&] { return done.load(); }));
  EXPECT_EQ(where, "leat-other-0");
}

// Ends and listeners meet at every distance; each is told once.
TEST(Continuation, IsCalledOnceHoweverCloseTheEndIs) {
  Runner runner = make_two_key_runner();
  const auto workflow = *Workflow::builder("w").task("a", nothing).build();
  constexpr int kRounds = 2000;
  std::atomic<int> called = 0;
  for (int i = 0; i < kRounds; ++i) {
    const auto handle = runner.submit_async(workflow, {.durability = Durability::Memory});
    for (int spin = i % 64; spin > 0; --spin) static_cast<void>(handle->state());
    ASSERT_TRUE(handle->then([&](const Result& result) { called += result ? 1 : 0; }));
  }
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(called, kRounds);
}

}  // namespace
}  // namespace leat::behaviours
