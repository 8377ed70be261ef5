// Tasks that may have killed their process: they run alone, each behind the end of the one before.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"
#include "leat/wrapped_store.h"

namespace leat {
namespace {

constexpr std::chrono::seconds kLong(30);

/// Refuses everything once it is dead; has somebody called before each commit.
class WatchedStore final : public WrappedStore {
 public:
  WatchedStore(std::shared_ptr<MemoryMedium> medium, std::shared_ptr<std::atomic<bool>> dead,
               std::function<void()> before_commit)
      : WrappedStore(make_memory_store(std::move(medium))),
        dead_(std::move(dead)),
        before_commit_(std::move(before_commit)) {}
  std::expected<void, StoreError> append_rows(std::uint64_t first_sequence, std::uint64_t end_sequence,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    if (before_commit_) before_commit_();
    if (*dead_) return gone();
    return WrappedStore::append_rows(first_sequence, end_sequence, commit, rows);
  }
  std::expected<void, StoreError> sync() override { return *dead_ ? gone() : WrappedStore::sync(); }
  std::expected<void, StoreError> close() override { return *dead_ ? gone() : WrappedStore::close(); }

 private:
  static std::unexpected<StoreError> gone() {
    return std::unexpected(StoreError{StoreErrorCode::Io, "the device is gone"});
  }
  const std::shared_ptr<std::atomic<bool>> dead_;
  const std::function<void()> before_commit_;
};

/// What the tasks "a" and "b" do in this life: note that they began, and hang in those lives that end in a
/// crash.
struct Life {
  std::atomic<bool> hangs = true;
  std::mutex mutex;
  std::vector<std::string> begun;

  void run(const std::string& task) {
    {
      const std::lock_guard lock(mutex);
      begun.push_back(task);
    }
    hangs.wait(true);
  }
  std::vector<std::string> begun_so_far() {
    const std::lock_guard lock(mutex);
    return begun;
  }
};

/// Over lives on one thread, the caller's, of which two end while a task runs.
class Suspected : public testing::Test {
 protected:
  /// A life that begins with what the one before left, and hangs or not.
  void open(const Workflow& workflow, ExecutorLimits limits = {}) {
    if (runner_) {
      ASSERT_TRUE(runner_->flush());
      const auto left = medium_->after_kill();
      ASSERT_TRUE(runner_->stop(std::chrono::nanoseconds(0)));
      medium_ = left;
    }
    auto runner = Runner::builder()
                      .state_store(make_memory_store(medium_))
                      .lent_threads()
                      .default_limits(limits)
                      .log_sink([](Severity, std::string_view) {})
                      .build();
    ASSERT_TRUE(runner) << runner.error().message;
    runner_ = std::make_unique<Runner>(std::move(*runner));
    ASSERT_TRUE(runner_->register_workflow(workflow));
    other_ = *runner_->register_task("t::p::w::other", [](TaskContext&) {});
    ASSERT_TRUE(runner_->start());
  }
  void run_all() {
    while (runner_->run_some(16).value_or(0) > 0) {
    }
  }

