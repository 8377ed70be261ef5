// The ring from end to end: tasks and pipelines through a Runner, on both backends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "eventually.h"
#include "leat/context.h"
#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
constexpr auto kLong = 30s;

std::string thread_name() {
  char name[16] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  return name;
}

class RunnerTest : public testing::TestWithParam<Backend> {
 protected:
  ExecutorLimits limits(std::uint32_t concurrent = 2, std::uint32_t queued = 1024) const {
    return {.max_concurrent = concurrent, .max_queued = queued, .backend = GetParam()};
  }
  Runner make_runner(ExecutorLimits limits_of_default) {
    auto runner =
        Runner::builder().database_url("memory:").default_limits(limits_of_default).workers(2).build();
    EXPECT_TRUE(runner) << runner.error().message;
    return std::move(*runner);
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, RunnerTest, testing::Values(Backend::Arena, Backend::Threads),
                         [](const auto& param) {
                           return param.param == Backend::Arena ? "Arena" : "Threads";
                         });

TEST_P(RunnerTest, RunsADispatchedTaskOnAWorker) {
  Runner runner = make_runner(limits());
  std::thread::id where;
  const Namespace task = *runner.register_task("public::embedded::etl::extract", [&](TaskContext& context) {
    where = std::this_thread::get_id();
    EXPECT_EQ(context.task_name(), "extract");
  });
  ASSERT_TRUE(runner.start());
  const TaskReadyEvent event = runner.make_event(task);
  ASSERT_TRUE(runner.dispatcher().dispatch(event, {.durability = Durability::Memory}));
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_NE(where, std::thread::id());
  EXPECT_NE(where, std::this_thread::get_id());
  EXPECT_EQ(runner.metrics("default").total_executed, 1U);
}

TEST_P(RunnerTest, BulkTakesAPrefixAndNamesTheFullKey) {
  Runner runner = make_runner(limits(1, 3));
  std::atomic<bool> go{false};
  const Namespace task = *runner.register_task("t::p::w::hold", [&](TaskContext&) { go.wait(false); });
  ASSERT_TRUE(runner.start());
  std::vector<TaskReadyEvent> events;
  for (int i = 0; i < 10; ++i) events.push_back(runner.make_event(task));
  const BulkResult result = runner.dispatcher().dispatch_bulk(events, {.durability = Durability::Memory});
  EXPECT_EQ(result.taken, 4U);  // max_concurrent + max_queued
  ASSERT_FALSE(result.end);
  EXPECT_EQ(result.end.error().code, DispatchErrorCode::NoCapacity);
  EXPECT_EQ(result.end.error().key, "default");
  EXPECT_FALSE(runner.dispatcher().has_capacity());
  go = true;
  go.notify_all();
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(runner.metrics("default").total_executed, 4U);
  EXPECT_TRUE(runner.dispatcher().has_capacity());
}

TEST_P(RunnerTest, TheSlotOfATaskIsFreeWhileItsWorkerRunsTheNext) {
  Runner runner = make_runner(limits(1, 1));
  std::atomic<bool> running{false};
  std::atomic<bool> go{false};
  std::atomic<bool> end{false};
  const Namespace quick = *runner.register_task("t::p::w::quick", [&](TaskContext&) { go.wait(false); });
  const Namespace slow = *runner.register_task("t::p::w::slow", [&](TaskContext&) {
    running = true;
    running.notify_one();
    end.wait(false);
  });
  ASSERT_TRUE(runner.start());
  const DispatchOptions memory{.durability = Durability::Memory};
  ASSERT_EQ(runner.dispatcher()
                .dispatch_bulk(std::vector{runner.make_event(quick), runner.make_event(slow)}, memory)
                .taken,
            2U);
  go = true;
  go.notify_all();
  running.wait(false);
  EXPECT_TRUE(runner.dispatcher().has_capacity());
  EXPECT_TRUE(runner.dispatcher().dispatch(runner.make_event(quick), memory));
  EXPECT_FALSE(runner.dispatcher().has_capacity());
  end = true;
  end.notify_one();
  EXPECT_TRUE(runner.wait_idle(kLong));
}

TEST_P(RunnerTest, AnEventOfAPipelineThatIsDispatchedAnewBelongsToNoPipeline) {
  Runner runner =
      *Runner::builder().state_store(make_memory_store()).default_limits(limits()).workers(2).build();
  std::atomic<int> runs{0};
  const Namespace task = *runner.register_task("t::p::w::twice", [&](TaskContext& context) {
    if (++runs == 1) {
      EXPECT_TRUE(runner.dispatcher().dispatch(context.event(), {.durability = Durability::Memory}));
    }
  });
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(task)));  // durable: a pipeline of one task
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(runner.metrics("default").total_executed, 2U);
}

