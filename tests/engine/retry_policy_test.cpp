// Retry policies: which failures get another attempt, and after how long.
#include "leat/retry_policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <expected>
#include <limits>

#include "seed.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

RetryPolicy steady(Backoff backoff, nanoseconds initial) {
  return {.backoff = backoff, .initial = initial, .jitter = false};
}

std::vector<nanoseconds> delays(const RetryPolicy& policy, std::int32_t attempts) {
  std::vector<nanoseconds> result;
  for (std::int32_t attempt = 1; attempt <= attempts; ++attempt)
    result.push_back(retry_delay(policy, attempt, 0));
  return result;
}

TEST(RetryPolicy, DefaultsAreThreeExponentialAttemptsWithJitter) {  // rows 127, 128
  const RetryPolicy policy;
  EXPECT_EQ(policy.max_attempts, 3);
  EXPECT_EQ(policy.backoff, Backoff::Exponential);
  EXPECT_EQ(policy.initial, 1s);
  EXPECT_EQ(policy.multiplier, 1.0);
  EXPECT_EQ(policy.base, 2.0);
  EXPECT_EQ(policy.cap, 60s);
  EXPECT_TRUE(policy.jitter);
  EXPECT_EQ(policy.on, RetryOn::All);
}

TEST(RetryDelay, FixedStaysTheSame) {  // row 129
  EXPECT_EQ(delays(steady(Backoff::Fixed, 2s), 3), (std::vector<nanoseconds>{2s, 2s, 2s}));
}

TEST(RetryDelay, LinearGrowsByTheAttempt) {  // rows 130, 140
  EXPECT_EQ(delays(steady(Backoff::Linear, 1s), 3), (std::vector<nanoseconds>{1s, 2s, 3s}));
  auto steep = steady(Backoff::Linear, 1s);
  steep.multiplier = 3.0;
  EXPECT_EQ(delays(steep, 3), (std::vector<nanoseconds>{3s, 6s, 9s}));
}

TEST(RetryDelay, ExponentialDoublesFromTheFirstAttemptOn) {  // rows 131, 133, 141
  EXPECT_EQ(delays(steady(Backoff::Exponential, 1s), 4), (std::vector<nanoseconds>{1s, 2s, 4s, 8s}));
  auto steep = steady(Backoff::Exponential, 1s);
  steep.multiplier = 2.0;
  steep.base = 3.0;
  EXPECT_EQ(delays(steep, 3), (std::vector<nanoseconds>{2s, 6s, 18s}));
}

TEST(RetryDelay, CapHolds) {  // row 132
  auto policy = steady(Backoff::Exponential, 10s);
  policy.cap = 15s;
  EXPECT_EQ(delays(policy, 3), (std::vector<nanoseconds>{10s, 15s, 15s}));
}

TEST(RetryDelay, JitterSpreadsEvenlyByAQuarter) {  // row 134
  auto random = seeded_generator();
  const RetryPolicy policy{.backoff = Backoff::Fixed, .initial = 10s};
  constexpr int kDraws = 10'000;
  double sum = 0;
  nanoseconds least = nanoseconds::max();
  nanoseconds most = 0ns;
  for (int i = 0; i < kDraws; ++i) {
    const nanoseconds delay = retry_delay(policy, 1, random());
    least = std::min(least, delay);
    most = std::max(most, delay);
    sum += static_cast<double>(delay.count());
  }
  EXPECT_GE(least, 7500ms);
  EXPECT_LE(most, 12500ms);
  // Fails by chance once in 10^12 runs: (1 - 0.003)^10000, and 7 sigma of the mean of a uniform spread.
  EXPECT_LT(least, 7515ms);
  EXPECT_GT(most, 12485ms);
  EXPECT_NEAR(sum / kDraws, 10e9, 7 * 5e9 / std::sqrt(12.0 * kDraws));
}

TEST(RetryDelay, JitterEndsExactlyAtAQuarter) {
  const RetryPolicy policy{.backoff = Backoff::Fixed, .initial = 10s};
  EXPECT_EQ(retry_delay(policy, 1, 0), 7500ms);
  EXPECT_EQ(retry_delay(policy, 1, std::uint64_t{1} << 63), 10s);
  EXPECT_LE(retry_delay(policy, 1, ~std::uint64_t{0}), 12500ms);
}

