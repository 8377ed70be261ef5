// Tasks of a durable pipeline whose ends are not waited for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "behaviours.h"
#include "eventually.h"
#include "leat/wrapped_store.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Durability kAtMemory = Durability::Memory;

/// Its device does nothing while it is held.
class HeldStore final : public WrappedStore {
 public:
  HeldStore(std::unique_ptr<StateStore> store, std::atomic<bool>& held)
      : WrappedStore(std::move(store)), held_(held) {}
  std::expected<void, StoreError> append_rows(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    held_.wait(true);
    return WrappedStore::append_rows(first_sequence, end_sequence, commit, rows);
  }

 private:
  std::atomic<bool>& held_;
};

void let_go(std::atomic<bool>& held) {
  held = false;
  held.notify_all();
}

TEST(TaskDurability, AtMemoryDoesNotWaitForTheStore) {
  std::atomic<bool> held = false;
  std::atomic<int> ran = 0;
  auto runner = Runner::builder().state_store(std::make_unique<HeldStore>(make_memory_store(), held)).build();
  ASSERT_TRUE(runner->start());
  const auto workflow =
      Workflow::builder("w")
          .task("first", [&](TaskContext&) { held = true; }, {.durability = kAtMemory})
          .task("second", [&](TaskContext&) { ++ran; }, {.after = {"first"}, .durability = kAtMemory})
          .task("third", [&](TaskContext&) { ++ran; }, {.after = {"second"}, .durability = kAtMemory})
          .build();
  ASSERT_THAT(workflow->warnings(), IsEmpty());
  const auto handle = runner->submit(*workflow);
  ASSERT_TRUE(eventually([&] { return ran == 2; }));
  EXPECT_EQ(handle->wait(1ms).error().code, ErrorCode::Timeout);  // its end is waited for
  let_go(held);
  EXPECT_EQ(handle->wait(kLong)->state, PipelineState::Completed);
}

TEST(TaskDurability, OfThePipelineWaitsForTheStore) {
  std::atomic<bool> held = false, ran = false;
  auto runner = Runner::builder().state_store(std::make_unique<HeldStore>(make_memory_store(), held)).build();
  ASSERT_TRUE(runner->start());
  const auto workflow =
      Workflow::builder("w")
          .task("first", [&](TaskContext&) { held = true; })
          .task("second", [&](TaskContext&) { ran = true; }, {.after = {"first"}, .durability = kAtMemory})
          .build();
  const auto handle = runner->submit(*workflow);
  ASSERT_TRUE(eventually([&] { return handle->task_states()[0] == TaskState::Completed; }));
  EXPECT_FALSE(ran);
  let_go(held);
  EXPECT_TRUE(handle->wait(kLong));
  EXPECT_TRUE(ran);
}

TEST(TaskDurability, IsRaisedWhereADependentKeepsThePipelines) {
  const auto workflow = Workflow::builder("w")
                            .task("a", nothing, {.durability = kAtMemory})
                            .task("b", nothing, {.after = {"a"}, .durability = kAtMemory})
                            .task("c", nothing, {.after = {"b"}})
                            .task("leaf", nothing, {.after = {"a"}, .durability = kAtMemory})
                            .build();
  EXPECT_FALSE(workflow->tasks()[0].at_memory);
  EXPECT_FALSE(workflow->tasks()[1].at_memory);
  EXPECT_TRUE(workflow->tasks()[3].at_memory);
  EXPECT_THAT(
      workflow->warnings(),
      ElementsAre("task 'b' asks for durability memory, and 'c', which depends on it, does not: it has the "
                  "pipeline's",
                  "task 'a' asks for durability memory, and 'b', which depends on it, does not: it has the "
                  "pipeline's"));
}

TEST(TaskDurability, OtherThanMemoryIsRefused) {
  const auto refused = Workflow::builder("w").task("a", nothing, {.durability = Durability::Process}).build();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, WorkflowErrorCode::InvalidOption);
  EXPECT_EQ(refused.error().message,
            "task 'a': durability: process (accepted: memory; else it has the pipeline's)");
}

TEST(TaskDurability, DecidesTheVersion) {
  const auto with = Workflow::builder("w").task("a", nothing, {.durability = kAtMemory}).build();
  const auto without = Workflow::builder("w").task("a", nothing).build();
  EXPECT_NE(with->version(), without->version());
}

// Everything that had run is lost with the power, and runs again; what was acknowledged is there.
TEST(TaskDurability, AtMemoryLosesNothingButItsRuns) {
  std::atomic<bool> held = false;
  std::atomic<int> first = 0, second = 0;
  const auto medium = std::make_shared<MemoryMedium>();
  const auto workflow =
      Workflow::builder("w")
          .task("first",
                [&](TaskContext& task) {
                  task.set("n", ++first);
                  held = first == 1;
                },
                {.durability = kAtMemory})
          .task("second", [&](TaskContext&) { ++second; }, {.after = {"first"}, .durability = kAtMemory})
          .build();
  auto dies =
      Runner::builder().state_store(std::make_unique<HeldStore>(make_memory_store(medium), held)).build();
  ASSERT_TRUE(dies->start());
  ASSERT_TRUE(dies->submit(*workflow));
  ASSERT_TRUE(eventually([&] { return second == 1; }));
  auto left = std::make_shared<MemoryMedium>(*medium);  // nothing is being written: the store is held
  left->open = false;
  auto runner = Runner::builder().state_store(make_memory_store(left)).build();
  ASSERT_TRUE(runner->register_workflow(*workflow));
  ASSERT_TRUE(runner->start());
  const auto result = runner->resumed().at(0).wait(kLong);
  EXPECT_EQ(result->state, PipelineState::Completed);
  EXPECT_EQ(result->context, R"({"n":2})");
  EXPECT_EQ(second, 2);
  let_go(held);
}

}  // namespace
}  // namespace leat::behaviours
