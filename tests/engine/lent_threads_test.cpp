// A Runner without threads of its own: callers lend theirs, by run_until_idle() and by waiting.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
constexpr auto kLong = 30s;

std::size_t threads_of_this_process() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(threads), end(threads)));
}

Runner make_lent(ExecutorLimits limits = {.max_concurrent = 2, .max_queued = 1024},
                 std::unique_ptr<StateStore> store = make_memory_store()) {
  auto runner = Runner::builder()
                    .state_store(std::move(store))
                    .default_limits(limits)
                    .workers(2)
                    .lent_threads()
                    .build();
  EXPECT_TRUE(runner) << runner.error().message;
  return std::move(*runner);
}

template <class F>
Workflow diamond(F&& task) {
  return *Workflow::builder("diamond")
              .task("a", task)
              .task("b", task, {.after = {"a"}})
              .task("c", task, {.after = {"a"}})
              .task("d", task, {.after = {"b", "c"}})
              .build();
}

/// Keeps its tokens until somebody asks for them.
class KeepingExecutor final : public TaskExecutor {
 public:
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    std::lock_guard lock(mutex_);
    task_ = event.task_execution_id;
    token_ = std::move(token);
  }
  bool has_token() {
    std::lock_guard lock(mutex_);
    return static_cast<bool>(token_);
  }
  void complete() {
    std::unique_lock lock(mutex_);
    CompletionToken token = std::move(token_);
    lock.unlock();
    token.complete(ExecutionResult::success(task_));
  }

 private:
  std::mutex mutex_;
  Uuid task_;
  CompletionToken token_;
};

TEST(LentThreads, ARunnerMakesNoneOfItsOwn) {
  const std::size_t before = threads_of_this_process();
  Runner runner = make_lent();
  ASSERT_TRUE(runner.start());
  EXPECT_EQ(threads_of_this_process(), before);
  ASSERT_TRUE(runner.submit(diamond([](TaskContext&) {})));
  ASSERT_TRUE(runner.run_until_idle(kLong));
  EXPECT_EQ(threads_of_this_process(), before);
}

TEST(LentThreads, DispatchRunsNothing) {
  Runner runner = make_lent();
  int ran = 0;
  const Namespace task = *runner.register_task("a::b::c::d", [&](TaskContext&) { ++ran; });
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(task), {.durability = Durability::Memory}));
  EXPECT_EQ(ran, 0);
  ASSERT_TRUE(runner.run_until_idle(kLong));
  EXPECT_EQ(ran, 1);
}

TEST(LentThreads, TasksRunInTheThreadThatLendsItself) {
  Runner runner = make_lent();
  std::vector<std::thread::id> where;
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.submit(diamond([&](TaskContext&) { where.push_back(std::this_thread::get_id()); })));
  ASSERT_TRUE(runner.run_until_idle(kLong));
  EXPECT_EQ(where, std::vector(4, std::this_thread::get_id()));
}

TEST(LentThreads, AWaitForAPipelineRunsIt) {
  Runner runner = make_lent();
  ASSERT_TRUE(runner.start());
  auto handle = runner.submit_async(diamond([](TaskContext&) {}));
  ASSERT_TRUE(handle);
  const auto result = handle->wait(kLong);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->completed, 4U);
}

TEST(LentThreads, AFlushCommits) {
  const auto medium = std::make_shared<MemoryMedium>();
  Runner runner = make_lent({.max_concurrent = 2}, make_memory_store(medium));
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.submit_async(diamond([](TaskContext&) {}), {.durability = Durability::Process}));
  ASSERT_TRUE(runner.flush());
  EXPECT_GT(medium->commits.size(), 0U);
  EXPECT_EQ(medium->synced, medium->commits.size());
}

TEST(LentThreads, AFlushBeginsNoTask) {
  Runner runner = make_lent();
  int ran = 0;
  const Namespace task = *runner.register_task("t::p::w::task", [&](TaskContext&) { ++ran; });
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(task), {.durability = Durability::Memory}));
  ASSERT_TRUE(runner.flush());
  EXPECT_EQ(ran, 0);
}

