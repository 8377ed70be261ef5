// What a Runner remembers: pipelines carried on after a clean stop and after a crash, on every kind of store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
constexpr auto kLong = 30s;

/// A store that refuses everything from the moment when `alive` turns false, or from the n-th append on.
class MortalStore final : public StateStore {
 public:
  MortalStore(std::unique_ptr<StateStore> store, std::shared_ptr<std::atomic<bool>> alive, int appends)
      : store_(std::move(store)), alive_(std::move(alive)), appends_left_(appends) {}
  std::uint64_t epoch() const noexcept override { return store_->epoch(); }
  std::uint64_t next_sequence() const noexcept override { return store_->next_sequence(); }
  std::uint64_t journal_end() const noexcept override { return store_->journal_end(); }
  std::uint64_t journal_hash() const noexcept override { return store_->journal_hash(); }
  bool closed_cleanly() const noexcept override { return store_->closed_cleanly(); }
  std::expected<void, StoreError> replay(const Visitor& visit) override { return store_->replay(visit); }
  std::expected<void, StoreError> append(std::uint64_t first, std::uint64_t end,
                                         std::span<const std::byte> commit) override {
    if (!*alive_ || appends_left_-- <= 0) return gone();
    return store_->append(first, end, commit);
  }
  std::expected<void, StoreError> acknowledge(std::uint64_t end) override { return store_->acknowledge(end); }
  std::expected<void, StoreError> sync() override { return *alive_ ? store_->sync() : gone(); }
  std::expected<void, StoreError> close() override { return *alive_ ? store_->close() : gone(); }

 private:
  static std::unexpected<StoreError> gone() {
    return std::unexpected(StoreError{StoreErrorCode::Io, "the device is gone"});
  }
  std::unique_ptr<StateStore> store_;
  std::shared_ptr<std::atomic<bool>> alive_;
  int appends_left_;
};

class Directory {
 public:
  Directory() : path_(std::filesystem::temp_directory_path() / ("leat-recovery-" + make_id())) {}
  ~Directory() { std::filesystem::remove_all(path_); }
  std::string url() const { return "rocksdb://" + path_.string(); }

 private:
  static std::string make_id() { return std::to_string(make_system_rng()->next()); }
  std::filesystem::path path_;
};

/// Task "a" then "b"; both count their runs.
struct Chain {
  std::atomic<int> a{0}, b{0};
  std::atomic<bool> hold_b{false};
  Workflow workflow = *Workflow::builder("chain")
                           .task("a", [this](TaskContext& c) { ++a, c.set("from", "a"); })
                           .task("b",
                                 [this](TaskContext& c) {
                                   ++b;
                                   EXPECT_EQ(c.get<std::string>("from"), "a");
                                   while (hold_b && !c.stop_requested()) std::this_thread::yield();
                                 },
                                 {.after = {"a"}})
                           .build();
};

TEST(Recovery, AStoppedPipelineCarriesOnWhereItWasAndRunsNothingTwice) {
  Directory directory;
  Chain chain;
  {
    auto runner = Runner::builder().database_url(directory.url()).build();
    ASSERT_TRUE(runner) << runner.error().message;
    ASSERT_TRUE(runner->start());
    chain.hold_b = true;
    auto handle = runner->submit(chain.workflow, {.durability = Durability::Process});
    ASSERT_TRUE(handle) << handle.error().message;
    while (chain.b == 0) std::this_thread::yield();
    ASSERT_TRUE(runner->stop(1ms));  // b is interrupted
  }
  chain.hold_b = false;
  auto runner = Runner::builder().database_url(directory.url()).build();
  ASSERT_TRUE(runner) << runner.error().message;
  ASSERT_EQ(runner->unfinished().size(), 1U);
  EXPECT_EQ(runner->unfinished()[0].name, "public::embedded::chain");
  ASSERT_TRUE(runner->register_workflow(chain.workflow));
  ASSERT_TRUE(runner->start());
  ASSERT_EQ(runner->resumed().size(), 1U);
  const auto result = runner->resumed()[0].wait(kLong);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, PipelineState::Completed);
  EXPECT_EQ(result->context, R"({"from":"a"})");
  EXPECT_EQ(chain.a, 1);
  EXPECT_EQ(chain.b, 2);
}

TEST(Recovery, AFinishedPipelineIsNotCarriedOn) {
  Directory directory;
  Chain chain;
  for (int round = 0; round < 2; ++round) {
    auto runner = Runner::builder().database_url(directory.url()).build();
    ASSERT_TRUE(runner) << runner.error().message;
    ASSERT_TRUE(runner->register_workflow(chain.workflow));
    ASSERT_TRUE(runner->start());
    EXPECT_TRUE(runner->resumed().empty());
    const auto result = runner->submit(chain.workflow)->wait(kLong);
    ASSERT_TRUE(result);
    EXPECT_EQ(chain.a, round + 1);
  }
}

