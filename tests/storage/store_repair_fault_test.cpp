// A repair on a device that fails at each of its calls in turn, killed there or with a power cut: until it is
// run to its end the store is not taken for whole, and then it is the one that an uninterrupted repair
// leaves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "contexts_family.h"
#include "every_kind_store.h"
#include "examined_store.h"
#include "faulty_file_system.h"
#include "filled_store.h"
#include "leat/store_recovery.h"
#include "rocksdb_store.h"

namespace leat::test {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;

enum class End : std::uint8_t { Killed, PowerCut, TornPowerCut };

/// A store that was closed and then damaged.
struct Damage {
  std::string name;
  std::function<void(const std::string& path)> make;
};

void flip_table_of(const std::string& path, std::string_view family) {
  int flipped = 0;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.path().extension() != ".sst") continue;
    std::fstream file(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
    std::string bytes(std::istreambuf_iterator<char>(file), {});
    if (bytes.find(family) == std::string::npos) continue;
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
    file.seekp(0);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ++flipped;
  }
  ASSERT_GE(flipped, 1);
}

/// The journal begins at round 1, of which a row is lost; round 2 is whole.
void lose_a_row_of_the_oldest_round(const std::string& path) {
  write_filled_store(path, {.age_ns = 0});
  {
    auto store = open_rocksdb_store(path);  // without a limit in time: both rounds stay
    ASSERT_TRUE(store) << store.error().message;
    const auto image = recover_unfinished(**store);
    ASSERT_TRUE(image) << image.error().message;
    constexpr std::string_view kThree[] = {"extract", "transform", "load"};
    JournalWriter writer(**store);
    std::vector<TransitionGroup> rows;
    rows.push_back(make_row(RoundBegun{2, writer.end(), 4, 2, 2}));
    rows.push_back(make_row(WorkflowKept{2,
                                         writer.end(),
                                         {.workflow_no = 1,
                                          .name = "public::embedded::etl",
                                          .version = 42,
                                          .tasks = kThree,
                                          .definition = "[workflow]"}}));
    rows.push_back(make_row(KeyKept{2, {.key_no = 1, .key = "default"}}));
    for (const auto& [number, pipeline] : image->pipelines()) {
      for (TransitionGroup& one : make_rows({2, pipeline})) rows.push_back(std::move(one));
    }
    rows.push_back(make_row(RoundEnded{2, 1}));
    ASSERT_TRUE(writer.append_rows(rows));
    ASSERT_TRUE((*store)->close());
  }
  tamper(path, [](JournalDb& journal) {
    return journal.db().DeleteRange({}, journal.checkpoint(), row_key(1, 0), row_key(2, 0));
  });
}

const std::vector<Damage>& damages() {
  static const std::vector<Damage> all = {{"CurrentAndFloorGone",
                                           [](const std::string& path) {
                                             write_filled_store(path, {});
                                             fs::remove(path + "/CURRENT");
                                             fs::remove(path + "/FLOOR");
                                           }},
                                          {"HistoryAltered",
                                           [](const std::string& path) {
                                             write_filled_store(path, {});
                                             flip_table_of(path, kHistoryFamily);
                                           }},
                                          {"HistoryAlteredWithoutTheJournalsBeginning",
                                           [](const std::string& path) {
                                             write_filled_store(path, {.age_ns = 0});
                                             flip_table_of(path, kHistoryFamily);
                                           }},
                                          {"CheckpointAltered",
                                           [](const std::string& path) {
                                             write_filled_store(path, {});
                                             flip_table_of(path, kCheckpointFamily);
                                           }},
                                          {"CheckpointAndHistoryAltered",
                                           [](const std::string& path) {
                                             write_filled_store(path, {});
                                             flip_table_of(path, kCheckpointFamily);
                                             flip_table_of(path, kHistoryFamily);
                                           }},
                                          {"OldestRoundBroken", lose_a_row_of_the_oldest_round},
                                          {"ContextsNobodyRefersTo", [](const std::string& path) {
                                             write_every_kind(path);
                                             tamper(path, [](JournalDb& journal) {
                                               const std::string context = every_kind_context('z');
                                               return journal.db().Put(
                                                   {}, journal.contexts(),
                                                   context_key(ContextPlace::of_task(77, 3)), context);
                                             });
                                           }}};
  return all;
}

