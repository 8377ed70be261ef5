// kill -9, again and again: each life of the store must find everything that the lives before it
// acknowledged.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "commit.h"
#include "leat/journal.h"
#include "leat/rocksdb.h"
#include "leat/state_store.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

/// Reports every acknowledged number to the test, one write each, so that a kill cuts between two.
class Reporter final : public CommitListener {
 public:
  explicit Reporter(int pipe) : pipe_(pipe) {}
  void on_commit(std::uint64_t token, std::uint64_t, bool reached) noexcept override {
    if (!reached || ::write(pipe_, &token, sizeof token) != sizeof token) ::_exit(3);
  }

 private:
  const int pipe_;
};

/// @return  the last pipeline number, where the store holds 1, 2, 3 and so on up to it; exits where it does
/// not
std::uint64_t last_number(StateStore& store) {
  std::uint64_t last = 0;
  std::uint64_t sequence_end = 0;
  const auto done = store.replay([&](std::uint64_t first, std::span<const std::byte> bytes) {
    auto commit = CommitReader::open(first, bytes);
    if (!commit || first < sequence_end) ::_exit(4);
    for (const DecodedGroup* group = *commit->next(); group != nullptr; group = *commit->next()) {
      if (std::get<TaskStarted>(group->record).pipeline_no != ++last) ::_exit(5);
    }
    sequence_end = commit->header().end_sequence();
    return std::expected<void, StoreError>();
  });
  if (!done || store.next_sequence() < sequence_end) ::_exit(6);
  return last;
}

/// One life: checks what is there, then publishes numbers until it is killed.
[[noreturn]] void live(const std::string& place, std::uint64_t acknowledged, Durability level, int pipe) {
  auto store = open_rocksdb_store(place);
  if (!store) {
    std::cerr << store.error().message << "\n";
    ::_exit(2);
  }
  std::uint64_t number = last_number(**store);
  if (number < acknowledged) ::_exit(7);
  Journal journal(**store, {.cells = 64});
  Reporter reporter(pipe);
  const std::jthread committer([&journal] {
    while (journal.wait_for_work()) journal.commit_some();
  });
  for (;;) {
    if (!journal.reserve(1)) ::_exit(8);
    ++number;
    journal.publish(TransitionGroup(0, TaskStarted{.pipeline_no = number, .key_no = 1}), level, &reporter,
                    number);
  }
}

/// A caller's writes, and who is told what became of them.
class Order final : public WritesListener {
 public:
  Order(rocksdb::ColumnFamilyHandle* family, std::uint64_t number) {
    if (!writes_.batch.Put(family, std::to_string(number), "an order").ok()) ::_exit(9);
  }
  const CallerWrites& writes() const noexcept override { return writes_; }
  void on_commit(std::uint64_t, std::uint64_t, bool reached) noexcept override { reached_ = reached; }
  bool reached() const { return reached_; }

 private:
  RocksdbWrites writes_;
  bool reached_ = false;
};

/// One life in a caller's database: each pipeline that is there has its order and the other way round; then
/// both go on together until it is killed.
[[noreturn]] void live_embedded(const std::string& place, std::uint64_t acknowledged, int pipe) {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  std::vector<rocksdb::ColumnFamilyDescriptor> families = {{rocksdb::kDefaultColumnFamilyName, {}}};
  const RocksdbStore leat_in_it;
  leat_in_it.configure(options, families);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  if (!rocksdb::DB::Open(options, place, families, &handles, &db).ok()) ::_exit(2);
  auto store = leat_in_it.open_in(*db, handles);
  if (!store) {
    std::cerr << store.error().message << "\n";
    ::_exit(2);
  }
  std::uint64_t number = last_number(**store);
  if (number < acknowledged) ::_exit(7);
  std::string order;
  for (std::uint64_t one = 1; one <= number; ++one) {
    if (!db->Get({}, handles[0], std::to_string(one), &order).ok()) ::_exit(10);
  }
  if (!db->Get({}, handles[0], std::to_string(number + 1), &order).IsNotFound()) ::_exit(11);
  Journal journal(**store, {.cells = 16});
  for (;;) {
    ++number;
    Order submission(handles[0], number);
    if (!journal.reserve(1)) ::_exit(8);
    journal.publish_with(TransitionGroup(0, TaskStarted{.pipeline_no = number, .key_no = 1}),
                         Durability::Process, submission, 0);
    journal.commit_some();
    if (!submission.reached() || ::write(pipe, &number, sizeof number) != sizeof number) ::_exit(3);
  }
}

class StoreKill : public testing::TestWithParam<Durability> {};

/// Twelve lives in one directory, each killed after some reports of what was acknowledged.
template <class Live>
void kill_again_and_again(const Live& live) {
  const char* const given = std::getenv("LEAT_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "LEAT_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  const TemporaryDirectory directory;
  std::uint64_t acknowledged = 0;
  for (int life = 0; life < 12; ++life) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    // This process itself never opens a store, so the child's threads are its own.
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) live(directory.store(), acknowledged, pipe[1]);
    ::close(pipe[1]);
    std::uint64_t token = 0;
    for (std::uint64_t reports = 1 + random() % 2000; reports > 0; --reports) {
      if (::read(pipe[0], &token, sizeof token) != sizeof token) break;
      acknowledged = token;
    }
    ::kill(child, SIGKILL);
    while (::read(pipe[0], &token, sizeof token) == sizeof token) acknowledged = token;
    ::close(pipe[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "life " << life << " ended by itself with status "
                                     << WEXITSTATUS(status);
  }
  EXPECT_GE(acknowledged, 12U);
}

TEST_P(StoreKill, EveryLifeFindsWhatTheOnesBeforeAcknowledged) {
  kill_again_and_again([level = GetParam()](const std::string& place, std::uint64_t acknowledged, int pipe) {
    live(place, acknowledged, level, pipe);
  });
}

TEST(StoreKillEmbedded, ACallersWritesAndItsSubmissionsSurviveTogether) {
  kill_again_and_again(live_embedded);
}

INSTANTIATE_TEST_SUITE_P(Levels, StoreKill, testing::Values(Durability::Process, Durability::Disk),
                         [](const auto& level) { return std::string(to_string(level.param)); });

}  // namespace
}  // namespace leat::test
