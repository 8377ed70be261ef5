// 64 producers, executors that come and go, rules that are swapped, tasks that throw, dispatch, hold on, and
// defer, and pipelines that are cancelled: afterwards nothing is lost and nothing is twice. Over both
// backends; once with all CPUs, once with one.
#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "leat/leat.h"
#include "seed.h"

namespace leat {
namespace {

using namespace std::chrono_literals;

#if defined(__SANITIZE_THREAD__)
constexpr std::uint32_t kTasksEach = 20;
#else
constexpr std::uint32_t kTasksEach = 200;
#endif
constexpr std::uint32_t kProducers = 64;
constexpr std::uint32_t kKeys = 3;
constexpr std::uint32_t kConcurrent = 3;

std::string key(std::uint32_t i) {
  return std::string("k") + static_cast<char>('0' + i);
}

/// Each workflow goes to the key of its name, or to one `shift` further.
RoutingConfig routing_of(std::uint32_t shift) {
  RoutingConfig routing;
  for (std::uint32_t i = 0; i < kKeys; ++i)
    routing.with_rule("*::*::" + key(i) + "::*", key((i + shift) % kKeys));
  return routing;
}

/// Threads that are made while it lives run on one CPU only.
class OneCpu {
 public:
  OneCpu() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &before_)) continue;
      CPU_SET(cpu, &one);
      break;
    }
    sched_setaffinity(0, sizeof one, &one);
  }
  ~OneCpu() { sched_setaffinity(0, sizeof before_, &before_); }
  OneCpu(const OneCpu&) = delete;
  OneCpu& operator=(const OneCpu&) = delete;

 private:
  cpu_set_t before_;
};

class Crowd {
 public:
  Crowd(Runner& runner, const ExecutorLimits& limits)
      : runner_(runner), limits_(limits), ran_(kProducers * kTasksEach) {
    for (std::uint32_t i = 0; i < kKeys; ++i) {
      names_[i] =
          *runner.register_task("t::p::" + key(i) + "::task", [this](TaskContext& task) { run(task); });
      children_[i] = *runner.register_task("t::p::" + key(i) + "::child", [this](TaskContext&) -> Task {
        co_await defer(sleep_for(std::chrono::microseconds(children_ran_ % 50)));
        ++children_ran_;
      });
    }
  }

  void rage(std::uint64_t seed) {
    std::vector<std::thread> producers;
    for (std::uint32_t p = 0; p < kProducers; ++p)
      producers.emplace_back([this, p, seed] { produce(p, std::mt19937_64(seed + p)); });
    std::atomic<bool> done = false;
    std::thread changer([&] { come_and_go(std::mt19937_64(seed), done); });
    std::thread submitter([&] { submit_and_cancel(done); });
    for (std::thread& producer : producers) producer.join();
    done = true;
    changer.join();
    submitter.join();
    released_ = true;
    released_.notify_all();
  }

  void expect_balance() {
    ASSERT_TRUE(runner_.wait_idle(60s));
    for (const PipelineHandle& handle : submitted_) {
      const auto result = handle.wait(30s);
      ASSERT_TRUE(result) << result.error().message;
      ASSERT_EQ(result->completed + result->failed + result->skipped + result->cancelled, 5U);
    }
    for (const std::atomic<int>& count : ran_) ASSERT_EQ(count, 1);
    EXPECT_EQ(children_ran_, children_taken_);
    std::uint64_t executed = 0, failed = 0, rejected = 0;
    for (const SlotAudit& audit : runner_.audit()) {
      EXPECT_TRUE(audit.balanced()) << audit.key;
      EXPECT_EQ(audit.slots_taken, 0U) << audit.key;
      EXPECT_EQ(audit.permits_taken, 0U) << audit.key;
      const ExecutorMetrics metrics = runner_.metrics(audit.key);
      executed += metrics.total_executed;
      failed += metrics.total_failed;
      rejected += metrics.total_rejected;
      EXPECT_EQ(metrics.parked_tasks + metrics.queued_tasks + metrics.deferred_tasks, 0U) << audit.key;
      EXPECT_EQ(metrics.total_late, 0U) << audit.key;
    }
    EXPECT_EQ(executed, ran_.size() + children_ran_ + pipeline_tasks_ran_);
    EXPECT_EQ(failed, thrown_);
    EXPECT_EQ(rejected, refused_);
  }

 private:
  /// A task's number travels as max_attempts - 1; these never fail.
  void run(TaskContext& task) {
    const auto number = static_cast<std::uint32_t>(task.event().max_attempts - 1);
    ++ran_[number];
    if (number % 97 == 0 && holders_.fetch_add(1) < kConcurrent - 1)
      released_.wait(false);  // for as long as the storm lasts
    if (number % 5 == 1) {
      const auto child = runner_.make_event(children_[number % kKeys]);
      if (const auto taken = runner_.dispatcher().dispatch(child, {.durability = Durability::Memory});
          taken) {
        ++children_taken_;
      } else if (taken.error().code == DispatchErrorCode::NoCapacity) {
        ++refused_;
      }
    }
  }

