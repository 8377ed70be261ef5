// What the observer of `leat torture` takes for a life's right end.
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <random>
#include <string>
#include <string_view>

#include "exit_status.h"
#include "torture_child.h"
#include "torture_plan.h"
#include "torture_points.h"

namespace leat::tools {
namespace {

constexpr int by(int signal) {
  return kTortureDeadly + signal;
}

TEST(TorturePlan, MayAlwaysBeKilled) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(TorturePlan::make(random).may_end_so(by(SIGKILL)));
}

TEST(TorturePlan, WithoutTroubleDoesNotEndByItself) {
  for (const int status : {kGood, kFailed, kBadInput, kStoreFailure, by(SIGABRT), by(SIGSEGV), by(SIGTERM)})
    EXPECT_FALSE(TorturePlan().may_end_so(status)) << status;
}

TEST(TorturePlan, ThatIsStoppedEndsWell) {
  const TorturePlan plan{.clean = true};
  EXPECT_TRUE(plan.may_end_so(kGood));
  EXPECT_TRUE(plan.may_end_so(by(SIGTERM)));  // before it could catch that
  for (const int status : {kFailed, kBadInput, kStoreFailure, by(SIGABRT)})
    EXPECT_FALSE(plan.may_end_so(status)) << status;
}

TEST(TorturePlan, ThatIsToEndAllEndsWellOrNotAtAll) {
  const TorturePlan plan{.drain = true};
  EXPECT_TRUE(plan.may_end_so(kGood));
  for (const int status : {kFailed, kBadInput, kStoreFailure, by(SIGABRT), by(SIGTERM), by(SIGKILL)})
    EXPECT_FALSE(plan.may_end_so(status)) << status;
}

TEST(TorturePlan, ShortOfSomethingEndsAsAStoreThatFails) {
  for (const std::string_view trouble : {"files", "size", "memory"}) {
    const TorturePlan plan{.trouble = std::string(trouble)};
    EXPECT_TRUE(plan.may_end_so(kBadInput)) << trouble;
    EXPECT_TRUE(plan.may_end_so(kStoreFailure)) << trouble;
    for (const int status : {kGood, kFailed, by(SIGSEGV), by(SIGBUS), by(SIGTERM)})
      EXPECT_FALSE(plan.may_end_so(status)) << trouble << ' ' << status;
  }
}

TEST(TorturePlan, AbortsWhereMemoryRunsOutAndNowhereElse) {
  for (const std::string_view trouble : kTortureTroubles) {
    const TorturePlan plan{.trouble = std::string(trouble)};
    EXPECT_EQ(plan.may_end_so(by(SIGABRT)), trouble == "memory") << trouble;
  }
}

}  // namespace
}  // namespace leat::tools
