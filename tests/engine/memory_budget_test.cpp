// A memory budget: what waits beyond it waits in the store alone, in order, whatever is asked of it there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "eventually.h"
#include "leat/history.h"
#include "leat/store_reader.h"
#include "leat/store_verifier.h"
#include "memory_budget.h"
#include "temporary_directory.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(MemoryBudget, TwoHundredThousandPipelinesRunInOrderInAFewMegabytes) {
  constexpr std::int64_t kCount = 200'000;
  constexpr std::uint64_t kBudget = 2'000'000;
  const TemporaryDirectory directory;
  Log log;
  const Workflow workflow = numbered(log);
  auto runner = started(Runner::builder()
                            .database_url(directory.url())
                            .default_limits({.max_concurrent = 1, .max_queued = 0})
                            .checkpoint_after(4 << 20)
                            .memory_budget(kBudget));
  log.close();
  std::uint64_t most = 0;
  for (std::int64_t n = 0; n < kCount; ++n) {
    ASSERT_TRUE(runner.submit_async(workflow, number(n)));
    if (n % 1000 == 0) most = std::max(most, figure(runner, "leat_pipelines_resident_bytes"));
  }
  ASSERT_TRUE(runner.flush());
  EXPECT_GT(in_store(runner), std::uint64_t{kCount} * 9 / 10);
  log.open();
  while (log.size() < kCount && runner.health()) {
    most = std::max(most, figure(runner, "leat_pipelines_resident_bytes"));
    std::this_thread::yield();
  }
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(disorder(log.numbers()), "");
  EXPECT_EQ(log.size(), kCount);
  EXPECT_LE(most, kBudget);
  EXPECT_EQ(in_store(runner), 0U);
  EXPECT_EQ(figure(runner, "leat_pipelines_resident_bytes"), 0U);
  ASSERT_TRUE(runner.stop(kLong));
  const auto findings = verify_rocksdb_store(directory.path());
  ASSERT_TRUE(findings);
  EXPECT_TRUE(findings->empty()) << findings->front().message;
}

TEST(MemoryBudget, OfAWorkflowThatIsGoneWhatWaitsInTheStoreIsGivenUp) {
  const TemporaryDirectory directory;
  constexpr std::size_t kCount = 2000;
  Log log;
  const Workflow workflow = numbered(log);
  const auto open = [&] { return builder(std::move(*open_rocksdb_store(directory.path()))); };
  {
    auto runner = started(open());
    ASSERT_TRUE(runner.pause_executor("default"));
    for (std::int64_t n = 0; n < std::int64_t{kCount}; ++n)
      ASSERT_TRUE(runner.submit_async(workflow, number(n)));
    ASSERT_TRUE(runner.flush());
    ASSERT_GT(in_store(runner), kCount / 2);
    ASSERT_TRUE(runner.stop(kLong));
  }
  {
    auto runner = started(open());
    const auto unfinished = runner.unfinished();
    ASSERT_EQ(unfinished.size(), 1U);
    EXPECT_EQ(unfinished[0].pipelines, kCount);
    EXPECT_EQ(runner.fail_unfinished("public::embedded::numbered", workflow.version(), "withdrawn"), kCount);
    EXPECT_TRUE(runner.unfinished().empty());
    ASSERT_TRUE(runner.stop(kLong));
  }
  const auto findings = verify_rocksdb_store(directory.path());
  ASSERT_TRUE(findings);
  EXPECT_TRUE(findings->empty()) << findings->front().message;
  std::size_t failed = 0;
  ASSERT_TRUE(read_rocksdb_history(
      directory.path(), {.state = PipelineState::Failed},
      [&](const PipelineSummary& summary, std::string_view) { failed += summary.error == "withdrawn"; }));
  EXPECT_EQ(failed, kCount);
  auto runner = started(open());
  ASSERT_TRUE(runner.register_workflow(workflow));
  ASSERT_TRUE(runner.resume_executor("default"));
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(log.size(), 0U) << "an end is never taken back";
}

