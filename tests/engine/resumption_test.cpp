// What goes on after it has waited without a thread, over a lane whose workers are the test's own threads;
// and the same in a crowd: whatever an attempt does while it waits in line, its record, its slot and its
// permit stay its own until both it and its callback are done.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "eventually.h"
#include "lane.h"
#include "leat/leat.h"
#include "leat/task.h"
#include "virtual_clock.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
constexpr auto kLong = 30s;

/// None of its own; rings where the test listens.
class NoWorkers final : public Workers {
 public:
  void notify() noexcept override {
    std::exchange(at_ring, [] {})();
  }
  void stop() noexcept override {}
  std::function<void()> at_ring = [] {};  ///< called once
};

/// Handles ends as a pipeline does: one at a time, those that come meanwhile by the thread that is at it.
class Owner final : public AttemptListener {
 public:
  bool begin(Attempt&) noexcept override { return true; }
  void end(Attempt& attempt) noexcept override {
    {
      const std::lock_guard lock(mutex_);
      inbox_.push_back(&attempt);
      if (owned_) return;
      owned_ = true;
    }
    drain();
  }
  void overdue(Attempt&) noexcept override { ++overdues; }
  void returned(Attempt& attempt) noexcept override { end(attempt); }
  std::expected<void, Error> refer(Attempt&, std::string_view) override { return {}; }
  TaskReadyEvent event_of(void*, std::uint32_t) const noexcept override { return {}; }

  /// The calling thread is at it while `call` runs, and then handles what has come.
  void own(const std::function<void()>& call) {
    {
      const std::lock_guard lock(mutex_);
      owned_ = true;
    }
    call();
    drain();
  }
  std::function<void()> after_end = [] {};  ///< called once, after the next end, by who handles it
  int overdues = 0;

 private:
  void drain() {
    for (std::unique_lock lock(mutex_);; lock.lock()) {
      if (inbox_.empty()) return static_cast<void>(owned_ = false);
      Attempt* const attempt = inbox_.front();
      inbox_.erase(inbox_.begin());
      lock.unlock();
      attempt->lane->count(*attempt, Lane::Outcome::Completed);
      attempt->settle();
      std::exchange(after_end, [] {})();
    }
  }

  std::mutex mutex_;
  std::vector<Attempt*> inbox_;
  bool owned_ = false;
};

/// Keeps a token for the test, when told to; ends every other attempt at once.
class KeepsFirst final : public TaskExecutor {
 public:
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    if (std::exchange(keeps_next, false)) return static_cast<void>(first = std::move(token));
    token.complete(ExecutionResult::success(event.task_execution_id));
  }
  void end_first() { first.complete(ExecutionResult::success({})); }
  CompletionToken first;
  bool keeps_next = false;
};

/// A lane with one permit and two workers.
class ResumptionTest : public testing::Test {
 protected:
  explicit ResumptionTest(std::uint32_t permits = 1)
      : lane_("k", executor_, {.max_concurrent = permits, .max_queued = 3}, 2, 0, clock_, owner_, gate_) {}
  void SetUp() override {
    lane_.set_workers(workers_);
    begin_first();
  }
  /// Begins an attempt whose token the test gets.
  void begin_first() {
    executor_->keeps_next = true;
    dispatch();
    ASSERT_EQ(work(0), 1U);
    ASSERT_TRUE(executor_->first);
  }
  void dispatch() {
    const TaskReadyEvent event;
    ASSERT_EQ(lane_.offer({&event, 1}), 1U);
  }
  std::size_t work(std::uint32_t worker) { return lane_.run_some(worker, 1); }
  /// Of the lane's one permit.
  Attempt& only_record() const {
    Attempt* only = nullptr;
    lane_.for_each_attempt([&](Attempt& attempt) { only = &attempt; });
    return *only;
  }
  /// The other worker does what there is to do, to its end.
  void work_elsewhere() {
    std::jthread([this] { work(1); });
  }
  void expect_all_back(std::uint64_t executed) {
    EXPECT_EQ(lane_.executed(), executed);
    EXPECT_EQ(lane_.active(), 0U);
    EXPECT_EQ(lane_.in_flight(), 0U);
    EXPECT_EQ(lane_.deferred(), 0U);
    EXPECT_TRUE(lane_.quiet());
    EXPECT_TRUE(lane_.audit().balanced());
  }

