// Coroutine tasks: they wait without a thread, and are tasks like others in all the rest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <coroutine>
#include <functional>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "behaviours.h"
#include "eventually.h"
#include "leat/task.h"
#include "one_task.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string thread_name() {
  char name[16] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  return name;
}

/// Any number of coroutines wait for it, and are resumed by the thread that opens it.
class Gate {
 public:
  struct Awaiter {
    Gate& gate;
    bool await_ready() const noexcept { return gate.open_; }
    bool await_suspend(std::coroutine_handle<> waiter) {
      std::lock_guard lock(gate.mutex_);
      if (gate.open_) return false;
      gate.waiters_.push_back(waiter);
      return true;
    }
    int await_resume() const noexcept { return 7; }
  };
  Awaiter operator co_await() noexcept { return {*this}; }

  void open() {
    std::vector<std::coroutine_handle<>> waiters;
    {
      std::lock_guard lock(mutex_);
      open_ = true;
      waiters.swap(waiters_);
    }
    for (const std::coroutine_handle<> waiter : waiters) waiter.resume();
  }

 private:
  std::mutex mutex_;
  std::atomic<bool> open_ = false;
  std::vector<std::coroutine_handle<>> waiters_;
};

Runner make_runner_of_one_thread(std::uint32_t concurrent, std::shared_ptr<MemoryMedium> medium = nullptr) {
  auto runner = Runner::builder()
                    .state_store(make_memory_store(std::move(medium)))
                    .default_limits({.max_concurrent = concurrent, .threads = 1})
                    .build();
  EXPECT_TRUE(runner) << runner.error().message;
  EXPECT_TRUE(runner->start());
  return std::move(*runner);
}

TEST(Coroutine, HoldsNoThreadWhileItWaits) {
  Gate gate;
  std::atomic<int> begun = 0, ended = 0;
  Runner runner = make_runner_of_one_thread(8);
  const auto workflow = one_task([&](TaskContext&) -> Task {
    ++begun;
    co_await gate;
    ++ended;
  });
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(runner.submit_async(workflow));
  ASSERT_TRUE(eventually([&] { return begun == 8; }));
  EXPECT_EQ(ended, 0);
  EXPECT_EQ(runner.metrics("default").active_tasks, 8U);
  EXPECT_TRUE(runner.audit().front().balanced());
  gate.open();
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(ended, 8);
}

TEST(Coroutine, GoesOnOnItsLaneWhoeverResumesIt) {
  Gate gate;
  std::atomic<bool> waits = false;
  std::string before, after;
  int got = 0;
  Runner runner = make_runner_of_one_thread(2);
  const auto handle = runner.submit(one_task([&](TaskContext&) -> Task {
    before = thread_name();
    waits = true;
    got = co_await gate;
    after = thread_name();
  }));
  ASSERT_TRUE(eventually([&] { return waits.load(); }));
  gate.open();  // on this thread
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_EQ(before, "leat-defaul-0");
  EXPECT_EQ(after, "leat-defaul-0");
  EXPECT_EQ(got, 7);
}

TEST(Coroutine, AwaitsWhatIsReadyWithoutLeaving) {
  Gate gate;
  gate.open();
  Runner runner = make_runner_of_one_thread(1);
  const auto result = run(runner, one_task([&](TaskContext&) -> Task { co_await gate; }));
  EXPECT_EQ(result.state, PipelineState::Completed);
}

TEST(Coroutine, AwaitsReferencesAndWhatThrows) {
  struct Reference {
    int& value;
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    int& await_resume() const noexcept { return value; }
  };
  struct Throws {
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const { throw std::runtime_error("awaited in vain"); }
  };
  int value = 1;
  std::string caught;
  Runner runner = make_runner_of_one_thread(1);
  run(runner, one_task([&](TaskContext&) -> Task {
        int& got = co_await Reference{value};
        got = 2;
        try {
          co_await Throws();
        } catch (const std::runtime_error& error) {
          caught = error.what();
        }
      }));
  EXPECT_EQ(value, 2);
  EXPECT_EQ(caught, "awaited in vain");
}