TEST(MemoryBudget, WithoutOneNothingWaitsInTheStore) {
  Log log;
  auto runner = started(builder(make_memory_store(), 0));
  log.close();
  for (std::int64_t n = 0; n < 500; ++n) ASSERT_TRUE(runner.submit_async(numbered(log), number(n)));
  ASSERT_TRUE(runner.flush());
  EXPECT_EQ(in_store(runner), 0U);
  EXPECT_EQ(resident(runner), 500U);
  log.open();
}

TEST(MemoryBudget, IsRefusedWhereNothingIsRemembered) {
  const auto runner = Runner::builder().database_url("memory:").memory_budget(1).build();
  ASSERT_FALSE(runner);
  EXPECT_EQ(runner.error().code, ErrorCode::InvalidArgument);
  EXPECT_THAT(runner.error().message, HasSubstr("memory_budget"));
}

/// A full store and a closed gate: most of the pipelines wait in the store alone.
class Full : public testing::Test {
 protected:
  static constexpr std::int64_t kCount = 1000;

  void fill(std::int64_t from = 0, std::int64_t to = kCount) {
    log.close();
    for (std::int64_t n = from; n < to; ++n) {
      auto handle = runner->submit_async(numbered(log), number(n));
      ASSERT_TRUE(handle);
      if (n == watched) pipeline = *handle;
    }
    ASSERT_TRUE(runner->flush());
    ASSERT_GT(in_store(*runner), 500U);
  }
  std::vector<std::int64_t> all_but(std::int64_t left_out) const {
    auto numbers = up_to(kCount);
    std::erase(numbers, left_out);
    return numbers;
  }

  static constexpr std::int64_t watched = 900;
  Log log;
  std::shared_ptr<MemoryMedium> medium = std::make_shared<MemoryMedium>();
  std::optional<Runner> runner = started(builder(make_memory_store(medium)));
  std::optional<PipelineHandle> pipeline;  // of the one that is watched
};

TEST_F(Full, AHandleWaitsForAPipelineInTheStore) {
  fill();
  EXPECT_TRUE(pipeline->acknowledged());
  EXPECT_FALSE(pipeline->wait(1ms));
  EXPECT_THAT(pipeline->task_states(), ElementsAre(TaskState::Ready));
  log.open();
  const auto result = pipeline->wait(kLong);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, PipelineState::Completed);
  ASSERT_TRUE(runner->wait_idle(kLong));
  EXPECT_EQ(disorder(log.numbers()), "");
  EXPECT_EQ(log.size(), kCount);
}

TEST_F(Full, AContinuationIsCalledThoughItsHandleIsGone) {
  fill();
  std::atomic<int> called = 0;
  ASSERT_TRUE(pipeline->then([&](const auto&) { ++called; }));
  pipeline.reset();
  log.open();
  ASSERT_TRUE(runner->wait_idle(kLong));
  EXPECT_TRUE(eventually([&] { return called == 1; }));
  EXPECT_EQ(disorder(log.numbers()), "");
  EXPECT_EQ(log.size(), kCount);
}

TEST_F(Full, APipelineInTheStoreIsCancelledAndNeverRuns) {
  fill();
  const std::uint64_t before = in_store(*runner);
  ASSERT_TRUE(pipeline->cancel());
  const auto result = pipeline->wait(kLong);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, PipelineState::Cancelled);
  EXPECT_EQ(in_store(*runner), before - 1);
  log.open();
  ASSERT_TRUE(runner->wait_idle(kLong));
  EXPECT_EQ(disorder(log.numbers()), "");
  EXPECT_EQ(log.size(), kCount - 1);
}