TEST(LentThreads, AWaitLooksAtItsLimitAfterEachTask) {
  Runner runner = make_lent();
  int ran = 0;
  const Workflow slow = *Workflow::builder("slow")
                             .task("longer than the limit",
                                   [&](TaskContext&) {
                                     ++ran;
                                     const auto end = std::chrono::steady_clock::now() + 2ms;
                                     while (std::chrono::steady_clock::now() < end) {
                                     }
                                   })
                             .build();
  ASSERT_TRUE(runner.start());
  std::optional<PipelineHandle> last;
  for (int i = 0; i < 8; ++i) last = *runner.submit_async(slow, {.durability = Durability::Memory});
  const auto result = last->wait(1ms);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::Timeout);
  EXPECT_LE(ran, 1);
}

TEST(LentThreads, AFullRingIsEmptiedByWhoFindsItFull) {
  Runner runner = make_lent({.max_concurrent = 2, .max_queued = 100'000});
  const Workflow workflow = *Workflow::builder("one").task("only", [](TaskContext&) {}).build();
  ASSERT_TRUE(runner.start());
  for (int i = 0; i < 40'000; ++i) {  // two of the ring's 65,536 cells each
    ASSERT_TRUE(runner.submit_async(workflow, {.durability = Durability::Process}));
  }
  ASSERT_TRUE(runner.run_until_idle(kLong));
  EXPECT_EQ(runner.metrics("default").total_executed, 40'000U);
}

TEST(LentThreads, ARoundBeginsNoMoreTasksThanItMay) {
  Runner runner = make_lent();
  int ran = 0;
  const Namespace task = *runner.register_task("a::b::c::d", [&](TaskContext&) { ++ran; });
  ASSERT_TRUE(runner.start());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(task), {.durability = Durability::Memory}));
  }
  while (*runner.run_some(0) > 0) {  // commits what was registered
  }
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(*runner.run_some(2), 2U);
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(*runner.run_some(8), 3U);
  EXPECT_EQ(*runner.run_some(8), 0U);
}

TEST(LentThreads, ARetryIsWaitedForAndRun) {
  Runner runner = make_lent();
  int ran = 0;
  const auto fails_once = [&](TaskContext&) -> std::expected<void, TaskError> {
    if (++ran == 1) return std::unexpected("not yet");
    return {};
  };
  const Workflow workflow =
      *Workflow::builder("retries")
           .task("flaky", fails_once, {.retry = {.max_attempts = 2, .initial = 20ms, .jitter = false}})
           .build();
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.submit(workflow));
  ASSERT_TRUE(runner.run_until_idle(kLong));
  EXPECT_EQ(ran, 2);
}

TEST(LentThreads, TwoLentThreadsRunTwoTasksAtOnce) {
  Runner runner = make_lent();
  std::latch both(2);
  const Namespace task = *runner.register_task("a::b::c::d", [&](TaskContext&) { both.arrive_and_wait(); });
  ASSERT_TRUE(runner.start());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(task), {.durability = Durability::Memory}));
  }
  std::thread second([&] { EXPECT_TRUE(runner.run_until_idle(kLong)); });
  EXPECT_TRUE(runner.run_until_idle(kLong));
  second.join();
}

TEST(LentThreads, ACompletionFromElsewhereWakesTheLentThread) {
  const auto executor = std::make_shared<KeepingExecutor>();
  Runner runner = make_lent();
  ASSERT_TRUE(runner.register_executor("remote", executor, {.max_concurrent = 1}));
  const Workflow workflow = *Workflow::builder("remote")
                                 .task("first", {.executor = "remote"})
                                 .task("second", [](TaskContext&) {}, {.after = {"first"}})
                                 .build();
  ASSERT_TRUE(runner.start());
  auto handle = runner.submit(workflow);
  ASSERT_TRUE(handle);
  std::thread remote([&] {
    EXPECT_TRUE(eventually([&] { return executor->has_token(); }));
    executor->complete();
  });
  const auto result = handle->wait(kLong);
  remote.join();
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->completed, 2U);
}