TEST(Coroutine, AwaitsThePipelineThatItSubmitted) {
  Runner runner = make_runner_of_one_thread(1);
  const auto child = one_task([](TaskContext& task) { task.set("from", "child"); });
  const auto result = run(runner, one_task([&](TaskContext& task) -> TryTask {
                            const auto handle = runner.submit_async(child);
                            if (!handle) co_return std::unexpected(handle.error().message);
                            const auto ended = co_await leat::defer(*handle);  // the lane has one permit
                            if (!ended) co_return std::unexpected(ended.error().message);
                            task.edit() = *Context::parse(ended->context);
                            co_return {};
                          }));
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.context, R"({"from":"child"})");
}

TEST(Coroutine, AwaitsAPipelineThatHasEnded) {
  Runner runner = make_runner_of_one_thread(2);
  const auto first = runner.submit(one_task(nothing));
  ASSERT_TRUE(first->wait(kLong));
  const auto result = run(runner, one_task([&](TaskContext&) -> TryTask {
                            const auto ended = co_await *first;
                            if (!ended) co_return std::unexpected(ended.error().message);
                            co_return {};
                          }));
  EXPECT_EQ(result.state, PipelineState::Completed);
}

TEST(Coroutine, SavesWhatItSetAfterAWait) {
  Runner runner = make_runner_of_one_thread(1);
  const auto result = run(runner, one_task([](TaskContext& task) -> Task {
                            const auto before = task.get<std::int64_t>("n");
                            EXPECT_TRUE(co_await leat::sleep_for(1us));
                            task.set("n", *before + 1);
                          }),
                          R"({"n":1})");
  EXPECT_EQ(result.context, R"({"n":2})");
}

TEST(Coroutine, FailsByWhatItReturnsOrThrowsAndIsRetried) {
  const auto medium = std::make_shared<MemoryMedium>();
  {
    Runner runner = make_runner_of_one_thread(1, medium);
    const RetryPolicy policy{.max_attempts = 3, .initial = 1ms};
    const auto result = run(runner, one_task(
                                        [](TaskContext& task) -> TryTask {
                                          co_await leat::sleep_for(1us);
                                          if (task.attempt() == 1) throw std::runtime_error("first");
                                          if (task.attempt() == 2)
                                            co_return std::unexpected(TaskError("second").after(0ns));
                                          co_return std::unexpected(TaskError("third").for_good());
                                        },
                                        {.retry = policy}));
    EXPECT_EQ(result.state, PipelineState::Failed);
    EXPECT_EQ(runner.metrics("default").total_retried, 2U);
  }
  const Seen seen = read(medium);
  EXPECT_EQ(seen.only().tasks[0].error, "third");
  EXPECT_EQ(seen.only().tasks[0].attempt, 3U);
}

TEST(Coroutine, IsToldOfACancelInItsSleep) {
  std::atomic<bool> waits = false;
  std::optional<bool> whole;
  Runner runner = make_runner_of_one_thread(1);
  auto handle = runner.submit(one_task([&](TaskContext&) -> Task {
    waits = true;
    whole = co_await leat::sleep_for(1h);
    throw std::runtime_error("so it did not complete");
  }));
  ASSERT_TRUE(eventually([&] { return waits.load(); }));
  ASSERT_TRUE(handle->cancel());
  EXPECT_EQ(handle->wait(kLong)->state, PipelineState::Cancelled);
  EXPECT_EQ(whole, false);
  EXPECT_THAT(handle->task_states(), ElementsAre(TaskState::Cancelled));
}

TEST(Coroutine, IsToldOfACancelWhileItAwaitsAPipeline) {
  std::atomic<bool> waits = false;
  std::optional<ErrorCode> code;
  Gate gate;
  Runner runner = make_runner_of_one_thread(2);
  const auto other = runner.submit(one_task([&](TaskContext&) -> Task { co_await gate; }));
  auto handle = runner.submit(one_task([&](TaskContext&) -> Task {
    waits = true;
    const auto ended = co_await *other;
    code = ended.error().code;
  }));
  ASSERT_TRUE(eventually([&] { return waits.load(); }));
  ASSERT_TRUE(handle->cancel());
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_EQ(code, ErrorCode::Cancelled);
  gate.open();
  EXPECT_TRUE(other->wait(kLong));
}

