// Children: pipelines that tasks start by name. Their ends come to the parent as signals, once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "families.h"
#include "leat/store_recovery.h"
#include "leat/task.h"
#include "seed.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_P(Children, ATaskThatWaitsForAChildFindsHowItEnded) {
  open();
  EXPECT_EQ(run_order().state, PipelineState::Completed);
  ASSERT_EQ(ends_.size(), 1U);
  EXPECT_EQ(field(ends_[0], "state"), "Completed");
  EXPECT_EQ(field(ends_[0], "pipeline"), *ids_.begin());
  EXPECT_EQ(Context::parse(ends_[0])->get_json("context"), R"({"cents":1200,"receipt":12})");
}

TEST_P(Children, AFailedChildIsToldWithItsError) {
  charge_ = charge(make_task_function(fails));
  order_ = order();
  open();
  EXPECT_EQ(run_order().state, PipelineState::Completed) << "what follows is the parent's to decide";
  ASSERT_EQ(ends_.size(), 1U);
  EXPECT_EQ(field(ends_[0], "state"), "Failed");
  EXPECT_EQ(field(ends_[0], "error"), "1 task(s) failed, 0 completed, 0 skipped; 'charge': no luck");
}

TEST_P(Children, ARetryOfTheirTaskFindsTheSameOne) {
  std::atomic<int> charged = 0;
  charge_ = charge(make_task_function([&](TaskContext&) { ++charged; }));
  order_ = order({}, {.max_attempts = 3, .initial = 0ns, .jitter = false});
  after_start_ = [](TaskContext& task) -> std::expected<void, TaskError> {
    if (task.attempt() < 3) return std::unexpected("again");
    return {};
  };
  open();
  EXPECT_EQ(run_order().state, PipelineState::Completed);
  EXPECT_EQ(ids_.size(), 1U);
  EXPECT_EQ(charged, 1);
  EXPECT_EQ(ends_.size(), 1U);
}

