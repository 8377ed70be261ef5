// Random workflows run by a Runner, on both backends and at several levels, compared with what must come of
// them.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "dag_plan.h"
#include "leat/leat.h"
#include "leat/store_image.h"
#include "leat/store_reader.h"
#include "temporary_directory.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
constexpr auto kLong = 60s;
const Values kInitial = {{"a", 1}, {DagPlan::kShared, -1}};

/// One plan, what was seen while it ran, and its handle.
class Execution {
 public:
  Execution(std::mt19937_64& random, std::uint32_t number)
      : plan_(random_dag(random)),
        fates_(tell(plan_, kInitial)),
        ancestors_(ancestors(plan_)),
        begun_(plan_.tasks.size()),
        ended_(plan_.tasks.size()),
        attempts_(plan_.tasks.size()),
        workflow_(build("random" + std::to_string(number), random)) {}
  Execution(const Execution&) = delete;

  const DagPlan& plan() const { return plan_; }
  const std::vector<Fate>& fates() const { return fates_; }
  const PipelineHandle& handle() const { return *handle_; }

  void submit(Runner& runner, Durability level) {
    auto submitted = runner.submit_async(workflow_, {.context = to_json(kInitial), .durability = level});
    ASSERT_TRUE(submitted) << submitted.error().message;
    handle_ = std::move(*submitted);
  }

  void check() {
    const auto result = handle_->wait(kLong);
    ASSERT_TRUE(result) << result.error().message;
    const auto count = [&](TaskState state) { return std::ranges::count(fates_, state, &Fate::state); };
    EXPECT_EQ(result->completed, count(TaskState::Completed));
    EXPECT_EQ(result->failed, count(TaskState::Failed));
    EXPECT_EQ(result->skipped, count(TaskState::Skipped));
    EXPECT_EQ(result->cancelled, 0U);
    EXPECT_EQ(result->state, end_state());
    EXPECT_EQ(handle_->state(), end_state());
    const std::vector<TaskState> states = handle_->task_states();
    for (std::uint32_t i = 0; i < fates_.size(); ++i) {
      SCOPED_TRACE(DagPlan::name(i));
      EXPECT_EQ(states[i], fates_[i].state);
    }
    EXPECT_TRUE(may_be_last(result->context)) << result->context;
    EXPECT_EQ(early_, 0);
    EXPECT_EQ(wrong_input_, 0);
  }

  /// Each attempt ran once. @pre the Runner is idle: an attempt that overran may end after its pipeline
  void check_attempts() const {
    for (std::uint32_t i = 0; i < fates_.size(); ++i) {
      SCOPED_TRACE(DagPlan::name(i));
      EXPECT_EQ(begun_[i], fates_[i].attempts);
      EXPECT_EQ(attempts_[i], (1U << fates_[i].attempts) - 1);
    }
  }

  PipelineState end_state() const {
    return std::ranges::count(fates_, TaskState::Failed, &Fate::state) > 0 ? PipelineState::Failed
                                                                           : PipelineState::Completed;
  }

  /// How often a store tells that the task began.
  void check(const PipelineImage& image, const std::vector<int>& starts) const {
    EXPECT_EQ(image.state, end_state());
    EXPECT_EQ(image.open_tasks, 0U);
    EXPECT_EQ(image.context, to_json(kInitial));
    ASSERT_EQ(image.tasks.size(), fates_.size());
    const std::vector<TaskState> states = handle_->task_states();
    for (std::uint32_t i = 0; i < fates_.size(); ++i) {
      SCOPED_TRACE(DagPlan::name(i));
      EXPECT_EQ(image.tasks[i].state, states[i]);
      EXPECT_EQ(static_cast<std::int32_t>(image.tasks[i].attempt), std::max(1, fates_[i].attempts));
      EXPECT_EQ(image.tasks[i].rescues, 0U);
      EXPECT_EQ(starts[i], fates_[i].attempts);
      if (plan_.tasks[i].writes && states[i] == TaskState::Completed) {
        EXPECT_EQ(image.tasks[i].context, to_json(fates_[i].saved));
      }
    }
  }

