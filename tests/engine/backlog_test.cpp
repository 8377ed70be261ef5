// What a start finds waiting by the thousand, and does not make before its turn.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "behaviours.h"
#include "heap_bytes.h"
#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::SizeIs;
using testing::StartsWith;

constexpr auto kLong = 60s;
constexpr int kMany = 1'200;  // above Backlog::kMin, with those that are not plain taken off

/// Its tasks note the number in their context. One thread, which the test lends, and one attempt at a time.
class BacklogTest : public testing::Test {
 protected:
  void TearDown() override {
    if (runner_) {
      EXPECT_TRUE(runner_->stop(0ns));
    }
  }
  void build(std::uint64_t checkpoint_after = std::uint64_t{64} << 20) {
    auto built = Runner::builder()
                     .state_store(make_memory_store(medium_))
                     .lent_threads()
                     .checkpoint_after(checkpoint_after)
                     .default_limits({.max_concurrent = 1, .max_queued = 4})
                     .register_executor("other", std::make_shared<ThreadTaskExecutor>(),
                                        {.max_concurrent = 1, .max_queued = 4})
                     .build();
    ASSERT_TRUE(built) << built.error().message;
    runner_.emplace(std::move(*built));
    ASSERT_TRUE(runner_->register_workflow(workflow_));
    ASSERT_TRUE(runner_->start());
  }
  PipelineHandle submit(int number, SubmitOptions options = {}) {
    options.context = "{\"n\":" + std::to_string(number) + "}";
    auto handle = runner_->submit_async(workflow_, std::move(options));
    EXPECT_TRUE(handle) << handle.error().message;
    return *handle;
  }
  /// As a crash leaves it. @return  by number
  std::vector<Uuid> leave_waiting(int count) {
    std::vector<Uuid> ids;
    for (int i = 0; i < count; ++i) ids.push_back(submit(i).id());
    die();
    return ids;
  }
  void die() {
    auto left = behaviours::crash_now(*runner_, *medium_);
    EXPECT_TRUE(runner_->stop(0ns));
    runner_.reset();
    medium_ = std::move(left);
    ran_.clear();
  }
  void run_all() { ASSERT_TRUE(runner_->run_until_idle(kLong)); }
  static std::vector<int> numbers(int first, int last) {
    std::vector<int> all;
    for (int i = first; i < last; ++i) all.push_back(i);
    return all;
  }

  std::vector<int> ran_;
  std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  const Workflow workflow_ = *Workflow::builder("many")
                                  .task("note",
                                        [this](TaskContext& task) {
                                          ran_.push_back(static_cast<int>(*task.get<std::int64_t>("n")));
                                        })
                                  .task("after", behaviours::nothing, {.after = {"note"}})
                                  .build();
  std::optional<Runner> runner_;
};

TEST_F(BacklogTest, RunsInTheOrderOfSubmission) {
  build();
  leave_waiting(kMany);
  build();
  run_all();
  EXPECT_EQ(ran_, numbers(0, kMany));
}

TEST_F(BacklogTest, KeepsTheOrderAmongThoseThatAreMadeAtOnce) {
  build();
  for (int i = 0; i < kMany; ++i) {
    submit(i, i % 100 == 50 ? SubmitOptions{.deadline = std::chrono::system_clock::now() + 1h}
                            : SubmitOptions());
  }
  die();
  build();
  run_all();
  EXPECT_EQ(ran_, numbers(0, kMany));
}

TEST_F(BacklogTest, NobodyOvertakesItWhoIsSubmittedLater) {
  build();
  leave_waiting(kMany);
  build();
  submit(kMany);
  run_all();
  EXPECT_EQ(ran_, numbers(0, kMany + 1));
}

TEST_F(BacklogTest, TakesNoMoreMemoryThanItsImages) {
  if (LEAT_WEIGHS_HEAP == 0) GTEST_SKIP() << "malloc belongs to the sanitizer, or is not glibc's";
  build();
  leave_waiting(10 * kMany);
  auto built = Runner::builder()
                   .state_store(make_memory_store(medium_))
                   .lent_threads()
                   .default_limits({.max_concurrent = 1, .max_queued = 4})
                   .build();
  ASSERT_TRUE(built) << built.error().message;
  runner_.emplace(std::move(*built));
  ASSERT_TRUE(runner_->register_workflow(workflow_));
  const std::int64_t before = heap_bytes();
  ASSERT_TRUE(runner_->start());
  EXPECT_LE((heap_bytes() - before) / (10 * kMany), 8);
}