TEST(Recovery, ATaskThatWasRunningAtTheCrashIsRescuedThreeTimesThenAbandoned) {  // rows 163, 165, 174
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<int> runs{0};
  std::atomic<bool> release{false};
  const auto workflow = Workflow::builder("poison")
                            .task("kills",
                                  [&](TaskContext&) {
                                    ++runs;
                                    release.wait(false);
                                  })
                            .build();
  std::vector<std::unique_ptr<Runner>> crashed;
  const auto open = [&](const std::shared_ptr<std::atomic<bool>>& alive) {
    auto runner = Runner::builder()
                      .state_store(std::make_unique<MortalStore>(make_memory_store(medium), alive, 1'000'000))
                      .build();
    EXPECT_TRUE(runner->register_workflow(*workflow));
    EXPECT_TRUE(runner->start());
    return std::make_unique<Runner>(std::move(*runner));
  };
  for (int round = 1; round <= 4; ++round) {
    const auto alive = std::make_shared<std::atomic<bool>>(true);
    crashed.push_back(open(alive));
    if (round == 1) {
      ASSERT_TRUE(crashed.back()->submit(*workflow));
    }
    while (runs < round) std::this_thread::yield();
    ASSERT_TRUE(crashed.back()->flush());
    *alive = false;
    medium->cut_power();
  }
  const auto runner = open(std::make_shared<std::atomic<bool>>(true));
  ASSERT_EQ(runner->resumed().size(), 1U);
  const auto result = runner->resumed()[0].wait(kLong);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, PipelineState::Failed);
  EXPECT_EQ(runs, 4);
  release = true;
  release.notify_all();
}

TEST(Recovery, ADurableTaskDispatchedAloneRunsAfterARestart) {
  Directory directory;
  std::atomic<int> runs{0};
  std::atomic<bool> hold{true};
  const auto body = [&](TaskContext& context) {
    ++runs;
    while (hold && !context.stop_requested()) std::this_thread::yield();
  };
  {
    auto runner = Runner::builder().database_url(directory.url()).build();
    ASSERT_TRUE(runner) << runner.error().message;
    const Namespace task = *runner->register_task("public::embedded::mail::send", body);
    ASSERT_TRUE(runner->start());
    auto handle =
        runner->dispatcher().dispatch_async(runner->make_event(task), {.durability = Durability::Process});
    ASSERT_TRUE(handle);
    const auto ack = handle->acknowledged();
    ASSERT_TRUE(ack);
    EXPECT_EQ(ack->level, Durability::Process);
    EXPECT_GT(ack->sequence, 0U);
    while (runs == 0) std::this_thread::yield();
    ASSERT_TRUE(runner->stop(1ms));
  }
  hold = false;
  auto runner = Runner::builder().database_url(directory.url()).build();
  ASSERT_TRUE(runner);
  ASSERT_TRUE(runner->register_task("public::embedded::mail::send", body));
  ASSERT_TRUE(runner->start());
  ASSERT_EQ(runner->resumed().size(), 1U);
  ASSERT_TRUE(runner->resumed()[0].wait(kLong));
  EXPECT_EQ(runs, 2);
}

TEST(Recovery, AStoreWithAPipelineCancelledWhileATaskRanOpensAgain) {
  Directory directory;
  std::atomic<bool> began{false};
  const auto workflow = Workflow::builder("w")
                            .task("runs",
                                  [&](TaskContext& context) {
                                    began = true;
                                    began.notify_all();
                                    while (!context.stop_requested()) std::this_thread::yield();
                                  })
                            .task("never", [](TaskContext&) {}, {.after = {"runs"}})
                            .build();
  {
    auto runner = Runner::builder().database_url(directory.url()).build();
    ASSERT_TRUE(runner) << runner.error().message;
    ASSERT_TRUE(runner->start());
    auto handle = runner->submit(*workflow, {.durability = Durability::Process});
    ASSERT_TRUE(handle);
    began.wait(false);
    ASSERT_TRUE(handle->cancel());
    const auto result = handle->wait(kLong);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->state, PipelineState::Cancelled);
  }
  auto runner = Runner::builder().database_url(directory.url()).build();
  ASSERT_TRUE(runner) << runner.error().message;
  EXPECT_TRUE(runner->unfinished().empty());
}