TEST_F(Full, APipelineInTheStoreIsPausedAndResumed) {
  fill();
  ASSERT_TRUE(pipeline->pause("to be looked at"));
  EXPECT_EQ(pipeline->state(), PipelineState::Paused);
  log.open();
  ASSERT_TRUE(eventually([&] { return log.size() == kCount - 1; }));
  EXPECT_EQ(disorder(log.numbers()), "");
  EXPECT_EQ(log.size(), kCount - 1);
  ASSERT_TRUE(pipeline->resume());
  EXPECT_TRUE(pipeline->wait(kLong));
  EXPECT_EQ(log.numbers().back(), watched);
}

TEST(MemoryBudget, APausedPipelineAtTheFrontOfItsLineHoldsNobodyBack) {
  constexpr std::int64_t kCount = 20;
  Log log;
  auto runner = started(builder(make_memory_store(), 1));  // one at a time stands at the front
  log.close();
  std::vector<PipelineHandle> handles;
  for (std::int64_t n = 0; n < kCount; ++n) handles.push_back(*runner.submit_async(numbered(log), number(n)));
  // The first one runs, so the second one is at the front.
  ASSERT_TRUE(eventually([&] { return in_store(runner) == kCount - 2; }));
  ASSERT_TRUE(handles[1].pause("to be looked at"));
  log.open();
  EXPECT_TRUE(eventually([&] { return log.size() == kCount - 1; }));
  ASSERT_TRUE(handles[1].resume());
  ASSERT_TRUE(runner.wait_idle(kLong));
  EXPECT_EQ(log.numbers().back(), 1);
}

TEST(MemoryBudget, CountsTheTasksOfLargePipelines) {
  constexpr std::uint64_t kBudget = 400'000;
  auto builder_of_many = Workflow::builder("many");
  std::atomic<bool> held = true;
  builder_of_many.task("first", [&held](TaskContext&) { held.wait(true); });
  for (int i = 0; i < 99; ++i)
    builder_of_many.task("t" + std::to_string(i), [](TaskContext&) {}, {.after = {"first"}});
  const Workflow many = *builder_of_many.build();
  auto runner = started(builder(make_memory_store(), kBudget));
  for (int n = 0; n < 200; ++n) ASSERT_TRUE(runner.submit_async(many, {.durability = Durability::Process}));
  ASSERT_TRUE(runner.flush());
  ASSERT_TRUE(eventually([&] { return figure(runner, "leat_pipelines_resident_bytes") > kBudget * 3 / 4; }));
  EXPECT_LE(figure(runner, "leat_pipelines_resident_bytes"), kBudget);
  EXPECT_GT(in_store(runner), 100U);
  held = false;
  held.notify_all();
  EXPECT_TRUE(runner.wait_idle(kLong));
}

TEST_F(Full, AnExplanationSaysThatAPipelineWaitsInTheStore) {
  fill();
  const auto why = runner->explain(*pipeline, "say");
  ASSERT_TRUE(why);
  EXPECT_EQ(why->cause, TaskExplanation::Cause::LaneFull);
  EXPECT_THAT(why->text, HasSubstr("waits in the store, behind "));
  log.open();
}

TEST_F(Full, AStopTellsWhoWaitsForAPipelineInTheStore) {
  fill();
  log.open();
  log.close();
  std::thread opens([&] {
    EXPECT_TRUE(eventually([&] { return !runner->submit_async(numbered(log), number(0)); }));
    log.open();
  });
  EXPECT_TRUE(runner->stop(kLong));
  opens.join();
  const auto result = pipeline->wait(kLong);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::Stopped);
  EXPECT_EQ(pipeline->cancel().error().code, ErrorCode::Stopped);
}

