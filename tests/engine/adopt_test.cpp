// Work that outlives the process which began it. The first life runs in a child process, which kills itself
// with SIGKILL; jobs are files in a directory, and the service that does them is the test itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"
#include "leat/store_reader.h"
#include "temporary_directory.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

/// A service elsewhere: a job is a file; a second submission of a name adds a line to it.
class JobService {
 public:
  explicit JobService(std::string directory) : directory_(std::move(directory)) {}

  void submit(const std::string& name) {
    std::ofstream(directory_ + "/" + name, std::ios::app) << "submitted\n";
  }
  bool knows(const std::string& name) const { return std::filesystem::exists(directory_ + "/" + name); }
  int submissions() const {
    int lines = 0;
    for (const auto& job : std::filesystem::directory_iterator(directory_)) {
      std::ifstream file(job.path());
      for (std::string line; std::getline(file, line);) ++lines;
    }
    return lines;
  }

 private:
  const std::string directory_;
};

enum class Death { None, BeforeTheSubmission, AfterTheSubmission, AfterBothSubmissions, AdoptingOne };

/// Submits each task as a job named after it; an end comes when the test says so.
class JobExecutor final : public TaskExecutor {
 public:
  JobExecutor(JobService& service, Death death) : service_(service), death_(death) {}

  void start(const TaskReadyEvent& event, CompletionToken token) override {
    const std::string job = event.task_execution_id.to_string();
    const auto remembered = token.external_ref(job);
    if (!remembered)
      return token.complete(ExecutionResult::failed(event.task_execution_id, remembered.error().message));
    if (death_ == Death::BeforeTheSubmission) ::kill(::getpid(), SIGKILL);
    service_.submit(job);
    if (death_ == Death::AfterTheSubmission || (death_ == Death::AfterBothSubmissions && ++submitted_ == 2))
      ::kill(::getpid(), SIGKILL);
    keep(job, std::move(token));
  }

  bool adopt(const TaskReadyEvent& event, std::string_view external_ref, CompletionToken& token) override {
    const std::string job(external_ref);
    if (death_ == Death::AdoptingOne && std::string_view(event.task_namespace).ends_with("::one")) {
      static_cast<void>(eventually([&] { return adopted == 1; }, 1s));  // its neighbour, where it may
      ::kill(::getpid(), SIGKILL);
    }
    if (!service_.knows(job)) return false;
    keep(job, std::move(token));
    ++adopted;
    return true;
  }

  /// The service has done every job.
  bool complete_one() {
    const std::lock_guard lock(mutex_);
    if (tokens_.empty()) return false;
    CompletionToken token = std::move(tokens_.begin()->second);
    tokens_.erase(tokens_.begin());
    token.complete(ExecutionResult::success(Uuid()));
    return true;
  }

  std::atomic<int> adopted = 0;
  std::atomic<int> told = 0;
  std::atomic<bool> deaf = false;  // told to end a job, it goes on

 private:
  void keep(const std::string& job, CompletionToken token) {
    const std::lock_guard lock(mutex_);
    auto& kept = tokens_[job] = std::move(token);
    kept.on_cancel([this, job] {
      ++told;
      if (deaf) return;
      const std::lock_guard held(mutex_);
      tokens_.extract(job);  // dropped: it ends without having completed
    });
  }

  JobService& service_;
  const Death death_;
  std::atomic<int> submitted_ = 0;
  std::recursive_mutex mutex_;  // a token dropped inside may end more
  std::map<std::string, CompletionToken> tokens_;
};

Workflow remote_workflow() {
  return *Workflow::builder("remote")
              .task("job", {.retry = {.max_attempts = 1}})
              .task("after", {.after = {"job"}})
              .build();
}

/// Two jobs at once.
Workflow twin_workflow() {
  return *Workflow::builder("twins").task("one", {}).task("two", {}).build();
}

/// A job that may take a second in all.
Workflow limited_workflow() {
  return *Workflow::builder("limited").task("job", {.total_timeout = 1s}).build();
}