TEST(LentThreads, AnInlineLaneRunsOnlyWhereAThreadIsLent) {
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .register_executor("inline", std::make_shared<ThreadTaskExecutor>(),
                                       {.max_concurrent = 1, .backend = Backend::Lent})
                    .workers(1)
                    .build();
  ASSERT_TRUE(runner);
  std::thread::id usual, inlined;
  const Workflow workflow = *Workflow::builder("both")
                                 .task("usual", [&](TaskContext&) { usual = std::this_thread::get_id(); })
                                 .task("inlined", [&](TaskContext&) { inlined = std::this_thread::get_id(); },
                                       {.after = {"usual"}, .executor = "inline"})
                                 .build();
  ASSERT_TRUE(runner->start());
  ASSERT_TRUE(runner->submit(workflow));
  ASSERT_TRUE(runner->run_until_idle(kLong));
  EXPECT_EQ(inlined, std::this_thread::get_id());
  EXPECT_NE(usual, std::this_thread::get_id());
}

TEST(LentThreads, WhoWaitsWhileTheRunnerGoesLearnsThatItStopped) {
  const auto executor = std::make_shared<KeepingExecutor>();
  std::optional<Runner> runner(make_lent());
  ASSERT_TRUE(runner->register_executor("remote", executor, {.max_concurrent = 1}));
  const Workflow workflow = *Workflow::builder("remote").task("first", {.executor = "remote"}).build();
  ASSERT_TRUE(runner->start());
  const auto handle = runner->submit(workflow);
  ASSERT_TRUE(handle);
  std::thread waiter([&] {
    const auto result = handle->wait(kLong);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::Stopped);
  });
  EXPECT_TRUE(eventually([&] { return executor->has_token(); }));
  std::thread stopper([&] { EXPECT_TRUE(runner->stop(0ns)); });
  // Told to stop, it comes back.
  EXPECT_TRUE(eventually([&] { return handle->task_states().front() != TaskState::Running; }));
  executor->complete();
  stopper.join();
  runner.reset();
  waiter.join();
}

TEST(LentThreads, ATaskCannotLendItsThreadAgain) {
  Runner runner = make_lent();
  std::optional<ErrorCode> code;
  const Namespace task = *runner.register_task(
      "a::b::c::d", [&](TaskContext&) { code = runner.run_until_idle(kLong).error().code; });
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(task), {.durability = Durability::Memory}));
  ASSERT_TRUE(runner.run_until_idle(kLong));
  EXPECT_EQ(code, ErrorCode::WouldDeadlock);
}

TEST(LentThreads, ARunnerWithItsOwnThreadsTakesNone) {
  auto runner = Runner::builder().database_url("memory:").workers(1).build();
  ASSERT_TRUE(runner);
  ASSERT_TRUE(runner->start());
  EXPECT_EQ(runner->run_until_idle(kLong).error().code, ErrorCode::InvalidState);
}

TEST(LentThreads, ManyOfThemShareAFloodOfDurableTasks) {
  Runner runner = make_lent({.max_concurrent = 2, .max_queued = 64});
  std::atomic<int> ran = 0;
  const auto count = [&](TaskContext&) { ran.fetch_add(1, std::memory_order_relaxed); };  // relaxed: a count
  const Workflow workflow = diamond(count);
  ASSERT_TRUE(runner.start());
  std::vector<std::thread> lenders;
  for (int i = 0; i < 3; ++i) {
    lenders.emplace_back([&] {
      for (int n = 0; n < 200; ++n) EXPECT_TRUE(runner.submit(workflow));
      EXPECT_TRUE(runner.run_until_idle(kLong));
    });
  }
  for (std::thread& lender : lenders) lender.join();
  EXPECT_TRUE(runner.run_until_idle(kLong));
  EXPECT_EQ(ran.load(std::memory_order_relaxed), 3 * 200 * 4);
}

}  // namespace
}  // namespace leat