  VirtualClock clock_;
  Owner owner_;
  NoWorkers workers_;
  PauseGate gate_{owner_};
  const std::shared_ptr<KeepsFirst> executor_ = std::make_shared<KeepsFirst>();
  Lane lane_;
};

TEST_F(ResumptionTest, AnAttemptThatEndsWhereItGoesOnKeepsItsRecordUntilItsWorkerHasReturned) {
  executor_->first.take_again([this] { executor_->end_first(); });
  owner_.after_end = [this] {  // its worker is still at the ends when the next task would begin and end
    dispatch();
    work_elsewhere();
  };
  work(0);
  work(0);
  expect_all_back(2);
}

TEST_F(ResumptionTest, WhatIsCalledBackForAnEndedAttemptIsNoOtherAttempt) {
  executor_->first.take_again([this] {
    owner_.own([this] {
      dispatch();
      work_elsewhere();
    });
  });
  executor_->end_first();
  work(0);
  work(0);
  expect_all_back(2);
}

TEST_F(ResumptionTest, ALaneIsNotQuietWhileWhoPutsSomethingInLineIsStillInside) {
  for (const bool deferred : {false, true}) {
    if (deferred) {
      begin_first();
      ASSERT_TRUE(executor_->first.defer());
    }
    bool quiet = true;
    workers_.at_ring = [&] {  // it goes on, and ends, before take_again() has returned
      work_elsewhere();
      quiet = lane_.quiet();
    };
    executor_->first.take_again([this] { executor_->end_first(); });
    EXPECT_FALSE(quiet);
  }
}

TEST_F(ResumptionTest, ATimerOfAnEarlierUseOfItsRecordDoesNotEndTheNext) {
  Attempt& record = only_record();
  const std::uint32_t earlier = record.generation();
  executor_->end_first();
  begin_first();
  ASSERT_EQ(record.phase(), Attempt::Phase::Running);
  ASSERT_NE(record.generation(), earlier);
  record.on_timer(earlier);
  EXPECT_EQ(record.phase(), Attempt::Phase::Running);
  EXPECT_EQ(owner_.overdues, 0);
  executor_->end_first();
}

TEST_F(ResumptionTest, AStopOfAnEarlierUseOfItsRecordIsNoneOfTheNext) {
  Attempt& record = only_record();
  const std::uint32_t earlier = record.generation();
  executor_->end_first();
  begin_first();
  const std::stop_token stop = executor_->first.stop_token();
  record.request_stop(earlier);
  EXPECT_FALSE(stop.stop_requested());
  record.request_stop(record.generation());
  EXPECT_TRUE(stop.stop_requested());
  executor_->end_first();
}

/// The same with two permits.
class TwoPermits : public ResumptionTest {
 protected:
  TwoPermits() : ResumptionTest(2) {}
};

TEST_F(TwoPermits, ATokenThatTakesAgainTwiceHasOneSlotAndOnePermit) {
  int called = 0;
  ASSERT_TRUE(executor_->first.defer());
  executor_->first.take_again([&] { ++called; });
  executor_->first.take_again([&] { ++called; });
  EXPECT_EQ(lane_.returning(), 2U);
  EXPECT_EQ(work(0), 1U);
  EXPECT_EQ(work(0), 1U);
  EXPECT_EQ(called, 2);
  EXPECT_EQ(lane_.in_flight(), 1U);
  EXPECT_EQ(lane_.active(), 1U);
  executor_->end_first();
  expect_all_back(1);
}

TEST_F(ResumptionTest, ATokenThatEndsInLineLeavesIt) {
  int called = 0;
  ASSERT_TRUE(executor_->first.defer());
  executor_->first.take_again([&] { ++called; });
  EXPECT_EQ(lane_.returning(), 1U);
  executor_->end_first();
  EXPECT_EQ(lane_.returning(), 0U);
  EXPECT_EQ(work(0), 0U);
  EXPECT_EQ(called, 0);
  expect_all_back(1);
}