struct Life {
  explicit Life(const std::string& directory, Death death = Death::None, std::uint32_t max_concurrent = 2)
      : service(directory + "/jobs"), executor(std::make_shared<JobExecutor>(service, death)) {
    auto built = Runner::builder()
                     .database_url("rocksdb://" + directory + "/store")
                     .register_executor("remote", executor, {.max_concurrent = max_concurrent})
                     .routing_config(RoutingConfig("remote"))
                     .build();
    if (!built) throw std::runtime_error(built.error().message);
    runner.emplace(std::move(*built));
    if (!runner->register_workflow(remote_workflow()) || !runner->register_workflow(twin_workflow()) ||
        !runner->register_workflow(limited_workflow()) || !runner->start())
      throw std::runtime_error("no start");
  }
  JobService service;
  std::shared_ptr<JobExecutor> executor;
  std::optional<Runner> runner;
};

/// The first life; never returns.
TEST(AdoptChild, DiesInTheMiddle) {
  const char* const directory = std::getenv("LEAT_ADOPT_DIRECTORY");
  if (directory == nullptr) GTEST_SKIP() << "run by the tests below, in a process of its own";
  const auto death = static_cast<Death>(std::atoi(std::getenv("LEAT_ADOPT_DEATH")));
  Life life(directory, death);
  if (death != Death::AdoptingOne) {
    const bool both = death == Death::AfterBothSubmissions;
    ASSERT_TRUE(life.runner->submit(both ? twin_workflow() : remote_workflow()));
  }
  static_cast<void>(life.runner->wait_idle(30s));
  FAIL() << "still alive";
}

class Adopt : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(directory_.path() + "/jobs"); }

  void live_and_die(Death when) {
    const std::string directory = "LEAT_ADOPT_DIRECTORY=" + directory_.path();
    const std::string death = "LEAT_ADOPT_DEATH=" + std::to_string(static_cast<int>(when));
    std::vector<char*> environment = {const_cast<char*>(directory.c_str()), const_cast<char*>(death.c_str())};
    for (char** variable = environ; *variable != nullptr; ++variable) environment.push_back(*variable);
    environment.push_back(nullptr);
    std::string program = "/proc/self/exe", filter = "--gtest_filter=AdoptChild.DiesInTheMiddle";
    char* arguments[] = {program.data(), filter.data(), nullptr};
    pid_t child = 0;
    ASSERT_EQ(posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environment.data()), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "status " << status;
  }

  PipelineResult finish(Life& life) {
    const std::vector<PipelineHandle> resumed = life.runner->resumed();
    EXPECT_EQ(resumed.size(), 1U);
    int ended = 0;
    EXPECT_TRUE(eventually([&] { return (ended += life.executor->complete_one()) == 2; }));
    const auto result = resumed.front().wait(30s);
    EXPECT_TRUE(result) << result.error().message;
    EXPECT_TRUE(life.runner->stop(30s));
    return *result;
  }

  std::uint32_t rescues() const {
    const auto image = read_rocksdb_store(directory_.path() + "/store");
    EXPECT_TRUE(image) << image.error().message;
    return image->pipelines().begin()->second.tasks[0].rescues;
  }

  const TemporaryDirectory directory_;
};

TEST_F(Adopt, WorkThatOutlivesAKillIsTakenOverAndNotSubmittedAgain) {
  live_and_die(Death::AfterTheSubmission);
  Life life(directory_.path());
  EXPECT_EQ(finish(life).completed, 2U);
  EXPECT_EQ(life.executor->adopted, 1);
  EXPECT_EQ(life.service.submissions(), 2) << "one of each task";
  EXPECT_EQ(rescues(), 0U);
}

TEST_F(Adopt, WorkThatWasNamedButNeverSubmittedIsUnknownSoTheTaskIsRescued) {
  live_and_die(Death::BeforeTheSubmission);
  Life life(directory_.path());
  EXPECT_EQ(finish(life).completed, 2U);
  EXPECT_EQ(life.executor->adopted, 0);
  EXPECT_EQ(life.service.submissions(), 2);
  EXPECT_EQ(life.runner->metrics("remote").total_dropped, 1U) << "so the watchdog's books balance";
  EXPECT_EQ(rescues(), 1U);
}