TEST_F(Full, AnotherProcessGoesOnInOrderWithoutTakingAllIntoMemory) {
  fill();
  pipeline.reset();
  log.open();
  ASSERT_TRUE(eventually([&] { return log.size() >= 100; }));
  ASSERT_TRUE(runner->stop(kLong));
  runner.reset();
  const std::size_t done = log.size();
  log.close();
  auto built = builder(make_memory_store(medium)).build();
  ASSERT_TRUE(built);
  runner.emplace(std::move(*built));
  ASSERT_EQ(runner->unfinished().size(), 1U);
  EXPECT_EQ(runner->unfinished().front().pipelines, kCount - done);
  ASSERT_TRUE(runner->register_workflow(numbered(log)));
  ASSERT_TRUE(runner->start());
  EXPECT_LE(resident(*runner), 150U);
  fill(kCount, kCount + 600);  // behind those that wait
  log.open();
  ASSERT_TRUE(runner->wait_idle(kLong));
  EXPECT_EQ(disorder(log.numbers()), "");
}

TEST_F(Full, LinesTakeTurnsThoughOneCameFirst) {
  fill();
  for (std::int64_t n = 0; n < 300; ++n)
    ASSERT_TRUE(runner->submit_async(numbered(log, "other"), number(-1 - n)));
  ASSERT_TRUE(runner->flush());
  log.open();
  ASSERT_TRUE(runner->wait_idle(kLong));
  const auto numbers = log.numbers();
  // All of the second tenant are done when about as many of the first are, and those that stood in memory
  // before.
  const auto last = std::ranges::find(numbers, -300) - numbers.begin();
  EXPECT_LE(last, 2 * 300 + 150);
  std::vector<std::int64_t> first;
  std::ranges::copy_if(numbers, std::back_inserter(first), [](std::int64_t n) { return n >= 0; });
  EXPECT_EQ(first, up_to(kCount));
}

TEST_F(Full, AFullLaneHoldsNobodyElsesPipelines) {
  ASSERT_TRUE(runner->register_executor("idle", std::make_shared<ThreadTaskExecutor>(),
                                        {.max_concurrent = 1, .max_queued = 0}));
  fill();
  Log free;
  const auto elsewhere =
      *Workflow::builder("elsewhere")
           .task("say", [&](TaskContext& task) { free.enter(*task.get<std::int64_t>("n")); },
                 {.executor = "idle"})
           .build();
  for (std::int64_t n = 0; n < 400; ++n) ASSERT_TRUE(runner->submit_async(elsewhere, number(n)));
  EXPECT_TRUE(eventually([&] { return free.size() == 400; }));
  EXPECT_EQ(free.numbers(), up_to(400));
  log.open();
}

TEST(MemoryBudget, AReaderSeesWhoWaitsInTheStoreAndAVerifierFindsNothing) {
  constexpr std::int64_t kCount = 2000;
  const TemporaryDirectory directory;
  Log log;
  auto runner = started(Runner::builder()
                            .database_url(directory.url())
                            .default_limits({.max_concurrent = 1, .max_queued = 0})
                            .checkpoint_after(20'000)
                            .retain_events({.age_ns = 0})
                            .memory_budget(kSmall));
  log.close();
  for (std::int64_t n = 0; n < kCount; ++n) ASSERT_TRUE(runner.submit_async(numbered(log), number(n)));
  ASSERT_TRUE(runner.flush());
  ASSERT_GT(in_store(runner), 1500U);
  const auto beside = read_rocksdb_store(directory.path(), {});
  ASSERT_TRUE(beside) << beside.error().message;
  EXPECT_EQ(beside->pipelines().size(), std::size_t{kCount});
  const auto looked = verify_rocksdb_store(directory.path());
  ASSERT_TRUE(looked);
  EXPECT_TRUE(looked->empty()) << looked->front().message;
  log.open();
  ASSERT_TRUE(eventually([&] { return log.size() > 500; }));
  ASSERT_TRUE(runner.stop(kLong));
  const auto after = verify_rocksdb_store(directory.path());
  ASSERT_TRUE(after);
  EXPECT_TRUE(after->empty()) << after->front().message;
}

}  // namespace
}  // namespace leat
