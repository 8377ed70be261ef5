// What metrics_text() says: in the words of Prometheus, and true.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <semaphore>
#include <sstream>
#include <string>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"
#include "temporary_directory.h"
#include "virtual_clock.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// Passes on to a store in memory; its syncs wait for the test.
class GatedStore final : public StateStore {
 public:
  explicit GatedStore(std::counting_semaphore<>& syncs) : syncs_(syncs) {}
  std::uint64_t epoch() const noexcept override { return store_->epoch(); }
  std::uint64_t next_sequence() const noexcept override { return store_->next_sequence(); }
  std::uint64_t journal_end() const noexcept override { return store_->journal_end(); }
  std::uint64_t journal_hash() const noexcept override { return store_->journal_hash(); }
  bool closed_cleanly() const noexcept override { return store_->closed_cleanly(); }
  std::expected<void, StoreError> replay(const Visitor& visit) override { return store_->replay(visit); }
  std::expected<void, StoreError> append(std::uint64_t first, std::uint64_t end,
                                         std::span<const std::byte> commit) override {
    return store_->append(first, end, commit);
  }
  std::expected<void, StoreError> acknowledge(std::uint64_t end) override { return store_->acknowledge(end); }
  std::expected<void, StoreError> sync() override {
    syncs_.acquire();
    return store_->sync();
  }
  std::expected<void, StoreError> close() override { return store_->close(); }

 private:
  std::counting_semaphore<>& syncs_;
  const std::unique_ptr<StateStore> store_ = make_memory_store();
};

/// Cannot run anything.
class BrokenExecutor final : public TaskExecutor {
 public:
  std::expected<ExecutionResult, DispatchError> execute(const TaskReadyEvent&) override {
    return std::unexpected(DispatchError{DispatchErrorCode::ExecutionFailed, {}});
  }
};

/// The value of one sample; NaN where there is none.
double value_of(const std::string& text, const std::string& sample) {
  const std::size_t at = text.find("\n" + sample + " ");
  if (at == text.npos) return std::nan("");
  return std::strtod(text.c_str() + at + sample.size() + 2, nullptr);
}

Runner busy_runner(const std::string& key) {
  auto runner = Runner::builder()
                    .state_store(make_memory_store())
                    .register_executor(key, std::make_shared<ThreadTaskExecutor>(), {.max_concurrent = 2})
                    .build();
  EXPECT_TRUE(runner) << runner.error().message;
  const Namespace good = *runner->register_task("t::p::w::good", [](TaskContext&) {});
  const Namespace bad = *runner->register_task(
      "t::p::w::bad", [](TaskContext&) -> std::expected<void, TaskError> { return std::unexpected("no"); });
  EXPECT_TRUE(runner->start());
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(runner->dispatcher().dispatch(runner->make_event(good), {.durability = Durability::Memory}));
  }
  EXPECT_TRUE(runner->dispatcher().dispatch(runner->make_event(bad), {.durability = Durability::Process}));
  EXPECT_TRUE(runner->wait_idle(30s));
  EXPECT_TRUE(runner->flush());
  return std::move(*runner);
}

