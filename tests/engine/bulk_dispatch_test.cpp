// Many events at once, and what a task's end releases on its own worker.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;

constexpr DispatchOptions kMemory{.durability = Durability::Memory};

Runner make_runner(ExecutorLimits limits, RoutingConfig routing = RoutingConfig("default")) {
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .routing_config(std::move(routing))
                    .default_limits(limits)
                    .log_sink([](Severity, std::string_view) {})
                    .build();
  EXPECT_TRUE(runner) << runner.error().message;
  return std::move(*runner);
}

TEST(BulkDispatch, EventsMadeAtOnceHaveIdentifiersOfTheirOwn) {
  Runner runner = make_runner({});
  const Namespace task = *runner.register_task("t::p::w::task", [](TaskContext&) {});
  std::vector<TaskReadyEvent> events(5000);
  runner.make_events(task, events, 3);
  std::set<std::string> ids;
  for (const TaskReadyEvent& event : events) {
    EXPECT_EQ(event.task_namespace, task);
    EXPECT_EQ(event.attempt, 1);
    EXPECT_EQ(event.max_attempts, 3);
    ids.insert(event.pipeline_execution_id.to_string());
    ids.insert(event.task_execution_id.to_string());
  }
  EXPECT_EQ(ids.size(), 2 * events.size());
}

TEST(BulkDispatch, StopsAtTheFirstEventThatIsNotValidAmongItsLikes) {
  Runner runner = make_runner({});
  const Namespace task = *runner.register_task("t::p::w::task", [](TaskContext&) {});
  ASSERT_TRUE(runner.start());
  for (const std::pair<std::int32_t, std::int32_t> attempts : {std::pair(0, 1), std::pair(3, 2)}) {
    std::vector<TaskReadyEvent> events(8);
    runner.make_events(task, events);
    events[5].attempt = attempts.first;
    events[5].max_attempts = attempts.second;
    const BulkResult result = runner.dispatcher().dispatch_bulk(events, kMemory);
    EXPECT_EQ(result.taken, 5U);
    ASSERT_FALSE(result.end);
    EXPECT_EQ(result.end.error().code, DispatchErrorCode::InvalidEvent);
  }
}

TEST(BulkDispatch, EachEventOfASplitNameGoesByItsOwnPipeline) {
  const auto share = [](const char* key) { return Share{key, 50}; };
  Runner runner =
      make_runner({.max_queued = 1000},
                  RoutingConfig("default").with_rule(RoutingRule("**", {share("default"), share("other")})));
  ASSERT_TRUE(runner.register_executor("other", std::make_shared<ThreadTaskExecutor>(), {}));
  const Namespace task = *runner.register_task("t::p::w::task", [](TaskContext&) {});
  ASSERT_TRUE(runner.start());
  std::vector<TaskReadyEvent> events(200);
  runner.make_events(task, events);
  for (std::span<const TaskReadyEvent> rest = events; !rest.empty();)
    rest = rest.subspan(runner.dispatcher().dispatch_bulk(rest, kMemory).taken);
  ASSERT_TRUE(runner.wait_idle(30s));
  // Each key gets half, but for one chance in 2^100.
  EXPECT_GT(runner.metrics("default").total_executed, 20U);
  EXPECT_GT(runner.metrics("other").total_executed, 20U);
}

TEST(TaskThatIsReleasedByAnEnd, GoesBehindWhatWaitsAlready) {
  for (const Backend backend : {Backend::Threads, Backend::Arena}) {
    Runner runner = make_runner({.max_concurrent = 1, .backend = backend});
    std::atomic<bool> began = false, go = false;
    std::string order;
    const auto workflow = Workflow::builder("w")
                              .task("a",
                                    [&](TaskContext&) {
                                      began = true;
                                      go.wait(false);
                                      order += 'a';
                                    })
                              .task("b", [&](TaskContext&) { order += 'b'; }, {.after = {"a"}})
                              .task("c", [&](TaskContext&) { order += 'c'; }, {.after = {"b"}})
                              .build();
    const Namespace other = *runner.register_task("t::p::w::x", [&](TaskContext&) { order += 'x'; });
    ASSERT_TRUE(runner.start());
    const auto pipeline = runner.submit(*workflow, {.durability = Durability::Memory});
    ASSERT_TRUE(pipeline);
    ASSERT_TRUE(eventually([&] { return began.load(); }));
    ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(other), kMemory));
    go = true;
    go.notify_all();
    ASSERT_TRUE(pipeline->wait());
    ASSERT_TRUE(runner.wait_idle(30s));
    EXPECT_EQ(order, "axbc");
  }
}

/// Ends its attempt, then stays: what the end has released must not wait for its thread.
class Lingerer final : public TaskExecutor {
 public:
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    const bool lingers = event.task_namespace.task() == "lingers";
    token.complete();
    if (lingers) go.wait(false);
  }
  std::atomic<bool> go = false;
};

TEST(TaskThatIsReleasedByAnEnd, DoesNotWaitForAnExecutorThatStaysAfterIt) {
  const auto executor = std::make_shared<Lingerer>();
  Runner runner = make_runner({.max_concurrent = 2});
  ASSERT_TRUE(runner.register_executor("lingerer", executor, {.max_concurrent = 2, .threads = 2}));
  const auto workflow = Workflow::builder("w")
                            .task("lingers", {.executor = "lingerer"})
                            .task("next", {.after = {"lingers"}, .executor = "lingerer"})
                            .build();
  ASSERT_TRUE(runner.start());
  const auto pipeline = runner.submit(*workflow, {.durability = Durability::Memory});
  ASSERT_TRUE(pipeline);
  const auto result = pipeline->wait(30s);
  EXPECT_TRUE(result && result->state == PipelineState::Completed);
  executor->go = true;
  executor->go.notify_all();
}

}  // namespace
}  // namespace leat
