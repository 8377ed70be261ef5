// A lane's counters add up: whatever is dispatched is refused, completed, failed, or dropped, and counted
// once.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;

constexpr DispatchOptions kMemory{.durability = Durability::Memory};

/// One worker, which a task can hold until the test lets go of it.
class Books : public testing::Test {
 protected:
  static constexpr std::uint32_t kSlots = 4;

  void SetUp() override {
    auto built = Runner::builder()
                     .state_store(make_memory_store())
                     .default_limits({.max_concurrent = 1, .max_queued = kSlots - 1})
                     .build();
    ASSERT_TRUE(built) << built.error().message;
    runner_.emplace(std::move(*built));
    hold_ = *runner_->register_task("t::p::w::hold", [this](TaskContext&) { held_.wait(true); });
    other_ = *runner_->register_task("zeta::p::w::other", [this](TaskContext&) { ++others_; });
    ASSERT_TRUE(runner_->start());
  }
  void TearDown() override { let_go(); }
  void let_go() {
    held_ = false;
    held_.notify_all();
  }
  ExecutorMetrics metrics() const { return runner_->metrics("default"); }
  std::expected<void, DispatchError> dispatch(Namespace task, Durability level = Durability::Memory) {
    return runner_->dispatcher().dispatch(runner_->make_event(task), {.durability = level});
  }
  /// Takes every slot.
  void fill() {
    for (std::uint32_t i = 0; i < kSlots; ++i) ASSERT_TRUE(dispatch(hold_));
  }

  std::atomic<bool> held_ = true;
  std::atomic<int> others_ = 0;
  std::optional<Runner> runner_;
  Namespace hold_, other_;
};

TEST_F(Books, CountARefusalOnceWhateverItsLevel) {
  fill();
  std::uint64_t refused = 0;
  for (const Durability level : {Durability::Memory, Durability::Process, Durability::Disk}) {
    EXPECT_EQ(dispatch(hold_, level).error().code, DispatchErrorCode::NoCapacity);
    EXPECT_EQ(metrics().total_rejected, ++refused);
    const std::vector<TaskReadyEvent> events(3, runner_->make_event(hold_));
    EXPECT_EQ(runner_->dispatcher().dispatch_bulk(events, {.durability = level}).taken, 0U);
    EXPECT_EQ(metrics().total_rejected, ++refused) << "the first that is refused ends a bulk";
    EXPECT_FALSE(runner_->dispatcher().dispatch_async(events[0], {.durability = level}));
    EXPECT_EQ(metrics().total_rejected, ++refused);
  }
}

TEST_F(Books, DoNotCallATaskDroppedThatAPausedNameHolds) {
  ASSERT_TRUE(dispatch(hold_));
  ASSERT_TRUE(eventually([&] { return metrics().active_tasks == 1; }));
  ASSERT_TRUE(runner_->pause_namespaces("zeta::**"));
  ASSERT_TRUE(dispatch(other_));
  ASSERT_TRUE(dispatch(other_, Durability::Process));
  let_go();
  ASSERT_TRUE(eventually([&] { return metrics().queued_tasks == 0 && metrics().active_tasks == 0; }));
  EXPECT_EQ(metrics().total_dropped, 0U);
  ASSERT_TRUE(runner_->resume_namespaces("zeta::**"));
  ASSERT_TRUE(runner_->wait_idle(30s));
  EXPECT_EQ(others_, 2);
  EXPECT_EQ(metrics().total_dropped, 0U);
  EXPECT_EQ(metrics().total_executed, 3U);
}

TEST_F(Books, DoNotCallATaskDroppedWhosePipelineIsPausedButOneThatIsCancelled) {
  ASSERT_TRUE(dispatch(hold_));
  const auto workflow = *Workflow::builder("w").task("a", [this](TaskContext&) { ++others_; }).build();
  auto paused = runner_->submit(workflow), cancelled = runner_->submit(workflow);
  ASSERT_TRUE(paused && cancelled);
  ASSERT_TRUE(paused->pause());
  ASSERT_TRUE(cancelled->cancel());
  let_go();
  ASSERT_TRUE(eventually([&] { return metrics().queued_tasks == 0 && metrics().active_tasks == 0; }));
  EXPECT_TRUE(eventually([&] { return metrics().total_dropped == 1; }));
  ASSERT_TRUE(paused->resume());
  ASSERT_TRUE(paused->wait(30s));
  ASSERT_TRUE(runner_->wait_idle(30s));
  EXPECT_EQ(others_, 1);
  EXPECT_EQ(metrics().total_dropped, 1U);
  EXPECT_EQ(metrics().total_executed, 2U);
}

TEST_F(Books, BoundWhatWaitsAtAPausedNameAndLetOthersOfTheKeyRun) {
  ASSERT_TRUE(runner_->pause_namespaces("t::**"));
  std::uint64_t taken = 0, refused = 0;
  // Refused also while the worker has yet to leave what is queued to the gate.
  while ((refused < 1000 || metrics().queued_tasks > 0) && taken < 1000)
    dispatch(hold_) ? ++taken : ++refused;
  EXPECT_GE(taken, kSlots - 1);
  EXPECT_LE(taken, 2 * kSlots);
  EXPECT_EQ(metrics().total_rejected, refused);
  const std::vector<TaskReadyEvent> events{runner_->make_event(other_), runner_->make_event(other_),
                                           runner_->make_event(hold_), runner_->make_event(other_)};
  EXPECT_EQ(runner_->dispatcher().dispatch_bulk(events, kMemory).taken, 2U)
      << "up to the first that is paused";
  EXPECT_TRUE(eventually([&] { return others_ == 2; }));
  let_go();
  ASSERT_TRUE(runner_->resume_namespaces("t::**"));
  ASSERT_TRUE(runner_->wait_idle(30s));
  EXPECT_EQ(metrics().total_executed, taken + 2);
  EXPECT_TRUE(runner_->audit()[0].balanced());
  ASSERT_TRUE(runner_->pause_namespaces("t::**"));
  EXPECT_TRUE(dispatch(hold_)) << "what has gone counts no more";
  ASSERT_TRUE(runner_->resume_namespaces("t::**"));
}

}  // namespace
}  // namespace leat
