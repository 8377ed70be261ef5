// Concurrency keys: of the pipelines with one key so many at once, in the order of submission, whatever dies
// meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "eventually.h"
#include "jumping_clock.h"
#include "leat/leat.h"
#include "leat/store_recovery.h"
#include "virtual_clock.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
constexpr auto kLong = 60s;

/// Two tasks, one after the other; notes which pipelines begin, by their context's "n", and how many of one
/// key are under way at once.
class Visits {
 public:
  Workflow workflow =
      *Workflow::builder("visits")
           .task("in", [this](TaskContext& context) { enter(*context.get<std::int64_t>("n")); })
           .task("out", [this](TaskContext& context) { leave(*context.get<std::int64_t>("n")); },
                 {.after = {"in"}})
           .build();

  std::vector<int> order() const {
    const std::lock_guard lock(mutex_);
    return order_;
  }
  int most_at_once() const {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  void enter(std::int64_t number) {
    const std::lock_guard lock(mutex_);
    order_.push_back(static_cast<int>(number));
    most_ = std::max(most_, ++inside_);
  }
  void leave(std::int64_t) {
    const std::lock_guard lock(mutex_);
    --inside_;
  }

  mutable std::mutex mutex_;
  std::vector<int> order_;
  int inside_ = 0;
  int most_ = 0;
};

SubmitOptions with_key(std::string key, int number, Durability level = Durability::Process) {
  return {.context = "{\"n\":" + std::to_string(number) + "}",
          .durability = level,
          .concurrency_key = std::move(key)};
}

Runner make_runner(std::shared_ptr<MemoryMedium> medium = nullptr,
                   std::uint64_t checkpoint_after = 64 << 20) {
  auto runner = Runner::builder()
                    .state_store(make_memory_store(std::move(medium)))
                    .checkpoint_after(checkpoint_after)
                    .default_limits({.max_concurrent = 4})
                    .build();
  EXPECT_TRUE(runner) << runner.error().message;
  return std::move(*runner);
}

/// One thread, the caller's: so a run is the same each time.
Runner make_lent_runner(std::shared_ptr<MemoryMedium> medium) {
  auto runner = Runner::builder()
                    .state_store(make_memory_store(std::move(medium)))
                    .lent_threads()
                    .clock(std::make_shared<VirtualClock>())
                    .log_sink([](Severity, std::string_view) {})
                    .build();
  EXPECT_TRUE(runner) << runner.error().message;
  return std::move(*runner);
}

std::vector<int> from_to(int first, int last) {
  std::vector<int> numbers;
  for (int n = first; n <= last; ++n) numbers.push_back(n);
  return numbers;
}

class ConcurrencyKey : public testing::TestWithParam<Durability> {};

TEST_P(ConcurrencyKey, LetsOnePipelineInAtATimeInTheOrderOfSubmission) {
  Visits visits;
  Runner runner = make_runner();
  ASSERT_TRUE(runner.start());
  for (int n = 0; n < 100; ++n) {
    ASSERT_TRUE(runner.submit_async(visits.workflow, with_key("customer-7", n, GetParam())));
  }
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(visits.order(), from_to(0, 99));
  EXPECT_EQ(visits.most_at_once(), 1);
}

INSTANTIATE_TEST_SUITE_P(AtEachLevel, ConcurrencyKey,
                         testing::Values(Durability::Memory, Durability::Process, Durability::Disk),
                         [](const auto& each) { return std::string(to_string(each.param)); });

TEST(ConcurrencyKeys, LetPipelinesOfOtherKeysGoBy) {
  std::atomic<bool> held{true};
  std::atomic<int> ended{0};
  const auto workflow = *Workflow::builder("w")
                             .task("t",
                                   [&](TaskContext& context) {
                                     while (*context.get<bool>("held") && held) std::this_thread::yield();
                                     ++ended;
                                   })
                             .build();
  Runner runner = make_runner();
  ASSERT_TRUE(runner.start());
  const auto submit = [&](bool is_held, std::string key) {
    auto handle = runner.submit_async(
        workflow,
        {.context = is_held ? R"({"held":true})" : R"({"held":false})", .concurrency_key = std::move(key)});
    EXPECT_TRUE(handle);
    return std::move(*handle);
  };
  submit(true, "a");
  PipelineHandle behind = submit(false, "a");
  EXPECT_TRUE(submit(false, "b").wait(kLong));
  EXPECT_TRUE(submit(false, "").wait(kLong));
  EXPECT_EQ(ended, 2);
  EXPECT_EQ(behind.task_states(), std::vector{TaskState::Ready}) << "it waits behind the first of its key";
  held = false;
  EXPECT_TRUE(behind.wait(kLong));
}

TEST(ConcurrencyKeys, AreLimitedByTheLongestPatternThatNamesThem) {
  std::atomic<int> begun{0};
  std::atomic<bool> held{true};
  const auto workflow = *Workflow::builder("w")
                             .task("t",
                                   [&](TaskContext&) {
                                     ++begun;
                                     while (held) std::this_thread::yield();
                                   },
                                   {.executor = "wide"})
                             .build();
  Runner runner = make_runner();
  ASSERT_TRUE(
      runner.register_executor("wide", std::make_shared<ThreadTaskExecutor>(), {.max_concurrent = 16}));
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.limit_concurrency("*", 2));
  ASSERT_TRUE(runner.limit_concurrency("big-*", 3));
  ASSERT_TRUE(runner.limit_concurrency("big-one", 5));
  for (const char* key : {"small", "big-two", "big-one"}) {
    for (int n = 0; n < 8; ++n) ASSERT_TRUE(runner.submit_async(workflow, {.concurrency_key = key}));
  }
  EXPECT_TRUE(eventually([&] { return begun == 2 + 3 + 5; })) << begun;
  ASSERT_TRUE(runner.limit_concurrency("big-one", 6));
  EXPECT_TRUE(eventually([&] { return begun == 2 + 3 + 6; }))
      << "a raised limit lets the next one in: " << begun;
  held = false;
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(begun, 24);
}

