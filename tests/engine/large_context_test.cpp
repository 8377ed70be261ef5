// Contexts that lie apart, as tasks meet them: after a crash too they are what they were, and they are in
// memory only where a task has asked for one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "behaviours.h"
#include "eventually.h"
#include "heap_bytes.h"
#include "leat/store_recovery.h"
#include "leat/wrapped_store.h"

namespace leat::behaviours {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::size_t kBytes = 100'000;

std::string large(char letter) {
  return std::string(kBytes, letter);
}
std::string large_json(char letter) {
  return R"({"text":")" + large(letter) + R"("})";
}

/// How many contexts the medium has apart.
std::size_t contexts_in(const MemoryMedium& medium) {
  std::size_t count = medium.contexts.size();
  for (const auto& commit : medium.commits) count += commit.contexts.size();
  return count;
}

/// Hands `text` on from task to task: what it saw is noted, the last task waits until the gate is open.
class LargeContext : public testing::Test {
 protected:
  void SetUp() override {
    auto built = Workflow::builder("w")
                     .task("a",
                           [this](TaskContext& context) {
                             seen_by_a_ = context.get<std::string>("text").value_or("none");
                             context.set("text", large('a'));
                           })
                     .task("b", nothing, {.after = {"a"}})
                     .task("c",
                           [this](TaskContext& context) {
                             ++waiting_;
                             waiting_.notify_all();
                             open_.wait(false);
                             if (looks_) seen_by_c_ = context.get<std::string>("text").value_or("none");
                           },
                           {.after = {"b"}, .retry = kOnce})
                     .build();
    ASSERT_TRUE(built) << built.error().message;
    workflow_ = std::make_unique<Workflow>(*built);
  }
  void let_go() {
    open_ = true;
    open_.notify_all();
  }
  /// What a process left that died while c ran.
  std::shared_ptr<MemoryMedium> crash() {
    const auto medium = std::make_shared<MemoryMedium>();
    auto first = std::make_unique<Runner>(make_started_runner(medium));
    auto handle = first->submit(*workflow_, {.context = large_json('i'), .durability = Durability::Process});
    EXPECT_TRUE(handle) << handle.error().message;
    waiting_.wait(0);
    auto left = crash_now(*first, *medium);
    let_go();
    first.reset();
    seen_by_a_ = seen_by_c_ = "";
    return left;
  }
  std::expected<PipelineResult, Error> carry_on(std::unique_ptr<StateStore> store) {
    auto runner = Runner::builder().state_store(std::move(store)).build();
    EXPECT_TRUE(runner) << runner.error().message;
    EXPECT_TRUE(runner->register_workflow(*workflow_));
    EXPECT_TRUE(runner->start());
    EXPECT_EQ(runner->resumed().size(), 1U);
    const PipelineHandle handle = runner->resumed()[0];
    auto result = handle.wait(kLong);
    EXPECT_TRUE(runner->stop(kLong));
    EXPECT_EQ(handle.wait(kLong).has_value(), result.has_value()) << "also when the Runner has stopped";
    return result;
  }

  std::unique_ptr<Workflow> workflow_;
  std::atomic<int> waiting_ = 0;
  std::atomic<bool> open_ = false;
  std::atomic<bool> looks_ = true;
  std::string seen_by_a_, seen_by_c_;
};

TEST_F(LargeContext, IsWhatItWasAfterACrash) {
  const auto result = carry_on(make_memory_store(crash()));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, PipelineState::Completed);
  EXPECT_EQ(seen_by_a_, "") << "it had ended";
  EXPECT_EQ(seen_by_c_, large('a'));
  EXPECT_EQ(result->context, large_json('a'));
}

TEST_F(LargeContext, OfAResultIsThereThoughNoTaskLooked) {
  looks_ = false;
  const auto result = carry_on(make_memory_store(crash()));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->context, large_json('a'));
}

TEST_F(LargeContext, HandedOnUnchangedIsWrittenOnce) {
  const auto medium = std::make_shared<MemoryMedium>();
  Runner runner = make_started_runner(medium);
  let_go();
  run(runner, *workflow_, large_json('i'));
  EXPECT_EQ(contexts_in(*crash_now(runner, *medium)), 2U) << "what it began with, and a's";
}

TEST_F(LargeContext, SavedAsItCameInIsWrittenOnce) {
  const auto medium = std::make_shared<MemoryMedium>();
  Runner runner = make_started_runner(medium);
  const auto same = [](TaskContext& context) { context.set("text", *context.get<std::string>("text")); };
  const auto workflow = Workflow::builder("v").task("a", same).task("b", same, {.after = {"a"}}).build();
  ASSERT_TRUE(workflow);
  EXPECT_EQ(run(runner, *workflow, large_json('i')).context, large_json('i'));
  EXPECT_EQ(contexts_in(*crash_now(runner, *medium)), 1U);
}

