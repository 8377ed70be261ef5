// A memory budget and what goes wrong: kills, power cuts, rows that are there still.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eventually.h"
#include "leat/store_image.h"
#include "leat/wrapped_store.h"
#include "memory_budget.h"
#include "seed.h"
#include "virtual_clock.h"

namespace leat {
namespace {

/// A store whose commits wait at a gate while it is closed.
class GatedStore final : public WrappedStore {
 public:
  explicit GatedStore(std::atomic<bool>& open) : WrappedStore(make_memory_store()), open_(open) {}
  std::expected<void, StoreError> append_rows(std::uint64_t first, std::uint64_t end,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    open_.wait(false);
    return WrappedStore::append_rows(first, end, commit, rows);
  }

 private:
  std::atomic<bool>& open_;
};

TEST(MemoryBudget, WhatWasTakenOutOfTurnIsNotTakenAgainThoughItsRowIsThereStill) {
  std::atomic<bool> store_is_open = true;
  Log log;
  auto runner = started(builder(std::make_unique<GatedStore>(store_is_open)));
  log.close();
  std::vector<PipelineHandle> handles;
  for (std::int64_t n = 0; n < 200; ++n) handles.push_back(*runner.submit_async(numbered(log), number(n)));
  std::uint64_t before = 0;
  do {  // what has been taken in by now is committed
    before = in_store(runner);
    ASSERT_TRUE(runner.flush());
  } while (in_store(runner) != before);
  const auto next = std::ranges::find_if(handles, [&](const PipelineHandle& handle) {
    return runner.explain(handle, "say")->text == "its pipeline waits in the store, behind 1 of its line";
  });
  ASSERT_NE(next, handles.end());
  store_is_open = false;
  ASSERT_TRUE(next->cancel());
  log.open();
  // Rows are read for those that begin, the one that was cancelled among them.
  EXPECT_TRUE(eventually([&] { return in_store(runner) < before - 1; }));
  store_is_open = true;
  store_is_open.notify_all();
  ASSERT_TRUE(runner.wait_idle(kLong));
  auto numbers = up_to(200);
  numbers.erase(numbers.begin() + (next - handles.begin()));
  EXPECT_EQ(log.numbers(), numbers);
}

/// A store that cannot always read the rows of those that wait, or has lost one.
class FailingReads final : public WrappedStore {
 public:
  struct Faults {
    int failures = 0;                              // of the next reads
    std::optional<std::uint64_t> lost_place = {};  // a row that is not there
  };
  explicit FailingReads(Faults& faults) : WrappedStore(make_memory_store()), faults_(faults) {}
  std::expected<void, StoreError> replay_waiting(const WaitingLine& line, std::uint64_t from,
                                                 const WaitingVisitor& visit) override {
    if (faults_.failures > 0) {
      --faults_.failures;
      return std::unexpected(StoreError{StoreErrorCode::Io, "a read failed"});
    }
    return WrappedStore::replay_waiting(line, from, [&](std::uint64_t place, auto row) {
      return place == faults_.lost_place ? true : visit(place, row);
    });
  }

 private:
  Faults& faults_;
};

/// Pipelines in a store whose reads fail, on a thread and a clock of the test's own.
class UnreadableRows : public testing::Test {
 protected:
  static constexpr std::int64_t kCount = 300;

  void SetUp() override {
    auto made = Runner::builder()
                    .state_store(std::make_unique<FailingReads>(faults))
                    .clock(clock)
                    .lent_threads()
                    .default_limits({.max_concurrent = 1, .max_queued = 0})
                    .memory_budget(kSmall)
                    .log_sink([this](Severity, std::string_view line) { lines += line; })
                    .build();
    ASSERT_TRUE(made && made->start());
    runner.emplace(std::move(*made));
  }
  void submit_all() {
    for (std::int64_t n = 0; n < kCount; ++n) ASSERT_TRUE(runner->submit_async(numbered(log), number(n)));
  }
  void run_what_can_be_done() {
    while (*runner->run_some() > 0) continue;
  }