TEST(ConcurrencyKeys, AreFreedByPipelinesThatFailOrAreCancelledWhereverTheyStand) {
  std::atomic<bool> held{true};
  const auto workflow = *Workflow::builder("w")
                             .task("t",
                                   [&](TaskContext& context) -> std::expected<void, TaskError> {
                                     while (held && !context.stop_requested()) std::this_thread::yield();
                                     return std::unexpected("no luck");
                                   },
                                   {.retry = {.max_attempts = 1}})
                             .build();
  Runner runner = make_runner();
  ASSERT_TRUE(runner.start());
  std::vector<PipelineHandle> handles;
  for (int n = 0; n < 4; ++n) {
    handles.push_back(*runner.submit_async(workflow, with_key("k", n, Durability::Disk)));
  }
  ASSERT_TRUE(handles[2].cancel());  // waits
  EXPECT_EQ(handles[2].wait(kLong)->state, PipelineState::Cancelled);
  ASSERT_TRUE(eventually([&] { return handles[0].task_states()[0] == TaskState::Running; }));
  ASSERT_TRUE(handles[0].cancel());  // runs
  EXPECT_EQ(handles[0].wait(kLong)->state, PipelineState::Cancelled);
  held = false;
  EXPECT_EQ(handles[1].wait(kLong)->state, PipelineState::Failed);
  EXPECT_EQ(handles[3].wait(kLong)->state, PipelineState::Failed);
  EXPECT_TRUE(runner.wait_idle(kLong));
}