 private:
  Workflow build(const std::string& name, std::mt19937_64& random) {
    auto builder = Workflow::builder(name);
    for (std::uint32_t i = 0; i < plan_.tasks.size(); ++i) {
      const TaskPlan& task = plan_.tasks[i];
      TaskOptions options{.retry = {.max_attempts = task.max_attempts,
                                    .backoff = Backoff::Fixed,
                                    .initial = std::chrono::microseconds(pick(random, 3) * 100)},
                          .timeout = task.failure == TaskPlan::Failure::Overrun ? 2ms : 0ms,
                          .trigger = to_rule(task.rule)};
      for (const std::uint32_t dependency : task.after) options.after.push_back(DagPlan::name(dependency));
      builder.task(
          DagPlan::name(i), [this, i](TaskContext& context) { return run(i, context); }, std::move(options));
    }
    auto workflow = builder.build();
    EXPECT_TRUE(workflow) << workflow.error().message;
    return *workflow;
  }

  std::expected<void, TaskError> run(std::uint32_t number, TaskContext& context) {
    const TaskPlan& task = plan_.tasks[number];
    const std::int32_t attempt = context.attempt();
    ++begun_[number];
    attempts_[number] |= 1U << (attempt - 1);
    for (const std::uint32_t before : ancestors_[number]) {
      // An attempt that overran has ended by its time-out: its function may not even have begun by then.
      if (plan_.tasks[before].failure == TaskPlan::Failure::Overrun) continue;
      if (ended_[before] < fates_[before].attempts) ++early_;
    }
    if (task.looks && context.context().to_json() != to_json(fates_[number].input)) ++wrong_input_;
    if (task.writes) {
      context.set(DagPlan::name(number), number);
      context.set(DagPlan::kShared, number);
    }
    ++ended_[number];
    if (attempt > task.failures) return {};
    switch (task.failure) {
      case TaskPlan::Failure::Returned:
        return std::unexpected(number % 2 == 0 ? TaskError("no luck") : TaskError("no luck").after(50us));
      case TaskPlan::Failure::Thrown:
        if (number % 2 == 0) throw std::runtime_error("no luck");
        throw number;
      case TaskPlan::Failure::ForGood:
        return std::unexpected(TaskError("never").for_good());
      default:
        while (!context.stop_requested()) std::this_thread::yield();
        return {};
    }
  }

  /// The final context is that of the Completed task that ended last: one that no Completed task waited for.
  bool may_be_last(const std::string& text) const {
    std::vector<bool> followed(fates_.size());
    bool any = false;
    for (std::uint32_t i = 0; i < fates_.size(); ++i) {
      if (fates_[i].state != TaskState::Completed) continue;
      any = true;
      for (const std::uint32_t before : ancestors_[i]) followed[before] = true;
    }
    if (!any) return text == to_json(kInitial);
    for (std::uint32_t i = 0; i < fates_.size(); ++i) {
      if (fates_[i].state == TaskState::Completed && !followed[i] && text == to_json(fates_[i].saved))
        return true;
    }
    return false;
  }

  const DagPlan plan_;
  const std::vector<Fate> fates_;
  const std::vector<std::vector<std::uint32_t>> ancestors_;
  std::vector<std::atomic<int>> begun_;
  std::vector<std::atomic<int>> ended_;
  std::vector<std::atomic<std::uint32_t>> attempts_;  // which, one bit each
  std::atomic<int> early_ = 0;
  std::atomic<int> wrong_input_ = 0;
  const Workflow workflow_;
  std::optional<PipelineHandle> handle_;
};

using Executions = std::vector<std::unique_ptr<Execution>>;

class RandomDags : public testing::TestWithParam<Backend> {
 protected:
  /// Runs `count` workflows at once and checks each, and what the lane counted.
  Executions run(Runner::Builder builder, Durability level, std::uint32_t count) {
    auto runner = builder
                      .default_limits({.max_concurrent = 1 + pick(random_, 4),
                                       .max_queued = pick(random_, 8),
                                       .backend = GetParam(),
                                       .idle = static_cast<IdlePolicy>(pick(random_, 2))})
                      .workers(2)
                      .build();
    EXPECT_TRUE(runner) << runner.error().message;
    EXPECT_TRUE(runner->start());
    Executions executions;
    for (std::uint32_t i = 0; i < count; ++i) {
      executions.push_back(std::make_unique<Execution>(random_, i));
      executions.back()->submit(*runner, level);
    }
    for (const auto& execution : executions) execution->check();
    EXPECT_TRUE(runner->wait_idle(kLong));
    for (const auto& execution : executions) execution->check_attempts();
    check_metrics(runner->metrics("default"), executions);
    EXPECT_TRUE(runner->stop(kLong));
    return executions;
  }