/// Defers each attempt and takes its slot and permit again, while it ends on this or another thread.
class EndsInLine final : public TaskExecutor {
 public:
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    const std::uint32_t number = numbers_++;
    if (number % 3 != 0) token.defer();
    token.take_again([this] { ++called; });
    const auto end = [id = event.task_execution_id](CompletionToken owned, std::uint32_t rest) {
      for (std::atomic<std::uint32_t> spun = 0; spun < rest;) ++spun;
      owned.complete(ExecutionResult::success(id));
    };
    if (number % 4 != 0) return end(std::move(token), number % 512);
    const std::lock_guard lock(mutex_);
    enders_[number / 4 % enders_.size()] = std::jthread(end, std::move(token), number % 128);
  }
  bool brakes() const noexcept override { return false; }
  std::atomic<std::uint64_t> called = 0;

 private:
  std::atomic<std::uint32_t> numbers_ = 0;
  std::mutex mutex_;
  std::array<std::jthread, 4> enders_;
};

#if defined(__SANITIZE_THREAD__)
constexpr int kScale = 1;
#else
constexpr int kScale = 10;
#endif

void expect_nothing_lost(Runner& runner) {
  ASSERT_TRUE(runner.wait_idle(kLong));
  ASSERT_TRUE(eventually([&] { return runner.metrics("k").active_tasks == 0; }));
  EXPECT_EQ(runner.metrics("k").deferred_tasks, 0U);
  const SlotAudit audit = runner.audit().front();
  EXPECT_TRUE(audit.balanced());
  EXPECT_EQ(audit.slots_taken, 0U);
  EXPECT_TRUE(runner.stop(kLong));
}

TEST(ResumptionsInACrowd, LoseNothingWhereTokensEndInLine) {
  constexpr int kTasks = 2000 * kScale;
  const auto executor = std::make_shared<EndsInLine>();
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .register_executor("k", executor, {.max_concurrent = 3, .max_queued = 61})
                    .routing_config(RoutingConfig("k"))
                    .build();
  const Namespace task = *runner->register_task("t::p::w::task", [](TaskContext&) {});
  ASSERT_TRUE(runner->start());
  for (int i = 0; i < kTasks; ++i) {
    ASSERT_TRUE(eventually([&] {
      return runner->dispatcher()
          .dispatch(runner->make_event(task), {.durability = Durability::Memory})
          .has_value();
    })) << "the lane is stuck at task "
        << i;
  }
  expect_nothing_lost(*runner);
  EXPECT_EQ(runner->metrics("k").total_executed, kTasks);
}

TEST(ResumptionsInACrowd, LoseNothingWhereADeferredTaskIsJoinedWithASibling) {
  constexpr int kPipelinesEach = 200 * kScale;
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .register_executor("k", std::make_shared<ThreadTaskExecutor>(),
                                       {.max_concurrent = 3, .max_queued = 12})
                    .build();
  ASSERT_TRUE(runner->start());
  std::atomic<std::uint32_t> slept = 0;
  const auto nothing = [](TaskContext&) {};
  const auto sleeps = [&](TaskContext&) -> Task {
    co_await defer(sleep_for(std::chrono::microseconds(100 + slept++ % 500)));
  };
  const auto workflow = *Workflow::builder("w")
                             .task("a", nothing, {.executor = "k"})
                             .task("b", sleeps, {.after = {"a"}, .executor = "k"})
                             .task("c", nothing, {.after = {"a"}, .executor = "k"})
                             .task("d", nothing, {.after = {"b", "c"}, .executor = "k"})
                             .build();
  std::vector<std::jthread> submitters;
  for (int i = 0; i < 3; ++i) {
    submitters.emplace_back([&] {
      std::vector<PipelineHandle> few;  // so that the workers are never far behind, nor out of work for long
      for (int n = 0; n < kPipelinesEach; ++n) {
        few.push_back(*runner->submit_async(workflow));
        if (few.size() < 8) continue;
        ASSERT_TRUE(few.front().wait(kLong)) << "the lane is stuck at pipeline " << n;
        few.erase(few.begin());
      }
    });
  }
  submitters.clear();
  expect_nothing_lost(*runner);
}

}  // namespace
}  // namespace leat