/// One thread, the caller's, and a clock that stands still until it is moved.
class KeysAndTime : public testing::Test {
 protected:
  void open() {
    auto runner = Runner::builder()
                      .state_store(make_memory_store(medium_))
                      .lent_threads()
                      .clock(clock_)
                      .log_sink([](Severity, std::string_view) {})
                      .build();
    ASSERT_TRUE(runner) << runner.error().message;
    runner_ = std::make_unique<Runner>(std::move(*runner));
    ASSERT_TRUE(runner_->register_workflow(visits_.workflow));
    ASSERT_TRUE(runner_->start());
  }
  void restart() {
    ASSERT_TRUE(runner_->stop(kLong));
    runner_.reset();
    open();
  }
  PipelineHandle submit(int number, std::chrono::nanoseconds later = {}) {
    SubmitOptions options = with_key("c7", number);
    if (later.count() > 0) options.start_at = clock_->after(later);
    auto handle = runner_->submit(visits_.workflow, std::move(options));
    EXPECT_TRUE(handle) << handle.error().message;
    return *handle;
  }
  std::vector<int> run_all() {
    while (runner_->run_some(16).value_or(0) > 0) {
    }
    return visits_.order();
  }

  const std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  const std::shared_ptr<behaviours::JumpingClock> clock_ = std::make_shared<behaviours::JumpingClock>();
  Visits visits_;
  std::unique_ptr<Runner> runner_;
};

TEST_F(KeysAndTime, ALaterStartTakesItsPlaceWhenItIsDue) {
  open();
  submit(1, 24h);
  submit(2);
  EXPECT_THAT(run_all(), ElementsAre(2));
  restart();
  submit(3);
  EXPECT_THAT(run_all(), ElementsAre(2, 3));
  clock_->pass(24h);
  EXPECT_THAT(run_all(), ElementsAre(2, 3, 1));
  EXPECT_EQ(visits_.most_at_once(), 1);
}

TEST_F(KeysAndTime, OneThatIsPausedBeforeItBeganIsPassedOver) {
  open();
  ASSERT_TRUE(runner_->pause_executor("default"));  // so that the first is in its queue, and does not begin
  PipelineHandle first = submit(1);
  run_all();
  ASSERT_TRUE(first.pause("later"));
  submit(2);
  ASSERT_TRUE(runner_->resume_executor("default"));
  EXPECT_THAT(run_all(), ElementsAre(2));
  restart();
  submit(3);
  EXPECT_THAT(run_all(), ElementsAre(2, 3));
  ASSERT_TRUE(runner_->resumed().at(0).resume());
  EXPECT_THAT(run_all(), ElementsAre(2, 3, 1));
  EXPECT_EQ(visits_.most_at_once(), 1);
}

TEST_F(KeysAndTime, OneThatGoesOnWhileItsTaskIsInAQueueWaitsForItsTurn) {
  open();
  ASSERT_TRUE(runner_->pause_executor("default"));
  PipelineHandle first = submit(1);
  run_all();
  ASSERT_TRUE(first.pause("later"));
  submit(2);
  run_all();
  ASSERT_TRUE(first.resume());
  ASSERT_TRUE(runner_->resume_executor("default"));
  EXPECT_THAT(run_all(), ElementsAre(2, 1)) << "the second has taken its place";
  EXPECT_EQ(visits_.most_at_once(), 1);
}

TEST_F(KeysAndTime, OneThatIsPausedWhileItIsUnderWayKeepsItsPlace) {
  open();
  PipelineHandle first = submit(1);
  while (visits_.order().empty()) ASSERT_TRUE(runner_->run_some(1));
  ASSERT_TRUE(first.pause("later"));
  submit(2);
  run_all();
  if (first.state() == PipelineState::Paused) {
    EXPECT_THAT(visits_.order(), ElementsAre(1));
    ASSERT_TRUE(first.resume());
  }
  EXPECT_THAT(run_all(), ElementsAre(1, 2));
  EXPECT_EQ(visits_.most_at_once(), 1);
}