TEST_P(RunnerTest, RoutesToTheLaneOfTheFirstMatchingRule) {
  auto built = Runner::builder()
                   .database_url("memory:")
                   .routing_config(RoutingConfig("default").with_rule("*::*::ml::*", "gpu"))
                   .default_limits(limits())
                   .register_executor("gpu", std::make_shared<ThreadTaskExecutor>(),
                                      {.max_concurrent = 1, .backend = Backend::Threads})
                   .build();
  ASSERT_TRUE(built) << built.error().message;
  Runner runner = std::move(*built);
  std::string gpu_thread, default_thread;
  const Namespace train =
      *runner.register_task("a::b::ml::train", [&](TaskContext&) { gpu_thread = thread_name(); });
  const Namespace load =
      *runner.register_task("a::b::etl::load", [&](TaskContext&) { default_thread = thread_name(); });
  ASSERT_TRUE(runner.start());
  EXPECT_EQ(runner.dispatcher().resolve_executor_key("a::b::ml::train"), "gpu");
  ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(train), {.durability = Durability::Memory}));
  ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(load), {.durability = Durability::Memory}));
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(gpu_thread, "leat-gpu-0");
  EXPECT_NE(default_thread, "leat-gpu-0");
  EXPECT_EQ(runner.metrics("gpu").total_executed, 1U);
  EXPECT_EQ(runner.metrics("default").total_executed, 1U);
}

TEST_P(RunnerTest, ServicesKnowATaskByItsNameAlone) {
  class Looks final : public TaskExecutor {
   public:
    std::expected<ExecutionResult, DispatchError> execute(const TaskReadyEvent& event) override {
      config = services().task_config(event.task_namespace);
      const TaskFunction* const function = services().find_task(event.task_namespace);
      same = function != nullptr && function == services().find_task(event);
      return ExecutionResult::success(event.task_execution_id);
    }
    std::string config;
    bool same = false;
  };
  const auto executor = std::make_shared<Looks>();
  Runner runner = make_runner(limits());
  ASSERT_TRUE(runner.register_executor("looks", executor, limits()));
  ASSERT_TRUE(runner.start());
  for (const char* config : {R"({"a":1})", R"({"a":2})"}) {  // two versions of one workflow
    const auto workflow = *Workflow::builder("w")
                               .task("t", [](TaskContext&) {}, {.executor = "looks", .config = config})
                               .build();
    ASSERT_TRUE(runner.submit(workflow, {.durability = Durability::Memory})->wait(kLong));
    EXPECT_EQ(executor->config, config) << "of the version registered last";
    EXPECT_TRUE(executor->same);
  }
}

TEST_P(RunnerTest, RunsADiamondInOrderAndMergesItsContexts) {
  Runner runner = make_runner(limits());
  ASSERT_TRUE(runner.start());
  std::mutex mutex;
  std::vector<std::string> order;
  const auto note = [&](TaskContext& context) {
    std::lock_guard lock(mutex);
    order.emplace_back(context.task_name());
  };
  const auto workflow =
      Workflow::builder("diamond")
          .task("setup", [&](TaskContext& c) { note(c), c.set("base", 1); })
          .task("left", [&](TaskContext& c) { note(c), c.set("left", *c.get<std::int64_t>("base") + 1); },
                {.after = {"setup"}})
          .task("right", [&](TaskContext& c) { note(c), c.set("right", *c.get<std::int64_t>("base") + 2); },
                {.after = {"setup"}})
          .task("merge",
                [&](TaskContext& c) {
                  note(c);
                  c.set("sum", *c.get<std::int64_t>("left") + *c.get<std::int64_t>("right"));
                },
                {.after = {"left", "right"}})
          .build();
  ASSERT_TRUE(workflow) << workflow.error().message;
  auto handle = runner.submit(*workflow);
  ASSERT_TRUE(handle) << handle.error().message;
  const auto result = handle->wait(kLong);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, PipelineState::Completed);
  EXPECT_EQ(result->completed, 4U);
  EXPECT_EQ(result->context, R"({"base":1,"left":2,"right":3,"sum":5})");
  ASSERT_EQ(order.size(), 4U);
  EXPECT_EQ(order.front(), "setup");
  EXPECT_EQ(order.back(), "merge");
}