TEST_F(BacklogTest, IsWaitedForAndCounted) {
  build();
  leave_waiting(kMany);
  build();
  EXPECT_EQ(runner_->metrics("default").parked_tasks + runner_->metrics("default").queued_tasks, kMany);
  EXPECT_FALSE(runner_->wait_idle(0ns));
  EXPECT_THAT(runner_->unfinished(), SizeIs(0));
}

TEST_F(BacklogTest, HandlesAreGivenOutOfAll) {
  build();
  const std::vector<Uuid> ids = leave_waiting(kMany);
  build();
  const std::vector<PipelineHandle> handles = runner_->resumed();
  ASSERT_THAT(handles, SizeIs(kMany));
  run_all();
  EXPECT_EQ(ran_, numbers(0, kMany));
  for (const PipelineHandle& handle : handles) EXPECT_EQ(handle.state(), PipelineState::Completed);
}

TEST_F(BacklogTest, OneIsCancelledByItsIdentifierAndTheOthersRunInOrder) {
  build();
  const std::vector<Uuid> ids = leave_waiting(kMany);
  build();
  EXPECT_TRUE(runner_->cancel(ids[kMany - 1]));
  EXPECT_TRUE(runner_->cancel(ids[1'000]));
  run_all();
  std::vector<int> others = numbers(0, kMany - 1);
  std::erase(others, 1'000);
  EXPECT_EQ(ran_, others);
}

TEST_F(BacklogTest, OneThatIsPausedBeforeItsTurnRunsOnceItIsResumed) {
  build();
  leave_waiting(kMany);
  build();
  PipelineHandle handle = runner_->resumed()[1'000];
  ASSERT_TRUE(handle.pause());
  while (runner_->run_some(100).value() > 0) {
  }
  EXPECT_THAT(ran_, SizeIs(kMany - 1));
  ASSERT_TRUE(handle.resume());
  run_all();
  EXPECT_EQ(ran_.back(), 1'000);
}

TEST_F(BacklogTest, AnIdempotencyKeyLeadsToOneThatWaits) {
  build();
  for (int i = 0; i < kMany; ++i) submit(i, {.idempotency_key = std::to_string(i)});
  die();
  build();
  const PipelineHandle again = submit(7, {.idempotency_key = "1100"});
  run_all();
  EXPECT_EQ(ran_, numbers(0, kMany));
  EXPECT_EQ(again.state(), PipelineState::Completed);
}

TEST_F(BacklogTest, IsThereAgainAfterAnotherCrash) {
  build();
  leave_waiting(kMany);
  build();
  ASSERT_TRUE(runner_->run_some(10));
  const std::size_t begun = ran_.size();
  die();
  build();
  run_all();
  EXPECT_GE(begun, 1U);
  EXPECT_EQ(ran_.back(), kMany - 1);
  EXPECT_EQ(ran_.size() + begun, kMany);
}

TEST_F(BacklogTest, IsInTheRoundsOfTheCheckpoint) {
  build();
  leave_waiting(2 * kMany);
  build(10'000);
  while (make_memory_store(medium_->after_kill())->checkpoints().newest().generation == 0) {
    ASSERT_TRUE(runner_->run_some(10));
  }
  const std::size_t begun = ran_.size();
  EXPECT_LT(begun, 2 * kMany - 1'000) << "nothing waits any more";
  die();
  build();
  run_all();
  EXPECT_EQ(ran_.back(), 2 * kMany - 1);
  EXPECT_EQ(ran_.size() + begun, 2 * kMany);
}

TEST_F(BacklogTest, GoesWhereTheRoutesSendItMeanwhile) {
  build();
  leave_waiting(kMany);
  build();
  ASSERT_TRUE(runner_->set_routing(RoutingConfig().with_rule("public::embedded::many::note", "other")));
  run_all();
  EXPECT_EQ(ran_, numbers(0, kMany));
  EXPECT_GE(runner_->metrics("other").total_executed, kMany - 5);
}

TEST_F(BacklogTest, SaysOfOneHowManyStandBeforeIt) {
  build();
  leave_waiting(kMany);
  build();
  const auto explained = runner_->explain(runner_->resumed()[1'000], "note");
  ASSERT_TRUE(explained) << explained.error().message;
  EXPECT_EQ(explained->cause, TaskExplanation::Cause::LaneFull);
  EXPECT_THAT(explained->text, StartsWith("parked behind 995 of its tenant"));
}

TEST_F(BacklogTest, ThoseThatHaveEndedAreLeftOutOfManyHandles) {
  build();
  leave_waiting(3 * kMany);
  build();
  run_all();
  EXPECT_LE(runner_->resumed().size(), 1'001U);
}

}  // namespace
}  // namespace leat