/// Reads of contexts fail.
class BlindStore final : public WrappedStore {
 public:
  using WrappedStore::WrappedStore;
  std::expected<std::string, StoreError> read_context(const ContextPlace& place) override {
    return std::unexpected(missing_context(place));
  }
};

TEST_F(LargeContext, ThatIsMissingFailsItsTaskAtOnce) {
  const auto result = carry_on(std::make_unique<BlindStore>(make_memory_store(crash())));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::Damaged);
  EXPECT_THAT(result.error().message, HasSubstr("the context of task 0 is missing"));
  EXPECT_EQ(seen_by_c_, "none");
}

/// Another text lies where one is looked for.
class WrongStore final : public WrappedStore {
 public:
  using WrappedStore::WrappedStore;
  std::expected<std::string, StoreError> read_context(const ContextPlace&) override {
    return large_json('?');
  }
};

TEST_F(LargeContext, ThatIsAnothersIsNotHandedOut) {
  const auto result = carry_on(std::make_unique<WrongStore>(make_memory_store(crash())));
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("is not the one that was saved"));
}

/// Two large contexts come together at m, which does not look; d does, or does not, once the gate is open.
class MergedContext : public LargeContext {
 protected:
  void SetUp() override {
    const auto saves = [](const char* key) {
      return [key](TaskContext& context) { context.set(key, large(*key)); };
    };
    auto built = Workflow::builder("w")
                     .task("a", saves("a"))
                     .task("b", saves("b"))
                     .task("m", nothing, {.after = {"a", "b"}})
                     .task("hold",
                           [this](TaskContext&) {
                             ++waiting_;
                             waiting_.notify_all();
                             open_.wait(false);
                           },
                           {.retry = kOnce})
                     .task("d",
                           [this](TaskContext& context) {
                             if (looks_) seen_by_c_ = context.get<std::string>("a").value_or("none");
                           },
                           {.after = {"m", "hold"}, .retry = kOnce})
                     .build();
    ASSERT_TRUE(built) << built.error().message;
    workflow_ = std::make_unique<Workflow>(*built);
  }
  /// What a process left that died when m had ended.
  std::shared_ptr<MemoryMedium> crash() {
    const auto medium = std::make_shared<MemoryMedium>();
    auto first = std::make_unique<Runner>(make_started_runner(medium));
    const auto handle = first->submit(*workflow_, {.durability = Durability::Process});
    EXPECT_TRUE(handle) << handle.error().message;
    EXPECT_TRUE(eventually([&] { return waiting_ > 0 && handle->task_states()[2] == TaskState::Completed; }));
    auto left = crash_now(*first, *medium);
    let_go();
    first.reset();
    seen_by_c_ = "";
    return left;
  }
};

TEST_F(MergedContext, IsWhatItWasAfterACrash) {
  ASSERT_TRUE(carry_on(make_memory_store(crash())));
  EXPECT_EQ(seen_by_c_, large('a'));
}

TEST_F(MergedContext, ThatIsLostFailsTheDependentsByName) {  // row 126
  const auto medium = crash();
  for (const bool looks : {true, false}) {
    looks_ = looks;
    const auto left = std::make_shared<MemoryMedium>(*medium);
    const auto result = carry_on(std::make_unique<BlindStore>(make_memory_store(left)));
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->state, PipelineState::Failed);
    EXPECT_NE(seen_by_c_, large('a'));
    const Seen seen = read(left);
    EXPECT_EQ(seen.only().tasks[4].state, TaskState::Failed) << "whether it looks or not";
    EXPECT_THAT(std::string(seen.only().tasks[4].error),
                AllOf(HasSubstr("the context of task 'm'"), HasSubstr("the context of task 0 is missing")));
  }
}

TEST(ContextLimit, HoldsForWhatIsMerged) {
  constexpr int kParts = 8;
  auto builder = Workflow::builder("w");
  std::vector<std::string> parts;
  for (int i = 0; i < kParts; ++i) {
    const std::string& name = parts.emplace_back(std::string("a").append(std::to_string(i)));
    builder.task(name, [name](TaskContext& context) { context.set(name, std::string(1'000'000, 'x')); });
  }
  bool ran = false;
  builder.task("m", nothing, {.after = parts, .retry = kOnce});
  builder.task("d", [&](TaskContext&) { ran = true; }, {.after = {"m"}});
  const auto workflow = builder.build();
  ASSERT_TRUE(workflow);
  const auto medium = std::make_shared<MemoryMedium>();
  Runner durable = make_started_runner(medium);
  EXPECT_EQ(run(durable, *workflow).state, PipelineState::Failed);
  EXPECT_FALSE(ran);
  ASSERT_TRUE(durable.stop(kLong));
  const Seen seen = read(medium);
  EXPECT_EQ(seen.only().tasks[kParts].state, TaskState::Failed);
  EXPECT_THAT(std::string(seen.only().tasks[kParts].error), HasSubstr("the limit is 1048576"));
}

