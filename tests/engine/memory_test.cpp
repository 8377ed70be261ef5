// What a pipeline costs that only waits, with all that refers to it: in the engine, and while a store is
// opened; and what a queued task does.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "behaviours.h"
#include "eventually.h"
#include "heap_bytes.h"
#include "leat/leat.h"
#include "leat/store_recovery.h"

namespace leat {
namespace {

using namespace std::chrono_literals;

/// One worker, which the first pipeline holds until the test lets go of it.
class WaitingPipelines : public testing::Test {
 protected:
  static constexpr std::int64_t kPipelines = 50'000;

  void SetUp() override {
    if (LEAT_WEIGHS_HEAP == 0) GTEST_SKIP() << "malloc belongs to the sanitizer, or is not glibc's";
  }
  void TearDown() override {
    held_ = false;
    held_.notify_all();
    if (runner_) {
      EXPECT_TRUE(runner_->wait_idle(30s));
    }
  }
  /// @param medium  null: nothing is remembered
  void build(const std::shared_ptr<MemoryMedium>& medium) {
    Runner::Builder builder = Runner::builder();
    if (medium == nullptr) {
      builder.database_url("memory:");
    } else {
      builder.state_store(make_memory_store(medium));
    }
    auto built = builder.default_limits({.max_concurrent = 1, .max_queued = 1}).workers(1).build();
    ASSERT_TRUE(built) << built.error().message;
    runner_.emplace(std::move(*built));
    const auto pass = [this](TaskContext&) { held_.wait(true); };
    auto workflow = Workflow::builder("waiting").task("pass", pass).build();
    ASSERT_TRUE(workflow);
    workflow_.emplace(std::move(*workflow));
    ASSERT_TRUE(runner_->register_workflow(*workflow_));
  }
  void submit(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) ASSERT_TRUE(runner_->submit_async(*workflow_));
  }
  /// What a process left that died while they waited.
  std::shared_ptr<MemoryMedium> make_store() {
    const auto medium = std::make_shared<MemoryMedium>();
    build(medium);
    EXPECT_TRUE(runner_->start());
    submit(kPipelines);
    auto left = behaviours::crash_now(*runner_, *medium);
    left->commits.reserve(left->commits.size() + 1'000);  // that it grows later is not the pipelines' doing
    held_ = false;
    held_.notify_all();
    EXPECT_TRUE(runner_->wait_idle(30s));
    runner_.reset();
    held_ = true;
    return left;
  }
  std::int64_t each(std::int64_t bytes, const char* what) {
    RecordProperty(what, std::to_string(bytes / kPipelines));
    return bytes / kPipelines;
  }

  std::atomic<bool> held_ = true;
  std::optional<Runner> runner_;
  std::optional<Workflow> workflow_;
};

TEST_F(WaitingPipelines, CostAtMost330BytesEachInTheEngine) {  // of 400: RocksDB has its share
  build(nullptr);
  ASSERT_TRUE(runner_->start());
  submit(1'000);  // what is there but once is there
  const std::int64_t before = heap_bytes();
  submit(kPipelines);
  const std::int64_t bytes = each(heap_bytes() - before, "bytes");
  EXPECT_LE(bytes, 330);
  EXPECT_GT(bytes, 100) << "they do not wait";
}

TEST_F(WaitingPipelines, CostAtMost200BytesEachWhileTheJournalIsRead) {
  const auto store = make_memory_store(make_store());
  const std::int64_t before = heap_bytes();
  const auto image = recover_unfinished(*store);
  const std::int64_t bytes = each(heap_bytes() - before, "bytes");
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->pipelines().size(), kPipelines);
  EXPECT_LE(bytes, 200);
  EXPECT_GT(bytes, 100);
}

TEST_F(WaitingPipelines, TakeThePlaceOfTheirImagesWhenCarriedOn) {
  build(make_store());
  const std::int64_t before = heap_bytes();
  ASSERT_TRUE(runner_->start());
  EXPECT_EQ(runner_->resumed().size(), kPipelines);
  EXPECT_LE(each(heap_bytes() - before, "bytes"), 150) << "both are there";
}

TEST(QueuedTasks, CostNoMoreFromManyThreadsInTurnThanFromOne) {
  if (LEAT_WEIGHS_HEAP == 0) GTEST_SKIP() << "malloc belongs to the sanitizer, or is not glibc's";
  constexpr std::uint32_t kQueued = 20'000;
  constexpr int kThreads = 64;  // more than a lane has producer tokens
  std::atomic<bool> held = true;
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .default_limits({.max_concurrent = 1, .max_queued = kQueued})
                    .build();
  ASSERT_TRUE(runner) << runner.error().message;
  const Namespace task = *runner->register_task("t::p::w::task", [&](TaskContext&) { held.wait(true); });
  ASSERT_TRUE(runner->start());
  const std::int64_t before = heap_bytes();
  std::atomic<int> turn = -1, filled = 0;
  std::vector<std::thread> threads;  // all alive at once: who comes after one that has ended has its number
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int now; (now = turn) != i;) turn.wait(now);
      while (runner->dispatcher().dispatch(runner->make_event(task), {.durability = Durability::Memory})) {
      }
      ++filled;
    });
  }
  for (int i = 0; i < kThreads; ++i) {
    held = true;
    turn = i;
    turn.notify_all();
    EXPECT_TRUE(eventually([&] { return filled == i + 1; }));
    held = false;
    held.notify_all();
    EXPECT_TRUE(runner->wait_idle(30s));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE((heap_bytes() - before) / kQueued, 130) << "one token's blocks, and room for a few more";
}

}  // namespace
}  // namespace leat
