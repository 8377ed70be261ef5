// Children over crashes and restarts: one child, whose end is told once, wherever a process is cut short.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "families.h"
#include "leat/store_recovery.h"
#include "leat/store_verifier.h"
#include "leat/task.h"
#include "temporary_directory.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ChildrenAcrossCrashes : public Children {
 protected:
  /// What is left by a kill after each little that the Runner does.
  std::vector<std::shared_ptr<MemoryMedium>> cuts() {
    std::vector<std::shared_ptr<MemoryMedium>> all;
    do {
      all.push_back(medium_->after_kill());
    } while (runner_->run_some(1).value_or(0) > 0);
    return all;
  }
  /// One child at most, and its end told once, to whom it was for.
  void expect_one_end(PipelineState parent) {
    const StoreImage& image = read(medium_);
    std::size_t children = 0;
    for (const auto& [number, pipeline] : image.pipelines()) {
      EXPECT_TRUE(is_terminal(pipeline.state)) << pipeline.id.to_string();
      if (!pipeline.traits->parent.empty()) {
        ++children;
        continue;
      }
      EXPECT_EQ(pipeline.state, parent);
      EXPECT_THAT(pipeline.traits->child_ends, IsEmpty());
    }
    EXPECT_EQ(children, 1U);
  }
};

TEST_P(ChildrenAcrossCrashes, OneChildAndOneEndWhereverItIsCut) {
  for (const std::uint64_t checkpoint_after : {std::uint64_t{1} << 20, std::uint64_t{1}}) {
    checkpoint_after_ = checkpoint_after;
    medium_ = std::make_shared<MemoryMedium>();
    open();
    ASSERT_TRUE(runner_->submit_async(order_, {.durability = GetParam()}));
    const auto all = cuts();
    EXPECT_EQ(ends_.size(), 1U);
    ASSERT_TRUE(runner_->stop(kLong));
    for (std::size_t i = 0; i < all.size(); ++i) {
      SCOPED_TRACE("cut " + std::to_string(i) + " of " + std::to_string(all.size()));
      medium_ = all[i];
      ends_.clear();
      open();
      if (runner_->resumed().empty()) {  // before the submission, or behind the end
        ASSERT_TRUE(runner_->stop(kLong));
        continue;
      }
      ASSERT_TRUE(runner_->run_until_idle(kLong));
      EXPECT_LE(ends_.size(), 1U);
      for (const std::string& end : ends_) EXPECT_EQ(field(end, "state"), "Completed");
      ASSERT_TRUE(runner_->stop(kLong));
      if (checkpoint_after > 1) expect_one_end(PipelineState::Completed);
    }
  }
}

TEST_P(ChildrenAcrossCrashes, ACancelReachesThemWhereverItIsCut) {
  charge_ = *Workflow::builder("charge").task("charge", nothing, {.signal = "never"}).build();
  order_ = order();
  open();
  PipelineHandle handle = submit();
  run_all();
  ASSERT_TRUE(handle.cancel());
  const auto all = cuts();
  ASSERT_TRUE(runner_->stop(kLong));
  for (std::size_t i = 0; i < all.size(); ++i) {
    medium_ = all[i];
    if (states("::order").at(0) == "Running") continue;  // the cancel is not in the store yet
    open();
    ASSERT_TRUE(runner_->run_until_idle(kLong)) << "cut at " << i;
    ASSERT_TRUE(runner_->stop(kLong));
    expect_one_end(PipelineState::Cancelled);
  }
}

TEST_P(ChildrenAcrossCrashes, TheyWaitForTheirParentsWorkflowToBeKnown) {
  charge_ = *Workflow::builder("charge").task("charge", nothing, {.signal = "go"}).build();
  order_ = order();
  open();
  submit();
  run_all();
  ASSERT_TRUE(runner_->stop(kLong));
  auto built = Runner::builder().state_store(make_memory_store(medium_)).lent_threads().build();
  runner_ = std::make_unique<Runner>(std::move(*built));
  ASSERT_TRUE(runner_->start());
  ASSERT_TRUE(runner_->register_workflow(charge_));
  EXPECT_EQ(runner_->resumed().size(), 0U);
  ASSERT_TRUE(runner_->register_workflow(order_));
  EXPECT_EQ(runner_->resumed().size(), 2U);
  ASSERT_TRUE(runner_->signal(*Uuid::parse(*ids_.begin()), "go"));
  ASSERT_TRUE(runner_->run_until_idle(kLong));
  EXPECT_EQ(field(ends_.at(0), "state"), "Completed");
}

