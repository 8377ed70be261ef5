// Executors with a brake of their own, and tasks that heed nobody.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "behaviours.h"
#include "eventually.h"

namespace leat::behaviours {
namespace {

using testing::HasSubstr;

/// Has room for one task at a time, and notes who asks.
class OneAtATime final : public TaskExecutor {
 public:
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    EXPECT_EQ(++running_, 1);
    --running_;
    token.complete(ExecutionResult::success(event.task_execution_id));
    services().capacity_changed();
  }
  bool has_capacity() const override {
    char name[16] = {};
    pthread_getname_np(pthread_self(), name, sizeof name);
    std::lock_guard lock(mutex_);
    askers_.insert(name);
    return running_ == 0 && !shut;
  }
  std::set<std::string> askers() const {
    std::lock_guard lock(mutex_);
    return askers_;
  }
  void open() {
    shut = false;
    services().capacity_changed();
  }
  std::atomic<bool> shut = false;

 private:
  std::atomic<int> running_ = 0;
  mutable std::mutex mutex_;
  mutable std::set<std::string> askers_;
};

TEST(Brake, IsNeverAskedByTheCommitter) {
  const auto executor = std::make_shared<OneAtATime>();
  auto runner = Runner::builder()
                    .state_store(make_memory_store())
                    .register_executor("default", executor, {.max_concurrent = 1, .max_queued = 1})
                    .build();
  ASSERT_TRUE(runner->start());
  const auto workflow = Workflow::builder("w")
                            .task("a", nothing)
                            .task("b", nothing, {.after = {"a"}})
                            .task("c", nothing)
                            .build();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(runner->submit_async(*workflow));
  ASSERT_TRUE(runner->wait_idle(kLong));
  EXPECT_EQ(runner->metrics("default").total_executed, 300U);
  EXPECT_TRUE(executor->askers().contains("leat-defaul-0"));
  EXPECT_FALSE(executor->askers().contains("leat-committer"));
}

TEST(Brake, HoldsPipelinesUntilItIsReleased) {
  const auto executor = std::make_shared<OneAtATime>();
  executor->shut = true;
  auto runner = Runner::builder()
                    .state_store(make_memory_store())
                    .register_executor("default", executor, {.max_concurrent = 1})
                    .build();
  ASSERT_TRUE(runner->start());
  const auto handle = runner->submit(*Workflow::builder("w").task("a", nothing).build());
  ASSERT_TRUE(eventually([&] { return runner->metrics("default").parked_tasks == 1; }));
  EXPECT_EQ(runner->audit().front().slots_taken, 0U);
  executor->open();
  EXPECT_EQ(handle->wait(kLong)->state, PipelineState::Completed);
}

TEST(Stuck, IsSaidOfATaskThatIgnoresACancel) {
  std::mutex mutex;
  std::string said;
  std::atomic<bool> began = false, open = false, stuck = false;
  auto runner = Runner::builder()
                    .state_store(make_memory_store())
                    .stuck_warning(1ms)
                    .log_sink([&](Severity severity, std::string_view line) {
                      if (severity != Severity::Warning || stuck) return;
                      std::lock_guard lock(mutex);
                      said = line;
                      stuck = true;
                    })
                    .build();
  ASSERT_TRUE(runner->start());
  auto handle = runner->submit(*Workflow::builder("w")
                                    .task("deaf",
                                          [&](TaskContext&) {
                                            began = true;
                                            open.wait(false);
                                          })
                                    .build());
  ASSERT_TRUE(eventually([&] { return began.load(); }));
  ASSERT_TRUE(handle->cancel());
  ASSERT_TRUE(eventually([&] { return stuck.load(); }));
  EXPECT_THAT(said, HasSubstr("task 'public::embedded::w::deaf', attempt 1, begun"));
  EXPECT_THAT(said, HasSubstr("by thread 'leat-defaul-"));
  EXPECT_THAT(said, HasSubstr("is stuck: it does not heed the wish to end"));
  EXPECT_EQ(runner->metrics("default").stuck_tasks, 1U);
  open = true;
  open.notify_all();
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_EQ(runner->metrics("default").stuck_tasks, 0U);
}

TEST(Stuck, IsNotSaidOfATaskThatHeedsACancel) {
  std::atomic<bool> began = false;
  auto runner = Runner::builder().state_store(make_memory_store()).build();
  ASSERT_TRUE(runner->start());
  auto handle = runner->submit(*Workflow::builder("w")
                                    .task("heeds",
                                          [&](TaskContext& task) {
                                            began = true;
                                            while (!task.stop_requested()) std::this_thread::yield();
                                          })
                                    .build());
  ASSERT_TRUE(eventually([&] { return began.load(); }));
  ASSERT_TRUE(handle->cancel());
  ASSERT_TRUE(handle->wait(kLong));
  EXPECT_EQ(runner->metrics("default").stuck_tasks, 0U);
}

}  // namespace
}  // namespace leat::behaviours