TEST_P(RunnerTest, AFailedTaskSkipsItsDependentsAndFailsThePipeline) {
  Runner runner = make_runner(limits());
  ASSERT_TRUE(runner.start());
  bool ran = false;
  const auto workflow =
      Workflow::builder("w")
          .task("bad",
                [](TaskContext&) -> std::expected<void, TaskError> {
                  return std::unexpected(TaskError("no luck").for_good());
                })
          .task("after", [&](TaskContext&) { ran = true; }, {.after = {"bad"}})
          .task("always", [](TaskContext&) {}, {.after = {"after"}, .trigger = TriggerRule::all_done()})
          .build();
  ASSERT_TRUE(workflow);
  const auto result = runner.submit(*workflow)->wait(kLong);
  ASSERT_TRUE(result);
  EXPECT_FALSE(ran);
  EXPECT_EQ(result->state, PipelineState::Failed);
  EXPECT_EQ(result->error, "1 task(s) failed, 1 completed, 1 skipped");
}

TEST_P(RunnerTest, RetriesUntilATaskSucceeds) {
  Runner runner = make_runner(limits());
  ASSERT_TRUE(runner.start());
  std::atomic<int> attempts{0};
  const auto workflow = Workflow::builder("w")
                            .task("flaky",
                                  [&](TaskContext& context) -> std::expected<void, TaskError> {
                                    EXPECT_EQ(context.attempt(), ++attempts);
                                    if (attempts < 3) return std::unexpected("connection refused");
                                    return {};
                                  },
                                  {.retry = {.max_attempts = 5, .initial = 1ms}})
                            .build();
  const auto result = runner.submit(*workflow)->wait(kLong);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->state, PipelineState::Completed);
  EXPECT_EQ(attempts, 3);
  EXPECT_EQ(runner.metrics("default").total_executed, 3U);
  EXPECT_EQ(runner.metrics("default").total_retried, 2U);
  EXPECT_EQ(runner.metrics("default").total_failed, 0U);
}

TEST_P(RunnerTest, AThrownExceptionIsTheTasksFailure) {
  Runner runner = make_runner(limits());
  ASSERT_TRUE(runner.start());
  const auto workflow = Workflow::builder("w")
                            .task("throws", [](TaskContext&) { throw std::runtime_error("boom"); },
                                  {.retry = {.max_attempts = 1}})
                            .build();
  const auto result = runner.submit(*workflow)->wait(kLong);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->state, PipelineState::Failed);
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(runner.metrics("default").total_failed, 1U);
}

TEST_P(RunnerTest, ATaskOverItsTimeFailsAndItsLateEndIsDropped) {
  Runner runner = make_runner(limits());
  ASSERT_TRUE(runner.start());
  const auto workflow = Workflow::builder("w")
                            .task("slow",
                                  [](TaskContext& context) {
                                    while (!context.stop_requested()) std::this_thread::yield();
                                  },
                                  {.retry = {.max_attempts = 1}, .timeout = 5ms})
                            .build();
  const auto result = runner.submit(*workflow)->wait(kLong);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->state, PipelineState::Failed);
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(runner.metrics("default").total_late, 1U);
  EXPECT_EQ(runner.metrics("default").total_failed, 1U);
}

