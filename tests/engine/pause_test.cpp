// Pausing: a pipeline, an executor key, the namespaces that a pattern matches. "Row n" as in
// behaviours_scheduler_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "behaviours.h"
#include "eventually.h"
#include "leat/store_recovery.h"
#include "leat/wrapped_store.h"
#include "seed.h"

namespace leat::behaviours {
namespace {

/// Something that tasks wait for.
class Door {
 public:
  void wait() const { open_.wait(false); }
  void open() {
    open_ = true;
    open_.notify_all();
  }

 private:
  std::atomic<bool> open_ = false;
};

std::unique_ptr<StoreImage> image_of(const std::shared_ptr<MemoryMedium>& medium) {
  auto image = recover_unfinished(*make_memory_store(medium));
  EXPECT_TRUE(image) << image.error().message;
  return std::make_unique<StoreImage>(std::move(*image));
}

class Pausing : public testing::TestWithParam<Durability> {};

TEST_P(Pausing, LetsRunningTasksEndAndBeginsNothing) {  // rows 175, 176, 179
  Door door;
  std::atomic<int> begun = 0;
  const auto workflow = Workflow::builder("w")
                            .task("running",
                                  [&](TaskContext&) {
                                    ++begun;
                                    door.wait();
                                  })
                            .task("after", [&](TaskContext&) { ++begun; }, {.after = {"running"}})
                            .build();
  Runner runner = make_started_runner();
  auto handle = runner.submit(*workflow, {.durability = GetParam()});
  ASSERT_TRUE(handle);
  ASSERT_TRUE(eventually([&] { return begun == 1; }));
  ASSERT_TRUE(handle->pause("a look at the data"));
  EXPECT_EQ(handle->state(), PipelineState::Paused);
  door.open();
  ASSERT_TRUE(eventually([&] { return handle->task_states()[1] == TaskState::Ready; }));
  EXPECT_EQ(handle->wait(20ms).error().code, ErrorCode::Timeout);
  EXPECT_EQ(begun, 1);
  ASSERT_TRUE(handle->resume());
  const auto result = handle->wait(kLong);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->state, PipelineState::Completed);
  EXPECT_EQ(begun, 2);
}

TEST_P(Pausing, KeepsQueuedTasksFromBeginning) {  // row 179
  Door door;
  std::atomic<int> begun = 0;
  const auto blocker = Workflow::builder("b").task("t", [&](TaskContext&) { door.wait(); }).build();
  auto builder = Workflow::builder("w");
  for (int i = 0; i < 20; ++i) builder.task("t" + std::to_string(i), [&](TaskContext&) { ++begun; });
  const auto workflow = builder.build();
  auto runner = Runner::builder()
                    .state_store(make_memory_store())
                    .default_limits({.max_concurrent = 1, .max_queued = 5})
                    .build();
  ASSERT_TRUE(runner->start());
  auto blocking = runner->submit(*blocker, {.durability = GetParam()});
  auto handle = runner->submit(*workflow, {.durability = GetParam()});
  ASSERT_TRUE(handle->pause());
  door.open();
  ASSERT_TRUE(blocking->wait(kLong));
  ASSERT_TRUE(eventually([&] {  // each has been met by the worker, and let go
    return runner->metrics("default").queued_tasks + runner->metrics("default").parked_tasks == 0;
  }));
  EXPECT_EQ(begun, 0);
  EXPECT_EQ(handle->state(), PipelineState::Paused);
  ASSERT_TRUE(handle->resume());
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_EQ(begun, 20);
}

TEST_P(Pausing, ThatEndsBeforeTheQueueIsReachedLosesAndDoublesNothing) {
  auto random = seeded_generator();
  std::atomic<int> begun = 0;
  auto builder = Workflow::builder("w");
  for (int i = 0; i < 30; ++i) {
    TaskOptions options;
    if (i >= 10) options.after = {"t" + std::to_string(i - 10)};
    builder.task("t" + std::to_string(i), [&](TaskContext&) { ++begun; }, options);
  }
  const auto workflow = builder.build();
  Runner runner = make_started_runner();
  for (int round = 0; round < 20; ++round) {
    begun = 0;
    auto handle = runner.submit_async(*workflow, {.durability = GetParam()});
    ASSERT_TRUE(handle);
    for (int i = 0; i < 5; ++i) {
      if (!handle->pause()) break;  // it has ended
      for (std::uint32_t n = pick(random, 200); n > 0; --n) std::this_thread::yield();
      ASSERT_TRUE(handle->resume() || handle->state() == PipelineState::Completed);
    }
    const auto result = handle->wait(kLong);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->completed, 30U);
    EXPECT_EQ(begun, 30);
  }
  ASSERT_TRUE(runner.wait_idle(kLong));
  for (const SlotAudit& audit : runner.audit()) EXPECT_TRUE(audit.balanced());
}

