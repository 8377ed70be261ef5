// Everything at once: producers, bulks, full lanes, new executors, changing routes, failing, dispatching and
// cancelled tasks. Then the books are balanced: each accepted task ran exactly as often as it should, and
// nothing is left.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"
#include "seed.h"

namespace leat {
namespace {

using namespace std::chrono_literals;

#if defined(__SANITIZE_THREAD__)
constexpr std::uint32_t kScale = 1;
#else
constexpr std::uint32_t kScale = 8;
#endif

/// What a task does, decided by its number.
enum class Deed { Nothing, Throws, FailsTwice, Dispatches, Submits, kCount };

/// Which tasks were accepted, and how often each ran. A task's number travels in its identifier.
class Ledger {
 public:
  explicit Ledger(std::uint32_t tasks) : accepted_(tasks), ran_(tasks) {}

  static Deed deed(std::uint32_t number) {
    return static_cast<Deed>(number % static_cast<std::uint32_t>(Deed::kCount));
  }
  static std::int32_t max_attempts(std::uint32_t number) { return deed(number) == Deed::FailsTwice ? 3 : 1; }
  static TaskReadyEvent numbered(TaskReadyEvent event, std::uint32_t number) {
    event.task_execution_id = Uuid::make_v7(number, 0, 0);
    return event;
  }
  static std::uint32_t number_of(const TaskReadyEvent& event) {
    std::uint32_t number = 0;
    for (int byte = 0; byte < 6; ++byte) number = number << 8 | event.task_execution_id.bytes[byte];
    return number;
  }

  std::uint32_t size() const { return static_cast<std::uint32_t>(ran_.size()); }
  void accept(std::uint32_t number) { accepted_[number] = 1; }
  void run(std::uint32_t number) { ++ran_[number]; }
  bool accepted(std::uint32_t number) const { return accepted_[number] != 0; }
  int ran(std::uint32_t number) const { return ran_[number]; }

  std::uint64_t count_accepted(Deed deed) const {
    std::uint64_t count = 0;
    for (std::uint32_t i = 0; i < size(); ++i) count += Ledger::deed(i) == deed && accepted(i);
    return count;
  }
  /// Attempts that the accepted tasks must have.
  std::uint64_t attempts_due() const {
    std::uint64_t count = 0;
    for (std::uint32_t i = 0; i < size(); ++i) {
      if (accepted(i)) count += static_cast<std::uint64_t>(max_attempts(i));
    }
    return count;
  }

 private:
  std::vector<std::atomic<std::uint8_t>> accepted_;
  std::vector<std::atomic<int>> ran_;
};

struct Totals {
  std::uint64_t executed = 0, failed = 0, retried = 0, late = 0, left = 0;
};

Totals totals(const Runner& runner) {
  Totals totals;
  for (const std::string& key : runner.executor_keys()) {
    const ExecutorMetrics metrics = runner.metrics(key);
    totals.executed += metrics.total_executed;
    totals.failed += metrics.total_failed;
    totals.retried += metrics.total_retried;
    totals.late += metrics.total_late;
    totals.left += metrics.active_tasks + metrics.queued_tasks + metrics.parked_tasks;
  }
  return totals;
}

class Stress : public testing::TestWithParam<Backend> {
 protected:
  ExecutorLimits limits(std::uint32_t concurrent, std::uint32_t queued) const {
    return {.max_concurrent = concurrent, .max_queued = queued, .backend = GetParam()};
  }
  Runner make_runner(ExecutorLimits limits_of_default) const {
    auto runner =
        Runner::builder().database_url("memory:").default_limits(limits_of_default).workers(2).build();
    EXPECT_TRUE(runner) << runner.error().message;
    return std::move(*runner);
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, Stress, testing::Values(Backend::Arena, Backend::Threads),
                         [](const auto& param) {
                           return param.param == Backend::Arena ? "Arena" : "Threads";
                         });

/// Producers and tasks that dispatch, a thread that submits and cancels, one that registers executors and
/// swaps routes.
class Storm {
 public:
  Storm(Runner& runner, std::uint32_t producers, std::uint32_t tasks_each)
      : runner_(runner), producers_(producers), tasks_each_(tasks_each), ledger_(2 * producers * tasks_each) {
    for (int i = 0; i < 4; ++i) {
      const std::string name = "t::p::w" + std::to_string(i) + "::task";
      names_.push_back(*runner.register_task(name, [this](TaskContext& context) { return run(context); }));
    }
  }

