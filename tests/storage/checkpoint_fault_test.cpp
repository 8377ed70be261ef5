// Rounds of the checkpoint on a device that fails: at calls of a scenario from the first to the last, some
// left out by chance, killed or with a power cut. Whatever happens, what is recovered is what some prefix of
// the scenario left, nothing acknowledged missing.
#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "faulty_file_system.h"
#include "journal_writer.h"
#include "leat/store_recovery.h"
#include "leat/store_verifier.h"
#include "rocksdb_store.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

using Fault = FaultyFileSystem::Fault;

constexpr std::uint64_t kOtherBoot = 12345;  // see Floor::promised()
constexpr std::string_view kTasks[] = {"only"};
constexpr std::uint32_t kReady[] = {0};
constexpr Retention kNoEvents = {.age_ns = 0};

enum class End : std::uint8_t { Killed, PowerCut, TornPowerCut };
using Live = std::set<std::uint64_t>;

/// Pipelines that come and go, and two rounds among them, each in commits of their own; gives up at the first
/// error, as the journal does.
class Scenario {
 public:
  explicit Scenario(rocksdb::Env& env, const std::string& place) {
    auto store = open_rocksdb_store(place, StoreEnvironment{.env = &env});
    if (!store) return;
    store_ = std::move(*store);
    store_->retain_events(kNoEvents);
    writer_.emplace(*store_);
    is_whole_ = play();
  }

  bool is_whole() const { return is_whole_; }

  /// What the store may amount to: the states from the last one that was promised to the last one tried.
  std::vector<Live> allowed(End end) const {
    const std::size_t first = end == End::Killed ? written_ : synced_;
    return {states_.begin() + static_cast<std::ptrdiff_t>(first), states_.end()};
  }

 private:
  bool play() {
    if (!writer_->append(
            TransitionGroup(1, WorkflowDefined{.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}),
            TransitionGroup(1, KeyDefined{.key_no = 1, .key = "default"}))) {
      return false;
    }
    for (std::uint64_t round = 1; round <= 2; ++round) {
      const std::uint64_t first = round * 10;
      if (!create(first) || !create(first + 1)) return false;
      if (round > 1 && !finish(first - 10)) return false;
      std::vector<TransitionGroup> rows = begin(round);
      if (!write(rows) || !create(first + 2) || !finish(first + 1)) return false;
      // What was created since the round began is in the journal behind its minimum.
      for (const std::uint64_t number : Live(live_)) {
        if (number != first + 2) keep(rows, round, number);
      }
      if (!write(rows) || !create(first + 3)) return false;
      rows.push_back(make_row(RoundEnded{round, static_cast<std::int64_t>(round)}));
      if (!write(rows) || !sync() || !store_->tidy()) return false;
      if (!finish(first + 3)) return false;
    }
    if (!store_->close()) return false;
    written_ = synced_ = states_.size() - 1;
    return true;
  }

  /// The state that the write leads to is tried first, and promised if it succeeds.
  template <class... Groups>
  bool lead_to(Live next, const Groups&... groups) {
    states_.push_back(std::move(next));
    if (!writer_->append(groups...)) return false;
    live_ = states_.back();
    written_ = states_.size() - 1;
    return true;
  }

  bool create(std::uint64_t number) {
    Live next = live_;
    next.insert(number);
    return lead_to(
        std::move(next),
        TransitionGroup(
            2, PipelineCreated{.pipeline_no = number, .workflow_no = 1, .task_count = 1, .ready = kReady}));
  }
  bool finish(std::uint64_t number) {
    Live next = live_;
    next.erase(number);
    return lead_to(
        std::move(next), TransitionGroup(3, TaskStarted{.pipeline_no = number, .key_no = 1}),
        TransitionGroup(4, TaskEnded{.pipeline_no = number, .pipeline = PipelineState::Completed}));
  }