TEST_P(Pausing, IsEndedByACancel) {
  Door door;
  std::atomic<int> begun = 0;
  const auto workflow = Workflow::builder("w")
                            .task("a",
                                  [&](TaskContext&) {
                                    ++begun;
                                    door.wait();
                                  })
                            .task("b", [&](TaskContext&) { ++begun; }, {.after = {"a"}})
                            .build();
  Runner runner = make_started_runner();
  auto handle = runner.submit(*workflow, {.durability = GetParam()});
  ASSERT_TRUE(eventually([&] { return begun == 1; }));
  ASSERT_TRUE(handle->pause());
  door.open();
  ASSERT_TRUE(eventually([&] { return handle->task_states()[1] == TaskState::Ready; }));
  ASSERT_TRUE(handle->cancel());
  const auto result = handle->wait(kLong);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->state, PipelineState::Cancelled);
  EXPECT_EQ(begun, 1);
  ASSERT_TRUE(runner.wait_idle(kLong));
}

INSTANTIATE_TEST_SUITE_P(Levels, Pausing, testing::Values(Durability::Memory, Durability::Process),
                         [](const auto& level) {
                           return level.param == Durability::Memory ? "Memory" : "Process";
                         });

TEST(PausingAPipeline, IsRefusedOnceItHasEnded) {  // row 177
  Runner runner = make_started_runner();
  const auto workflow = Workflow::builder("w").task("a", nothing).build();
  auto handle = runner.submit(*workflow);
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_EQ(handle->pause().error().code, ErrorCode::InvalidState);
  EXPECT_EQ(handle->resume().error().code, ErrorCode::InvalidState);
}

TEST(PausingAPipeline, CanOnlyBeUndoneWhereItIsPaused) {  // row 178
  Door door;
  Runner runner = make_started_runner();
  const auto workflow = Workflow::builder("w").task("a", [&](TaskContext&) { door.wait(); }).build();
  auto handle = runner.submit(*workflow);
  EXPECT_EQ(handle->resume().error().code, ErrorCode::InvalidState);
  ASSERT_TRUE(handle->pause());
  EXPECT_TRUE(handle->pause());  // changes nothing
  ASSERT_TRUE(handle->resume());
  EXPECT_EQ(handle->resume().error().code, ErrorCode::InvalidState);
  door.open();
  ASSERT_TRUE(handle->wait(kLong));
}