  void produce(std::uint32_t producer, std::mt19937_64 random) {
    std::vector<TaskReadyEvent> events;
    for (std::uint32_t i = 0; i < kTasksEach; ++i) {
      const std::uint32_t number = producer * kTasksEach + i;
      events.push_back(
          runner_.make_event(names_[pick(random, kKeys)], static_cast<std::int32_t>(number + 1)));
      events.back().priority = static_cast<Priority>(pick(random, 3));
    }
    for (std::span<const TaskReadyEvent> rest = events; !rest.empty();) {
      const auto some = rest.first(std::min<std::size_t>(rest.size(), 1 + pick(random, 20)));
      const BulkResult result = runner_.dispatcher().dispatch_bulk(some, {.durability = Durability::Memory});
      rest = rest.subspan(result.taken);
      if (result.end) continue;
      if (result.end.error().code == DispatchErrorCode::NoCapacity) {
        ++refused_;
      } else {
        ASSERT_EQ(result.end.error().code, DispatchErrorCode::NoExecutor);
      }
      std::this_thread::yield();
    }
  }

  void come_and_go(std::mt19937_64 random, const std::atomic<bool>& done) {
    const std::array<std::shared_ptr<TaskExecutor>, 2> executors = {std::make_shared<ThreadTaskExecutor>(),
                                                                    std::make_shared<ThreadTaskExecutor>()};
    for (std::uint32_t round = 0; !done; ++round) {
      const std::string chosen = key(pick(random, kKeys));
      ASSERT_TRUE(runner_.unregister_executor(chosen));
      for (std::uint32_t i = pick(random, 4); i > 0; --i) std::this_thread::yield();
      if (pick(random, 2) == 0) {
        ASSERT_TRUE(runner_.pause_executor(chosen));
      }
      ASSERT_TRUE(runner_.register_executor(chosen, executors[round % 2], limits_));
      if (pick(random, 2) == 0) {
        ASSERT_TRUE(runner_.set_routing(routing_of(pick(random, kKeys))));  // the key may be paused
      }
      if (pick(random, 2) == 0) {
        ASSERT_TRUE(runner_.pause_namespaces("*::*::" + chosen + "::**"));
      }
      std::this_thread::yield();
      static_cast<void>(runner_.resume_executor(chosen));  // neither need be paused
      static_cast<void>(runner_.resume_namespaces("*::*::" + chosen + "::**"));
      std::this_thread::yield();
    }
  }

  void submit_and_cancel(const std::atomic<bool>& done) {
    const auto count = [this](TaskContext&) { ++pipeline_tasks_ran_; };
    const auto throws = [this](TaskContext&) {
      ++pipeline_tasks_ran_;
      if (++thrown_ % 2 == 0) throw 5;
      throw std::runtime_error("as planned");
    };
    const auto waits = [this](TaskContext&) -> Task {
      ++pipeline_tasks_ran_;
      int asked = 0;
      co_await defer_until([&asked] { return ++asked == 3; }, 20us);
      co_await sleep_for(20us);
    };
    const auto rests = [this](TaskContext&) -> Task {
      co_await defer(sleep_for(std::chrono::microseconds(pipeline_tasks_ran_++ % 50)));
    };
    for (std::uint32_t i = 0; !done && i < 200; ++i) {
      const auto workflow =
          *Workflow::builder(key(i % kKeys))
               .task("first", count)
               .task("second", throws, {.after = {"first"}, .retry = {.max_attempts = 1}})
               .task("third", waits, {.after = {"first"}})
               .task("beside", rests, {.after = {"first"}})
               .task("joins", count, {.after = {"second", "beside"}, .trigger = TriggerRule::all_done()})
               .build();
      auto handle = runner_.submit_async(workflow, {.durability = Durability::Memory});
      ASSERT_TRUE(handle) << handle.error().message;
      if (i % 3 == 0) static_cast<void>(handle->pause());   // it may have ended by now
      if (i % 2 == 0) static_cast<void>(handle->cancel());  // likewise
      submitted_.push_back(*handle);
      std::this_thread::yield();
    }
    for (PipelineHandle& handle : submitted_) static_cast<void>(handle.resume());  // few are paused
  }

  Runner& runner_;
  const ExecutorLimits limits_;
  std::array<Namespace, kKeys> names_, children_;
  std::vector<std::atomic<int>> ran_;
  std::atomic<std::uint64_t> children_ran_ = 0, children_taken_ = 0, refused_ = 0, thrown_ = 0;
  std::atomic<std::uint64_t> pipeline_tasks_ran_ = 0;
  std::atomic<std::uint32_t> holders_ = 0;
  std::atomic<bool> released_ = false;
  std::vector<PipelineHandle> submitted_;
};

void storm(Backend backend) {
  auto random = seeded_generator();
  // A thread for each attempt: some of them are held while the storm lasts.
  const ExecutorLimits limits{
      .max_concurrent = kConcurrent, .max_queued = 12, .backend = backend, .threads = kConcurrent};
  auto builder = Runner::builder();
  for (std::uint32_t i = 0; i < kKeys; ++i)
    builder.register_executor(key(i), std::make_shared<ThreadTaskExecutor>(), limits);
  auto runner = builder.database_url("memory:").routing_config(routing_of(0)).build();
  ASSERT_TRUE(runner) << runner.error().message;
  Crowd crowd(*runner, limits);
  ASSERT_TRUE(runner->start());
  crowd.rage(random());
  crowd.expect_balance();
  EXPECT_TRUE(runner->stop(30s));
}

class Conservation : public testing::TestWithParam<Backend> {};

INSTANTIATE_TEST_SUITE_P(Backends, Conservation, testing::Values(Backend::Arena, Backend::Threads),
                         [](const auto& param) {
                           return param.param == Backend::Arena ? "Arena" : "Threads";
                         });

TEST_P(Conservation, HoldsWhileExecutorsComeAndGo) {
  storm(GetParam());
}

TEST_P(Conservation, HoldsOnOneCpu) {
  const OneCpu pinned;
  storm(GetParam());
}

}  // namespace
}  // namespace leat