TEST_P(ChildrenAcrossCrashes, ACoroutineThatBeginsAnewFindsTheEnd) {
  order_ = *Workflow::builder("order")
                .task("pay",
                      [this](TaskContext& task) -> TryTask {
                        const auto begun = task.start_child("charge", charge_);
                        if (!begun) co_return std::unexpected(begun.error().message);
                        const auto end = co_await task.signal("charge");
                        ends_.push_back(end ? field(*end, "state") : end.error().message);
                        co_return {};
                      },
                      {.retry = kOnce, .children = {"charge"}})
                .build();
  open();
  ASSERT_TRUE(runner_->submit_async(order_, {.durability = GetParam()}));
  const auto all = cuts();
  EXPECT_THAT(ends_, ElementsAre("Completed"));
  ASSERT_TRUE(runner_->stop(kLong));
  for (const auto& cut : all) {
    medium_ = cut;
    ends_.clear();
    open();
    const bool goes_on = !runner_->resumed().empty();
    ASSERT_TRUE(runner_->run_until_idle(kLong));
    for (const std::string& end : ends_) EXPECT_EQ(end, "Completed");
    ASSERT_TRUE(runner_->stop(kLong));
    if (goes_on) expect_one_end(PipelineState::Completed);
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, ChildrenAcrossCrashes,
                         testing::Values(Durability::Process, Durability::Disk),
                         [](const auto& level) { return std::string(to_string(level.param)); });

/// Children that have ended, and some that wait when the store is closed; with rounds of the checkpoint
/// between.
TEST(ChildrenInAStore, AreWholeAndGoOn) {
  const TemporaryDirectory directory;
  const Workflow charge =
      *Workflow::builder("charge").task("wait", nothing, {.signal = "go"}).task("pay", charges).build();
  std::vector<Uuid> children;
  const auto start = [&](TaskContext& task) -> std::expected<void, TaskError> {
    const auto begun = task.start_child("charge", charge, R"({"cents": 1200})");
    if (!begun) return std::unexpected(begun.error().message);
    children.push_back(*begun);
    return {};
  };
  const Workflow order = *Workflow::builder("order")
                              .task("pay", start, {.children = {"charge"}})
                              .task("ship", nothing, {.after = {"pay"}, .signal = "charge"})
                              .build();
  const auto open = [&] {
    auto runner = Runner::builder()
                      .database_url("rocksdb://" + directory.path())
                      .checkpoint_after(5'000)
                      .lent_threads()
                      .build();
    EXPECT_TRUE(runner->register_workflow(order) && runner->register_workflow(charge) && runner->start());
    return std::move(*runner);
  };
  const auto run_all = [](Runner& runner) {
    while (runner.run_some(16).value_or(0) > 0) {
    }
  };
  const auto expect_whole = [&](std::size_t live) {
    const auto findings = verify_rocksdb_store(directory.path());
    ASSERT_TRUE(findings) << findings.error().message;
    for (const StoreError& finding : *findings) ADD_FAILURE() << finding.message;
    const auto image = recover_unfinished(*open_rocksdb_store(directory.path()).value());
    ASSERT_TRUE(image) << image.error().message;
    EXPECT_EQ(image->pipelines().size(), live);
  };
  {
    Runner runner = open();
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(runner.submit_async(order, {.durability = Durability::Process}));
    run_all(runner);
    ASSERT_EQ(children.size(), 40U);
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(runner.signal(children[static_cast<std::size_t>(i)], "go"));
    run_all(runner);
    ASSERT_TRUE(runner.stop(kLong));
  }
  expect_whole(20);
  {
    Runner runner = open();
    for (int i = 30; i < 40; ++i) ASSERT_TRUE(runner.signal(children[static_cast<std::size_t>(i)], "go"));
    ASSERT_TRUE(runner.run_until_idle(kLong));
    EXPECT_EQ(children.size(), 40U) << "no task started its child again";
    for (const PipelineHandle& handle : runner.resumed()) EXPECT_EQ(handle.state(), PipelineState::Completed);
    ASSERT_TRUE(runner.stop(kLong));
  }
  expect_whole(0);
}

}  // namespace
}  // namespace leat::behaviours