TEST(RetryDelay, CapOutweighsJitter) {  // row 142: the cap comes last
  const RetryPolicy policy{.backoff = Backoff::Fixed, .initial = 10s, .cap = 11s};
  EXPECT_EQ(retry_delay(policy, 1, ~std::uint64_t{0}), 11s);
  EXPECT_EQ(retry_delay(policy, 1, 0), 7500ms);
}

TEST(RetryDelay, StaysWithinZeroAndTheCapWhateverThePolicy) {
  auto random = seeded_generator();
  const std::vector<double> factors = {0.0, 0.5, 1.0, 2.0, 1e300, std::numeric_limits<double>::max()};
  const std::vector<nanoseconds> times = {0ns, 1ns, 1s, 24h * 365, nanoseconds::max()};
  for (int i = 0; i < 20'000; ++i) {
    const RetryPolicy policy{.backoff = static_cast<Backoff>(pick(random, 3)),
                             .initial = times[pick(random, 5)],
                             .multiplier = factors[pick(random, 6)],
                             .base = factors[pick(random, 6)],
                             .cap = times[pick(random, 5)],
                             .jitter = pick(random, 2) == 1};
    const auto attempt = static_cast<std::int32_t>(random() >> (33 + pick(random, 31)));
    const nanoseconds delay = retry_delay(policy, attempt, random());
    ASSERT_GE(delay, 0ns) << "attempt " << attempt;
    ASSERT_LE(delay, policy.cap) << "attempt " << attempt;
  }
}

TEST(RetryDecision, MaxAttemptsCountsTheFirstTry) {  // rows 135, 143
  const RetryPolicy policy{.max_attempts = 3};
  EXPECT_TRUE(should_retry(policy, 1, "x"));
  EXPECT_TRUE(should_retry(policy, 2, "x"));
  EXPECT_FALSE(should_retry(policy, 3, "x"));
  EXPECT_FALSE(should_retry(policy, 4, "x"));
}

TEST(RetryDecision, NeverIsNever) {  // rows 136, 150
  EXPECT_FALSE(should_retry({.max_attempts = 10, .on = RetryOn::Never}, 1, "connection refused"));
}

TEST(RetryDecision, NoAttemptsMeansNoRetry) {  // row 137
  EXPECT_FALSE(should_retry({.max_attempts = 0}, 0, "x"));
}

TEST(RetryDecision, TransientOnlyLooksAtTheError) {  // rows 138, 149
  const RetryPolicy policy{.on = RetryOn::TransientOnly};
  EXPECT_TRUE(should_retry(policy, 1, "connection refused"));
  EXPECT_FALSE(should_retry(policy, 1, "invalid input"));
}

TEST(RetryDecision, PatternsArePartsOfTheTextAndCaseBlind) {  // row 139
  const RetryPolicy policy{.on = RetryOn::Never, .patterns = {"deadlock", "lock timeout"}};
  EXPECT_TRUE(should_retry(policy, 1, "deadlock detected"));
  EXPECT_TRUE(should_retry(policy, 1, "Lock Timeout on table"));
  EXPECT_FALSE(should_retry(policy, 1, "invalid input"));
  EXPECT_FALSE(should_retry(policy, 1, ""));
}

TEST(RetryDecision, AnyOfSeveralConditionsIsEnough) {  // row 144
  const RetryPolicy policy{.on = RetryOn::TransientOnly, .patterns = {"deadlock"}};
  EXPECT_TRUE(should_retry(policy, 1, "DEADLOCK"));
  EXPECT_TRUE(should_retry(policy, 1, "network down"));
  EXPECT_FALSE(should_retry(policy, 1, "invalid input"));
}

TEST(RetryDecision, PermanentOutweighsThePolicy) {
  EXPECT_FALSE(should_retry({}, 1, "connection refused", TaskError::Class::Transient, true));
}

