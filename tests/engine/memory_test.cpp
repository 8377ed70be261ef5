// What a pipeline costs that only waits: in memory, with all that refers to it.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "heap_bytes.h"
#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;

/// One worker, which the first pipeline holds until the test lets go of it.
class WaitingPipelines : public testing::Test {
 protected:
  void SetUp() override {
    if (LEAT_WEIGHS_HEAP == 0) GTEST_SKIP() << "malloc belongs to the sanitizer, or is not glibc's";
    auto built = Runner::builder()
                     .database_url("memory:")
                     .default_limits({.max_concurrent = 1, .max_queued = 1})
                     .workers(1)
                     .build();
    ASSERT_TRUE(built) << built.error().message;
    runner_.emplace(std::move(*built));
    const auto pass = [this](TaskContext&) { held_.wait(true); };
    auto workflow = Workflow::builder("waiting").task("pass", pass).build();
    ASSERT_TRUE(workflow);
    workflow_.emplace(std::move(*workflow));
    ASSERT_TRUE(runner_->register_workflow(*workflow_));
    ASSERT_TRUE(runner_->start());
  }
  void TearDown() override {
    held_ = false;
    held_.notify_all();
    if (runner_) {
      EXPECT_TRUE(runner_->wait_idle(30s));
    }
  }
  void submit(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) ASSERT_TRUE(runner_->submit_async(*workflow_));
  }

  std::atomic<bool> held_ = true;
  std::optional<Runner> runner_;
  std::optional<Workflow> workflow_;
};

TEST_F(WaitingPipelines, CostAtMost330BytesEachInTheEngine) {  // of 400: RocksDB has its share
  constexpr std::int64_t kPipelines = 50'000;
  submit(1'000);  // what is there but once is there
  const std::int64_t before = heap_bytes();
  submit(kPipelines);
  const std::int64_t bytes = (heap_bytes() - before) / kPipelines;
  RecordProperty("bytes_per_pipeline", std::to_string(bytes));
  EXPECT_LE(bytes, 330);
  EXPECT_GT(bytes, 100) << "they do not wait";
}

}  // namespace
}  // namespace leat