  void rage(std::uint64_t seed, ExecutorLimits limits) {
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < producers_; ++i)
      threads.emplace_back([this, i, seed] { produce(i, seed + i); });
    std::atomic<bool> done = false;
    std::thread router([&] { change_routes(limits, done); });
    std::thread canceller([&] { submit_and_cancel(done); });
    for (std::thread& thread : threads) thread.join();
    done = true;
    router.join();
    canceller.join();
  }

  const Ledger& ledger() const { return ledger_; }
  std::uint64_t pipeline_tasks_ran() const { return pipeline_tasks_ran_; }
  std::vector<PipelineHandle> submitted() {
    std::lock_guard lock(mutex_);
    return submitted_;
  }

 private:
  /// Numbers of the first half are the producers'; the second half those of the tasks that they dispatch.
  std::uint32_t child_of(std::uint32_t number) const { return ledger_.size() / 2 + number; }

  void produce(std::uint32_t producer, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<TaskReadyEvent> events;
    std::uint32_t next = producer * tasks_each_;
    const std::uint32_t end = next + tasks_each_;
    while (next < end) {
      events.clear();
      const std::uint32_t count = pick(random, 2) == 0 ? 1 : 1 + pick(random, std::min(end - next, 24U));
      for (std::uint32_t i = 0; i < count; ++i) {
        const Namespace name = names_[pick(random, static_cast<std::uint32_t>(names_.size()))];
        events.push_back(
            Ledger::numbered(runner_.make_event(name, Ledger::max_attempts(next + i)), next + i));
      }
      const BulkResult result =
          runner_.dispatcher().dispatch_bulk(events, {.durability = Durability::Memory});
      for (std::size_t i = 0; i < result.taken; ++i) ledger_.accept(next++);
      if (result.end) continue;
      ASSERT_EQ(result.end.error().code, DispatchErrorCode::NoCapacity);
      std::this_thread::yield();
    }
  }

  std::expected<void, TaskError> run(TaskContext& context) {
    const std::uint32_t number = Ledger::number_of(context.event());
    ledger_.run(number);
    switch (Ledger::deed(number)) {
      case Deed::Throws:
        if (number % 2 == 0) throw 5;
        throw std::runtime_error("as planned");
      case Deed::FailsTwice:
        if (context.attempt() < 3) return std::unexpected(TaskError("not yet").after(20us));
        return {};
      case Deed::Dispatches:
        if (number < ledger_.size() / 2) dispatch_child(child_of(number));
        return {};
      case Deed::Submits:
        if (number % 50 == 4) submit(number);
        return {};
      default:
        return {};
    }
  }

  void dispatch_child(std::uint32_t number) {
    const TaskReadyEvent event = Ledger::numbered(
        runner_.make_event(names_[number % names_.size()], Ledger::max_attempts(number)), number);
    if (runner_.dispatcher().dispatch(event, {.durability = Durability::Memory})) ledger_.accept(number);
  }

  std::optional<PipelineHandle> submit(std::uint32_t number) {
    auto builder = Workflow::builder("wave" + std::to_string(number % 3));
    const auto count = [this](TaskContext&) { ++pipeline_tasks_ran_; };
    builder.task("first", count)
        .task("second", count, {.after = {"first"}})
        .task("third", count, {.after = {"first"}});
    auto handle = runner_.submit_async(*builder.build(), {.durability = Durability::Memory});
    if (!handle) return std::nullopt;
    std::lock_guard lock(mutex_);
    submitted_.push_back(*handle);
    return *handle;
  }

  void submit_and_cancel(const std::atomic<bool>& done) {
    for (std::uint32_t i = 0; !done && i < 100; ++i) {
      auto handle = submit(i);
      ASSERT_TRUE(handle);
      if (i % 2 == 0) static_cast<void>(handle->cancel());  // it may have ended by now
      std::this_thread::yield();
    }
  }