TEST(Coroutine, HearsOfACancelThroughItsStopTokenInAnAwaitOfAnothersMaking) {
  class Stopped {
   public:
    explicit Stopped(std::stop_token token)
        : token_(std::move(token)) {}  // no aggregate: g++ 12 ends those twice
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) {
      callback_.emplace(token_, [waiter] { waiter.resume(); });
    }
    void await_resume() const noexcept {}

   private:
    std::stop_token token_;
    std::optional<std::stop_callback<std::function<void()>>> callback_;
  };
  std::atomic<bool> waits = false;
  Runner runner = make_runner_of_one_thread(1);
  auto handle = runner.submit(one_task([&](TaskContext& task) -> Task {
    waits = true;
    co_await Stopped(task.stop_token());
  }));
  ASSERT_TRUE(eventually([&] { return waits.load(); }));
  ASSERT_TRUE(handle->cancel());
  EXPECT_TRUE(handle->wait(kLong));
}

TEST(Coroutine, IsOverdueInItsSleep) {
  const auto medium = std::make_shared<MemoryMedium>();
  {
    Runner runner = make_runner_of_one_thread(1, medium);
    const auto result = run(runner, one_task([](TaskContext&) -> Task { co_await leat::sleep_for(1h); },
                                             {.retry = kOnce, .timeout = 2ms}));
    EXPECT_EQ(result.state, PipelineState::Failed);
    ASSERT_TRUE(runner.wait_idle(kLong));
    EXPECT_EQ(runner.metrics("default").total_late, 1U);
    EXPECT_EQ(runner.metrics("default").active_tasks, 0U);
  }
  EXPECT_EQ(read(medium).only().tasks[0].error, "timeout: the attempt ran longer than 2 ms");
}

TEST(Coroutine, TakesTooLongInAllInItsSleepAndIsNotRetried) {
  const auto medium = std::make_shared<MemoryMedium>();
  {
    Runner runner = make_runner_of_one_thread(1, medium);
    const auto result = run(runner, one_task([](TaskContext&) -> Task { co_await leat::sleep_for(1h); },
                                             {.retry = {.max_attempts = 5}, .total_timeout = 2ms}));
    EXPECT_EQ(result.state, PipelineState::Failed);
  }
  const TaskImage task = read(medium).only().tasks[0];
  EXPECT_EQ(task.error, "timeout: the task took longer in all than 2 ms");
  EXPECT_EQ(task.attempt, 1U);
}

TEST(Coroutine, FailsWhereOneThatSleepsHasTheSlotForTooLong) {
  Gate gate;
  std::atomic<bool> began = false;
  Runner runner = make_runner_of_one_thread(1);
  const auto sleeper = runner.submit(one_task([&](TaskContext&) -> Task {
    co_await gate;
    co_return;
  }));
  ASSERT_TRUE(sleeper);
  const auto late = run(runner, one_task(
                                    [&](TaskContext&) -> Task {
                                      began = true;
                                      co_return;
                                    },
                                    {.queue_timeout = 2ms}));
  EXPECT_EQ(late.state, PipelineState::Failed);
  gate.open();
  EXPECT_EQ(sleeper->wait(kLong)->state, PipelineState::Completed);
  EXPECT_FALSE(began);
}

TEST(Coroutine, IsSaidToBeStuckWhereItsAwaitHeedsNothing) {
  Gate gate;
  std::atomic<bool> stuck = false;
  std::string said;
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .stuck_warning(1ms)
                    .log_sink([&](Severity severity, std::string_view line) {
                      if (severity != Severity::Warning || stuck.exchange(true)) return;
                      said = line;
                    })
                    .build();
  ASSERT_TRUE(runner->start());
  const auto workflow =
      one_task([&](TaskContext&) -> Task { co_await gate; }, {.retry = kOnce, .timeout = 1ms});
  const auto handle = runner->submit(workflow);
  EXPECT_EQ(handle->wait(kLong)->state, PipelineState::Failed);
  ASSERT_TRUE(eventually([&] { return stuck.load(); }));
  EXPECT_EQ(runner->metrics("default").stuck_tasks, 1U);
  gate.open();
  ASSERT_TRUE(runner->stop(kLong));
  EXPECT_THAT(said, testing::HasSubstr("task 'public::embedded::w::a', attempt 1"));
}