TEST_P(RunnerTest, ReadyTasksBeyondTheLaneAreParkedAndAllRun) {
  Runner runner = make_runner(limits(1, 2));
  ASSERT_TRUE(runner.start());
  Workflow::Builder builder = Workflow::builder("wide");
  std::atomic<int> ran{0};
  for (int i = 0; i < 500; ++i) builder.task("t" + std::to_string(i), [&](TaskContext&) { ++ran; });
  const auto workflow = builder.build();
  const auto result = runner.submit(*workflow)->wait(kLong);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(ran, 500);
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(runner.metrics("default").parked_tasks, 0U);
}

TEST_P(RunnerTest, CancelEndsWhatHasNotStarted) {  // row 180
  Runner runner = make_runner(limits());
  ASSERT_TRUE(runner.start());
  std::atomic<bool> began{false};
  bool second = false;
  const auto workflow = Workflow::builder("w")
                            .task("first",
                                  [&](TaskContext& context) {
                                    began = true;
                                    began.notify_all();
                                    while (!context.stop_requested()) std::this_thread::yield();
                                  })
                            .task("second", [&](TaskContext&) { second = true; }, {.after = {"first"}})
                            .build();
  auto handle = runner.submit(*workflow);
  began.wait(false);
  ASSERT_TRUE(handle->cancel());
  const auto result = handle->wait(kLong);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->state, PipelineState::Cancelled);
  EXPECT_FALSE(second);
}

TEST_P(RunnerTest, WaitingInsideATaskIsAnErrorNotADeadlock) {
  Runner runner = make_runner(limits(1));
  ASSERT_TRUE(runner.start());
  std::optional<ErrorCode> seen;
  const auto inner = Workflow::builder("inner").task("x", [](TaskContext&) {}).build();
  const auto outer = Workflow::builder("outer")
                         .task("y",
                               [&](TaskContext&) {
                                 auto handle = runner.submit_async(*inner);
                                 if (auto result = handle->wait(); !result) seen = result.error().code;
                               })
                         .build();
  ASSERT_TRUE(runner.submit(*outer)->wait(kLong));
  EXPECT_EQ(seen, ErrorCode::WouldDeadlock);
}

TEST_P(RunnerTest, StopInsideATaskDoesNotDeadlock) {
  Runner runner = make_runner(limits(1));
  ASSERT_TRUE(runner.start());
  std::optional<ErrorCode> seen;
  const auto workflow = Workflow::builder("w")
                            .task("stops",
                                  [&](TaskContext&) {
                                    if (auto stopped = runner.stop(1s); !stopped) seen = stopped.error().code;
                                  })
                            .build();
  auto handle = runner.submit(*workflow);
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_EQ(seen, ErrorCode::WouldDeadlock);
  EXPECT_TRUE(runner.stop(kLong));
}

TEST_P(RunnerTest, AHandleOutlivesItsRunner) {
  std::atomic<bool> began{false};
  std::optional<PipelineHandle> handle;
  {
    Runner runner = make_runner(limits(1));
    ASSERT_TRUE(runner.start());
    const auto workflow = Workflow::builder("w")
                              .task("a",
                                    [&](TaskContext& context) {
                                      began = true;
                                      began.notify_all();
                                      while (!context.stop_requested()) std::this_thread::yield();
                                    })
                              .task("b", [](TaskContext&) {}, {.after = {"a"}})
                              .build();
    handle = *runner.submit(*workflow);
    began.wait(false);
    ASSERT_TRUE(runner.stop(1ms));
  }
  const auto result = handle->wait(kLong);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::Stopped);
}

TEST(Runner, RefusesARouteToAnUnknownKeyWithTheKnownOnes) {  // row 10
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .routing_config(RoutingConfig().with_rule("a::**", "gpuu"))
                    .build();
  ASSERT_TRUE(runner);
  const auto started = runner->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message,
            "rule 1 'a::**' names the executor key 'gpuu', which no executor has; known keys: 'default'");
}