  void change_routes(ExecutorLimits limits, const std::atomic<bool>& done) {
    std::vector<std::string> keys = {"default"};
    for (std::uint32_t round = 0; !done; ++round) {
      if (round % 4 == 0 && keys.size() < 8) {
        keys.push_back("late" + std::to_string(round));
        ASSERT_TRUE(runner_.register_executor(keys.back(), std::make_shared<ThreadTaskExecutor>(), limits));
      }
      RoutingConfig config(keys[round % keys.size()]);
      config.with_rule("*::*::w1::*", keys[(round / 2) % keys.size()]);
      config.with_rule(RoutingRule("t::**", {{keys.back(), 50}, {keys.front(), 50}}));
      if (round % 3 == 0) config.with_rule("**::task", keys.front());
      ASSERT_TRUE(runner_.set_routing(config));
      std::this_thread::yield();
    }
  }

  Runner& runner_;
  const std::uint32_t producers_;
  const std::uint32_t tasks_each_;
  Ledger ledger_;
  std::vector<Namespace> names_;
  std::atomic<std::uint64_t> pipeline_tasks_ran_ = 0;
  std::mutex mutex_;
  std::vector<PipelineHandle> submitted_;
};

TEST_P(Stress, EveryAcceptedTaskRunsOnceAndTheBooksBalance) {  // rows 60, 156
  auto random = seeded_generator();
  Runner runner = make_runner(limits(2, 14));
  Storm storm(runner, 8 + pick(random, 7 * kScale), 40 * kScale);
  ASSERT_TRUE(runner.start());
  storm.rage(random(), limits(1 + pick(random, 2), 8));
  const Ledger& ledger = storm.ledger();
  for (const PipelineHandle& handle : storm.submitted()) ASSERT_TRUE(handle.wait(30s));
  ASSERT_TRUE(eventually(
      [&] { return totals(runner).executed >= ledger.attempts_due() + storm.pipeline_tasks_ran(); }));
  ASSERT_TRUE(eventually([&] { return totals(runner).left == 0; }));
  ASSERT_TRUE(runner.wait_idle(30s));
  for (std::uint32_t i = 0; i < ledger.size(); ++i) {
    ASSERT_EQ(ledger.ran(i), ledger.accepted(i) ? Ledger::max_attempts(i) : 0) << "task " << i;
  }
  const Totals counted = totals(runner);
  EXPECT_EQ(counted.executed, ledger.attempts_due() + storm.pipeline_tasks_ran());
  EXPECT_EQ(counted.failed, ledger.count_accepted(Deed::Throws));
  EXPECT_EQ(counted.retried, 2 * ledger.count_accepted(Deed::FailsTwice));
  EXPECT_EQ(counted.late, 0U);
  EXPECT_TRUE(runner.stop(30s));
}

TEST_P(Stress, AfterwardsEachLaneAdmitsExactlyItsLimit) {
  auto random = seeded_generator();
  constexpr std::uint32_t kConcurrent = 2, kQueued = 6;
  std::atomic<bool> open = false;  // outlives the Runner, whose last tasks look at it
  Runner runner = make_runner(limits(kConcurrent, kQueued));
  const Namespace hold = *runner.register_task("t::p::hold::task", [&](TaskContext&) { open.wait(false); });
  Storm storm(runner, 8, 20 * kScale);
  ASSERT_TRUE(runner.start());
  storm.rage(random(), limits(kConcurrent, kQueued));
  for (const PipelineHandle& handle : storm.submitted()) ASSERT_TRUE(handle.wait(30s));
  ASSERT_TRUE(eventually(
      [&] { return totals(runner).executed >= storm.ledger().attempts_due() + storm.pipeline_tasks_ran(); }));
  ASSERT_TRUE(eventually([&] { return totals(runner).left == 0; }));
  ASSERT_TRUE(runner.wait_idle(30s));
  for (const std::string& key : runner.executor_keys()) {
    ASSERT_TRUE(runner.set_routing(RoutingConfig(key)));
    std::vector<TaskReadyEvent> events(kConcurrent + kQueued + 1);
    for (TaskReadyEvent& event : events) event = runner.make_event(hold);
    const BulkResult result = runner.dispatcher().dispatch_bulk(events, {.durability = Durability::Memory});
    EXPECT_EQ(result.taken, kConcurrent + kQueued) << key;
  }
  open = true;
  open.notify_all();
}

TEST_P(Stress, ABulkOfTasksThatWaitForEachOtherGetsAWorkerEach) {  // row 64
  constexpr std::uint32_t kTasks = 8;
  for (const IdlePolicy idle : {IdlePolicy::Park, IdlePolicy::SpinThenPark}) {
    auto built = Runner::builder()
                     .database_url("memory:")
                     .default_limits({.max_concurrent = kTasks, .backend = GetParam(), .idle = idle})
                     .workers(kTasks)
                     .build();
    Runner runner = std::move(*built);
    std::atomic<std::uint32_t> begun = 0;
    std::atomic<std::uint32_t> met = 0;
    const Namespace task = *runner.register_task("t::p::w::meet", [&](TaskContext&) {
      const std::uint32_t round = begun++ / kTasks + 1;
      met += eventually([&] { return begun >= round * kTasks; }, 5s);
    });
    ASSERT_TRUE(runner.start());
    for (std::uint32_t round = 1; round <= 10 * kScale; ++round) {
      std::vector<TaskReadyEvent> events(kTasks);
      for (TaskReadyEvent& event : events) event = runner.make_event(task);
      ASSERT_EQ(runner.dispatcher().dispatch_bulk(events, {.durability = Durability::Memory}).taken, kTasks);
      ASSERT_TRUE(eventually([&] { return runner.metrics("default").total_executed == round * kTasks; }));
      ASSERT_EQ(met, round * kTasks) << "a task waited behind another while a worker slept";
    }
  }
}

TEST_P(Stress, TwoTasksThatWaitForEachOtherGetAWorkerEachWhereverTheHandsStand) {
  Runner runner = make_runner(limits(2, 16));
  std::atomic<std::uint32_t> begun = 0, met = 0;
  const Namespace meet = *runner.register_task("t::p::w::meet", [&](TaskContext&) {
    const std::uint32_t round = begun++ / 2 + 1;
    met += eventually([&] { return begun >= round * 2; }, 5s);
  });
  const Namespace pass = *runner.register_task("t::p::w::pass", [](TaskContext&) {});
  ASSERT_TRUE(runner.start());
  const DispatchOptions memory{.durability = Durability::Memory};
  for (std::uint32_t round = 1; round <= 100 * kScale; ++round) {
    ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(pass), memory));  // moves a hand on by one
    ASSERT_TRUE(runner.wait_idle(30s));
    const std::vector<TaskReadyEvent> events = {runner.make_event(meet), runner.make_event(meet)};
    ASSERT_EQ(runner.dispatcher().dispatch_bulk(events, memory).taken, 2U);
    ASSERT_TRUE(runner.wait_idle(30s));
    ASSERT_EQ(met, round * 2) << "a task waited behind another while a worker slept";
  }
}

