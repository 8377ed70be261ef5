// Every invariant of the simulator speaks about a planted bug, where a part can be replaced by a broken one.
// Of the others the ledger is shown what must never be: ledger_test.cpp.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "../engine/seed.h"
#include "explore.h"
#include "leat/sim.h"
#include "leat/wrapped_store.h"
#include "workflows.h"

namespace leat::sim {
namespace {

/// Acknowledges before its sync.
class LyingSync final : public WrappedStore {
 public:
  using WrappedStore::WrappedStore;
  std::expected<void, StoreError> sync() override { return {}; }
};

/// Loses every seventh commit without a word.
class LosesCommits final : public WrappedStore {
 public:
  using WrappedStore::WrappedStore;
  std::expected<void, StoreError> append_rows(std::uint64_t first, std::uint64_t end,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    if (++count_ % 7 == 0) return {};
    return WrappedStore::append_rows(first, end, commit, rows);
  }

 private:
  int count_ = 0;
};

/// Recovers all but the last commits.
class SkipsItsLastPage final : public WrappedStore {
 public:
  using WrappedStore::WrappedStore;
  std::expected<void, StoreError> replay_from(std::uint64_t sequence, const Visitor& visit) override {
    std::deque<std::pair<std::uint64_t, std::vector<std::byte>>> kept;
    auto done = store().replay_from(sequence, [&](std::uint64_t first, std::span<const std::byte> commit) {
      kept.emplace_back(first, std::vector<std::byte>(commit.begin(), commit.end()));
      return std::expected<void, StoreError>();
    });
    if (kept.size() > 2) kept.pop_back();
    for (const auto& [first, commit] : kept) {
      if (done) done = visit(first, commit);
    }
    return done;
  }
};

/// Recovers all but the last slice of the checkpoint, where there are several.
class SkipsItsLastSlice final : public WrappedStore {
 public:
  using WrappedStore::WrappedStore;
  std::expected<void, StoreError> replay_rows(std::uint64_t generation, const Visitor& visit) override {
    std::size_t slices = 0;
    const auto count = [&](std::uint64_t, std::span<const std::byte>) {
      ++slices;
      return std::expected<void, StoreError>();
    };
    if (auto counted = store().replay_rows(generation, count); !counted) return counted;
    std::size_t read = 0;
    return store().replay_rows(generation, [&](std::uint64_t first, std::span<const std::byte> slice) {
      return ++read == slices && slices > 1 ? std::expected<void, StoreError>() : visit(first, slice);
    });
  }
};

/// Says nothing of a read that fails.
class HidesFailedReads final : public WrappedStore {
 public:
  using WrappedStore::WrappedStore;
  std::expected<void, StoreError> replay_rows(std::uint64_t generation, const Visitor& visit) override {
    static_cast<void>(store().replay_rows(generation, visit));
    return {};
  }
  std::expected<void, StoreError> replay_from(std::uint64_t sequence, const Visitor& visit) override {
    static_cast<void>(store().replay_from(sequence, visit));
    return {};
  }
};

/// Takes note of whether attempts begin while it syncs.
class WatchesItsSyncs final : public WrappedStore {
 public:
  WatchesItsSyncs(std::unique_ptr<StateStore> real, Stage& stage, bool& begun)
      : WrappedStore(std::move(real)), stage_(stage), begun_(begun) {}
  std::expected<void, StoreError> sync() override {
    const std::uint64_t before = stage_.ledger.attempts();
    auto done = store().sync();
    begun_ |= stage_.ledger.attempts() > before;
    return done;
  }

 private:
  Stage& stage_;
  bool& begun_;
};

/// Loses every third row of pipelines that wait in it alone.
class LosesRows final : public WrappedStore {
 public:
  using WrappedStore::WrappedStore;
  std::expected<void, StoreError> append_rows(std::uint64_t first, std::uint64_t end,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    CommitRows left = rows;
    if (!rows.waiting.empty() && ++count_ % 3 == 0) left.waiting = {};
    return WrappedStore::append_rows(first, end, commit, left);
  }

 private:
  int count_ = 0;
};

/// Flips a bit of what it hands back.
class Forgets final : public WrappedStore {
 public:
  using WrappedStore::WrappedStore;
  std::expected<void, StoreError> replay_from(std::uint64_t sequence, const Visitor& visit) override {
    return store().replay_from(sequence, [&](std::uint64_t first, std::span<const std::byte> commit) {
      std::vector<std::byte> bytes(commit.begin(), commit.end());
      bytes.back() ^= std::byte{1};
      return visit(first, bytes);
    });
  }
};

/// Says that a task is done which nobody has run.
class Pretends final : public SimExecutor {
 public:
  explicit Pretends(Stage& stage) : SimExecutor(stage), stage_(stage) {}
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    if (event.task_number != 1 || !stage_.alive) return SimExecutor::start(event, std::move(token));
    stage_.ledger.started(
        {event.pipeline_execution_id, event.task_number, static_cast<std::uint32_t>(event.attempt)});
    token.complete(ExecutionResult::success(event.task_execution_id));
  }

