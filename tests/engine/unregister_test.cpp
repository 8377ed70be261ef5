// An executor that is taken away while the Runner works, and comes back; and the audit of slots and permits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

/// Keeps what it was given until it is asked to end it.
class Keeps final : public TaskExecutor {
 public:
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    const std::lock_guard lock(mutex_);
    tokens_.emplace_back(event.task_execution_id, std::move(token));
  }
  std::size_t kept() {
    const std::lock_guard lock(mutex_);
    return tokens_.size();
  }
  void end_all() {
    std::vector<std::pair<Uuid, CompletionToken>> tokens;
    {
      const std::lock_guard lock(mutex_);
      tokens.swap(tokens_);
    }
    for (auto& [task, token] : tokens) token.complete(ExecutionResult::success(task));
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<Uuid, CompletionToken>> tokens_;
};

class Unregister : public testing::Test {
 protected:
  static constexpr ExecutorLimits kLimits{.max_concurrent = 1, .max_queued = 2};

  void SetUp() override {
    auto built = Runner::builder()
                     .state_store(make_memory_store())
                     .register_executor("k", first_, kLimits)
                     .routing_config(RoutingConfig("k"))
                     .build();
    ASSERT_TRUE(built) << built.error().message;
    runner_.emplace(std::move(*built));
    task_ = *runner_->register_task("t::p::w::task", [](TaskContext&) {});
    ASSERT_TRUE(runner_->start());
  }
  void TearDown() override {
    first_->end_all();
    EXPECT_TRUE(runner_->stop(30s));
  }
  std::expected<void, DispatchError> dispatch() {
    return runner_->dispatcher().dispatch(runner_->make_event(task_), {.durability = Durability::Memory});
  }

  const std::shared_ptr<Keeps> first_ = std::make_shared<Keeps>();
  std::optional<Runner> runner_;
  Namespace task_;
};

TEST_F(Unregister, ADispatchToAKeyThatHasNoExecutorNowIsRefusedWithTheKey) {
  ASSERT_TRUE(runner_->unregister_executor("k"));
  const auto refused = dispatch();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, DispatchErrorCode::NoExecutor);
  EXPECT_EQ(refused.error().key, "k");
  EXPECT_THAT(runner_->executor_keys(), ElementsAre("default"));
}

TEST_F(Unregister, APipelinesTasksStayReadyAndParkedUntilTheKeyComesBack) {
  ASSERT_TRUE(runner_->unregister_executor("k"));
  const auto workflow = *Workflow::builder("w").task("a", [](TaskContext&) {}).build();
  const auto pipeline = runner_->submit(workflow);
  ASSERT_TRUE(pipeline) << pipeline.error().message;
  ASSERT_TRUE(eventually([&] { return runner_->metrics("k").parked_tasks == 1; }));
  EXPECT_THAT(pipeline->task_states(), ElementsAre(TaskState::Ready));
  ASSERT_TRUE(runner_->register_executor("k", std::make_shared<ThreadTaskExecutor>(), kLimits));
  const auto result = pipeline->wait(30s);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, PipelineState::Completed);
  EXPECT_EQ(first_->kept(), 0U) << "the one that was taken away got nothing";
}

TEST_F(Unregister, WhatRunsGoesOnAndWhatIsQueuedWaitsForTheNextExecutor) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(dispatch());
  ASSERT_TRUE(eventually([&] { return first_->kept() == 1; }));
  ASSERT_TRUE(runner_->unregister_executor("k"));
  first_->end_all();
  ASSERT_TRUE(eventually([&] { return runner_->metrics("k").total_executed == 1; }));
  EXPECT_EQ(runner_->metrics("k").queued_tasks, 2U);
  const auto second = std::make_shared<Keeps>();
  ASSERT_TRUE(runner_->register_executor("k", second, kLimits));
  ASSERT_TRUE(eventually([&] { return second->kept() == 1; }));
  second->end_all();
  ASSERT_TRUE(eventually([&] { return second->kept() == 1; }));
  second->end_all();
  ASSERT_TRUE(runner_->wait_idle(30s));
  EXPECT_EQ(runner_->metrics("k").total_executed, 3U);
  EXPECT_EQ(first_->kept(), 0U);
}

TEST_F(Unregister, OtherLimitsAnUnknownKeyAndAPresentKeyAreRefused) {
  EXPECT_EQ(runner_->unregister_executor("nobody").error().code, ErrorCode::NotFound);
  EXPECT_EQ(runner_->register_executor("k", first_, kLimits).error().code, ErrorCode::AlreadyExists);
  ASSERT_TRUE(runner_->unregister_executor("k"));
  EXPECT_EQ(runner_->unregister_executor("k").error().code, ErrorCode::NotFound);
  const auto refused = runner_->register_executor("k", first_, {.max_concurrent = 2, .max_queued = 2});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("accepted: 1 attempts at once, 2 queued"));
  EXPECT_TRUE(runner_->register_executor("k", first_, kLimits));
}

TEST_F(Unregister, AnotherIdlePolicyOrAgingIsRefusedWithTheOnesThatTheKeyHas) {
  ASSERT_TRUE(runner_->unregister_executor("k"));
  ExecutorLimits idle = kLimits, aging = kLimits;
  idle.idle = IdlePolicy::Park;
  aging.aging = 2s;
  for (const ExecutorLimits& other : {idle, aging}) {
    const auto refused = runner_->register_executor("k", first_, other);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::InvalidArgument);
    EXPECT_THAT(refused.error().message, HasSubstr("an aging of 1000000000 ns, IdlePolicy::SpinThenPark"));
  }
  EXPECT_TRUE(runner_->register_executor("k", first_, kLimits));
}

TEST_F(Unregister, TheAuditNamesWhoHoldsAPermitAndBalancesOnceItIsBack) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(dispatch());
  ASSERT_TRUE(eventually([&] { return first_->kept() == 1 && runner_->metrics("k").queued_tasks == 1; }));
  SlotAudit audit = runner_->audit().at(1);
  EXPECT_EQ(audit.key, "k");
  EXPECT_TRUE(audit.balanced()) << audit.slots_taken << " " << audit.slots_found;
  EXPECT_EQ(audit.slots_taken, 2U);
  EXPECT_EQ(audit.permits_taken, 1U);
  EXPECT_THAT(audit.holders, ElementsAre(HasSubstr("task 't::p::w::task', attempt 1, begun ")));
  first_->end_all();
  ASSERT_TRUE(eventually([&] { return first_->kept() == 1; }));
  first_->end_all();
  ASSERT_TRUE(runner_->wait_idle(30s));
  audit = runner_->audit().at(1);
  EXPECT_TRUE(audit.balanced());
  EXPECT_EQ(audit.slots_taken, 0U);
  EXPECT_TRUE(audit.holders.empty());
}

}  // namespace
}  // namespace leat