TEST_P(Children, AContextTooLargeToBeToldIsLeftOutWithTheReason) {
  charge_ = charge(make_task_function([](TaskContext& task) { task.set("text", std::string(70'000, 'x')); }));
  order_ = order();
  open();
  run_order();
  ASSERT_EQ(ends_.size(), 1U);
  EXPECT_EQ(field(ends_[0], "state"), "Completed");
  EXPECT_THAT(field(ends_[0], "error"), HasSubstr("bytes is left out"));
}

TEST_P(Children, ThatNoTaskDeclaresAreNotFound) {
  std::string code;
  order_ =
      one_task([&](TaskContext& task) { code = to_string(task.start_child("c", charge_).error().code); });
  open();
  run_order();
  EXPECT_EQ(code, "NotFound");
}

TEST_P(Children, ACancelOfTheParentCancelsThem) {
  charge_ = *Workflow::builder("charge").task("charge", nothing, {.signal = "never"}).build();
  order_ = order();
  open();
  PipelineHandle handle = submit();
  run_all();
  EXPECT_EQ(runner_->explain(handle, "ship")->text,
            "waits for the end of the child 'charge', " + *ids_.begin());
  ASSERT_TRUE(handle.cancel());
  run_all();
  EXPECT_EQ(handle.wait(kLong)->state, PipelineState::Cancelled);
  EXPECT_TRUE(runner_->wait_idle(kLong)) << "the child has ended, too";
  EXPECT_EQ(runner_->signal(*Uuid::parse(*ids_.begin()), "never").error().code, ErrorCode::NotFound);
}

TEST_P(Children, TheParentsEndCancelsThoseThatHaveNotEnded) {
  for (const bool fail : {true, false}) {
    charge_ = *Workflow::builder("charge").task("charge", nothing, {.signal = "never"}).build();
    order_ = one_task(
        [&](TaskContext& task) -> std::expected<void, TaskError> {
          if (!task.start_child("c", charge_)) return std::unexpected("not begun");
          if (fail) return std::unexpected("no luck");
          return {};
        },
        {.retry = kOnce, .children = {"c"}});
    open();
    EXPECT_EQ(run_order().state, fail ? PipelineState::Failed : PipelineState::Completed);
    EXPECT_TRUE(runner_->wait_idle(kLong)) << "the child has ended, too";
    ASSERT_TRUE(runner_->stop(kLong));
    if (GetParam() != Durability::Memory) {
      EXPECT_EQ(states("::charge").back(), "Cancelled");
    }
    runner_.reset();
  }
}

TEST_P(Children, MayBeSignalledByTheirIdentifiers) {
  charge_ = *Workflow::builder("charge").task("charge", nothing, {.signal = "never"}).build();
  order_ = order();
  open();
  PipelineHandle handle = submit();
  run_all();
  // Whoever has its identifier alone tells it what ends it.
  ASSERT_TRUE(runner_->signal(*Uuid::parse(*ids_.begin()), "never"));
  run_all();
  EXPECT_EQ(handle.wait(kLong)->state, PipelineState::Completed);
  EXPECT_EQ(field(ends_.at(0), "state"), "Completed");
}

TEST_P(Children, AreNestedSoDeepAndNoDeeper) {
  // Each starts the next, which waits for it; the last one is told why there is none.
  std::vector<Workflow> levels;
  std::string refused;
  levels.push_back(charge_);
  for (std::uint32_t i = 0; i <= kChildDepthMax; ++i) {
    levels.push_back(
        *Workflow::builder("level" + std::to_string(i))
             .task("a",
                   [&refused, next = levels.back()](TaskContext& task) -> std::expected<void, TaskError> {
                     const auto begun = task.start_child("c", next);
                     if (begun) return {};
                     refused = begun.error().message;
                     return std::unexpected(refused);
                   },
                   {.retry = kOnce, .children = {"c"}})
             .task("b", nothing, {.after = {"a"}, .signal = "c"})
             .build());
  }
  order_ = levels.back();
  open();
  static_cast<void>(submit().wait(kLong));
  EXPECT_THAT(refused, HasSubstr("more than 16 pipelines above it"));
}

TEST_P(Children, TasksThatAreDoneAgainStartTheirChildrenAnew) {
  std::atomic<bool> fail = true;
  charge_ = charge([&](TaskContext&) -> std::expected<void, TaskError> {
    if (fail) return std::unexpected("no luck");
    return {};
  });
  order_ = *Workflow::builder("order")
                .task("pay",
                      [this](TaskContext& task) -> TryTask {
                        if (const auto begun = task.start_child("charge", charge_); !begun)
                          co_return std::unexpected(begun.error().message);
                        const auto end = co_await task.signal("charge");
                        ends_.push_back(field(*end, "state"));
                        if (ends_.back() != "Completed")
                          co_return std::unexpected("the child " + ends_.back());
                        co_return {};
                      },
                      {.retry = kOnce, .children = {"charge"}})
                .build();
  open();
  PipelineHandle handle = submit();
  EXPECT_EQ(handle.wait(kLong)->state, PipelineState::Failed);
  fail = false;
  const auto again = runner_->retry_failed(handle);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->wait(kLong)->state, PipelineState::Completed);
  EXPECT_THAT(ends_, ElementsAre("Failed", "Completed"));
}

INSTANTIATE_TEST_SUITE_P(Levels, Children,
                         testing::Values(Durability::Memory, Durability::Process, Durability::Disk),
                         [](const auto& level) { return std::string(to_string(level.param)); });

/// Families of many on threads, with failures, retries and cancels at random: nobody is left.
TEST(ManyChildren, EachEndsAndIsToldOnce) {
  std::mt19937_64 random = seeded_generator();
  constexpr int kOrders = 100;
  constexpr int kEach = 4;
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<int> told = 0;
  const Workflow child = one_task([](TaskContext& task) -> std::expected<void, TaskError> {
    if (task.get<std::int64_t>("n").value_or(0) % 3 == 0) return std::unexpected("no luck");
    return {};
  });
  std::vector<std::string> names;
  for (int i = 0; i < kEach; ++i) names.push_back("c" + std::to_string(i));
  const Workflow parent = one_task(
      [&](TaskContext& task) -> TryTask {
        for (int i = 0; i < kEach; ++i) {
          const auto begun = task.start_child(names[i], child, R"({"n":)" + std::to_string(i) + "}");
          if (!begun) co_return std::unexpected(begun.error().message);
        }
        if (task.attempt() == 1) co_return std::unexpected("once more");
        for (int i = 0; i < kEach; ++i) {
          const auto end = co_await task.signal(names[i]);
          if (!end) co_return std::unexpected(end.error().message);
          EXPECT_EQ(field(*end, "state"), i % 3 == 0 ? "Failed" : "Completed");
          ++told;
        }
        co_return {};
      },
      {.retry = {.max_attempts = 2, .initial = 0ns}, .children = names});
  int completed = 0;
  {
    Runner runner = make_started_runner(medium);
    std::vector<PipelineHandle> handles;
    for (int i = 0; i < kOrders; ++i) {
      const Durability level = random() % 2 == 0 ? Durability::Process : Durability::Disk;
      handles.push_back(*runner.submit_async(parent, {.durability = level}));
      if (random() % 4 == 0) static_cast<void>(handles[random() % handles.size()].cancel());  // may have ended
    }
    for (const PipelineHandle& handle : handles)
      completed += handle.wait(kLong)->state == PipelineState::Completed ? 1 : 0;
    ASSERT_TRUE(runner.wait_idle(kLong));
    ASSERT_TRUE(runner.stop(kLong));
  }
  EXPECT_GE(told, completed * kEach);
  const Seen seen = behaviours::read(medium);
  std::set<std::pair<Uuid, std::string>> children;
  for (const auto& [number, pipeline] : seen.image.pipelines()) {
    EXPECT_TRUE(is_terminal(pipeline.state));
    const ParentImage& of = pipeline.traits->parent;
    if (!of.empty()) {
      EXPECT_TRUE(children.emplace(of.pipeline, of.name).second) << "a second one";
    } else if (pipeline.state == PipelineState::Completed) {
      EXPECT_EQ(pipeline.traits->signals.size(), kEach);
    }
  }
  EXPECT_GE(children.size(), static_cast<std::size_t>(completed * kEach));
}

TEST(ChildrenOfAWorkflow, AreItsVersionAndLimited) {
  const auto built = [](std::vector<std::string> children) {
    return Workflow::builder("w").task("a", nothing, {.children = std::move(children)}).build();
  };
  EXPECT_NE(built({})->version(), built({"c"})->version());
  EXPECT_NE(built({"c"})->version(), built({"d"})->version());
  EXPECT_EQ(built({""}).error().code, WorkflowErrorCode::InvalidOption);
  std::vector<std::string> many;
  for (std::size_t i = 0; i <= kWorkflowChildrenMax; ++i) many.push_back("c" + std::to_string(i));
  EXPECT_EQ(built(many).error().code, WorkflowErrorCode::LimitExceeded);
}

}  // namespace
}  // namespace leat::behaviours