  FailingReads::Faults faults;
  std::string lines;  // of the log
  Log log;
  std::shared_ptr<VirtualClock> clock = std::make_shared<VirtualClock>();
  std::optional<Runner> runner;
};

TEST_F(UnreadableRows, AreReadAgainLater) {
  faults.failures = 2;
  submit_all();
  run_what_can_be_done();
  EXPECT_LT(log.size(), std::size_t{kCount});
  EXPECT_NE(lines.find("a read failed"), std::string::npos) << lines;
  for (int i = 0; i < 3; ++i) {
    clock->advance(std::chrono::seconds(11));
    run_what_can_be_done();
  }
  EXPECT_EQ(log.numbers(), up_to(kCount));
}

TEST_F(UnreadableRows, ThatAreLostAreSaidAndNotPassedOver) {
  faults.lost_place = 100;
  submit_all();
  run_what_can_be_done();
  EXPECT_NE(lines.find("1 are missing"), std::string::npos) << lines;
  EXPECT_EQ(disorder(log.numbers()), "");
  const std::size_t before = log.size();
  faults.lost_place.reset();
  clock->advance(std::chrono::seconds(11));
  run_what_can_be_done();
  EXPECT_LT(before, std::size_t{kCount});
  EXPECT_EQ(log.numbers(), up_to(kCount));
}

/// Keeps what the medium was after each commit: as a kill leaves it.
class RememberingStore final : public WrappedStore {
 public:
  RememberingStore(std::shared_ptr<MemoryMedium> medium, std::vector<MemoryMedium>& states)
      : WrappedStore(make_memory_store(medium)), medium_(std::move(medium)), states_(states) {}
  std::expected<void, StoreError> append_rows(std::uint64_t first, std::uint64_t end,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    auto done = WrappedStore::append_rows(first, end, commit, rows);
    states_.push_back(*medium_->after_kill());
    return done;
  }

