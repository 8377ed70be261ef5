// Lives of `leat torture`, one by one: where each dies, and what it leaves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../storage/temporary_directory.h"
#include "exit_status.h"
#include "leat/state_store.h"
#include "leat/store_verifier.h"
#include "torture_child.h"
#include "torture_ledger.h"
#include "torture_points.h"

namespace leat::tools {
namespace {

using namespace std::chrono_literals;
using Kind = TortureReport::Kind;

constexpr auto kLongestLife = 60s;  // of a life that dies by its own hand

/// A store, and lives on it.
class TortureLife : public testing::Test {
 protected:
  /// @return its status, or -1: it had not died in time and was killed
  int live(TortureLifeOptions life) {
    life.store = directory_.store();
    TortureChild child(LEAT_TOOL, life);
    EXPECT_TRUE(child.born());
    heard_.clear();
    const auto hear = [this](const TortureReport& said) {
      heard_.push_back(said);
      ledger_.hear(said);
    };
    const bool silent = child.listen(hear, std::chrono::steady_clock::now() + kLongestLife);
    if (!silent) child.signal(SIGKILL);
    const int status = child.wait();
    return silent ? status : -1;
  }
  /// Lives until one of them has left something undone. @return whether one has, and nothing was wrong
  bool leaves_something(TortureLifeOptions life) {
    for (life.seed = 1; life.seed <= 20; ++life.seed) {
      EXPECT_EQ(live(life), kTortureDeadly + SIGKILL);
      EXPECT_THAT(ledger_.check(directory_.store()), testing::IsEmpty());
      if (HasFailure() || !ledger_.check_ended().empty()) break;
    }
    return !HasFailure() && !ledger_.check_ended().empty();
  }
  auto count(Kind kind) const { return std::ranges::count(heard_, kind, &TortureReport::kind); }

  test::TemporaryDirectory directory_ = test::TemporaryDirectory::without_device();
  std::vector<TortureReport> heard_;  // from the latest life
  TortureLedger ledger_;              // of all
};

constexpr int kKilled = kTortureDeadly + SIGKILL;

class TorturePoint : public TortureLife, public testing::WithParamInterface<std::string_view> {};

TEST_P(TorturePoint, IsWhereALifeDies) {
  ASSERT_EQ(live({.seed = 1, .die_at = "committed", .die_after = 4}), kKilled);
  EXPECT_EQ(live({.seed = 2, .die_at = std::string(GetParam())}), kKilled);
}

INSTANTIATE_TEST_SUITE_P(All, TorturePoint, testing::ValuesIn(kTorturePoints),
                         [](const auto& point) { return std::string(point.param); });

TEST_F(TortureLife, ThatIsToEndAllLeavesNothingUndoneAndAWholeStore) {
  ASSERT_TRUE(leaves_something({.die_at = "started", .die_after = 20}));
  EXPECT_EQ(live({.seed = 100, .drain = true}), kGood);
  EXPECT_THAT(ledger_.check(directory_.store()), testing::IsEmpty());
  EXPECT_THAT(ledger_.check_ended(), testing::IsEmpty());
  const auto findings = verify_rocksdb_store(directory_.store());
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_THAT(*findings, testing::IsEmpty());
}

TEST_F(TortureLife, WhoseClockIsAheadEndsWhatOthersHaveLeftForLater) {
  ASSERT_TRUE(leaves_something({.die_at = "ended", .die_after = 100, .hours = -12}));
  ASSERT_TRUE(leaves_something({.die_at = "ended", .die_after = 50, .trouble = "clock", .hours = 6}));
  EXPECT_EQ(live({.seed = 100, .hours = kTortureHoursOfAll, .drain = true}), kGood);
  EXPECT_THAT(ledger_.check(directory_.store()), testing::IsEmpty());
  EXPECT_THAT(ledger_.check_ended(), testing::IsEmpty());
}

/// Whose tasks dead lives had begun, as the next opening finds it.
std::size_t tasks_on_board(const std::string& store_path) {
  auto store = open_rocksdb_store(store_path);
  return store ? (*store)->board()->left_behind().size() : 0;
}

TEST_F(TortureLife, ThatDiesAtAClaimLeavesATaskThatIsBegunThoughItsFunctionIsNot) {
  // A claim at level Memory leaves nothing, and those of this life come first where it carries nothing on.
  ASSERT_EQ(live({.seed = 1, .die_at = "committed", .die_after = 4}), kKilled);
  std::size_t begun = 0;
  for (std::uint64_t seed = 1; seed <= 50 && begun == 0; ++seed) {
    ASSERT_EQ(live({.seed = seed, .die_at = "claimed"}), kKilled);
    ASSERT_EQ(count(Kind::Began), 0);
    begun = tasks_on_board(directory_.store());
  }
  EXPECT_GT(begun, 0U);
}

}  // namespace
}  // namespace leat::tools