TEST(Coroutine, IsInterruptedAtTheStopsDeadline) {
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<bool> waits = false;
  const auto workflow = one_task([&](TaskContext& task) -> Task {
    waits = true;
    if (task.get<bool>("sleeps").value_or(true)) co_await leat::sleep_for(1h);
  });
  {
    Runner runner = make_runner_of_one_thread(1, medium);
    ASSERT_TRUE(runner.submit(workflow));
    ASSERT_TRUE(eventually([&] { return waits.load(); }));
    ASSERT_TRUE(runner.stop(0ns));
  }
  const Seen seen = read(medium);
  EXPECT_EQ(seen.transitions.back(), "a Running->Ready 1");
  EXPECT_EQ(seen.only().tasks[0].rescues, 0U);
}

TEST(Coroutine, FailsWhereItsExecutorCallsFunctionsOnly) {
  class Calls final : public TaskExecutor {
   public:
    std::expected<ExecutionResult, DispatchError> execute(const TaskReadyEvent& event) override {
      TaskContext context(event, services());
      const auto done = (*services().find_task(event))(context);
      EXPECT_NE(context.coroutine(), nullptr);
      return ExecutionResult::failed(event.task_execution_id, done.error().message, !done.error().permanent);
    }
  };
  const auto medium = std::make_shared<MemoryMedium>();
  {
    auto runner = Runner::builder()
                      .state_store(make_memory_store(medium))
                      .register_executor("default", std::make_shared<Calls>(), {.max_concurrent = 1})
                      .build();
    ASSERT_TRUE(runner->start());
    const auto workflow = one_task([](TaskContext&) -> Task { co_return; }, {.retry = {.max_attempts = 3}});
    EXPECT_EQ(run(*runner, workflow).state, PipelineState::Failed);
  }
  EXPECT_EQ(read(medium).only().tasks[0].error,
            "the task is a coroutine, which this executor does not run; ThreadTaskExecutor does");
  EXPECT_EQ(read(medium).only().tasks[0].attempt, 1U);
}

TEST(Coroutine, IsDispatchedAlone) {
  std::atomic<int> ended = 0;
  Runner runner = make_runner_of_one_thread(4);
  const Namespace task = *runner.register_task("t::p::w::a", [&](TaskContext&) -> Task {
    co_await leat::defer(leat::sleep_for(1us));
    ++ended;
  });
  std::vector<TaskReadyEvent> events;
  for (int i = 0; i < 500; ++i) events.push_back(runner.make_event(task));
  const BulkResult result = runner.dispatcher().dispatch_bulk(events, kMemory);
  ASSERT_TRUE(result.end);
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(ended, 500);
  EXPECT_EQ(runner.metrics("default").total_executed, 500U);
}

TEST(Coroutine, RunsOnLentThreads) {
  auto runner = Runner::builder().database_url("memory:").lent_threads().workers(1).build();
  ASSERT_TRUE(runner->start());
  std::vector<std::thread::id> where;
  const auto workflow = one_task([&](TaskContext&) -> Task {
    where.push_back(std::this_thread::get_id());
    co_await leat::defer(leat::sleep_for(1ms));
    where.push_back(std::this_thread::get_id());
  });
  ASSERT_TRUE(runner->submit(workflow));
  ASSERT_TRUE(runner->run_until_idle(kLong));
  EXPECT_THAT(where, ElementsAre(std::this_thread::get_id(), std::this_thread::get_id()));
}

TEST(Coroutine, RunsInAnArena) {
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .default_limits({.max_concurrent = 2, .backend = Backend::Arena})
                    .workers(2)
                    .build();
  ASSERT_TRUE(runner->start());
  std::atomic<int> ended = 0;
  const auto workflow = one_task([&](TaskContext&) -> Task {
    for (int i = 0; i < 3; ++i) co_await leat::defer(leat::sleep_for(1us));
    ++ended;
  });
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(runner->submit_async(workflow));
  ASSERT_TRUE(runner->wait_idle(kLong));
  EXPECT_EQ(ended, 100);
}

}  // namespace
}  // namespace leat::behaviours
