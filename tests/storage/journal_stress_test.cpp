// The journal under many threads: nothing is lost, doubled or out of order, and nobody sleeps for ever.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "commit.h"
#include "leat/journal.h"
#include "leat/state_store.h"

namespace leat::test {
namespace {

std::uint64_t seed() {
  const char* const given = std::getenv("LEAT_SEED");
  const std::uint64_t value = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "LEAT_SEED=" << value << "\n";
  return value;
}

/// Counts the acknowledgements of one producer; its tokens must come in order within a level.
class Ledger final : public CommitListener {
 public:
  void on_commit(std::uint64_t token, std::uint64_t sequence, bool reached) noexcept override {
    std::uint64_t& last_token = last_token_[token & 1];
    std::uint64_t& last_sequence = last_sequence_[token & 1];
    if (!reached || token <= last_token || sequence <= last_sequence) in_order_ = false;
    last_token = token;
    last_sequence = sequence;
    acknowledged_.fetch_add(1, std::memory_order_release);  // pairs with wait_for()
    acknowledged_.notify_all();
  }

  void wait_for(std::uint64_t count) {
    for (;;) {
      const std::uint64_t now = acknowledged_.load(std::memory_order_acquire);  // pairs with on_commit()
      if (now >= count) return;
      acknowledged_.wait(now, std::memory_order_relaxed);  // relaxed: the loop reads again
    }
  }

  bool in_order() const { return in_order_; }
  std::uint64_t acknowledged() const { return acknowledged_.load(std::memory_order_acquire); }

 private:
  std::uint64_t last_token_[2] = {0, 0};
  std::uint64_t last_sequence_[2] = {0, 0};
  bool in_order_ = true;
  std::atomic<std::uint64_t> acknowledged_{0};
};

struct Load {
  std::size_t cells;
  std::uint64_t producers;
  std::uint64_t groups_each;
  std::uint64_t ahead_max;  ///< how many groups a producer publishes before it waits for all of them
};

/// Each group's pipeline number is its producer's, its task number the producer's count.
void produce(Journal& journal, Ledger& ledger, std::uint64_t producer, const Load& load, std::uint64_t seed) {
  std::mt19937_64 random(seed + producer);
  for (std::uint64_t count = 0; count < load.groups_each;) {
    const std::uint64_t wanted = 1 + random() % std::min<std::uint64_t>(4, load.cells / load.producers);
    ASSERT_TRUE(journal.reserve(wanted));
    const std::uint64_t used = std::min(1 + random() % wanted, load.groups_each - count);
    if (used < wanted) journal.release(wanted - used);
    for (std::uint64_t index = 0; index < used; ++index, ++count) {
      const bool disk = random() % 8 == 0;
      const TaskStarted record{
          .pipeline_no = producer, .task = static_cast<std::uint32_t>(count), .key_no = 1};
      const std::uint64_t token = (count + 1) * 2 + (disk ? 1 : 0);
      journal.publish(TransitionGroup(0, record), disk ? Durability::Disk : Durability::Process, &ledger,
                      token);
    }
    if (random() % load.ahead_max == 0) ledger.wait_for(count);
  }
  ledger.wait_for(load.groups_each);
}

void expect_every_group_once_in_order(StateStore& store, const Load& load) {
  std::map<std::uint64_t, std::uint32_t> next;
  std::uint64_t end = 1;
  const auto replayed = store.replay([&](std::uint64_t first, std::span<const std::byte> bytes) {
    EXPECT_EQ(first, end);
    auto commit = CommitReader::open(first, bytes);
    EXPECT_TRUE(commit);
    for (const DecodedGroup* group = *commit->next(); group != nullptr; group = *commit->next()) {
      const auto& record = std::get<TaskStarted>(group->record);
      EXPECT_EQ(record.task, next[record.pipeline_no]++);
    }
    end = commit->header().end_sequence();
    return std::expected<void, StoreError>();
  });
  ASSERT_TRUE(replayed);
  ASSERT_EQ(next.size(), load.producers);
  for (const auto& [producer, count] : next) EXPECT_EQ(count, load.groups_each) << producer;
}

void run(const Load& load) {
  const std::uint64_t first_seed = seed();
  const auto store = make_memory_store();
  Journal journal(*store, {.cells = load.cells});
  std::jthread committer([&journal] {
    while (journal.wait_for_work()) journal.commit_some();
  });
  std::vector<Ledger> ledgers(load.producers);
  {
    std::vector<std::jthread> producers;
    for (std::uint64_t producer = 0; producer < load.producers; ++producer) {
      producers.emplace_back(
          [&, producer] { produce(journal, ledgers[producer], producer, load, first_seed); });
    }
  }
  ASSERT_TRUE(journal.flush(Durability::Disk));
  EXPECT_EQ(journal.synced(), load.producers * load.groups_each + 1);
  journal.stop();
  committer.join();
  for (const Ledger& ledger : ledgers) {
    EXPECT_TRUE(ledger.in_order());
    EXPECT_EQ(ledger.acknowledged(), load.groups_each);
  }
  expect_every_group_once_in_order(*store, load);
}

TEST(JournalStress, TinyRingThatIsAlwaysFull) {
  run({.cells = 8, .producers = 4, .groups_each = 5000, .ahead_max = 64});
}

TEST(JournalStress, EveryGroupAwaitedSoThatTheCommitterSleepsOften) {
  run({.cells = 64, .producers = 3, .groups_each = 5000, .ahead_max = 1});
}

TEST(JournalStress, ManyProducersOnAWideRing) {
  run({.cells = 1024, .producers = 8, .groups_each = 10000, .ahead_max = 256});
}

TEST(JournalStress, StopWakesReserversAndTheCommitter) {
  const auto store = make_memory_store();
  Journal journal(*store, {.cells = 2});
  ASSERT_TRUE(journal.try_reserve(2));
  std::atomic<int> refused{0};
  std::vector<std::jthread> threads;
  for (int index = 0; index < 3; ++index) {
    threads.emplace_back([&] {
      if (!journal.reserve(1))
        refused.fetch_add(1, std::memory_order_relaxed);  // relaxed: joined before the look
    });
  }
  threads.emplace_back([&] {
    while (journal.wait_for_work()) journal.commit_some();
  });
  journal.stop();
  threads.clear();
  EXPECT_EQ(refused.load(std::memory_order_relaxed), 3);
}

TEST(JournalStress, FlushesFromManyThreadsAllReturn) {
  const auto store = make_memory_store();
  Journal journal(*store, {.cells = 4});
  std::jthread committer([&journal] {
    while (journal.wait_for_work()) journal.commit_some();
  });
  {
    std::vector<std::jthread> threads;
    for (int index = 0; index < 4; ++index) {
      threads.emplace_back([&] {
        for (int flush = 0; flush < 500; ++flush) {
          ASSERT_TRUE(journal.flush(flush % 2 == 0 ? Durability::Disk : Durability::Process));
        }
      });
    }
  }
  journal.stop();
}

}  // namespace
}  // namespace leat::test
