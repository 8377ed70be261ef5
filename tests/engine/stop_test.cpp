// Stopping, at the worst moments.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"
#include "seed.h"

// LeakSanitizer's, where the test is built with it. By name, in a suppression, it would need a symbolizer beside it.
extern "C" {
[[gnu::weak]] void __lsan_disable();
[[gnu::weak]] void __lsan_enable();
}

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

#if defined(__SANITIZE_THREAD__)
constexpr int kRounds = 20;
#else
constexpr int kRounds = 100;
#endif

class Stop : public testing::TestWithParam<Backend> {
 protected:
  Runner make_runner(std::uint32_t concurrent, std::uint32_t queued) const {
    auto runner =
        Runner::builder()
            .database_url("memory:")
            .default_limits({.max_concurrent = concurrent, .max_queued = queued, .backend = GetParam()})
            .workers(2)
            .log_sink([](Severity, std::string_view) {})
            .build();
    EXPECT_TRUE(runner) << runner.error().message;
    return std::move(*runner);
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, Stop, testing::Values(Backend::Arena, Backend::Threads),
                         [](const auto& param) {
                           return param.param == Backend::Arena ? "Arena" : "Threads";
                         });

TEST_P(Stop, WhileManyDispatchRunsNothingTwiceAndNothingLater) {
  for (int round = 0; round < kRounds / 5; ++round) {
    Runner runner = make_runner(2, 16);
    std::atomic<std::uint64_t> accepted = 0, ran = 0, pipelines_ran = 0;
    const Namespace task = *runner.register_task("t::p::w::task", [&](TaskContext&) { ++ran; });
    const auto workflow = Workflow::builder("w")
                              .task("a", [&](TaskContext&) { ++pipelines_ran; })
                              .task("b", [&](TaskContext&) { ++pipelines_ran; }, {.after = {"a"}})
                              .build();
    ASSERT_TRUE(runner.start());
    std::atomic<int> stopped = 0;
    constexpr int kProducers = 8;
    std::vector<std::thread> producers;
    for (int i = 0; i < kProducers; ++i) {
      producers.emplace_back([&, i] {
        for (;;) {
          if (i == 0) {
            if (const auto handle = runner.submit_async(*workflow)) static_cast<void>(handle->wait());
          }
          const auto done =
              runner.dispatcher().dispatch(runner.make_event(task), {.durability = Durability::Memory});
          accepted += done.has_value();
          if (!done && done.error().code == DispatchErrorCode::Stopped) break;
        }
        ++stopped;
      });
    }
    ASSERT_TRUE(eventually([&] { return ran + pipelines_ran > 100; }));
    const auto ended = runner.stop(30s);
    EXPECT_TRUE(ended) << ended.error().message;
    const std::uint64_t ran_at_stop = ran, pipelines_at_stop = pipelines_ran;
    for (std::thread& producer : producers) producer.join();
    EXPECT_EQ(stopped, kProducers);
    EXPECT_EQ(ran, ran_at_stop);
    EXPECT_EQ(pipelines_ran, pipelines_at_stop);
    EXPECT_LE(ran, accepted);
    const ExecutorMetrics metrics = runner.metrics("default");
    EXPECT_EQ(metrics.total_executed, ran + pipelines_ran);
    EXPECT_EQ(metrics.active_tasks, 0U);
  }
}

TEST_P(Stop, TellsEveryTaskThatBegan) {
  auto random = seeded_generator();
  for (int round = 0; round < kRounds; ++round) {
    Runner runner = make_runner(2, 16);
    std::atomic<int> untold = 0;
    const Namespace task = *runner.register_task("t::p::w::task", [&](TaskContext& context) {
      if (!eventually([&] { return context.stop_requested(); }, 10s)) ++untold;
    });
    ASSERT_TRUE(runner.start());
    const std::uint32_t pause = pick(random, 60'000);
    std::thread producer([&] {
      for (int i = 0; i < 4; ++i) {
        static_cast<void>(
            runner.dispatcher().dispatch(runner.make_event(task), {.durability = Durability::Memory}));
      }
    });
    for (std::atomic<std::uint32_t> spun = 0; spun < pause;) ++spun;
    const auto ended = runner.stop(0s);
    EXPECT_TRUE(ended) << ended.error().message;
    producer.join();
    ASSERT_EQ(untold, 0) << "a task began, and was not told of the stop";
  }
}

TEST_P(Stop, InsideManyTasksAtOnceNeitherDeadlocksNorSucceeds) {
  Runner runner = make_runner(4, 16);
  std::atomic<int> refused = 0;
  const Namespace task = *runner.register_task("t::p::w::task", [&](TaskContext&) {
    const auto stopped = runner.stop(1s);
    refused += !stopped && stopped.error().code == ErrorCode::WouldDeadlock;
  });
  ASSERT_TRUE(runner.start());
  std::vector<TaskReadyEvent> events(8);
  for (TaskReadyEvent& event : events) event = runner.make_event(task);
  static_cast<void>(runner.dispatcher().dispatch_bulk(events, {.durability = Durability::Memory}));
  ASSERT_TRUE(eventually([&] { return refused > 0; }));
  EXPECT_TRUE(runner.stop(30s));
  EXPECT_EQ(static_cast<std::uint64_t>(refused), runner.metrics("default").total_executed);
}

TEST_P(Stop, FromSeveralThreadsStopsOnce) {
  Runner runner = make_runner(2, 64);
  std::atomic<int> ran = 0;
  const Namespace task = *runner.register_task("t::p::w::task", [&](TaskContext&) { ++ran; });
  ASSERT_TRUE(runner.start());
  for (int i = 0; i < 32; ++i) {
    static_cast<void>(
        runner.dispatcher().dispatch(runner.make_event(task), {.durability = Durability::Memory}));
  }
  std::vector<std::thread> threads;
  std::atomic<int> stopped = 0;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { stopped += runner.stop(30s).has_value(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(stopped, 4);
  EXPECT_EQ(static_cast<std::uint64_t>(ran), runner.metrics("default").total_executed);
}

/// A task that heeds nothing but release().
class Deaf {
 public:
  void run() {
    ++began_;
    released_.wait(false);
    ++came_back_;
  }
  void release() {
    released_ = true;
    released_.notify_all();
  }
  int began() const { return began_; }
  int came_back() const { return came_back_; }

 private:
  std::atomic<int> began_ = 0;
  std::atomic<int> came_back_ = 0;
  std::atomic<bool> released_ = false;
};

/// For what a stop has to give up, because a thread still uses it: it stays for ever, see ~Runner.
class LeaksOnPurpose {
 public:
  LeaksOnPurpose() {
    if (__lsan_disable != nullptr) __lsan_disable();
  }
  ~LeaksOnPurpose() {
    if (__lsan_enable != nullptr) __lsan_enable();
  }
  LeaksOnPurpose(const LeaksOnPurpose&) = delete;
  LeaksOnPurpose& operator=(const LeaksOnPurpose&) = delete;
};

void stop_a_runner_of_deaf_tasks(Backend backend, Deaf& deaf) {
  const LeaksOnPurpose leaks;  // of this thread; what it refers to stays with it
  auto built = Runner::builder()
                   .database_url("memory:")
                   .default_limits({.max_concurrent = 2, .backend = backend})
                   .workers(2)
                   .log_sink([](Severity, std::string_view) {})
                   .build();
  ASSERT_TRUE(built);
  Runner runner = std::move(*built);
  const Namespace alone = *runner.register_task("t::p::w::alone", [&](TaskContext&) { deaf.run(); });
  const auto workflow = Workflow::builder("w")
                            .task("deaf", [&](TaskContext&) { deaf.run(); })
                            .task("after", [](TaskContext&) {}, {.after = {"deaf"}})
                            .build();
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(alone), {.durability = Durability::Memory}));
  ASSERT_TRUE(runner.submit(*workflow, {.durability = Durability::Memory}));  // nobody keeps its handle
  ASSERT_TRUE(eventually([&] { return deaf.began() == 2; }));
  const auto stopped = runner.stop(1ms);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::Timeout);
  EXPECT_THAT(stopped.error().message,
              AllOf(HasSubstr("2 task(s) neither ended"), HasSubstr("task 't::p::w::alone', attempt 1"),
                    HasSubstr("::w::deaf', attempt 1")));
  const SlotAudit audit = runner.audit().front();
  EXPECT_TRUE(audit.balanced());
  EXPECT_EQ(audit.slots_taken, 2U);
  EXPECT_THAT(audit.holders, SizeIs(2));
}

TEST(StopOfDeafTasks, GivesThemUpByNameAndSurvivesTheirComingBack) {
  std::array<Deaf, 2> deaf;
  {  // both backends at once: each stop waits out its grace
    std::jthread arena([&] { stop_a_runner_of_deaf_tasks(Backend::Arena, deaf[0]); });
    std::jthread threads([&] { stop_a_runner_of_deaf_tasks(Backend::Threads, deaf[1]); });
  }
  for (Deaf& tasks : deaf) {
    tasks.release();
    EXPECT_TRUE(eventually([&] { return tasks.came_back() == 2; }));
  }
}

/// Calls back where one thread asks for the time of day.
class ToldClock final : public Clock {
 public:
  std::int64_t steady_ns() noexcept override { return clock_->steady_ns(); }
  std::int64_t unix_ns() noexcept override {
    if (std::this_thread::get_id() == watched) std::exchange(told, {})();
    return clock_->unix_ns();
  }
  std::atomic<std::thread::id> watched;
  std::function<void()> told = [] {};