TEST(Recovery, ACancelIsNotForgottenByACrash) {
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<int> runs{0};
  std::atomic<bool> release{false};
  const auto workflow = Workflow::builder("w")
                            .task("only",
                                  [&](TaskContext&) {
                                    ++runs;
                                    release.wait(false);
                                  })
                            .build();
  const auto alive = std::make_shared<std::atomic<bool>>(true);
  const auto open = [&](const std::shared_ptr<std::atomic<bool>>& living) {
    auto runner =
        Runner::builder()
            .state_store(std::make_unique<MortalStore>(make_memory_store(medium), living, 1'000'000))
            .build();
    EXPECT_TRUE(runner->register_workflow(*workflow));
    EXPECT_TRUE(runner->start());
    return std::make_unique<Runner>(std::move(*runner));
  };
  const auto crashed = open(alive);
  auto handle = crashed->submit(*workflow);
  while (runs < 1) std::this_thread::yield();
  ASSERT_TRUE(handle->cancel());
  ASSERT_TRUE(crashed->flush());
  *alive = false;
  medium->cut_power();
  const auto runner = open(std::make_shared<std::atomic<bool>>(true));
  ASSERT_EQ(runner->resumed().size(), 1U);
  const auto result = runner->resumed()[0].wait(kLong);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, PipelineState::Cancelled);
  EXPECT_EQ(runs, 1);
  release = true;
  release.notify_all();
}

/// A root whose own rule is false is skipped with the pipeline's creation, and what waits for it is decided
/// too.
TEST(Recovery, ARootThatIsSkippedAtOnceIsRemembered) {
  Directory directory;
  const auto workflow = Workflow::builder("w")
                            .task("go", [](TaskContext&) {})
                            .task("no", [](TaskContext&) {}, {.trigger = TriggerRule::any({})})
                            .task("after", [](TaskContext&) {}, {.after = {"no"}})
                            .build();
  for (int round = 0; round < 2; ++round) {
    auto runner = Runner::builder().database_url(directory.url()).build();
    ASSERT_TRUE(runner) << runner.error().message;
    EXPECT_TRUE(runner->unfinished().empty());
    ASSERT_TRUE(runner->start());
    const auto result = runner->submit(*workflow)->wait(kLong);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->state, PipelineState::Completed);
    EXPECT_EQ(result->completed, 1U);
    EXPECT_EQ(result->skipped, 2U);
  }
}

TEST(Recovery, ASecondRunnerOnTheSameStoreIsRefused) {
  Directory directory;
  auto first = Runner::builder().database_url(directory.url()).build();
  ASSERT_TRUE(first) << first.error().message;
  const auto second = Runner::builder().database_url(directory.url()).build();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::Locked);
}

TEST(Recovery, AfterAStoreFailureNothingIsAcknowledgedAndNobodyHangs) {  // rows 33, 59
  for (int appends = 0; appends < 6; ++appends) {
    SCOPED_TRACE(appends);
    Chain chain;
    const auto alive = std::make_shared<std::atomic<bool>>(true);
    auto runner = Runner::builder()
                      .state_store(std::make_unique<MortalStore>(make_memory_store(), alive, appends))
                      .build();
    ASSERT_TRUE(runner);
    ASSERT_TRUE(runner->start());
    auto handle = runner->submit_async(chain.workflow, {.durability = Durability::Process});
    if (!handle) continue;
    const auto result = handle->wait(kLong);
    if (result) {
      EXPECT_EQ(result->state, PipelineState::Completed);  // the failure came after the end
    } else {
      EXPECT_THAT(result.error().code, testing::AnyOf(ErrorCode::Storage, ErrorCode::Stopped));
      ASSERT_FALSE(runner->health());
      EXPECT_EQ(runner->health().error().message, "the device is gone");
    }
  }
}

/// A reader that ends early and says nothing, as RocksDB's does where file descriptors run out.
class ReadsInPart final : public WrappedStore {
 public:
  explicit ReadsInPart(const std::shared_ptr<MemoryMedium>& medium)
      : WrappedStore(make_memory_store(medium)), last_(medium->commits.back().first_sequence) {}

  std::expected<void, StoreError> replay_from(std::uint64_t sequence, const Visitor& visit) override {
    return store().replay_from(sequence, [&](std::uint64_t first, std::span<const std::byte> commit) {
      return first == last_ ? std::expected<void, StoreError>() : visit(first, commit);
    });
  }

 private:
  const std::uint64_t last_;
};

// Otherwise the numbers of forgotten pipelines are given out again, and the store cannot be read any more.
TEST(Recovery, AJournalThatIsReadOnlyInPartIsNotOpened) {
  const auto medium = std::make_shared<MemoryMedium>();
  {
    Chain chain;
    auto runner = Runner::builder().state_store(make_memory_store(medium)).build();
    ASSERT_TRUE(runner);
    ASSERT_TRUE(runner->start());
    ASSERT_TRUE(runner->submit(chain.workflow)->wait(kLong));
  }
  const auto again = Runner::builder().state_store(std::make_unique<ReadsInPart>(medium)).build();
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, testing::HasSubstr("the journal was read up to number"));
  EXPECT_TRUE(Runner::builder().state_store(make_memory_store(medium)).build());
}

}  // namespace
}  // namespace leat
