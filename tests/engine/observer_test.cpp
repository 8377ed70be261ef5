// The observer: hears what is committed, in order, and holds nobody up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "behaviours.h"
#include "eventually.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;

class Notes {
 public:
  Observer observer() {
    return [this](const Observation& observation) {
      std::lock_guard lock(mutex_);
      threads_.push_back(std::this_thread::get_id());
      dropped_ += observation.dropped;
      for (const ObservedTransition& transition : observation.transitions) {
        EXPECT_GT(transition.sequence, last_);
        last_ = transition.sequence;
        const std::string from = transition.from ? std::string(to_string(*transition.from)) : "";
        EXPECT_EQ(transition.worker.has_value(), transition.to == TaskState::Running);
        if (transition.worker) EXPECT_LE(transition.dispatched_ns, transition.time_ns);
        lines_.push_back(transition.task + " " + from + "->" + std::string(to_string(transition.to)) + " " +
                         std::to_string(transition.attempt) + " " + transition.executor);
      }
    };
  }
  std::vector<std::string> lines() {
    std::lock_guard lock(mutex_);
    return lines_;
  }
  std::uint64_t dropped() {
    std::lock_guard lock(mutex_);
    return dropped_;
  }
  std::vector<std::thread::id> threads() {
    std::lock_guard lock(mutex_);
    return threads_;
  }

 private:
  std::mutex mutex_;
  std::uint64_t last_ = 0, dropped_ = 0;
  std::vector<std::string> lines_;
  std::vector<std::thread::id> threads_;
};

Runner make_observed(Observer observer, std::shared_ptr<MemoryMedium> medium = nullptr) {
  auto runner = Runner::builder()
                    .state_store(make_memory_store(std::move(medium)))
                    .observer(std::move(observer))
                    .build();
  EXPECT_TRUE(runner) << runner.error().message;
  EXPECT_TRUE(runner->start());
  return std::move(*runner);
}

TEST(ObserverOfARunner, HearsEachTransitionOnceAndInOrder) {
  Notes notes;
  const auto workflow =
      Workflow::builder("w").task("a", nothing).task("b", nothing, {.after = {"a"}}).build();
  {
    Runner runner = make_observed(notes.observer());
    run(runner, *workflow);
  }
  const std::string w = "public::embedded::w::";
  EXPECT_THAT(notes.lines(),
              ElementsAre(w + "a ->NotStarted 1 ", w + "b ->NotStarted 1 ", w + "a NotStarted->Ready 1 ",
                          w + "a Ready->Running 1 default", w + "a Running->Completed 1 default",
                          w + "b NotStarted->Ready 1 ", w + "b Ready->Running 1 default",
                          w + "b Running->Completed 1 default"));
  EXPECT_EQ(notes.dropped(), 0U);
}

TEST(ObserverOfARunner, HearsOfPipelinesThatAnEarlierProcessBegan) {
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<bool> began = false, may_end = false;
  const auto workflow = Workflow::builder("w")
                            .task("a",
                                  [&](TaskContext& task) {
                                    began = true;
                                    while (!may_end && !task.stop_requested()) std::this_thread::yield();
                                  })
                            .build();
  {
    Runner runner = make_started_runner(medium);
    ASSERT_TRUE(runner.submit(*workflow));
    ASSERT_TRUE(eventually([&] { return began.load(); }));
    ASSERT_TRUE(runner.stop(0ns));
  }
  may_end = true;
  Notes notes;
  {
    Runner runner = make_observed(notes.observer(), medium);
    ASSERT_TRUE(runner.register_workflow(*workflow));
    ASSERT_TRUE(runner.resumed()[0].wait(kLong));
  }
  EXPECT_THAT(notes.lines(), ElementsAre("public::embedded::w::a Ready->Running 1 default",
                                         "public::embedded::w::a Running->Completed 1 default"));
}

TEST(ObserverOfARunner, ThatIsSlowMissesTransitionsAndSaysSoWhileTheEngineGoesOn) {
  std::atomic<bool> open = false;
  std::atomic<std::uint64_t> heard = 0, dropped = 0;
  constexpr int kPipelines = 40'000;  // of four transitions: more than one call's and those that may wait
  const auto workflow = *Workflow::builder("w").task("a", nothing).build();
  {
    Runner runner = make_observed([&](const Observation& observation) {
      open.wait(false);
      heard += observation.transitions.size();
      dropped += observation.dropped;
    });
    for (int i = 0; i < kPipelines; ++i) ASSERT_TRUE(runner.submit_async(workflow));
    ASSERT_TRUE(runner.wait_idle(kLong));
    EXPECT_EQ(heard, 0U);
    open = true;
    open.notify_all();
  }
  EXPECT_EQ(heard + dropped, 4U * kPipelines);
  EXPECT_GT(dropped, 0U);
}

TEST(ObserverOfARunner, IsToldOnLentThreads) {
  Notes notes;
  auto runner =
      Runner::builder().state_store(make_memory_store()).lent_threads().observer(notes.observer()).build();
  ASSERT_TRUE(runner->start());
  ASSERT_TRUE(runner->submit(*Workflow::builder("w").task("a", nothing).build()));
  ASSERT_TRUE(runner->run_until_idle(kLong));
  ASSERT_TRUE(runner->stop(kLong));
  EXPECT_EQ(notes.lines().size(), 4U);
  EXPECT_THAT(notes.threads(), testing::Each(std::this_thread::get_id()));
}

TEST(ObserverOfARunner, IsRefusedWithoutAStore) {
  const auto refused = Runner::builder().database_url("memory:").observer([](const Observation&) {}).build();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::InvalidArgument);
}

TEST(ObserverOfARunner, ThatThrowsIsLoggedAndHearsOn) {
  std::atomic<int> calls = 0, logged = 0;
  {
    auto runner = Runner::builder()
                      .state_store(make_memory_store())
                      .log_sink([&](Severity, std::string_view line) {
                        if (line == "the observer threw: as planned") ++logged;
                      })
                      .observer([&](const Observation&) {
                        ++calls;
                        throw std::runtime_error("as planned");
                      })
                      .build();
    ASSERT_TRUE(runner->start());
    const auto workflow = *Workflow::builder("w").task("a", nothing).build();
    for (int i = 0; i < 2; ++i) {
      const int before = calls;
      ASSERT_TRUE(runner->submit(workflow));
      ASSERT_TRUE(eventually([&] { return calls > before; }));
    }
  }
  EXPECT_EQ(logged, calls);
}

}  // namespace
}  // namespace leat::behaviours