/// All that a closed store holds, by family and key.
std::map<std::string, std::string> contents_of(const std::string& path) {
  std::map<std::string, std::string> contents;
  const auto journal =
      JournalDb::open(path, JournalDb::Access::Read, journal_db_options(rocksdb::Env::Default()));
  if (!journal) return contents;
  for (rocksdb::ColumnFamilyHandle* const family : journal->families()) {
    if (family == nullptr) continue;  // a repair was about to make it anew
    const auto at = journal->scan(family);
    for (at->SeekToFirst(); at->Valid(); at->Next())
      contents[family->GetName() + " " + at->key().ToString()] = at->value().ToString();
    if (!at->status().ok()) contents[family->GetName()] = at->status().ToString();
  }
  return contents;
}

class RepairFault : public testing::TestWithParam<Damage> {
 protected:
  void SetUp() override {
    const char* const given = std::getenv("LEAT_SEED");
    const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cout << "LEAT_SEED=" << seed << "\n";
    random_.seed(seed);
    GetParam().make(damaged_);
    if (HasFatalFailure()) return;
    ASSERT_FALSE(is_whole(damaged_));
    fs::copy(damaged_, path_);
    ASSERT_TRUE(repair_rocksdb_store(path_));
    ASSERT_TRUE(is_whole(path_));
    repaired_ = contents_of(path_);
    ASSERT_THAT(repaired_, testing::Not(IsEmpty()));
  }

  static bool is_whole(const std::string& path) {
    const auto findings = verify_rocksdb_store(path);
    return findings && findings->empty();
  }
  void damage_again() {
    fs::remove_all(path_);
    fs::copy(damaged_, path_);
  }
  /// From that call on every call fails; then the process is gone, or the power as well.
  ///
  /// @return  how many calls it made, the failing ones among them
  std::uint64_t repair_until(std::uint64_t fail_at) {
    const auto system = std::make_shared<FaultyFileSystem>(FaultyFileSystem::Fault::Refuse, fail_at);
    FaultyEnv env(system);
    static_cast<void>(repair_rocksdb_store(path_, env));  // whatever it says
    const auto end = static_cast<End>(random_() % 3);
    if (end != End::Killed) system->cut_power(end == End::TornPowerCut ? &random_ : nullptr);
    return system->calls();
  }

  TemporaryDirectory directory_ = TemporaryDirectory::without_device();
  const std::string path_ = directory_.store();
  const std::string damaged_ = path_ + ".damaged";
  std::map<std::string, std::string> repaired_;
  std::mt19937_64 random_;
};

TEST_P(RepairFault, EndsWithTheSameStoreWhereverItWasCutShort) {
  std::uint64_t fail_at = 1;
  for (bool untouched = false; !untouched; ++fail_at) {
    SCOPED_TRACE("the failing call is number " + std::to_string(fail_at));
    damage_again();
    untouched = repair_until(fail_at) < fail_at;
    EXPECT_TRUE(is_whole(path_) ? contents_of(path_) == repaired_ : !untouched)
        << "taken for whole too early";
    if (random_() % 2 == 0) repair_until(1 + random_() % fail_at);  // it is cut short once more
    const auto repaired = repair_rocksdb_store(path_);
    ASSERT_TRUE(repaired) << repaired.error().message;
    EXPECT_TRUE(is_whole(path_));
    EXPECT_EQ(contents_of(path_), repaired_);
    if (HasFailure()) return;
  }
  EXPECT_GT(fail_at, 3U);  // it makes at least so many calls
}

INSTANTIATE_TEST_SUITE_P(Every, RepairFault, testing::ValuesIn(damages()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace leat::test