TEST_F(Adopt, WorkWhoseAdoptionKillsItsProcessIsGivenUpAndTakesNoOtherWithIt) {
  live_and_die(Death::AfterBothSubmissions);
  for (int lives = 0; lives < 3; ++lives) live_and_die(Death::AdoptingOne);
  Life life(directory_.path(), Death::AdoptingOne);
  ASSERT_TRUE(eventually([&] { return life.executor->adopted == 1; }));
  EXPECT_TRUE(life.executor->complete_one());
  const auto result = life.runner->resumed().front().wait(30s);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->completed, 1U);
  EXPECT_EQ(result->failed, 1U);
  EXPECT_EQ(life.service.submissions(), 2) << "neither was begun twice";
  EXPECT_TRUE(life.runner->stop(30s));
  life.runner.reset();
  const auto image = read_rocksdb_store(directory_.path() + "/store");
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_THAT(image->pipelines().begin()->second.tasks[0].error, HasSubstr("ABANDONED"));
}

TEST_F(Adopt, ADeadlineStopLeavesNamedWorkRunningForTheNextRunner) {
  std::optional<Life> first(std::in_place, directory_.path());
  ASSERT_TRUE(first->runner->submit(remote_workflow()));
  ASSERT_TRUE(eventually([&] { return first->service.submissions() == 1; }));
  ASSERT_TRUE(first->runner->stop(0s));
  EXPECT_EQ(first->executor->told, 1);
  first.reset();
  Life second(directory_.path());
  EXPECT_EQ(finish(second).completed, 2U);
  EXPECT_EQ(second.executor->adopted, 1);
  EXPECT_EQ(second.service.submissions(), 2);
  EXPECT_EQ(rescues(), 0U);
}

TEST_F(Adopt, NamedWorkThatAStopLeftAndNobodyKnowsBeginsAnewWithoutARescue) {
  std::optional<Life> life(std::in_place, directory_.path());
  ASSERT_TRUE(life->runner->submit(remote_workflow()));
  ASSERT_TRUE(eventually([&] { return life->service.submissions() == 1; }));
  ASSERT_TRUE(life->runner->stop(0s));
  life.reset();
  std::filesystem::remove_all(directory_.path() + "/jobs");  // ended with its Runner
  std::filesystem::create_directories(directory_.path() + "/jobs");
  life.emplace(directory_.path());
  EXPECT_EQ(finish(*life).completed, 2U);
  EXPECT_EQ(life->executor->adopted, 0);
  EXPECT_EQ(rescues(), 0U);
}

TEST_F(Adopt, TheLimitOnAWholeTaskHoldsForWorkThatWasTakenOver) {
  std::optional<Life> life(std::in_place, directory_.path());
  ASSERT_TRUE(life->runner->submit(limited_workflow()));
  ASSERT_TRUE(eventually([&] { return life->service.submissions() == 1; }));
  ASSERT_TRUE(life->runner->stop(0s));
  life.emplace(directory_.path());
  const auto result = life->runner->resumed().front().wait(30s);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, PipelineState::Failed);
  EXPECT_EQ(life->executor->adopted, 1);
  EXPECT_TRUE(eventually([&] { return life->executor->told == 1; }));
  EXPECT_TRUE(life->runner->stop(30s));
}

TEST_F(Adopt, ACancelBeforeTheWorkIsTakenOverReachesItAfterwards) {
  live_and_die(Death::AfterTheSubmission);
  Life life(directory_.path());
  PipelineHandle pipeline = life.runner->resumed().front();
  ASSERT_TRUE(pipeline.cancel());
  const auto result = pipeline.wait(30s);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->state, PipelineState::Cancelled);
  EXPECT_TRUE(eventually([&] { return life.executor->told == 1; }));
  EXPECT_EQ(life.service.submissions(), 1);
  EXPECT_TRUE(life.runner->stop(30s));
}

