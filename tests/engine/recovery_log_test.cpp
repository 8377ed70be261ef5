// What a start says of what an earlier process left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "eventually.h"
#include "leat/leat.h"
#include "leat/wrapped_store.h"
#include "temporary_directory.h"
#include "virtual_clock.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

using Line = std::pair<Severity, std::string>;

/// Builds a Runner and takes it down again. @return what it said until it was built
std::vector<Line> lines_of(Runner::Builder builder) {
  std::vector<Line> lines;
  builder.log_sink(
      [&lines](Severity severity, std::string_view line) { lines.emplace_back(severity, line); });
  const auto runner = builder.build();
  EXPECT_TRUE(runner) << runner.error().message;
  std::vector<Line> said = lines;
  return said;
}

/// What a killed process leaves: some pipelines of one task each that ran.
std::shared_ptr<MemoryMedium> kill_while_running(int pipelines) {
  const auto medium = std::make_shared<MemoryMedium>();
  std::atomic<int> running{0};
  std::atomic<bool> hold{true};
  const auto work = Workflow::builder("work")
                        .task("t",
                              [&](TaskContext&) {
                                ++running;
                                while (hold) std::this_thread::yield();
                              })
                        .build();
  auto runner = Runner::builder()
                    .state_store(make_memory_store(medium))
                    .workers(static_cast<std::uint32_t>(pipelines))
                    .build();
  EXPECT_TRUE(runner && runner->start());
  for (int i = 0; i < pipelines; ++i) {
    EXPECT_TRUE(runner->submit(*work)->acknowledged());
    EXPECT_TRUE(eventually([&] { return running == i + 1; }));
  }
  EXPECT_TRUE(runner->flush());  // the starts are in the journal
  auto left = medium->after_kill();
  hold = false;
  return left;
}

TEST(RecoveryLog, AStartSaysWhatItCarriesOnAndWhatItRescues) {
  auto store = make_memory_store(kill_while_running(2));
  const auto lines = lines_of(std::move(Runner::builder().state_store(std::move(store))));
  EXPECT_THAT(lines, Contains(testing::Pair(Severity::Info,
                                            HasSubstr("2 pipeline(s) to carry on, 2 task(s) to rescue"))));
}

TEST(RecoveryLog, AFirstStartSaysNothing) {
  EXPECT_THAT(lines_of(std::move(Runner::builder().state_store(make_memory_store()))), IsEmpty());
}

/// Each commit that is read takes three seconds.
class SlowStore final : public WrappedStore {
 public:
  SlowStore(std::unique_ptr<StateStore> store, std::shared_ptr<VirtualClock> clock)
      : WrappedStore(std::move(store)), clock_(std::move(clock)) {}
  std::expected<void, StoreError> replay_from(std::uint64_t sequence, const Visitor& visit) override {
    return WrappedStore::replay_from(sequence, [&](std::uint64_t first, std::span<const std::byte> commit) {
      clock_->advance(3s);
      return visit(first, commit);
    });
  }

 private:
  const std::shared_ptr<VirtualClock> clock_;
};

TEST(RecoveryLog, ALongRecoverySaysHowFarItIsEachFiveSeconds) {
  const auto clock = std::make_shared<VirtualClock>();
  auto store = std::make_unique<SlowStore>(make_memory_store(kill_while_running(4)), clock);
  const auto lines = lines_of(std::move(Runner::builder().state_store(std::move(store)).clock(clock)));
  EXPECT_THAT(lines, Contains(testing::Pair(Severity::Warning, HasSubstr("recovering since 6 s: "))));
  EXPECT_THAT(lines, Contains(testing::Pair(Severity::Warning, HasSubstr("recovering since 12 s: "))));
  EXPECT_THAT(lines, Not(Contains(testing::Pair(Severity::Warning, HasSubstr("since 3 s")))));
}

TEST(RecoveryLog, ATornTailIsSaidInOneLine) {
  const TemporaryDirectory directory;
  const std::string live = directory.path() + "/live";
  const std::string crashed = directory.path() + "/crashed";
  std::filesystem::create_directories(directory.path());
  const auto work = Workflow::builder("work").task("t", [](TaskContext&) {}).build();
  {
    auto runner = Runner::builder().database_url("rocksdb://" + live).build();
    ASSERT_TRUE(runner && runner->start());
    ASSERT_TRUE(runner->submit(*work)->wait(30s));
    std::filesystem::copy(live, crashed);  // as a kill would leave it
  }
  for (const auto& entry : std::filesystem::directory_iterator(crashed)) {
    if (entry.path().extension() != ".log") continue;
    // A record of 4 KiB of which a few bytes were written.
    std::ofstream(entry.path(), std::ios::binary | std::ios::app) << std::string("\1\2\3\4\0\x10\1torn", 11);
  }
  const auto lines = lines_of(std::move(Runner::builder().database_url("rocksdb://" + crashed)));
  EXPECT_THAT(lines, Contains(testing::Pair(Severity::Warning,
                                            HasSubstr("ends in a torn record, as a crash leaves it"))));
}

}  // namespace
}  // namespace leat