 private:
  Stage& stage_;
};

/// Runs what it is given twice.
class RunsTwice final : public SimExecutor {
 public:
  explicit RunsTwice(Stage& stage) : SimExecutor(stage), stage_(stage) {}
  void start(const TaskReadyEvent& event, CompletionToken token) override {
    if (stage_.alive) {
      stage_.ledger.started(
          {event.pipeline_execution_id, event.task_number, static_cast<std::uint32_t>(event.attempt)});
    }
    SimExecutor::start(event, std::move(token));
  }

 private:
  Stage& stage_;
};

/// Brakes, and forgets to say that it does no more.
class ForgetsToRelease final : public SimExecutor {
 public:
  explicit ForgetsToRelease(Stage& stage) : SimExecutor(stage) {}
  bool has_capacity() const override { return asked_++ > 5; }

 private:
  mutable int asked_ = 0;
};

/// Takes nothing, ever.
class BrakesForEver final : public SimExecutor {
 public:
  explicit BrakesForEver(Stage& stage) : SimExecutor(stage) {}
  bool has_capacity() const override { return false; }
};

template <class Store>
Plant store() {
  return {.store = [](std::unique_ptr<StateStore> real, Stage&) -> std::unique_ptr<StateStore> {
    return std::make_unique<Store>(std::move(real));
  }};
}
template <class Executor>
Plant executor() {
  return {.executor = [](Stage& stage) { return std::make_shared<Executor>(stage); }};
}

std::optional<Rule> spoken(const Plant& plant, Faults faults, Uses uses = Uses::None,
                           std::uint64_t seeds = 1'000) {
  const Options options{.seeds = seeds,
                        .first_seed = seeded_generator()() % 1'000'000'000,
                        .faults = faults,
                        .uses = uses,
                        .pipelines = uses == Uses::None ? 2U : 5U};
  const Report report = explore_with(everything(), options, {}, plant);
  if (!report.failure) return std::nullopt;
  EXPECT_FALSE(report.failure->timeline.empty());
  return report.failure->rule;
}

TEST(Invariants, AnAcknowledgementBeforeItsSyncIsFound) {
  const auto rule = spoken(store<LyingSync>(), Faults::PowerCut);
  EXPECT_TRUE(rule == Rule::AcknowledgedKept || rule == Rule::DurableDependencies);
}

TEST(Invariants, ATransitionThatNobodyMadeIsFound) {
  EXPECT_EQ(spoken(executor<Pretends>(), Faults::None), Rule::NothingInvented);
}

TEST(Invariants, ACommitThatIsLostWithoutAWordIsFound) {
  // By a rule that depends on what the commit held: it may be one record.
  EXPECT_NE(spoken(store<LosesCommits>(), Faults::None), std::nullopt);
}

TEST(Invariants, ARecoveryThatSkipsItsLastPageIsFound) {
  EXPECT_EQ(spoken(store<SkipsItsLastPage>(), Faults::Kill), Rule::Opens);
}

TEST(Invariants, ARecoveryThatSkipsTheLastSliceOfTheCheckpointIsFound) {
  EXPECT_NE(spoken(store<SkipsItsLastSlice>(), Faults::Kill, Uses::Priorities), std::nullopt);
}

TEST(Invariants, ARowOfAPipelineInTheStoreThatIsLostIsFound) {
  EXPECT_EQ(spoken(store<LosesRows>(), Faults::None, Uses::MemoryBudget), Rule::RestartEquality);
}

TEST(Invariants, AFailedReadThatNobodyIsToldOfIsFound) {
  // By a rule that depends on what was left out.
  EXPECT_NE(spoken(store<HidesFailedReads>(), Faults::Kill | Faults::FailedRead), std::nullopt);
}

TEST(Invariants, OthersGoOnWhileASyncIsInFlight) {
  bool begun = false;
  const Plant plant{.store = [&begun](std::unique_ptr<StateStore> real, Stage& stage) {
    return std::make_unique<WatchesItsSyncs>(std::move(real), stage, begun);
  }};
  EXPECT_EQ(spoken(plant, Faults::SlowSync, Uses::None, 100), std::nullopt);
  EXPECT_TRUE(begun);
}

TEST(Invariants, AStoreThatDoesNotOpenAgainIsFound) {
  EXPECT_EQ(spoken(store<Forgets>(), Faults::Kill), Rule::Opens);
}

TEST(Invariants, AnAttemptThatRunsTwiceWithoutACrashIsFound) {
  EXPECT_EQ(spoken(executor<RunsTwice>(), Faults::None), Rule::Repeats);
}

TEST(Invariants, ATaskThatStaysParkedBesideAFreeSlotIsFound) {
  EXPECT_EQ(spoken(executor<ForgetsToRelease>(), Faults::None), Rule::NoIdleSlot);
}

TEST(Invariants, ARunThatDoesNotComeToItsEndIsFound) {
  EXPECT_EQ(spoken(executor<BrakesForEver>(), Faults::None), Rule::Progress);
}

}  // namespace
}  // namespace leat::sim