TEST(MetricsText, PromtoolFindsNothingToObjectTo) {
  if (std::system("promtool --version >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "no promtool here (package prometheus)";
  const Runner runner = busy_runner("a \"key\"\nwith \\ and \xc3\xa4 and \xff");
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory.path());
  const std::string text = directory.path() + "/metrics.txt";
  std::ofstream(text) << runner.metrics_text();
  FILE* const promtool = popen(("promtool check metrics < " + text + " 2>&1").c_str(), "r");
  ASSERT_NE(promtool, nullptr);
  std::array<char, 4096> said{};
  const std::size_t size = std::fread(said.data(), 1, said.size() - 1, promtool);
  EXPECT_EQ(pclose(promtool), 0);
  EXPECT_EQ(std::string(said.data(), size), "");
}

TEST(MetricsText, TellsFailuresByAClosedSetOfClasses) {  // row 36
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .register_executor("broken", std::make_shared<BrokenExecutor>())
                    .build();
  ASSERT_TRUE(runner) << runner.error().message;
  ASSERT_TRUE(runner->start());
  const TaskOptions once{.retry = {.max_attempts = 1}};
  const auto own = [](TaskContext&) -> std::expected<void, TaskError> { return std::unexpected("no"); };
  TaskOptions short_time = once, elsewhere = once;
  short_time.timeout = 1ms;
  elsewhere.executor = "broken";
  const auto workflow =
      Workflow::builder("w")
          .task("own", own, once)
          .task(
              "thrown", [](TaskContext&) { throw std::runtime_error("no"); }, once)
          .task(
              "odd", [](TaskContext&) { throw 7; }, once)
          .task(
              "large", [](TaskContext& task) { task.set("a", std::string(kContextBytesMax, 'a')); }, once)
          .task(
              "late",
              [](TaskContext& task) {
                while (!task.stop_requested()) std::this_thread::yield();
              },
              short_time)
          .task(
              "elsewhere", [](TaskContext&) {}, elsewhere)
          .task("no function", once)
          .build();
  ASSERT_TRUE(workflow) << workflow.error().message;
  ASSERT_TRUE(runner->submit(*workflow)->wait(30s));
  ASSERT_TRUE(runner->wait_idle(30s));
  const std::string text = runner->metrics_text();
  const auto failed = [&](const std::string& executor, const std::string& kind) {
    return value_of(text, "leat_executor_failed_total{executor=\"" + executor + "\",class=\"" + kind + "\"}");
  };
  EXPECT_EQ(failed("default", "task_error"), 2);
  EXPECT_EQ(failed("default", "unknown"), 1);
  EXPECT_EQ(failed("default", "validation_failed"), 1);
  EXPECT_EQ(failed("default", "timeout"), 1);
  EXPECT_EQ(failed("default", "task_not_found"), 1);
  EXPECT_EQ(failed("default", "infrastructure"), 0);
  EXPECT_EQ(failed("broken", "infrastructure"), 1);
  EXPECT_EQ(failed("default", "claim_lost"), 0);
  EXPECT_EQ(runner->metrics("default").total_failed, 6U);
}

TEST(MetricsText, CountsWhatHappened) {  // row 34
  const std::string text = busy_runner("other").metrics_text();
  EXPECT_EQ(value_of(text, "leat_executor_executed_total{executor=\"default\"}"), 4);
  EXPECT_EQ(value_of(text, "leat_executor_failed_total{executor=\"default\",class=\"task_error\"}"), 1);
  EXPECT_EQ(value_of(text, "leat_executor_executed_total{executor=\"other\"}"), 0);
  EXPECT_EQ(value_of(text, "leat_executor_active_tasks{executor=\"default\"}"), 0);
  EXPECT_EQ(value_of(text, "leat_executor_capacity_tasks{executor=\"other\"}"), 2 + 1024);
  EXPECT_EQ(value_of(text, "leat_journal_healthy"), 1);
  EXPECT_GE(value_of(text, "leat_journal_syncs_total"), 1);
  EXPECT_GE(value_of(text, "leat_journal_syncs_per_task"), 1) << "one task in the journal, one flush";
  EXPECT_EQ(value_of(text, "leat_journal_bytes_per_task"),
            value_of(text, "leat_journal_written_bytes_total"));
}

TEST(MetricsText, EscapesKeys) {
  EXPECT_THAT(busy_runner("q\"b\\n\n\xff\xc3\xa4").metrics_text(),
              HasSubstr("executed_total{executor=\"q\\\"b\\\\n\\n\\\\xff\xc3\xa4\"} 0\n"));
}

TEST(MetricsText, BucketsRiseToTheCount) {
  const std::string text = busy_runner("other").metrics_text();
  const std::string bucket = "leat_executor_run_time_seconds_bucket{executor=\"default\",le=\"";
  std::istringstream lines(text);
  double before = 0;
  int buckets = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(bucket)) continue;
    const double value = std::strtod(line.c_str() + line.find("} ") + 2, nullptr);
    EXPECT_GE(value, before) << line;
    before = value;
    ++buckets;
  }
  EXPECT_EQ(buckets, 32);
  EXPECT_EQ(before, 4);
  EXPECT_EQ(value_of(text, "leat_executor_run_time_seconds_count{executor=\"default\"}"), 4);
}

TEST(MetricsText, ATaskWhoseEndIsNotYetInTheStoreIsCompleting) {
  std::counting_semaphore<> syncs(0);
  auto runner = Runner::builder().state_store(std::make_unique<GatedStore>(syncs)).build();
  ASSERT_TRUE(runner) << runner.error().message;
  const Namespace task = *runner->register_task("t::p::w::task", [](TaskContext&) {});
  ASSERT_TRUE(runner->start());
  const auto completing = [&] { return runner->metrics("default").completing_tasks; };
  ASSERT_TRUE(runner->dispatcher().dispatch(runner->make_event(task), {.durability = Durability::Disk}));
  syncs.release();  // the admission's
  EXPECT_TRUE(eventually([&] { return completing() == 1; }));
  EXPECT_EQ(runner->metrics("default").active_tasks, 0U) << "slot and permit are back";
  syncs.release(1000);
  EXPECT_TRUE(eventually([&] { return completing() == 0; }));
  ASSERT_TRUE(runner->stop(30s));
}

TEST(MetricsText, TellsTheAgesOfTheOldestReadyAndRunningTask) {
  const auto clock = std::make_shared<VirtualClock>();
  auto runner = Runner::builder()
                    .database_url("memory:")
                    .clock(clock)
                    .default_limits({.max_concurrent = 1, .max_queued = 4})
                    .build();
  ASSERT_TRUE(runner) << runner.error().message;
  std::atomic<bool> begun = false, go = false;
  const Namespace hold = *runner->register_task("t::p::w::hold", [&](TaskContext&) {
    begun = true;
    go.wait(false);
  });
  ASSERT_TRUE(runner->start());
  const auto dispatch = [&] {
    return runner->dispatcher().dispatch(runner->make_event(hold), {.durability = Durability::Memory});
  };
  ASSERT_TRUE(dispatch());
  ASSERT_TRUE(eventually([&] { return begun.load(); }));
  clock->advance(5s);
  ASSERT_TRUE(dispatch());
  static_cast<void>(runner->metrics_text());  // who looks, sees the task come
  clock->advance(2s);
  ASSERT_TRUE(dispatch());
  const std::string text = runner->metrics_text();
  EXPECT_EQ(value_of(text, "leat_executor_oldest_running_seconds{executor=\"default\"}"), 7);
  EXPECT_EQ(value_of(text, "leat_executor_oldest_ready_seconds{executor=\"default\"}"), 2);
  go = true;
  go.notify_all();
  ASSERT_TRUE(runner->wait_idle(30s));
  const std::string after = runner->metrics_text();
  EXPECT_EQ(value_of(after, "leat_executor_oldest_running_seconds{executor=\"default\"}"), 0);
  EXPECT_EQ(value_of(after, "leat_executor_oldest_ready_seconds{executor=\"default\"}"), 0);
}

}  // namespace
}  // namespace leat