TEST(PausingAPipeline, OutlivesTheProcess) {  // row 175
  Door door;
  std::atomic<int> begun = 0;
  const auto workflow = Workflow::builder("w")
                            .task("a",
                                  [&](TaskContext&) {
                                    ++begun;
                                    door.wait();
                                  })
                            .task("b", [&](TaskContext&) { ++begun; }, {.after = {"a"}})
                            .build();
  const auto medium = std::make_shared<MemoryMedium>();
  auto first = std::make_unique<Runner>(make_started_runner(medium));
  auto handle = first->submit(*workflow);
  ASSERT_TRUE(eventually([&] { return begun == 1; }));
  ASSERT_TRUE(handle->pause("disk is full"));
  const auto left = crash_now(*first, *medium);
  door.open();
  first.reset();
  const auto image = image_of(left);
  ASSERT_EQ(image->pipelines().size(), 1U);
  EXPECT_EQ(image->pipelines().begin()->second.state, PipelineState::Paused);
  ASSERT_EQ(image->pauses().size(), 1U);
  EXPECT_EQ(image->pauses().begin()->first.first, PauseScope::Pipeline);
  EXPECT_EQ(image->pauses().begin()->second.reason, "disk is full");
  EXPECT_NE(image->pauses().begin()->second.since_ns, 0);
  begun = 0;
  Runner second = make_runner(left);
  ASSERT_TRUE(second.register_workflow(*workflow));
  ASSERT_TRUE(second.start());
  ASSERT_EQ(second.resumed().size(), 1U);
  PipelineHandle again = second.resumed().front();
  EXPECT_EQ(again.state(), PipelineState::Paused);
  EXPECT_EQ(again.wait(20ms).error().code, ErrorCode::Timeout);
  EXPECT_EQ(begun, 0);
  ASSERT_TRUE(again.resume());
  const auto result = again.wait(kLong);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->state, PipelineState::Completed);
  EXPECT_EQ(begun, 2);
}

TEST(PausingAKey, BeginsNothingOfItWhileOthersGoOn) {
  std::atomic<int> a = 0, b = 0;
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .register_executor("a", std::make_shared<ThreadTaskExecutor>(), {.max_concurrent = 2})
                    .register_executor("b", std::make_shared<ThreadTaskExecutor>(), {.max_concurrent = 2})
                    .build();
  const auto workflow = Workflow::builder("w")
                            .task("a", [&](TaskContext&) { ++a; }, {.executor = "a"})
                            .task("b", [&](TaskContext&) { ++b; }, {.executor = "b"})
                            .build();
  ASSERT_TRUE(runner->start());
  ASSERT_TRUE(runner->pause_executor("a", "upgrade"));
  auto handle = runner->submit(*workflow);
  ASSERT_TRUE(handle);
  ASSERT_TRUE(eventually([&] { return b == 1; }));
  EXPECT_EQ(handle->wait(20ms).error().code, ErrorCode::Timeout);
  EXPECT_EQ(a, 0);
  ASSERT_EQ(runner->pauses().size(), 1U);
  EXPECT_EQ(runner->pauses()[0].reason, "upgrade");
  ASSERT_TRUE(runner->resume_executor("a"));
  EXPECT_EQ(runner->resume_executor("a").error().code, ErrorCode::InvalidState);
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_EQ(a, 1);
}

TEST(PausingNamespaces, LeavesOthersOfTheSameKeyAlone) {
  std::atomic<int> paused = 0, others = 0;
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .default_limits({.max_concurrent = 1, .max_queued = 2})
                    .build();
  const auto held = runner->register_task("acme::p::w::t", [&](TaskContext&) { ++paused; });
  const auto free = runner->register_task("zeta::p::w::t", [&](TaskContext&) { ++others; });
  ASSERT_TRUE(runner->start());
  ASSERT_TRUE(runner->pause_namespaces("acme::**"));
  const auto workflow =
      Workflow::builder("w").tenant("acme").task("t", [&](TaskContext&) { ++paused; }).build();
  std::vector<PipelineHandle> handles;
  const auto dispatched_held = [&] {
    return runner->dispatcher().dispatch(runner->make_event(*held), kMemory).has_value();
  };
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(eventually(dispatched_held));
  for (int i = 0; i < 10; ++i) {  // more than the lane has slots
    handles.push_back(*runner->submit(*workflow, {.durability = Durability::Memory}));
  }
  const TaskReadyEvent event = runner->make_event(*free);
  ASSERT_TRUE(eventually([&] { return runner->dispatcher().dispatch(event, kMemory).has_value(); }));
  ASSERT_TRUE(eventually([&] { return others == 1; }));
  EXPECT_EQ(paused, 0);
  EXPECT_EQ(runner->wait_idle(20ms).error().code, ErrorCode::Timeout);
  ASSERT_TRUE(runner->pause_namespaces("acme::p::**"));  // holds the two alone
  ASSERT_TRUE(runner->resume_namespaces("acme::**"));
  for (const PipelineHandle& handle : handles) ASSERT_TRUE(handle.wait(kLong));
  EXPECT_EQ(paused, 10);
  ASSERT_TRUE(runner->resume_namespaces("acme::p::**"));
  ASSERT_TRUE(runner->wait_idle(kLong));
  EXPECT_EQ(paused, 12);
  EXPECT_TRUE(runner->audit()[0].balanced());
}