TEST_F(Adopt, ADeadlineStopLeavesCancelledWorkThatWasNotTakenOverYetToTheNextRunner) {
  std::optional<Life> life(std::in_place, directory_.path());
  ASSERT_TRUE(life->runner->submit(twin_workflow()));
  ASSERT_TRUE(eventually([&] { return life->service.submissions() == 2; }));
  ASSERT_TRUE(life->runner->stop(0s));

  life.emplace(directory_.path(), Death::None, 1);
  ASSERT_TRUE(eventually([&] { return life->executor->adopted == 1; }))
      << "the other one waits for its permit";
  life->executor->deaf = true;
  ASSERT_TRUE(life->runner->resumed().front().cancel());
  // Told only once the deadline has passed: so the first job ends, or the stop would take its grace.
  std::latch watching(1), told(1);
  const auto watch = [&](TaskContext& context) {
    const std::stop_callback callback(context.stop_token(), [&] { told.count_down(); });
    watching.count_down();
    told.wait();
    life->executor->complete_one();
  };
  const auto watcher = Workflow::builder("watcher").task("watch", watch, {.executor = "default"}).build();
  ASSERT_TRUE(life->runner->submit(*watcher, {.durability = Durability::Memory}));
  watching.wait();
  ASSERT_TRUE(life->runner->stop(0s));

  life.emplace(directory_.path());
  EXPECT_TRUE(eventually([&] { return life->executor->told == 1; })) << "of the one that was left";
  ASSERT_TRUE(life->runner->stop(30s));
  life.reset();
  const auto image = read_rocksdb_store(directory_.path() + "/store");
  ASSERT_TRUE(image) << image.error().message;
  for (const TaskImage& task : image->pipelines().begin()->second.tasks)
    EXPECT_EQ(task.state, TaskState::Cancelled);
}

TEST_F(Adopt, ANameGivenInsideACancelIsRefusedInsteadOfWaitedFor) {
  class Late final : public TaskExecutor {
   public:
    void start(const TaskReadyEvent&, CompletionToken token) override {
      token_ = std::move(token);
      token_.on_cancel([this] {
        code = token_.external_ref("job").error().code;
        token_ = CompletionToken();
      });
      started = true;
    }
    std::atomic<bool> started = false;
    ErrorCode code = ErrorCode::InvalidState;

   private:
    CompletionToken token_;
  };
  const auto executor = std::make_shared<Late>();
  auto runner = Runner::builder().state_store(make_memory_store()).register_executor("k", executor).build();
  ASSERT_TRUE(runner && runner->start() && runner->set_routing(RoutingConfig("k")));
  auto pipeline = runner->submit(remote_workflow());
  ASSERT_TRUE(eventually([&] { return executor->started.load(); }));
  ASSERT_TRUE(pipeline->cancel());
  ASSERT_TRUE(pipeline->wait(30s));
  EXPECT_EQ(executor->code, ErrorCode::WouldDeadlock);
}

TEST_F(Adopt, ANameOfMoreThan256BytesIsRefused) {
  class TooLong final : public TaskExecutor {
   public:
    void start(const TaskReadyEvent& event, CompletionToken token) override {
      error = token.external_ref(std::string(257, 'x')).error().message;
      empty = token.external_ref("").error().message;
      token.complete(ExecutionResult::success(event.task_execution_id));
    }
    std::string error, empty;
  };
  const auto executor = std::make_shared<TooLong>();
  auto runner = Runner::builder().state_store(make_memory_store()).register_executor("k", executor).build();
  ASSERT_TRUE(runner && runner->start() && runner->set_routing(RoutingConfig("k")));
  ASSERT_TRUE(runner->submit(remote_workflow())->wait(30s));
  EXPECT_EQ(executor->error, "an external_ref of 257 bytes (accepted: 1 to 256)");
  EXPECT_EQ(executor->empty, "an external_ref of 0 bytes (accepted: 1 to 256)");
}

}  // namespace
}  // namespace leat
