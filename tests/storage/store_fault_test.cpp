// The store on a device that fails: at every call of a scenario in turn, in several ways, with and without a
// power cut. Whatever happens, everything acknowledged is there afterwards, nothing is invented, and the
// order is a prefix.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "commit.h"
#include "failing_files.h"
#include "faulty_file_system.h"
#include "journal_writer.h"
#include "rocksdb_store.h"
#include "store_directory.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

using Fault = FaultyFileSystem::Fault;

constexpr std::uint64_t kCommits = 4;
constexpr std::uint64_t kSyncEvery = 2;
constexpr std::uint64_t kOtherBoot = 12345;  // see Floor::promised()

enum class End : std::uint8_t { Killed, PowerCut, TornPowerCut };

struct Acknowledged {
  std::uint64_t tried = 0;
  std::uint64_t written = 0;
  std::uint64_t synced = 0;
};

/// Opens, appends kCommits commits, syncs now and then, closes; gives up at the first error, as the journal
/// does.
Acknowledged play(const std::string& place, const StoreEnvironment& environment) {
  Acknowledged told;
  auto store = open_rocksdb_store(place, environment);
  if (!store) return told;
  JournalWriter writer(**store);
  const std::string output(700, 'o');
  for (std::uint64_t number = 1; number <= kCommits; ++number) {
    told.tried = number;
    if (!writer.append(TransitionGroup(0, TaskEnded{.pipeline_no = number, .output = output}))) return told;
    told.written = number;
    if (number % kSyncEvery != 0) continue;
    if (!writer.sync()) return told;
    told.synced = number;
  }
  if ((*store)->close()) told.synced = told.written;
  return told;
}

/// How many pipelines the store remembers; they must be 1, 2, 3 and so on.
std::uint64_t count_prefix(StateStore& store) {
  std::uint64_t count = 0;
  const auto done = store.replay([&](std::uint64_t first, std::span<const std::byte> bytes) {
    auto commit = CommitReader::open(first, bytes);
    EXPECT_TRUE(commit);
    EXPECT_EQ(std::get<TaskEnded>((*commit->next())->record).pipeline_no, ++count);
    return std::expected<void, StoreError>();
  });
  EXPECT_TRUE(done) << done.error().message;
  return count;
}

void expect_nothing_lost(const std::string& place, const Acknowledged& told, End end) {
  const std::uint64_t promised = end == End::Killed ? told.written : told.synced;
  for (int opening = 0; opening < 2; ++opening) {  // the second one finds what the first one made of it
    StoreEnvironment environment;
    if (end != End::Killed) environment.boot = kOtherBoot;
    auto store = open_rocksdb_store(place, environment);
    ASSERT_TRUE(store) << store.error().message;
    const std::uint64_t count = count_prefix(**store);
    EXPECT_GE(count, promised);
    EXPECT_LE(count, told.tried);
    if (opening == 1) {
      EXPECT_TRUE((*store)->close());
    }
  }
}

struct Case {
  std::string name;
  Fault fault;
  End end;
  std::uint64_t reserved_numbers = kReservedNumbers;  ///< few: a commit goes past them
};

/// A crashed store with kCommits commits, all of them synced.
void crash(const std::string& place) {
  auto store = open_rocksdb_store(place);
  ASSERT_TRUE(store) << store.error().message;
  JournalWriter writer(**store);
  for (std::uint64_t number = 1; number <= kCommits; ++number) {
    ASSERT_TRUE(writer.append(TransitionGroup(0, TaskEnded{.pipeline_no = number})));
  }
  ASSERT_TRUE(writer.sync());
}

class StoreFault : public testing::TestWithParam<Case> {};