  std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  std::unique_ptr<Runner> runner_;
  Namespace other_;
  bool hangs_ = true;
};

TEST_F(Suspected, FindsASlotWhateverWaitsForItsEnd) {
  const auto workflow = *Workflow::builder("w")
                             .task("a",
                                   [this](TaskContext&) -> Task {
                                     if (hangs_) co_await sleep_for(std::chrono::hours(1));
                                   })
                             .build();
  open(workflow, {.max_concurrent = 1});
  ASSERT_TRUE(runner_->submit(workflow));
  for (int life = 1; life <= 2; ++life) {
    run_all();
    open(workflow, {.max_concurrent = 1, .max_queued = 0});
  }
  hangs_ = false;
  const auto other =
      runner_->dispatcher().dispatch_async(runner_->make_event(other_), {.durability = Durability::Process});
  ASSERT_TRUE(other) << "it has the only slot";
  ASSERT_TRUE(runner_->run_until_idle(kLong));
  EXPECT_EQ(runner_->resumed().at(0).state(), PipelineState::Completed);
  EXPECT_EQ(other->state(), PipelineState::Completed);
}

TEST_F(Suspected, DoesNotHoldBackWhatItWaitsFor) {
  const auto child = *Workflow::builder("child").task("t", [](TaskContext&) {}).build();
  const auto workflow = *Workflow::builder("w")
                             .task("a",
                                   [&](TaskContext& task) -> TryTask {
                                     if (hangs_) co_await sleep_for(std::chrono::hours(1));
                                     if (!task.start_child("c", child)) co_return std::unexpected("no child");
                                     if (!co_await task.signal("c")) co_return std::unexpected("no end");
                                     co_return {};
                                   },
                                   {.children = {"c"}})
                             .build();
  open(workflow);
  ASSERT_TRUE(runner_->submit(workflow));
  for (int life = 1; life <= 2; ++life) {
    run_all();
    open(workflow);
  }
  hangs_ = false;
  run_all();
  EXPECT_EQ(runner_->resumed().at(0).state(), PipelineState::Completed);
}

TEST_F(Suspected, HoldsBackNothingAtLevelMemoryNorIsThatSaid) {
  const auto workflow =
      *Workflow::builder("w")
           .task("a", [](TaskContext&) -> Task { co_await sleep_for(std::chrono::hours(1)); })
           .build();
  open(workflow, {.max_concurrent = 1});
  ASSERT_TRUE(runner_->submit(workflow));
  for (int life = 1; life <= 2; ++life) {
    run_all();
    open(workflow, {.max_concurrent = 1});
  }
  run_all();
  const auto at_memory = runner_->submit(workflow, {.durability = Durability::Memory});
  const auto durable = runner_->submit_async(workflow, {.durability = Durability::Process});
  ASSERT_TRUE(at_memory && durable);
  run_all();
  EXPECT_EQ(runner_->explain(*at_memory, "a")->cause, TaskExplanation::Cause::Queued);
  EXPECT_EQ(runner_->explain(*durable, "a")->cause, TaskExplanation::Cause::Suspects);
}

TEST(Isolation, ASuspectBeginsBehindTheCommitOfTheOneBefore) {
  const auto medium = std::make_shared<MemoryMedium>();
  Life crashes;
  Life life;
  Life* now = &crashes;
  const auto workflow = Workflow::builder("w")
                            .task("a", [life = &now](TaskContext&) { (*life)->run("a"); })
                            .task("b", [life = &now](TaskContext&) { (*life)->run("b"); })
                            .build();
  std::vector<std::unique_ptr<Runner>> runners;
  const auto open = [&](std::shared_ptr<std::atomic<bool>> dead, int threads,
                        std::function<void()> before_commit) {
    auto runner =
        Runner::builder()
            .state_store(std::make_unique<WatchedStore>(medium, std::move(dead), std::move(before_commit)))
            .workers(threads)
            .build();
    EXPECT_TRUE(runner->register_workflow(*workflow));
    runners.push_back(std::make_unique<Runner>(std::move(*runner)));
    return runners.back().get();
  };
  for (std::size_t crash = 1; crash <= 2; ++crash) {
    const auto dead = std::make_shared<std::atomic<bool>>(false);
    Runner* const runner = open(dead, 2, {});
    ASSERT_TRUE(runner->start());
    if (crash == 1) {
      ASSERT_TRUE(runner->submit(*workflow));
    }
    ASSERT_TRUE(eventually([&] { return crashes.begun_so_far().size() == 2 * crash; }));
    ASSERT_TRUE(runner->flush());
    *dead = true;
    medium->cut_power();
  }
  // The third life has one thread. While the first suspect's end is on its way to the store, it gets to do
  // what waits for it, twice: the first time it comes back from that suspect, the second from all that this
  // has released.
  now = &life;
  life.hangs = false;
  Runner* runner = nullptr;
  std::vector<std::string> begun_meanwhile;
  runner = open(std::make_shared<std::atomic<bool>>(false), 1, [&] {
    if (life.begun_so_far().size() != 1 || !begun_meanwhile.empty()) return;
    for (int i = 0; i < 2; ++i) {
      const auto passer_by = Workflow::builder("passer_by").task("t", [](TaskContext&) {}).build();
      EXPECT_TRUE(runner->submit(*passer_by, {.durability = Durability::Memory})->wait(kLong));
    }
    begun_meanwhile = life.begun_so_far();
  });
  ASSERT_TRUE(runner->start());
  ASSERT_EQ(runner->resumed().size(), 1U);
  EXPECT_EQ(runner->resumed()[0].wait(kLong)->state, PipelineState::Completed);
  EXPECT_EQ(begun_meanwhile.size(), 1U) << "the second suspect did not wait";
  EXPECT_EQ(life.begun_so_far().size(), 2U);
  crashes.hangs = false;
  crashes.hangs.notify_all();
}

}  // namespace
}  // namespace leat