TEST(ContextLimit, HoldsForWhatASignalBrings) {
  Runner runner = make_started_runner();
  const auto workflow =
      Workflow::builder("w")
          .task("a", [](TaskContext& context) { context.set("x", std::string(kContextBytesMax - 100, 'x')); })
          .task("b", nothing, {.after = {"a"}, .retry = kOnce, .signal = "go"})
          .build();
  ASSERT_TRUE(workflow) << workflow.error().message;
  auto handle = runner.submit(*workflow, {.durability = Durability::Process});
  ASSERT_TRUE(handle->signal("go", '"' + std::string(1000, 'y') + '"'));
  EXPECT_EQ(handle->wait(kLong)->state, PipelineState::Failed);
  EXPECT_EQ(handle->task_states()[1], TaskState::Failed);
}

TEST_F(LargeContext, IsTakenOverByWhatIsDoneAgain) {
  std::atomic<bool> broken = true;
  const auto workflow = Workflow::builder("v")
                            .task("a", [](TaskContext& context) { context.set("text", large('a')); })
                            .task("b",
                                  [&](TaskContext& context) -> std::expected<void, TaskError> {
                                    if (broken) return std::unexpected("no luck");
                                    seen_by_c_ = context.get<std::string>("text").value_or("none");
                                    return {};
                                  },
                                  {.after = {"a"}, .retry = kOnce})
                            .build();
  ASSERT_TRUE(workflow);
  const auto medium = std::make_shared<MemoryMedium>();
  {
    Runner runner = make_started_runner(medium);
    const auto failed =
        runner.submit(*workflow, {.context = large_json('i'), .durability = Durability::Process});
    ASSERT_TRUE(failed->wait(kLong));
    broken = false;
    const auto again = runner.retry_failed(*failed);
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_TRUE(again->wait(kLong));
    EXPECT_EQ(seen_by_c_, large('a'));
    ASSERT_TRUE(runner.stop(kLong));
  }
  EXPECT_EQ(contexts_in(*medium), 4U) << "each pipeline has its own, so that each goes with its own records";
  const auto image = read(medium);
  EXPECT_TRUE(image.image.pipelines().at(2).tasks[0].context.is_apart());
}

TEST_F(LargeContext, OfWhatWaitsIsNotInMemoryWhileAStoreIsOpened) {
  if (LEAT_WEIGHS_HEAP == 0) GTEST_SKIP() << "malloc belongs to the sanitizer, or is not glibc's";
  constexpr std::int64_t kPipelines = 2000;
  const auto workflow =
      Workflow::builder("v").task("only", [this](TaskContext&) { open_.wait(false); }).build();
  const auto medium = std::make_shared<MemoryMedium>();
  auto runner = std::make_unique<Runner>(make_started_runner(medium));
  const std::string context = R"({"text":")" + std::string(kContextInlineBytesMax, 'x') + R"("})";
  for (std::int64_t i = 0; i < kPipelines; ++i) {
    ASSERT_TRUE(runner->submit_async(*workflow, {.context = context, .durability = Durability::Process}));
  }
  const auto left = crash_now(*runner, *medium);
  let_go();
  runner.reset();
  const auto store = make_memory_store(left);
  const std::int64_t before = heap_bytes();
  const auto image = recover_unfinished(*store);
  const std::int64_t each = (heap_bytes() - before) / kPipelines;
  ASSERT_TRUE(image) << image.error().message;
  ASSERT_EQ(image->pipelines().size(), kPipelines);
  EXPECT_TRUE(image->pipelines().begin()->second.context.is_apart());
  EXPECT_LE(each, 200);
  EXPECT_GT(each, 100);
}

TEST_F(LargeContext, IsNotInTheRowsOfACheckpoint) {
  const auto medium = std::make_shared<MemoryMedium>();
  auto built = Runner::builder()
                   .state_store(make_memory_store(medium))
                   .retain_events({.age_ns = 0})
                   .checkpoint_after(1)
                   .build();
  ASSERT_TRUE(built);
  auto runner = std::make_unique<Runner>(std::move(*built));
  ASSERT_TRUE(runner->start());
  const auto handle =
      runner->submit(*workflow_, {.context = large_json('i'), .durability = Durability::Process});
  ASSERT_TRUE(handle) << handle.error().message;
  waiting_.wait(0);
  const auto journal_goes = [&] {
    const auto goes = Workflow::builder("v").task("only", nothing).build();
    for (int i = 0; i < 20; ++i) run(*runner, *goes);
  };
  journal_goes();
  const auto left = crash_now(*runner, *medium);
  let_go();
  runner.reset();
  EXPECT_FALSE(left->marks.empty() && left->commits.front().first_sequence == 1)
      << "the journal's beginning went";
  std::size_t slice_bytes = 0;
  for (const auto& commit : left->commits) slice_bytes = std::max(slice_bytes, commit.slice.size());
  EXPECT_GT(slice_bytes, 0U);
  EXPECT_LT(slice_bytes, kBytes);
  const auto result = carry_on(make_memory_store(left));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->context, large_json('a'));
}

}  // namespace
}  // namespace leat::behaviours