TEST_P(StoreFault, LosesNothingAcknowledgedAtAnyFailingCall) {
  const char* const given = std::getenv("LEAT_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "LEAT_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  const auto [name, fault, end, reserved_numbers] = GetParam();
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  std::uint64_t fail_at = 1;
  for (bool untouched = false; !untouched; ++fail_at) {
    SCOPED_TRACE("the failing call is number " + std::to_string(fail_at));
    const std::string place = directory.store();
    std::filesystem::remove_all(place);
    const auto system = std::make_shared<FaultyFileSystem>(fault, fail_at);
    FaultyEnv env(system);
    const Acknowledged told = play(place, {.env = &env, .reserved_numbers = reserved_numbers});
    if (end != End::Killed) system->cut_power(end == End::TornPowerCut ? &random : nullptr);
    expect_nothing_lost(place, told, end);
    if (testing::Test::HasFailure()) return;
    untouched = system->calls() < fail_at;
    if (untouched) {
      EXPECT_EQ(told.synced, kCommits);
    }
  }
  EXPECT_GT(fail_at, 30U);  // the scenario makes at least so many calls
}

TEST_P(StoreFault, LosesNothingWhenARecoveryFailsAtAnyCall) {
  const auto [name, fault, end, unused] = GetParam();
  std::mt19937_64 random(1);
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  const std::string crashed = directory.store() + ".crashed";
  crash(crashed);
  std::uint64_t fail_at = 1;
  for (bool untouched = false; !untouched; ++fail_at) {
    SCOPED_TRACE("the failing call is number " + std::to_string(fail_at));
    const std::string place = directory.store();
    std::filesystem::remove_all(place);
    std::filesystem::copy(crashed, place, std::filesystem::copy_options::recursive);
    const auto system = std::make_shared<FaultyFileSystem>(fault, fail_at);
    FaultyEnv env(system);
    {
      const auto store = open_rocksdb_store(place, StoreEnvironment{.env = &env});
      EXPECT_EQ(store ? count_prefix(**store) : kCommits, kCommits);
    }
    if (end != End::Killed) system->cut_power(end == End::TornPowerCut ? &random : nullptr);
    expect_nothing_lost(place, {.tried = kCommits, .written = kCommits, .synced = kCommits}, end);
    if (testing::Test::HasFailure()) return;
    untouched = system->calls() < fail_at;
  }
  EXPECT_GT(fail_at, 5U);  // it makes at least so many calls
}

INSTANTIATE_TEST_SUITE_P(Every, StoreFault,
                         testing::Values(Case{"RefusedKilled", Fault::Refuse, End::Killed},
                                         Case{"RefusedPowerCut", Fault::Refuse, End::PowerCut},
                                         Case{"RefusedOnceTorn", Fault::RefuseOnce, End::TornPowerCut},
                                         Case{"LiedAboutKilled", Fault::Lie, End::Killed, 1},
                                         Case{"RefusedOnceKilled", Fault::RefuseOnce, End::Killed},
                                         Case{"RefusedTorn", Fault::Refuse, End::TornPowerCut, 1},
                                         Case{"NoSpaceKilled", Fault::RefuseForSpace, End::Killed},
                                         Case{"NoSpacePowerCut", Fault::RefuseForSpace, End::PowerCut},
                                         Case{"LiedAboutPowerCut", Fault::Lie, End::PowerCut},
                                         Case{"LiedAboutTorn", Fault::Lie, End::TornPowerCut}),
                         [](const auto& one) { return one.param.name; });

/// LEAT, FLOOR, RESERVE and BOARD, which lie beside RocksDB's files.
class OwnFilesFault : public testing::TestWithParam<FailingFiles::Fault> {};

TEST_P(OwnFilesFault, LosesNothingAcknowledgedAtAnyFailingCall) {
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  std::uint64_t fail_at = 1;
  for (bool untouched = false; !untouched; ++fail_at) {
    SCOPED_TRACE("the failing call is number " + std::to_string(fail_at));
    const std::string place = directory.store();
    std::filesystem::remove_all(place);
    FailingFiles files(GetParam(), fail_at);
    const Acknowledged told = play(place, {.files = &files, .reserved_numbers = 1});
    expect_nothing_lost(place, told, End::Killed);
    if (testing::Test::HasFailure()) return;
    untouched = files.calls() < fail_at;
    if (untouched) {
      EXPECT_EQ(told.synced, kCommits);
    }
  }
  EXPECT_GT(fail_at, 30U);  // the scenario makes at least so many calls
}

TEST_P(OwnFilesFault, LosesNothingWhenARecoveryFailsAtAnyCall) {
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  const std::string crashed = directory.store() + ".crashed";
  crash(crashed);
  std::uint64_t fail_at = 1;
  for (bool untouched = false; !untouched; ++fail_at) {
    SCOPED_TRACE("the failing call is number " + std::to_string(fail_at));
    const std::string place = directory.store();
    std::filesystem::remove_all(place);
    std::filesystem::copy(crashed, place, std::filesystem::copy_options::recursive);
    FailingFiles files(GetParam(), fail_at);
    {
      const auto store = open_rocksdb_store(place, StoreEnvironment{.files = &files});
      EXPECT_EQ(store ? count_prefix(**store) : kCommits, kCommits);
    }
    expect_nothing_lost(place, {.tried = kCommits, .written = kCommits, .synced = kCommits}, End::Killed);
    if (testing::Test::HasFailure()) return;
    untouched = files.calls() < fail_at;
  }
  EXPECT_GT(fail_at, 5U);  // it makes at least so many calls
}

TEST_P(OwnFilesFault, AnyFailingCallOfItsSuperblockAndFloorIsTold) {
  const TemporaryDirectory directory = TemporaryDirectory::without_device();
  std::uint64_t fail_at = 1;
  for (bool untouched = false; !untouched; ++fail_at) {
    SCOPED_TRACE("the failing call is number " + std::to_string(fail_at));
    std::filesystem::remove_all(directory.store());
    FailingFiles files(GetParam(), fail_at);
    bool told = true;
    if (auto place = StoreDirectory::open(directory.store(), files)) {
      const bool replaced = place->replace({.created = true}).has_value();
      const bool begun = place->begin_floor(1, 2, 3, 4).has_value();
      const bool raised = place->raise_floor({5, 6}, {7, 8}).has_value();
      told = !replaced || !begun || !raised || !place->rebuild_floor();
    }
    untouched = files.calls() < fail_at;
    EXPECT_EQ(told, !untouched);
  }
  EXPECT_GT(fail_at, 10U);  // they make at least so many calls
}

INSTANTIATE_TEST_SUITE_P(Every, OwnFilesFault,
                         testing::Values(FailingFiles::Fault::Refuse, FailingFiles::Fault::RefuseOnce,
                                         FailingFiles::Fault::NoSpace, FailingFiles::Fault::Lie),
                         [](const auto& one) {
                           using Fault = FailingFiles::Fault;
                           return one.param == Fault::Refuse       ? "Refused"
                                  : one.param == Fault::RefuseOnce ? "RefusedOnce"
                                  : one.param == Fault::NoSpace    ? "NoSpace"
                                                                   : "LiedAbout";
                         });

}  // namespace
}  // namespace leat::test