TEST(RetryTransient, OneListOfWords) {  // row 145
  for (const char* text :
       {"Connection reset", "NETWORK unreachable", "read timeout", "temporary failure", "service unavailable",
        "device busy", "server overloaded", "Rate Limit exceeded"}) {
    EXPECT_TRUE(is_transient(text)) << text;
  }
}

TEST(RetryTransient, TimeoutsAreWhateverTheySay) {  // row 146
  EXPECT_TRUE(is_transient("killed", TaskError::Class::Timeout));
  EXPECT_TRUE(is_transient("", TaskError::Class::Transient));
}

TEST(RetryTransient, OtherErrorsAreNot) {  // row 147
  for (const char* text : {"permission denied", "null pointer", "invalid input format", "validation failed",
                           "cannot load the context", "trigger rule", ""}) {
    EXPECT_FALSE(is_transient(text)) << text;
  }
}

TEST(RetryDelay, ThatATaskNamesIsSpreadUpwards) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  EXPECT_EQ(spread_delay({}, 4s, 0), 4s);
  EXPECT_GT(spread_delay({}, 4s, kMost), 4s + 999ms);
  EXPECT_LE(spread_delay({}, 4s, kMost), 5s);
  EXPECT_EQ(spread_delay({.jitter = false}, 4s, kMost), 4s);
  EXPECT_EQ(spread_delay({}, 2min, 0), 2min) << "the policy's cap is that of its own delays";
  EXPECT_EQ(spread_delay({}, nanoseconds::max() - 1s, kMost), nanoseconds::max());
}

TEST(RetryClasses, OutweighThePolicyForTheirErrors) {
  const RetryPolicy policy{.max_attempts = 5,
                           .jitter = false,
                           .on = RetryOn::Never,
                           .classes = {{.error_class = TaskError::Class::Timeout,
                                        .max_attempts = 2,
                                        .backoff = Backoff::Fixed,
                                        .initial = 90s,
                                        .cap = 2min},
                                       {.error_class = TaskError::Class::Transient, .max_attempts = 9}}};
  EXPECT_TRUE(should_retry(policy, 1, "x", TaskError::Class::Timeout));
  EXPECT_FALSE(should_retry(policy, 2, "x", TaskError::Class::Timeout));
  EXPECT_TRUE(should_retry(policy, 8, "x", TaskError::Class::Transient));
  EXPECT_FALSE(should_retry(policy, 1, "x", TaskError::Class::Task)) << "others go by the policy";
  EXPECT_FALSE(should_retry(policy, 1, "x", TaskError::Class::Transient, true)) << "permanent is permanent";
  EXPECT_EQ(retry_delay(policy, 1, 0, TaskError::Class::Timeout), 90s);
  EXPECT_EQ(retry_delay(policy, 2, 0, TaskError::Class::Transient), 2s);
  EXPECT_EQ(retry_delay(policy, 1, 0), 1s);
}

TEST(TaskErrors, ConvertFromTexts) {
  const std::expected<void, TaskError> result = std::unexpected("boom");
  EXPECT_EQ(result.error().message, "boom");
  EXPECT_EQ(result.error().error_class, TaskError::Class::Task);
  EXPECT_FALSE(result.error().permanent);
  EXPECT_EQ(TaskError("x").after(3s).retry_after, 3s);
  EXPECT_TRUE(TaskError("x").for_good().permanent);
}

TEST(RetryNames, AreWords) {
  EXPECT_EQ(to_string(Backoff::Exponential), "exponential");
  EXPECT_EQ(to_string(Backoff::Fixed), "fixed");
  EXPECT_EQ(to_string(RetryOn::TransientOnly), "transient_only");
  EXPECT_EQ(to_string(TaskError::Class::Timeout), "Timeout");
  EXPECT_EQ(parse_backoff("linear"), Backoff::Linear);
  EXPECT_EQ(parse_retry_on("never"), RetryOn::Never);
  EXPECT_EQ(parse_error_class("TaskNotFound"), TaskError::Class::TaskNotFound);
  EXPECT_EQ(parse_error_class("tasknotfound"), std::nullopt);
}

}  // namespace
}  // namespace leat