 private:
  const std::shared_ptr<MemoryMedium> medium_;
  std::vector<MemoryMedium>& states_;
};

/// How the pipelines stand that the medium holds, by their contexts.
std::map<std::string, PipelineState> pipelines_in(const MemoryMedium& medium) {
  StoreImage image(StoreImage::Keep::Everything);
  for (const auto& commit : medium.commits) {
    if (!image.apply(commit.first_sequence, commit.bytes)) ADD_FAILURE() << "cannot be folded";
  }
  std::map<std::string, PipelineState> found;
  for (const auto& [number, pipeline] : image.pipelines())
    found.emplace(std::string_view(pipeline.context), pipeline.state);
  return found;
}

TEST(MemoryBudget, AKillAtAnyCommitLosesNoPipelineAndDoublesNone) {
  constexpr std::int64_t kCount = 300;
  std::vector<MemoryMedium> states;
  Log log;
  {
    auto runner =
        started(builder(std::make_unique<RememberingStore>(std::make_shared<MemoryMedium>(), states), 4'000));
    log.close();
    std::vector<PipelineHandle> some;
    for (std::int64_t n = 0; n < kCount; ++n) {
      auto handle = *runner.submit_async(numbered(log), number(n));
      if (n % 50 == 49) some.push_back(handle);
    }
    ASSERT_TRUE(runner.flush());
    for (auto& handle : some) ASSERT_TRUE(handle.cancel());
    log.open();
    ASSERT_TRUE(runner.wait_idle(kLong));
  }
  ASSERT_GT(states.size(), 20U);
  for (std::size_t at = 0; at < states.size(); at += 1 + states.size() / 60) {
    const auto medium = std::make_shared<MemoryMedium>(states[at]);
    medium->open = false;
    medium->board.clear();
    const auto before = pipelines_in(*medium);
    Log again;
    {
      auto runner = started(builder(make_memory_store(medium), 4'000));
      ASSERT_TRUE(runner.register_workflow(numbered(again)));
      ASSERT_TRUE(runner.wait_idle(kLong));
      EXPECT_EQ(in_store(runner), 0U);
    }
    const auto after = pipelines_in(*medium);
    EXPECT_EQ(before.size(), after.size()) << "state " << at;
    for (const auto& [context, state] : after)
      EXPECT_TRUE(is_terminal(state)) << context << " at state " << at;
    auto ran = again.numbers();
    const auto unfinished =
        std::ranges::count_if(before, [](const auto& one) { return !is_terminal(one.second); });
    EXPECT_EQ(unfinished, std::ssize(ran)) << "state " << at;
    // What had begun is rescued, and begins when that is in the store.
    std::erase_if(ran, [&before](std::int64_t n) {
      return before.at("{\"n\":" + std::to_string(n) + "}") == PipelineState::Running;
    });
    EXPECT_EQ(disorder(ran), "") << "state " << at;
  }
}

/// Against a list: submissions, cancels, pauses of the work, deaths with and without power.
class RandomLife {
 public:
  explicit RandomLife(std::mt19937_64& random) : random_(random) {}

  void run() {
    for (int life = 0; life < 4; ++life) {
      live();
      if (testing::Test::HasFailure()) return;
    }
    open();
    ASSERT_TRUE(runner_->run_until_idle(kLong));
    for (const std::int64_t n : must_run_)
      EXPECT_TRUE(ran_.contains(n) || may_not_run_.contains(n)) << n << " never ran";
  }

 private:
  void open() {
    auto made = Runner::builder()
                    .state_store(make_memory_store(medium_))
                    .default_limits({.max_concurrent = 2, .max_queued = 2})
                    .lent_threads()
                    .checkpoint_after(2'000)
                    .memory_budget(3'000 + pick(random_, 6'000))
                    .log_sink([](Severity, std::string_view) {})
                    .build();
    EXPECT_TRUE(made) << made.error().message;
    const auto registered = made->register_workflow(workflow());
    EXPECT_TRUE(registered && made->start());
    runner_.emplace(std::move(*made));
  }
  Workflow workflow() {
    return *Workflow::builder("numbered")
                .task("first",
                      [this](TaskContext& task) {
                        const auto n = *task.get<std::int64_t>("n");
                        order_.push_back(n);
                        ran_.insert(n);
                        if (cancelled_.contains(n)) ADD_FAILURE() << n << " ran though it was cancelled";
                      })
                .task("second", [](TaskContext&) {}, {.after = {"first"}})
                .build();
  }
  void live() {
    open();
    order_.clear();
    std::map<std::int64_t, PipelineHandle> handles;
    const auto steps = 40 + pick(random_, 200);
    for (std::uint32_t step = 0; step < steps; ++step) {
      const std::uint32_t what = pick(random_, 20);
      if (what < 12) {
        const std::int64_t n = next_++;
        auto handle = runner_->submit_async(workflow(), number(n, Durability::Disk));
        ASSERT_TRUE(handle);
        if (pick(random_, 2) == 0) handles.emplace(n, *handle);
        unsynced_.push_back(n);
      } else if (what < 14 && !handles.empty()) {
        const auto at = std::next(handles.begin(), pick(random_, static_cast<std::uint32_t>(handles.size())));
        const bool fresh = !ran_.contains(at->first);
        if (at->second.cancel() && fresh) {
          cancelled_.insert(at->first);
          may_not_run_.insert(at->first);
          unsynced_cancels_.push_back(at->first);
        }
      } else if (what < 15 && pick(random_, 4) == 0) {
        handles.clear();
      } else {
        ASSERT_TRUE(runner_->run_some(1 + pick(random_, 3)));
      }
      if (pick(random_, 30) == 0) settle();
    }
    const std::uint32_t end = pick(random_, 3);
    if (end == 0) settle();
    EXPECT_TRUE(std::ranges::is_sorted(order_)) << "out of order";
    if (end == 1) {
      medium_->cut_power();
      for (const std::int64_t n : std::exchange(unsynced_cancels_, {})) cancelled_.erase(n);
      unsynced_.clear();
    }
    runner_.reset();
    settled();  // a Runner ends by a stop, where the power is on
  }
  void settle() {
    ASSERT_TRUE(runner_->flush());
    settled();
  }
  void settled() {
    for (const std::int64_t n : std::exchange(unsynced_, {})) must_run_.insert(n);
    unsynced_cancels_.clear();
  }

  std::mt19937_64& random_;
  std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  std::optional<Runner> runner_;
  std::int64_t next_ = 0;
  std::vector<std::int64_t> order_, unsynced_, unsynced_cancels_;
  std::set<std::int64_t> ran_, must_run_, cancelled_, may_not_run_;
};

TEST(MemoryBudget, RandomLivesLoseNothingThatWasSyncedAndKeepTheOrder) {
  auto random = seeded_generator();
  for (int round = 0; round < 40 && !testing::Test::HasFailure(); ++round) RandomLife(random).run();
}

}  // namespace
}  // namespace leat