TEST(ConcurrencyKeys, RefuseWhatIsNoLimit) {
  Runner runner = make_runner();
  ASSERT_TRUE(runner.start());
  EXPECT_FALSE(runner.limit_concurrency("", 1));
  EXPECT_FALSE(runner.limit_concurrency("k", 0));
  EXPECT_FALSE(runner.limit_concurrency(std::string(257, 'k'), 1));
  Visits visits;
  EXPECT_EQ(runner.submit_async(visits.workflow, with_key(std::string(257, 'k'), 1)).error().code,
            ErrorCode::InvalidArgument);
}

TEST(ConcurrencyKeys, HoldBackASkippedRootsSuccessorToo) {
  std::atomic<int> begun{0};
  std::atomic<bool> held{true};
  const auto run = [&](TaskContext&) {
    ++begun;
    while (held) std::this_thread::yield();
  };
  const auto never = *TriggerRule::context_value("x", TriggerOperator::Exists);
  const auto workflow = *Workflow::builder("w")
                             .task("skipped", run, {.trigger = never})
                             .task("after", run, {.after = {"skipped"}, .trigger = TriggerRule::all_done()})
                             .build();
  Runner runner = make_runner();
  ASSERT_TRUE(runner.start());
  for (int n = 0; n < 3; ++n) ASSERT_TRUE(runner.submit(workflow, with_key("k", n)));
  ASSERT_TRUE(eventually([&] { return begun == 1; }));
  ASSERT_TRUE(runner.flush());
  EXPECT_EQ(begun, 1);
  held = false;
  EXPECT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(begun, 3);
}

/// What a crash leaves that lost all behind the first `commits`.
std::shared_ptr<MemoryMedium> cut(const MemoryMedium& medium, std::size_t commits) {
  auto left = std::make_shared<MemoryMedium>(medium);
  left->commits.resize(commits);
  left->board.clear();
  left->open = left->clean = false;
  return left;
}

TEST(ConcurrencyKeys, HoldAfterACrashBehindEachCommit) {
  constexpr int kPipelines = 5;
  const auto medium = std::make_shared<MemoryMedium>();
  Visits visits;
  {
    Runner runner = make_lent_runner(medium);
    ASSERT_TRUE(runner.limit_concurrency("k", 2));
    ASSERT_TRUE(runner.start());
    for (int n = 0; n < kPipelines; ++n) ASSERT_TRUE(runner.submit_async(visits.workflow, with_key("k", n)));
    while (*runner.run_some(1) > 0) ASSERT_TRUE(runner.flush());  // so that commits are small
    ASSERT_TRUE(runner.run_until_idle(kLong));
    ASSERT_TRUE(runner.stop(kLong));
  }
  ASSERT_EQ(visits.order(), from_to(0, kPipelines - 1));
  ASSERT_GT(medium->commits.size(), 10U);
  for (std::size_t commits = 1; commits <= medium->commits.size(); ++commits) {
    const auto left = cut(*medium, commits);
    const auto before = recover_unfinished(*make_memory_store(std::make_shared<MemoryMedium>(*left)));
    ASSERT_TRUE(before) << before.error().message;
    std::vector<std::uint64_t> begun, waiting;
    for (const auto& [number, pipeline] : before->pipelines()) {
      EXPECT_EQ(pipeline.traits->concurrency_key, "k");
      (pipeline.tasks[0].key_no != 0 ? begun : waiting).push_back(number);
    }
    EXPECT_LE(begun.size(), 2U) << "behind commit " << commits;
    // The next process may let one in at a time: whoever has begun goes on, the others wait for all of them.
    Visits again;
    Runner runner = make_lent_runner(left);
    ASSERT_TRUE(runner.register_workflow(again.workflow));
    ASSERT_TRUE(runner.start());
    std::vector<PipelineHandle> handles = runner.resumed();
    const auto inside = [&] {
      return std::ranges::count_if(handles, [](const PipelineHandle& handle) {
        return std::ranges::any_of(handle.task_states(),
                                   [](TaskState state) { return state >= TaskState::Running; }) &&
               handle.state() == PipelineState::Running;
      });
    };
    while (*runner.run_some() > 0) {
      EXPECT_LE(inside(), std::max<std::ptrdiff_t>(1, static_cast<std::ptrdiff_t>(begun.size())))
          << "behind commit " << commits;
    }
    ASSERT_TRUE(runner.run_until_idle(kLong));
    for (PipelineHandle& handle : handles) EXPECT_EQ(handle.wait(kLong)->state, PipelineState::Completed);
    ASSERT_TRUE(runner.stop(kLong));
    // Those that were to wait begin in their order.
    std::vector<int> order = again.order();
    EXPECT_TRUE(std::ranges::is_sorted(order)) << "behind commit " << commits;
  }
}

