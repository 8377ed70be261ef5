#include "leat/sim.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "../engine/seed.h"
#include "leat/context.h"
#include "workflows.h"

namespace leat::sim {
namespace {

/// @param seeds  times LEAT_SIM_FACTOR, where that is set: 0.1 is a tenth
Options with(std::uint64_t seeds, Faults faults = all) {
  const char* const factor = std::getenv("LEAT_SIM_FACTOR");
  const double times = factor == nullptr ? 1 : std::strtod(factor, nullptr);
  return {.seeds = static_cast<std::uint64_t>(static_cast<double>(seeds) * times),
          .first_seed = seeded_generator()() % 1'000'000'000,
          .faults = faults,
          .levels = {Durability::Disk, Durability::Process, Durability::Memory}};
}

void expect_sound(const Report& report) {
  std::printf("%llu runs, %llu steps, %llu attempts, %llu crashes\n",
              static_cast<unsigned long long>(report.seeds), static_cast<unsigned long long>(report.steps),
              static_cast<unsigned long long>(report.attempts),
              static_cast<unsigned long long>(report.crashes));
  if (!report.failure) return;
  ADD_FAILURE() << "seed " << report.failure->seed << ": " << to_string(report.failure->rule) << ": "
                << report.failure->message << "\n"
                << report.failure->timeline;
}

TEST(Sim, NothingGoesWrongWhereNothingDoes) {
  expect_sound(explore(everything(), with(200, Faults::None)));
}

TEST(Sim, EveryInvariantHoldsWhateverGoesWrong) {
  expect_sound(explore(everything(), with(3000)));
}

TEST(Sim, SignalsHoldEveryInvariant) {
  expect_sound(explore(signalled(), with(1000)));
}

// What a task threw, later than its start, ended the process.
TEST(Sim, TasksThatThrowHoldEveryInvariant) {
  expect_sound(explore(throwing(), with(500)));
}

TEST(Sim, EndsThatAreNotWaitedForHoldEveryInvariant) {
  expect_sound(explore(unwaited(), with(1000)));
}

TEST(Sim, ChildrenHoldEveryInvariant) {
  expect_sound(explore(parent(), with(1000)));
}

TEST(Sim, CoroutinesHoldEveryInvariant) {
  expect_sound(explore(coroutines(), with(1000)));
}

TEST(Sim, WorkflowsWithoutAFaultEndAsTheyShould) {
  const auto ends_well = [](const PipelineView& pipeline) {  // the child that is left alone is cancelled
    return pipeline.end == PipelineState::Completed || pipeline.end == PipelineState::Cancelled;
  };
  const Invariant completed = [&](const Moment& now) -> std::optional<std::string> {
    if (now.over && !std::ranges::all_of(now.pipelines, ends_well)) return "not Completed";
    return std::nullopt;
  };
  for (const Workflow& workflow : {unwaited(), parent()})
    expect_sound(explore(workflow, with(50, Faults::None), completed));
}

TEST(Sim, CoroutinesRunToTheirEnds) {
  Options options = with(50, Faults::None);
  options.limits = {.max_concurrent = 8, .max_queued = 8};
  expect_sound(explore(coroutines(), options, [](const Moment& now) -> std::optional<std::string> {
    for (const PipelineView& pipeline : now.pipelines) {
      if (!now.over) continue;
      const std::vector<TaskState> three(3, TaskState::Completed);
      if (!std::equal(three.begin(), three.end(), pipeline.tasks.begin())) return "not Completed";
      if (pipeline.tasks[3] != TaskState::Failed) return "its time-out is forgotten";
    }
    return std::nullopt;
  }));
}

TEST(Sim, TheSameSeedGivesTheSameRunBitForBit) {
  const auto runs_alike = [](const Workflow& workflow, const Options& options) {
    std::uint64_t there = 0;
    std::thread([&] { there = explore(workflow, options).hash; }).join();
    return explore(workflow, options).hash == there;
  };
  const Options options = with(200);
  EXPECT_TRUE(runs_alike(everything(), options));
  EXPECT_TRUE(runs_alike(parent(), options));
  EXPECT_TRUE(runs_alike(coroutines(), options));
  Options with_everything = with(100);
  with_everything.uses = everything_used;
  with_everything.pipelines = 5;
  EXPECT_TRUE(runs_alike(everything(), with_everything));
  const Report here = explore(everything(), options);
  Options others = options;
  others.first_seed += 1;
  EXPECT_NE(explore(everything(), others).hash, here.hash);
}

/// Adds to an account outside of the engine each time that it runs.
class Account {
 public:
  Workflow order() {
    return *Workflow::builder("order")
                .task("reserve", [](TaskContext&) {})
                .task("charge", [this](TaskContext&) { ++charged_; }, {.after = {"reserve"}})
                .build();
  }
  Options options(Faults faults) {
    return {.seeds = 10'000, .faults = faults, .pipelines = 1, .reset = [this] { charged_ = 0; }};
  }
  Invariant charged_once() {
    return [this](const Moment&) -> std::optional<std::string> {
      if (charged_ > 1) return "charged " + std::to_string(charged_) + " times";
      return std::nullopt;
    };
  }

 private:
  int charged_ = 0;
};

TEST(Sim, ATaskThatIsNotIdempotentIsFoundWithTheCrashThatShowsIt) {
  Account account;
  const Report report = explore(account.order(), account.options(Faults::Kill), account.charged_once());
  ASSERT_TRUE(report.failure);
  EXPECT_EQ(report.failure->rule, Rule::Yours);
  EXPECT_EQ(report.failure->message, "charged 2 times");
  const std::string& timeline = report.failure->timeline;
  EXPECT_NE(timeline.find("the process is killed"), std::string::npos) << timeline;
  EXPECT_LT(std::ranges::count(timeline, '\n'), 30) << timeline;
}

TEST(Sim, WithoutCrashesATaskRunsOnce) {
  Account account;
  Options options = account.options(Faults::None);
  options.seeds = 100;
  EXPECT_FALSE(explore(account.order(), options, account.charged_once()).failure);
}

TEST(Sim, AnInvariantSeesWhatEachCompletedTaskHasLeft) {
  const auto workflow = *Workflow::builder("counted")
                             .task("count", [](TaskContext& task) { task.set("rows", 3); })
                             .task("empty", [](TaskContext&) {}, {.after = {"count"}})
                             .build();
  std::uint64_t seen = 0;
  expect_sound(explore(workflow, with(300), [&](const Moment& now) -> std::optional<std::string> {
    for (const PipelineView& pipeline : now.pipelines) {
      for (std::uint32_t task = 0; task < pipeline.tasks.size(); ++task) {
        const std::string_view left = pipeline.contexts[task];
        const bool counted = task == 0 && pipeline.tasks[task] == TaskState::Completed;
        if (counted == left.empty())
          return "task " + std::to_string(task) + " has left: " + std::string(left);
        if (!counted) continue;
        if (Context::parse(left)->get<std::int64_t>("rows") != 3) return "not three rows";
        ++seen;
      }
    }
    return std::nullopt;
  }));
  EXPECT_GT(seen, 0U);
}

TEST(Sim, AMinimisedScheduleFailsAgain) {
  Account account;
  const Options options = account.options(Faults::Kill | Faults::PowerCut);
  const Report report = explore(account.order(), options, account.charged_once());
  ASSERT_TRUE(report.failure);
  const Report again = replay(account.order(), options, report.failure->seed, report.failure->schedule,
                              account.charged_once());
  ASSERT_TRUE(again.failure);
  EXPECT_EQ(again.failure->timeline, report.failure->timeline);
  EXPECT_EQ(again.failure->schedule, report.failure->schedule);
  const Report whole = replay(account.order(), options, report.failure->seed, {}, account.charged_once());
  ASSERT_TRUE(whole.failure);
  EXPECT_GE(whole.failure->schedule.size(), report.failure->schedule.size());
}

// A suspect (rescued twice, so it runs alone) overran; its retry was released as a second suspect, whose end
// nobody counted: everybody else waited for ever.
TEST(Sim, ASuspectWhoseAttemptIsLateHoldsNobodyBackForEver) {
  Options options = with(3000, Faults::Kill | Faults::TaskLate | Faults::TaskHangs);
  options.crashes_max = 6;
  options.limits = {.max_concurrent = 1, .max_queued = 1};
  expect_sound(explore(everything(), options));
}

TEST(Sim, EveryInvariantHoldsWithAllThatAWorkflowCanBeGiven) {
  Options options = with(1200);
  options.uses = everything_used;
  options.pipelines = 5;
  expect_sound(explore(everything(), options));
}

TEST(Sim, ShortMemoryHoldsEveryInvariant) {
  Options options = with(1200);
  options.uses = Uses::MemoryBudget | Uses::Pauses | Uses::Priorities | Uses::IdempotencyKeys;
  options.pipelines = 6;
  expect_sound(explore(everything(), options));
}

TEST(Sim, TightLanesHoldEveryInvariant) {
  Options options = with(1000);
  options.pipelines = 5;
  options.limits = {.max_concurrent = 1, .max_queued = 1};
  expect_sound(explore(everything(), options));
}

}  // namespace
}  // namespace leat::sim