TEST(PausingNamespaces, RefusesWhatIsNoPattern) {
  Runner runner = make_started_runner();
  EXPECT_EQ(runner.pause_namespaces("a::::b").error().code, ErrorCode::InvalidArgument);
  EXPECT_TRUE(runner.pauses().empty());
}

/// Writes nothing once it is told so.
class FullStore final : public WrappedStore {
 public:
  FullStore(std::unique_ptr<StateStore> store, const std::atomic<bool>& full)
      : WrappedStore(std::move(store)), full_(full) {}
  std::expected<void, StoreError> append(std::uint64_t first, std::uint64_t end,
                                         std::span<const std::byte> commit) override {
    if (full_) return std::unexpected(StoreError{StoreErrorCode::Io, "no space"});
    return WrappedStore::append(first, end, commit);
  }

 private:
  const std::atomic<bool>& full_;
};

TEST(PausesOfAnOperator, SaidAgainAreAcknowledgedNoSoonerThanTheFirstTime) {
  std::atomic<bool> full = false;
  auto runner = Runner::builder().state_store(std::make_unique<FullStore>(make_memory_store(), full)).build();
  ASSERT_TRUE(runner->start());
  ASSERT_TRUE(runner->pause_executor("cpu"));
  EXPECT_TRUE(runner->pause_executor("cpu"));
  full = true;
  EXPECT_EQ(runner->pause_executor("gpu").error().code, ErrorCode::Storage);
  EXPECT_EQ(runner->pause_executor("gpu").error().code, ErrorCode::Storage);
}

TEST(PausesOfAnOperator, OutliveTheProcessAndTheCheckpoint) {
  const auto medium = std::make_shared<MemoryMedium>();
  {
    auto runner = Runner::builder()
                      .state_store(make_memory_store(medium))
                      .checkpoint_after(2000)
                      .retain_events({.age_ns = 0})
                      .build();
    ASSERT_TRUE(runner->start());
    ASSERT_TRUE(runner->pause_executor("gpu", "broken fan"));  // no executor has it yet
    ASSERT_TRUE(runner->pause_executor("cpu"));
    ASSERT_TRUE(runner->pause_namespaces("acme::**"));
    ASSERT_TRUE(runner->resume_executor("cpu"));
    run_until_checkpoint(*runner, *medium);
    ASSERT_TRUE(runner->stop(kLong));
  }
  std::atomic<int> ran = 0;
  auto runner = Runner::builder()
                    .state_store(make_memory_store(medium))
                    .register_executor("gpu", std::make_shared<ThreadTaskExecutor>(), {.max_concurrent = 1})
                    .build();
  ASSERT_EQ(runner->pauses().size(), 2U);
  EXPECT_EQ(runner->pauses()[0].what, "gpu");
  EXPECT_EQ(runner->pauses()[0].reason, "broken fan");
  EXPECT_EQ(runner->pauses()[1].what, "acme::**");
  ASSERT_TRUE(runner->start());
  const auto on_gpu =
      Workflow::builder("x").task("a", [&](TaskContext&) { ++ran; }, {.executor = "gpu"}).build();
  const auto of_acme = Workflow::builder("x").tenant("acme").task("a", [&](TaskContext&) { ++ran; }).build();
  auto first = runner->submit(*on_gpu), second = runner->submit(*of_acme);
  EXPECT_EQ(first->wait(20ms).error().code, ErrorCode::Timeout);
  EXPECT_EQ(ran, 0);
  ASSERT_TRUE(runner->resume_executor("gpu"));
  ASSERT_TRUE(runner->resume_namespaces("acme::**"));
  ASSERT_TRUE(first->wait(kLong));
  ASSERT_TRUE(second->wait(kLong));
}

}  // namespace
}  // namespace leat::behaviours