TEST(Runner, SetRoutingAfterAStopIsRefusedAndLooksAtNoParkedTask) {
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .default_limits({.max_concurrent = 1, .max_queued = 0})
                    .build();
  ASSERT_TRUE(runner && runner->start());
  std::atomic<bool> release{false};
  const auto workflow = Workflow::builder("w").task("t", [&](TaskContext&) { release.wait(false); }).build();
  {
    const auto running = runner->submit(*workflow);
    const auto parked = runner->submit(*workflow);
    ASSERT_EQ(runner->metrics("default").parked_tasks, 1U);
    std::jthread stopping([&] { EXPECT_TRUE(runner->stop(kLong)); });
    ASSERT_TRUE(eventually([&] { return !runner->submit(*workflow); }));
    release = true;
    release.notify_all();
  }  // the pipelines are gone
  const auto report = runner->set_routing(RoutingConfig().with_rule("public::**", "default"));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::Stopped);
}

TEST(Runner, SetRoutingReportsWhatChangesAndSendsParkedTasksTheNewWay) {
  auto built = Runner::builder()
                   .database_url("memory:")
                   .default_limits({.max_concurrent = 1, .max_queued = 0})
                   .register_executor("gpu", std::make_shared<ThreadTaskExecutor>(), {.max_concurrent = 1})
                   .build();
  ASSERT_TRUE(built);
  Runner runner = std::move(*built);
  ASSERT_TRUE(runner.start());
  std::atomic<bool> release{false};
  std::atomic<int> ran_on_gpu{0};
  Workflow::Builder builder = Workflow::builder("w");
  for (int i = 0; i < 3; ++i) {
    builder.task("t" + std::to_string(i), [&](TaskContext&) {
      if (thread_name() == "leat-gpu-0") {
        ++ran_on_gpu;
      } else {
        release.wait(false);
      }
    });
  }
  const auto workflow = builder.build();
  auto handle = runner.submit(*workflow);
  ASSERT_TRUE(handle);
  EXPECT_EQ(runner.metrics("default").parked_tasks, 2U);  // one has the only slot

  const auto unknown = runner.set_routing(RoutingConfig().with_rule("public::**", "tpu"));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::InvalidArgument);
  const auto report = runner.set_routing(RoutingConfig().with_rule("public::**", "gpu"));
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->changes.size(), 3U);
  EXPECT_EQ(report->changes[0].from, "default");
  EXPECT_EQ(report->changes[0].to, "gpu");
  release = true;
  release.notify_all();
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_EQ(ran_on_gpu, 2);
}

/// Row 17, 20: a fresh executor answers for its lanes; two keys are two lanes.
TEST(Runner, AnExecutorHasTheMetricsOfItsLanesTogether) {
  const auto executor = std::make_shared<ThreadTaskExecutor>();
  EXPECT_EQ(executor->metrics().max_concurrent, 0U);
  {
    auto runner = Runner::builder()
                      .database_url("memory:")
                      .register_executor("default", executor, {.max_concurrent = 4})
                      .register_executor("other", executor, {.max_concurrent = 8})
                      .build();
    ASSERT_TRUE(runner);
    EXPECT_EQ(executor->name(), "ThreadTaskExecutor");
    EXPECT_TRUE(executor->has_capacity());
    EXPECT_EQ(executor->metrics().active_tasks, 0U);
    EXPECT_EQ(executor->metrics().max_concurrent, 12U);
    EXPECT_EQ(runner->metrics("other").max_concurrent, 8U);
    const auto second =
        Runner::builder().database_url("memory:").register_executor("default", executor).build();
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::InvalidState);
  }
  const auto next = Runner::builder().database_url("memory:").register_executor("default", executor).build();
  EXPECT_TRUE(next) << next.error().message;  // free again
}

TEST(Runner, RefusesAKeyRegisteredTwice) {  // row 14
  auto runner = Runner::builder().database_url("memory:").build();
  const auto again = runner->register_executor("default", std::make_shared<ThreadTaskExecutor>());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::AlreadyExists);
}

TEST(Runner, NamesTheAcceptedSchemes) {
  const auto runner = Runner::builder().database_url("postgresql://localhost/cloacina").build();
  ASSERT_FALSE(runner);
  EXPECT_THAT(runner.error().message, testing::HasSubstr("rocksdb:///absolute/path"));
}

}  // namespace
}  // namespace leat
