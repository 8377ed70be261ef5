// Which CPUs a lane's own threads run on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::uint32_t kNoCpu = CPU_SETSIZE + 7;
constexpr int kTasks = 200;

/// Those that the calling thread may run on.
std::vector<std::uint32_t> allowed_cpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  EXPECT_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
  std::vector<std::uint32_t> cpus;
  for (std::uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) cpus.push_back(cpu);
  }
  return cpus;
}

ExecutorLimits limits_on(std::vector<std::uint32_t> cpus) {
  return {.max_concurrent = 2, .cpus = std::move(cpus)};
}

/// Runs tasks of a key, each of which looks where it is. @return how many are elsewhere, or might be
int tasks_elsewhere(Runner& runner, const std::string& key, const std::vector<std::uint32_t>& cpus) {
  std::atomic<int> elsewhere = 0;
  auto builder = Workflow::builder("on_" + key);
  for (int i = 0; i < kTasks; ++i) {
    builder.task("t" + std::to_string(i),
                 [&](TaskContext&) {
                   const auto here = static_cast<std::uint32_t>(sched_getcpu());
                   if (std::ranges::find(cpus, here) == cpus.end() || allowed_cpus() != cpus) ++elsewhere;
                 },
                 {.executor = key});
  }
  const auto result = runner.submit(*builder.build())->wait(30s);
  EXPECT_EQ(result->completed, static_cast<std::uint32_t>(kTasks));
  return elsewhere;
}

TEST(Affinity, TasksRunOnTheCpusOfTheirKey) {
  const std::vector<std::uint32_t> all = allowed_cpus();
  const std::vector<std::uint32_t> first{all.front()}, last{all.back()};
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .register_executor("first", std::make_shared<ThreadTaskExecutor>(), limits_on(first))
                    .register_executor("last", std::make_shared<ThreadTaskExecutor>(), limits_on(last))
                    .register_executor("any", std::make_shared<ThreadTaskExecutor>(), limits_on({}))
                    .build();
  ASSERT_TRUE(runner) << runner.error().message;
  ASSERT_TRUE(runner->start());
  EXPECT_EQ(tasks_elsewhere(*runner, "first", first), 0);
  EXPECT_EQ(tasks_elsewhere(*runner, "last", last), 0);
  EXPECT_EQ(tasks_elsewhere(*runner, "any", all), 0);
}

TEST(Affinity, OfAKeyThatComesLaterLeavesTheCallersAlone) {
  const std::vector<std::uint32_t> all = allowed_cpus(), last{all.back()};
  auto runner = Runner::builder().database_url("memory:").build();
  ASSERT_TRUE(runner->start());
  ASSERT_TRUE(runner->register_executor("late", std::make_shared<ThreadTaskExecutor>(), limits_on(last)));
  EXPECT_EQ(allowed_cpus(), all);
  EXPECT_EQ(tasks_elsewhere(*runner, "late", last), 0);
}

TEST(Affinity, IsRefusedForACpuThatTheProcessMayNotUse) {
  auto runner = Runner::builder().database_url("memory:").build();
  const auto refused =
      runner->register_executor("k", std::make_shared<ThreadTaskExecutor>(), limits_on({kNoCpu}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::InvalidArgument);
  std::string accepted;
  for (const std::uint32_t cpu : allowed_cpus())
    accepted += (accepted.empty() ? "" : ", ") + std::to_string(cpu);
  EXPECT_EQ(refused.error().message,
            "executor key 'k' asks for CPU " + std::to_string(kNoCpu) + " (accepted: " + accepted + ")");
}

TEST(Affinity, IsRefusedForThreadsThatAreNotTheLanesOwn) {
  const auto register_in = [](Runner::Builder builder, Backend backend) {
    ExecutorLimits limits = limits_on({allowed_cpus().front()});
    limits.backend = backend;
    auto runner = builder.database_url("memory:").build();
    return runner->register_executor("k", std::make_shared<ThreadTaskExecutor>(), limits);
  };
  Runner::Builder lent = Runner::builder();
  lent.lent_threads();
  for (const auto& refused :
       {register_in(Runner::builder(), Backend::Arena), register_in(Runner::builder(), Backend::Lent),
        register_in(std::move(lent), Backend::Threads)}) {
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message,
                HasSubstr("'k' asks for CPUs of its own (accepted: with Backend::Threads)"));
  }
}

TEST(Affinity, StaysWithItsKey) {
  const std::vector<std::uint32_t> last{allowed_cpus().back()};
  auto runner = Runner::builder().database_url("memory:").build();
  const auto executor = std::make_shared<ThreadTaskExecutor>();
  ASSERT_TRUE(runner->register_executor("k", executor, limits_on(last)));
  ASSERT_TRUE(runner->unregister_executor("k"));
  const auto refused = runner->register_executor("k", executor, limits_on({}));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("the same threads on the same CPUs"));
  EXPECT_TRUE(runner->register_executor("k", executor, limits_on(last)));
}

}  // namespace
}  // namespace leat