/// Keeps the first two tasks until they are let go; the next two must meet.
class Keeper final : public TaskExecutor {
 public:
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    const std::uint32_t number = begun_++;
    if (number < 2) {
      std::lock_guard lock(mutex_);
      kept_.emplace_back(event.task_execution_id, std::move(token));
      return;
    }
    if (eventually([&] { return begun_ == 4U; }, 5s)) ++met_;
    token.complete(ExecutionResult::success(event.task_execution_id));
  }
  std::size_t kept() {
    std::lock_guard lock(mutex_);
    return kept_.size();
  }
  void let_go() {
    std::lock_guard lock(mutex_);
    for (auto& [id, token] : kept_) token.complete(ExecutionResult::success(id));
    kept_.clear();
  }
  /// @return how many have met since the last round
  std::uint32_t end_round() {
    begun_ = 0;
    return met_.exchange(0);
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<Uuid, CompletionToken>> kept_;
  std::atomic<std::uint32_t> begun_ = 0, met_ = 0;
};

TEST_P(Stress, TwoPermitsThatComeBackTogetherWakeAWorkerEach) {
  const auto keeper = std::make_shared<Keeper>();
  auto built = Runner::builder()
                   .database_url("memory:")
                   .register_executor("default", keeper,
                                      {.max_concurrent = 2, .backend = GetParam(), .idle = IdlePolicy::Park})
                   .workers(2)
                   .build();
  Runner runner = std::move(*built);
  const Namespace task = *runner.register_task("t::p::w::task", [](TaskContext&) {});
  ASSERT_TRUE(runner.start());
  for (int round = 0; round < 50 * static_cast<int>(kScale); ++round) {
    std::vector<TaskReadyEvent> events(4);
    for (TaskReadyEvent& event : events) event = runner.make_event(task);
    ASSERT_EQ(runner.dispatcher().dispatch_bulk(events, {.durability = Durability::Memory}).taken, 4U);
    ASSERT_TRUE(eventually([&] { return keeper->kept() == 2U; }));
    for (int i = 0; i < 100; ++i) std::this_thread::yield();  // the workers find no permit and go to sleep
    keeper->let_go();
    ASSERT_TRUE(runner.wait_idle(30s));
    ASSERT_EQ(keeper->end_round(), 2U) << "a task stayed in a sleeping worker's hand beside a free permit";
  }
}