  std::vector<TransitionGroup> begin(std::uint64_t generation) {
    std::vector<TransitionGroup> rows;
    rows.push_back(make_row(RoundBegun{.generation = generation,
                                       .minimum = writer_->end(),
                                       .next_pipeline_no = 1,
                                       .next_workflow_no = 2,
                                       .next_key_no = 2}));
    rows.push_back(
        make_row(WorkflowKept{generation, 1, {.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}}));
    rows.push_back(make_row(KeyKept{generation, {.key_no = 1, .key = "default"}}));
    return rows;
  }
  static void keep(std::vector<TransitionGroup>& rows, std::uint64_t generation, std::uint64_t number) {
    PipelineImage pipeline;
    pipeline.pipeline_no = number;
    pipeline.workflow_no = 1;
    pipeline.created_ns = 2;
    pipeline.tasks.resize(1);
    pipeline.tasks[0].state = TaskState::Ready;
    for (TransitionGroup& row : make_rows({generation, pipeline})) rows.push_back(std::move(row));
  }
  bool write(std::vector<TransitionGroup>& rows) {
    const bool done = writer_->append_rows(rows).has_value();
    rows.clear();
    return done;
  }
  bool sync() {
    if (!writer_->sync()) return false;
    synced_ = written_;
    return true;
  }

  std::unique_ptr<StateStore> store_;
  std::optional<JournalWriter> writer_;
  std::vector<Live> states_{1};
  Live live_;
  std::size_t written_ = 0;
  std::size_t synced_ = 0;
  bool is_whole_ = false;
};

Live recover(const std::string& place, End end) {
  StoreEnvironment environment;
  if (end != End::Killed) environment.boot = kOtherBoot;
  auto store = open_rocksdb_store(place, environment);
  EXPECT_TRUE(store) << store.error().message;
  Live live;
  if (!store) return live;
  const auto image = recover_unfinished(**store);
  EXPECT_TRUE(image) << image.error().message;
  if (!image) return live;
  for (const auto& [number, pipeline] : image->pipelines()) live.insert(number);
  EXPECT_TRUE((*store)->close());
  return live;
}

struct Case {
  std::string name;
  Fault fault;
  End end;
};

class CheckpointFault : public testing::TestWithParam<Case> {};

TEST_P(CheckpointFault, RecoversAPrefixWhereverItFails) {
  const char* const given = std::getenv("LEAT_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "LEAT_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  const auto [name, fault, end] = GetParam();
  const TemporaryDirectory directory;
  std::uint64_t fail_at = 1;
  for (bool untouched = false; !untouched; fail_at += 1 + random() % 6) {
    SCOPED_TRACE("the failing call is number " + std::to_string(fail_at));
    const std::string place = directory.store();
    std::filesystem::remove_all(place);
    const auto system = std::make_shared<FaultyFileSystem>(fault, fail_at);
    const auto env = rocksdb::NewCompositeEnv(system);
    std::vector<Live> allowed;
    {
      const Scenario scenario(*env, place);
      allowed = scenario.allowed(end);
      untouched = scenario.is_whole();
    }
    if (end != End::Killed) system->cut_power(end == End::TornPowerCut ? &random : nullptr);
    const Live live = recover(place, end);
    EXPECT_TRUE(std::ranges::find(allowed, live) != allowed.end())
        << "recovered " << testing::PrintToString(live) << ", allowed " << testing::PrintToString(allowed);
    EXPECT_EQ(recover(place, end), live) << "the second opening finds what the first one made of it";
    const auto findings = verify_rocksdb_store(place);
    ASSERT_TRUE(findings) << findings.error().message;
    EXPECT_TRUE(findings->empty()) << findings->front().message;
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(fail_at, 40U);  // the scenario makes at least so many calls
}

INSTANTIATE_TEST_SUITE_P(Every, CheckpointFault,
                         testing::Values(Case{"RefusedKilled", Fault::Refuse, End::Killed},
                                         Case{"RefusedPowerCut", Fault::Refuse, End::PowerCut},
                                         Case{"LiedAboutTorn", Fault::Lie, End::TornPowerCut}),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace leat::test