 private:
  const std::unique_ptr<Clock> clock_ = make_system_clock();
};

class NeverReady final : public TaskExecutor {
 public:
  bool has_capacity() const override { return false; }
};

TEST(StopBesideACancel, WaitsUntilTheCancelHasLeftTheEngine) {
  const auto clock = std::make_shared<ToldClock>();
  auto built = Runner::builder().state_store(make_memory_store()).clock(clock).build();
  ASSERT_TRUE(built);
  std::optional<Runner> runner(std::move(*built));
  ASSERT_TRUE(runner->register_executor("never", std::make_shared<NeverReady>(), {}));
  const Workflow workflow = *Workflow::builder("w").task("waits", {.executor = "never"}).build();
  ASSERT_TRUE(runner->start());
  auto handle = runner->submit(workflow);
  ASSERT_TRUE(handle);
  std::atomic<bool> gone = false;
  std::jthread destroyer;
  clock->told = [&] {  // the cancel is about to publish
    clock->watched = std::thread::id();
    destroyer = std::jthread([&] {
      runner.reset();
      gone = true;
    });
    EXPECT_FALSE(eventually([&] { return gone.load(); }, 1s));
  };
  clock->watched = std::this_thread::get_id();
  EXPECT_TRUE(handle->cancel());
  EXPECT_TRUE(eventually([&] { return gone.load(); }));
}

class Drain : public Stop {};

INSTANTIATE_TEST_SUITE_P(Backends, Drain, testing::Values(Backend::Arena, Backend::Threads),
                         [](const auto& param) {
                           return param.param == Backend::Arena ? "Arena" : "Threads";
                         });

TEST_P(Drain, RunsAllThatIsThereAndRefusesWhatComes) {
  Runner runner = make_runner(1, 4);
  std::atomic<int> ran = 0;
  std::atomic<bool> open = false;
  const Namespace task = *runner.register_task("t::p::w::alone", [&](TaskContext&) { ++ran; });
  const auto workflow = Workflow::builder("w")
                            .task("a",
                                  [&](TaskContext&) {
                                    open.wait(false);
                                    ++ran;
                                  })
                            .task("b", [&](TaskContext&) { ++ran; }, {.after = {"a"}})
                            .build();
  ASSERT_TRUE(runner.start());
  std::vector<PipelineHandle> handles;
  for (int i = 0; i < 20; ++i) handles.push_back(*runner.submit(*workflow));
  std::expected<void, Error> drained;
  std::thread thread([&] { drained = runner.drain(60s); });
  auto refused = runner.submit(*workflow);
  for (; refused; refused = runner.submit(*workflow)) handles.push_back(*refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Stopped);
  EXPECT_EQ(runner.dispatcher().dispatch(runner.make_event(task)).error().code, DispatchErrorCode::Stopped);
  open = true;
  open.notify_all();
  thread.join();
  EXPECT_TRUE(drained) << drained.error().message;
  EXPECT_EQ(ran, static_cast<int>(2 * handles.size()));
  for (const PipelineHandle& handle : handles) EXPECT_EQ(handle.state(), PipelineState::Completed);
  EXPECT_FALSE(runner.submit(*workflow)) << "it has stopped";
}

TEST_P(Drain, PastItsDeadlineSaysSoAndHasStopped) {
  std::atomic<bool> has_begun{false};
  Runner runner = make_runner(1, 4);
  const auto workflow = Workflow::builder("w")
                            .task("a",
                                  [&](TaskContext& context) {
                                    has_begun = true;
                                    while (!context.stop_requested()) std::this_thread::yield();
                                  })
                            .build();
  ASSERT_TRUE(runner.start());
  const PipelineHandle handle = *runner.submit(*workflow);
  ASSERT_TRUE(eventually([&] { return has_begun.load(); }));  // one that begins while it is told ends by itself
  const auto drained = runner.drain(1ms);
  ASSERT_FALSE(drained);
  EXPECT_EQ(drained.error().code, ErrorCode::Timeout);
  EXPECT_EQ(handle.wait(0s).error().code, ErrorCode::Stopped);
  EXPECT_TRUE(runner.stop(0s)) << "it was stopped already";
}

TEST_P(Drain, InsideATaskIsRefusedAndBeginsNothing) {
  std::atomic<ErrorCode> code{ErrorCode::Stopped};  // outlives the Runner, whose last task writes it
  Runner runner = make_runner(1, 4);
  const auto workflow =
      Workflow::builder("w").task("a", [&](TaskContext&) { code = runner.drain(0s).error().code; }).build();
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.submit(*workflow)->wait(30s));
  EXPECT_EQ(code, ErrorCode::WouldDeadlock);
  EXPECT_TRUE(runner.submit(*workflow));
}

}  // namespace
}  // namespace leat