TEST(ConcurrencyKeys, AreKeptByAPipelineThatNobodyCarriesOnYet) {
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<bool> held{true};
  const auto other = [&](bool waits) {
    return *Workflow::builder("other")
                .task("t",
                      [&held, waits](TaskContext& context) {
                        while (waits && held && !context.stop_requested()) std::this_thread::yield();
                      })
                .build();
  };
  Visits visits;
  {
    Runner runner = make_runner(medium);
    ASSERT_TRUE(runner.start());
    auto first = runner.submit(other(true), with_key("k", 0));
    ASSERT_TRUE(runner.submit(visits.workflow, with_key("k", 1)));
    ASSERT_TRUE(eventually([&] { return first->task_states()[0] == TaskState::Running; }));
    ASSERT_TRUE(runner.stop(0s));
  }
  Runner runner = make_runner(medium, 1);  // checkpoints again and again
  ASSERT_TRUE(runner.register_workflow(visits.workflow));
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.submit(visits.workflow, with_key("free", 2)));
  ASSERT_TRUE(runner.flush());
  ASSERT_TRUE(eventually([&] { return visits.order().size() == 1; }));
  EXPECT_THAT(visits.order(), ElementsAre(2)) << "the first of the key has begun, though not here";
  ASSERT_TRUE(runner.register_workflow(other(false)));
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_THAT(visits.order(), ElementsAre(2, 1));
}

TEST(ConcurrencyKeys, SurviveACheckpoint) {
  const auto medium = std::make_shared<MemoryMedium>();
  Visits visits;
  std::atomic<bool> held{true};
  const auto first = *Workflow::builder("first")
                          .task("t",
                                [&](TaskContext& context) {
                                  while (held && !context.stop_requested()) std::this_thread::yield();
                                })
                          .build();
  {
    auto runner = Runner::builder()
                      .state_store(make_memory_store(medium))
                      .checkpoint_after(1)
                      .retain_events({.age_ns = 0})
                      .build();
    ASSERT_TRUE(runner && runner->start());
    ASSERT_TRUE(runner->submit(first, with_key("k", 0)));
    for (int n = 1; n < 20; ++n) ASSERT_TRUE(runner->submit(visits.workflow, with_key("k", n)));
    for (int n = 100; n < 120; ++n) {
      ASSERT_TRUE(runner->submit(visits.workflow, with_key("free", n))->wait(kLong));
    }
    ASSERT_TRUE(runner->stop(0s));
  }
  const auto image = recover_unfinished(*make_memory_store(std::make_shared<MemoryMedium>(*medium)));
  ASSERT_TRUE(image) << image.error().message;
  ASSERT_EQ(image->pipelines().size(), 20U);
  for (const auto& [number, pipeline] : image->pipelines()) EXPECT_EQ(pipeline.traits->concurrency_key, "k");
  held = false;
  Visits again;
  Runner runner = make_runner(medium);
  ASSERT_TRUE(runner.register_workflow(again.workflow) && runner.register_workflow(first));
  ASSERT_TRUE(runner.start());
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(again.order(), from_to(1, 19));
  EXPECT_EQ(again.most_at_once(), 1);
}

}  // namespace
}  // namespace leat