  static void check_metrics(const ExecutorMetrics& metrics, const Executions& executions) {
    std::uint64_t executed = 0, retried = 0, failed = 0, late = 0;
    for (const auto& execution : executions) {
      for (std::size_t i = 0; i < execution->fates().size(); ++i) {
        const Fate& fate = execution->fates()[i];
        const auto attempts = static_cast<std::uint64_t>(fate.attempts);
        executed += attempts;
        retried += attempts > 0 ? attempts - 1 : 0;
        failed += fate.state == TaskState::Failed;
        if (execution->plan().tasks[i].failure == TaskPlan::Failure::Overrun) late += attempts;
      }
    }
    EXPECT_EQ(metrics.total_executed, executed);
    EXPECT_EQ(metrics.total_retried, retried);
    EXPECT_EQ(metrics.total_failed, failed);
    EXPECT_EQ(metrics.total_late, late);
    EXPECT_EQ(metrics.queued_tasks + metrics.parked_tasks, 0U);
    EXPECT_EQ(metrics.queue_wait.count, executed);
    EXPECT_EQ(metrics.run_time.count, executed);
  }

  /// Compares what a store remembers with what was seen.
  class StoreCheck {
   public:
    void see(const TransitionEvent& event) {
      EXPECT_GT(event.sequence, last_sequence_);
      last_sequence_ = event.sequence;
      auto& starts = starts_[event.pipeline->pipeline_no];
      starts.resize(event.pipeline->tasks.size());
      if (event.to != TaskState::Running) return;
      ++starts[event.task];
      EXPECT_EQ(event.executor, "default");
    }
    void compare(const StoreImage& image, const Executions& executions) {
      ASSERT_EQ(image.pipelines().size(), executions.size());
      for (const auto& [number, pipeline] : image.pipelines()) {
        const auto found = std::ranges::find_if(
            executions, [&](const auto& one) { return one->handle().id() == pipeline.id; });
        ASSERT_NE(found, executions.end());
        (*found)->check(pipeline, starts_[number]);
      }
    }

   private:
    std::map<std::uint64_t, std::vector<int>> starts_;
    std::uint64_t last_sequence_ = 0;
  };

  std::mt19937_64 random_ = seeded_generator();
};

INSTANTIATE_TEST_SUITE_P(Backends, RandomDags, testing::Values(Backend::Arena, Backend::Threads),
                         [](const auto& param) {
                           return param.param == Backend::Arena ? "Arena" : "Threads";
                         });

TEST_P(RandomDags, AtLevelMemoryEndAsThePlanSays) {
  for (int round = 0; round < 40 && !HasFailure(); ++round) {
    run(std::move(Runner::builder().database_url("memory:")), Durability::Memory, 12);
  }
}

TEST_P(RandomDags, AtLevelProcessEndAsThePlanSaysAndTheStoreKnowsIt) {
  for (int round = 0; round < 25 && !HasFailure(); ++round) {
    const auto medium = std::make_shared<MemoryMedium>();
    const Executions executions =
        run(std::move(Runner::builder().state_store(make_memory_store(medium))), Durability::Process, 10);
    const auto store = make_memory_store(medium);
    StoreImage image(StoreImage::Keep::Everything);
    StoreCheck check;
    const auto replayed = store->replay([&](std::uint64_t first, std::span<const std::byte> commit) {
      return image.apply(first, commit, [&](const TransitionEvent& event) { check.see(event); });
    });
    ASSERT_TRUE(replayed) << replayed.error().message;
    check.compare(image, executions);
  }
}

TEST_P(RandomDags, InRocksDbEndAsThePlanSaysAndTheStoreKnowsIt) {
  const TemporaryDirectory directory;
  const Executions executions =
      run(std::move(Runner::builder().database_url(directory.url())), Durability::Process, 20);
  StoreCheck check;
  const auto image =
      read_rocksdb_store(directory.path(), [&](const TransitionEvent& event) { check.see(event); });
  ASSERT_TRUE(image) << image.error().message;
  check.compare(*image, executions);
}

}  // namespace
}  // namespace leat
