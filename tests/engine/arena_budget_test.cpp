// Whose threads serve an executor: what oneTBB grants, what the metrics say of it, and how its threads are
// told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <oneapi/tbb/global_control.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using oneapi::tbb::global_control;
using testing::ElementsAre;
using testing::HasSubstr;

class ArenaBudget : public testing::Test {
 protected:
  void start() {
    const auto of = [](Backend backend) {
      return ExecutorLimits{.max_concurrent = 3, .backend = backend, .threads = 2};
    };
    auto built = Runner::builder()
                     .database_url("memory:")
                     .register_executor("mine", std::make_shared<ThreadTaskExecutor>(), of(Backend::Threads))
                     .register_executor("arena", std::make_shared<ThreadTaskExecutor>(), of(Backend::Arena))
                     .register_executor("lent", std::make_shared<ThreadTaskExecutor>(), of(Backend::Lent))
                     .log_sink([this](Severity, std::string_view line) {
                       const std::lock_guard lock(mutex_);
                       said_.emplace_back(line);
                     })
                     .build();
    ASSERT_TRUE(built) << built.error().message;
    runner_.emplace(std::move(*built));
    ASSERT_TRUE(runner_->start());
  }

  std::mutex mutex_;
  std::vector<std::string> said_;
  std::optional<Runner> runner_;
};

TEST_F(ArenaBudget, TellsHowManyThreadsServeAnExecutorAndWhose) {
  start();
  const std::string text = runner_->metrics_text();
  EXPECT_THAT(text, HasSubstr("leat_executor_threads{executor=\"mine\",backend=\"threads\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("leat_executor_threads{executor=\"arena\",backend=\"arena\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("leat_executor_threads{executor=\"lent\",backend=\"lent\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("leat_executor_arena_refused{executor=\"arena\"} 0\n"));
  EXPECT_EQ(runner_->metrics("arena").threads, 2U);
}

TEST_F(ArenaBudget, ThatIsTooSmallIsSaidOnceAndShownForAsLongAsOwnThreadsServe) {
  const global_control host(global_control::max_allowed_parallelism, 2);  // one besides the caller's
  start();
  EXPECT_THAT(said_, ElementsAre(HasSubstr("oneTBB lends at most 1 threads here, 2 are wanted")));
  const std::string text = runner_->metrics_text();
  EXPECT_THAT(text, HasSubstr("leat_executor_threads{executor=\"arena\",backend=\"threads\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("leat_executor_arena_refused{executor=\"arena\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("leat_executor_arena_refused{executor=\"mine\"} 0\n"));
  std::atomic<bool> ran = false;
  const auto workflow =
      Workflow::builder("w").task("t", [&](TaskContext&) { ran = true; }, {.executor = "arena"}).build();
  ASSERT_TRUE(runner_->submit(*workflow)->wait(30s));
  EXPECT_TRUE(ran);
}

TEST_F(ArenaBudget, ThreadsAreNamedByTheKernelsNumberWhereSomebodyHoldsOne) {
  start();
  std::atomic<pid_t> thread = 0;
  std::atomic<bool> held = true;
  const auto workflow = Workflow::builder("w")
                            .task("t",
                                  [&](TaskContext&) {
                                    thread = gettid();
                                    held.wait(true);
                                  },
                                  {.executor = "arena"})
                            .build();
  const auto handle = runner_->submit(*workflow);
  ASSERT_TRUE(eventually([&] { return thread != 0; }));
  std::vector<std::string> holders;
  for (const SlotAudit& audit : runner_->audit())
    holders.insert(holders.end(), audit.holders.begin(), audit.holders.end());
  held = false;
  held.notify_all();
  EXPECT_THAT(holders, ElementsAre(HasSubstr("by thread 'oneTBB's " + std::to_string(thread) + "' of")));
  ASSERT_TRUE(handle->wait(30s));
}

}  // namespace
}  // namespace leat