TEST_P(Stress, ATaskThatComesJustAsAWorkerGoesToSleepIsRun) {  // row 63
  auto random = seeded_generator();
  const auto spin = [](std::uint32_t rounds) {
    for (std::atomic<std::uint32_t> spun = 0; spun < rounds;) ++spun;
  };
  for (const std::uint32_t workers : {1, 2}) {
    // Room for all that the workers may owe: slots of ended tasks come back in groups.
    Runner runner = make_runner(limits(workers, 100));
    std::atomic<std::uint32_t> begun = 0, rest = 0;
    const Namespace task = *runner.register_task("t::p::w::task", [&](TaskContext&) { ++begun, spin(rest); });
    ASSERT_TRUE(runner.start());
    for (std::uint32_t i = 1; i <= 2500 * kScale; ++i) {
      rest = pick(random, 200);  // the next task comes before, at, or after the end of this one
      ASSERT_TRUE(runner.dispatcher().dispatch(runner.make_event(task), {.durability = Durability::Memory}));
      for (int looks = 0; begun < i && looks < 5000; ++looks) {
      }
      ASSERT_TRUE(eventually([&] { return begun >= i; }, 10s)) << "task " << i << " waits while all sleep";
      spin(pick(random, 200));
    }
  }
}

TEST_P(Stress, WaitIdleReturnsWhenNothingIsLeftAndNoSooner) {
  auto built = Runner::builder()
                   .database_url("memory:")
                   .routing_config(RoutingConfig().with_rule("**::a", "a").with_rule("**::b", "b"))
                   .default_limits(limits(1, 4))
                   .register_executor("a", std::make_shared<ThreadTaskExecutor>(), limits(1, 4))
                   .register_executor("b", std::make_shared<ThreadTaskExecutor>(), limits(1, 4))
                   .workers(2)
                   .build();
  Runner runner = std::move(*built);
  constexpr std::uint32_t kHops = 30;
  std::atomic<std::uint32_t> hops = 0;
  std::array<Namespace, 2> names;
  const auto hop = [&](TaskContext& context) -> std::expected<void, TaskError> {
    const std::uint32_t number = ++hops;
    if (number % 5 == 0 && context.attempt() == 1) {  // now and then the way leads through a timer
      --hops;
      return std::unexpected(TaskError("again").after(10us));
    }
    if (number < kHops) {
      EXPECT_TRUE(runner.dispatcher().dispatch(runner.make_event(names[number % 2], 2),
                                               {.durability = Durability::Memory}));
    }
    return {};
  };
  names = {*runner.register_task("t::p::w::a", hop), *runner.register_task("t::p::w::b", hop)};
  ASSERT_TRUE(runner.start());
  for (std::uint32_t round = 0; round < 10 * kScale; ++round) {
    hops = 0;
    ASSERT_TRUE(
        runner.dispatcher().dispatch(runner.make_event(names[0], 2), {.durability = Durability::Memory}));
    ASSERT_TRUE(runner.wait_idle(30s));
    ASSERT_EQ(hops, kHops) << "round " << round;
    ASSERT_EQ(totals(runner).left, 0U);
  }
}

}  // namespace
}  // namespace leat
