// What keeps tasks durable beside leat's engine: SQLite queues, RocksDB with a put per transition, plain
// logs; and leat's own journal below the engine. One item of BM_Durable is a task's full life, of BM_Ack one
// acknowledgement.
#include <benchmark/benchmark.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "leat/journal.h"
#include "leat/state_store.h"
#include "leat/store_image.h"
#include "leat/transition_group.h"
#include "percentiles.h"
#include "plain_log.h"
#include "process_usage.h"
#include "producer_team.h"
#include "sqlite_database.h"
#include "temporary_directory.h"

namespace leat::bench {
namespace {

constexpr std::size_t kBatch = 1000;
constexpr std::size_t kAcksPerRound = 64;  // of each thread: the threads' common start weighs little
constexpr std::int64_t kNow = 1'700'000'000'000'000'000;
constexpr std::uint32_t kReady[] = {0};
constexpr std::array<std::size_t, 5> kThreadCounts = {1, 4, 16, 64, 128};

// The three steps of a task that is dispatched alone, as the engine journals them.
TransitionGroup created(std::uint64_t number) {
  return {kNow, PipelineCreated{.pipeline_no = number,
                                .id = Uuid::make_v7(number, 0, number),
                                .workflow_no = 1,
                                .task_count = 1,
                                .ready = kReady}};
}
TransitionGroup started(std::uint64_t number) {
  return {kNow, TaskStarted{.pipeline_no = number, .key_no = 1}};
}
TransitionGroup ended(std::uint64_t number) {
  return {kNow, TaskEnded{.pipeline_no = number, .pipeline = PipelineState::Completed}};
}

[[noreturn]] void give_up(const std::string& why) {
  std::cerr << why << '\n';
  std::abort();
}

enum TaskRow : int { kReadyRow = 1, kRunningRow = 2, kCompletedRow = 3 };

/// A table of tasks; batches are inserted, then claimed in the transaction that completes the batch before.
void run_sqlite(benchmark::State& state, const char* synchronous) {
  const auto batch = static_cast<std::int64_t>(state.range(0));
  const TemporaryDirectory directory;
  SqliteDatabase database(directory.path() / "queue.db", synchronous);
  database.execute("CREATE TABLE task(id INTEGER PRIMARY KEY, state INTEGER NOT NULL, payload TEXT)");
  database.execute("CREATE INDEX ready ON task(id) WHERE state = 1");
  SqliteStatement begin = database.prepare("BEGIN IMMEDIATE");
  SqliteStatement commit = database.prepare("COMMIT");
  SqliteStatement insert = database.prepare("INSERT INTO task VALUES(?, ?, '{}')");
  SqliteStatement claim = database.prepare("UPDATE task SET state = ? WHERE state = 1 RETURNING id");
  SqliteStatement complete = database.prepare("UPDATE task SET state = ? WHERE id = ?");
  std::vector<std::int64_t> claimed;
  std::int64_t inserted = 0;
  std::int64_t completed = 0;
  const auto step = [&] {
    begin.run();
    for (const std::int64_t id : claimed) complete.run(static_cast<int>(kCompletedRow), id);
    completed += static_cast<std::int64_t>(claimed.size());
    claimed.clear();
    claim.for_each([&] { claimed.push_back(claim.column(0)); }, static_cast<int>(kRunningRow));
    commit.run();
  };
  const ProcessUsage usage = read_process_usage();
  for (auto _ : state) {
    begin.run();
    for (std::int64_t index = 0; index < batch; ++index) insert.run(++inserted, static_cast<int>(kReadyRow));
    commit.run();
    step();
  }
  step();  // what the last iteration claimed
  if (completed != inserted) state.SkipWithError("tasks were lost");
  state.SetItemsProcessed(inserted);
  report_usage_per_task(state, usage, inserted);
}

/// The naive layout: a row per task, written at each of its three transitions, a batch of tasks per write.
void BM_Durable_RocksPut(benchmark::State& state) {
  const TemporaryDirectory directory;
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  if (const auto status = rocksdb::DB::Open(options, directory.path() / "db", &opened); !status.ok()) {
    give_up(status.ToString());
  }
  const std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::WriteOptions durable;
  durable.sync = true;
  std::uint64_t first = 1;
  const ProcessUsage usage = read_process_usage();
  for (auto _ : state) {
    for (const char row : {'R', 'r', 'C'}) {
      rocksdb::WriteBatch batch;
      for (std::uint64_t number = first; number < first + kBatch; ++number) {
        const Uuid id = Uuid::make_v7(number, 0, number);
        const std::string value(40, row);  // about what leat's records hold
        const rocksdb::Slice key(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
        if (!batch.Put(key, value).ok()) give_up("put");
      }
      if (const auto status = db->Write(durable, &batch); !status.ok()) give_up(status.ToString());
    }
    first += kBatch;
  }
  const auto tasks = static_cast<std::int64_t>(first - 1);
  state.SetItemsProcessed(tasks);
  report_usage_per_task(state, usage, tasks);
}
BENCHMARK(BM_Durable_RocksPut)->UseRealTime();

/// The records that leat writes, in the same number of syncs as the SQLite queue: the batch's creation, its
/// end.
void BM_Durable_PlainLog(benchmark::State& state) {
  const TemporaryDirectory directory;
  PlainLog log(directory.path() / "log");
  std::uint64_t first = 1;
  std::string batch;
  const ProcessUsage usage = read_process_usage();
  const auto commit = [&] {
    log.write(batch);
    log.sync();
    batch.clear();
  };
  for (auto _ : state) {
    for (std::uint64_t number = first; number < first + kBatch; ++number) {
      PlainLog::pack(batch, created(number).bytes());
    }
    commit();
    for (std::uint64_t number = first; number < first + kBatch; ++number) {
      PlainLog::pack(batch, started(number).bytes());
      PlainLog::pack(batch, ended(number).bytes());
    }
    commit();
    first += kBatch;
  }
  const auto tasks = static_cast<std::int64_t>(first - 1);
  state.SetItemsProcessed(tasks);
  report_usage_per_task(state, usage, tasks);
}
BENCHMARK(BM_Durable_PlainLog)->UseRealTime();

/// Threads that wait for one acknowledgement after the other.
///
/// @param acknowledge  called with the thread's number and a count; returns when it is on the disk
template <class Acknowledge>
void run_acks(benchmark::State& state, std::size_t threads, const Acknowledge& acknowledge) {
  std::mutex mutex;
  std::vector<std::int64_t> waits_ns;
  std::vector<std::uint64_t> counts(threads);
  ProducerTeam team(threads, [&](std::size_t thread) {
    std::array<std::int64_t, kAcksPerRound> mine;
    for (std::int64_t& ns : mine) {
      const auto begin = std::chrono::steady_clock::now();
      acknowledge(thread, ++counts[thread]);
      ns = std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
    }
    const std::scoped_lock lock(mutex);
    waits_ns.insert(waits_ns.end(), mine.begin(), mine.end());
  });
  for (auto _ : state) team.run();
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(threads * kAcksPerRound));
  report_percentiles(state, std::move(waits_ns));
}

/// One connection behind a mutex: faster than one per thread, whose writers would wait for each other by
/// polling.
void run_sqlite_enqueue(benchmark::State& state, std::size_t threads) {
  const TemporaryDirectory directory;
  SqliteDatabase database(directory.path() / "queue.db", "FULL");
  database.execute("CREATE TABLE task(id INTEGER PRIMARY KEY, state INTEGER NOT NULL, payload TEXT)");
  SqliteStatement insert = database.prepare("INSERT INTO task VALUES(NULL, ?, '{}')");
  std::mutex mutex;
  run_acks(state, threads, [&](std::size_t, std::uint64_t) {
    const std::scoped_lock lock(mutex);
    insert.run(static_cast<int>(kReadyRow));
  });
}

void run_plain_log_acks(benchmark::State& state, std::size_t threads) {
  const TemporaryDirectory directory;
  GroupCommitLog log(directory.path() / "log");
  run_acks(state, threads, [&](std::size_t thread, std::uint64_t count) {
    const TransitionGroup group = created(thread << 32 | count);
    log.append(group.bytes());
  });
}

/// A journal on a fresh store in RocksDB, with its committer's thread.
class BenchJournal {
 public:
  BenchJournal()
      : store_(open()), journal_(*store_, {}), committer_([this] {
          while (journal_.wait_for_work()) journal_.commit_some();
        }) {}
  ~BenchJournal() {
    journal_.stop();
    committer_.join();
    if (const StoreError* const failure = journal_.failure()) give_up(failure->message);
    if (auto closed = store_->close(); !closed) give_up(closed.error().message);
  }
  Journal* operator->() { return &journal_; }

 private:
  std::unique_ptr<StateStore> open() {
    auto store = open_rocksdb_store(directory_.path() / "store");
    if (!store) give_up(store.error().message);
    return std::move(*store);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<StateStore> store_;
  Journal journal_;
  std::jthread committer_;
};

/// Wakes the thread whose number is the token.
class AckBoard final : public CommitListener {
 public:
  explicit AckBoard(std::size_t threads) : done_(threads) {}

  void on_commit(std::uint64_t token, std::uint64_t, bool) noexcept override {
    Slot& slot = done_[token];
    slot.count.fetch_add(1, std::memory_order_release);  // (1) pairs with wait_for()
    slot.count.notify_one();
  }

  void wait_for(std::size_t thread, std::uint32_t count) {
    std::atomic<std::uint32_t>& done = done_[thread].count;
    for (std::uint32_t now = 0; (now = done.load(std::memory_order_acquire)) != count;) {  // pairs with (1)
      done.wait(now, std::memory_order_relaxed);  // relaxed: the loop reads again
    }
  }

 private:
  struct alignas(128) Slot {
    std::atomic<std::uint32_t> count{0};
  };
  std::vector<Slot> done_;
};

void run_journal_acks(benchmark::State& state, std::size_t threads) {
  BenchJournal journal;
  AckBoard board(threads);
  run_acks(state, threads, [&](std::size_t thread, std::uint64_t count) {
    if (!journal->reserve(1)) give_up("reserve");
    journal->publish(created(thread << 32 | count), Durability::Disk, &board, thread);
    board.wait_for(thread, static_cast<std::uint32_t>(count));
  });
}

/// One item: a task's three groups, published by one of P threads without waiting; a flush ends each round.
void run_journal_publish(benchmark::State& state, Durability level, std::size_t producers) {
  constexpr std::size_t kTasksPerRound = 1 << 15;
  BenchJournal journal;
  std::vector<std::uint64_t> counts(producers);
  ProducerTeam team(producers, [&](std::size_t producer) {
    for (std::size_t index = 0; index < kTasksPerRound / producers; ++index) {
      const std::uint64_t number = producer << 32 | ++counts[producer];
      if (!journal->reserve(3)) give_up("reserve");
      journal->publish(created(number), level, nullptr, 0);
      journal->publish(started(number), level, nullptr, 0);
      journal->publish(ended(number), level, nullptr, 0);
    }
  });
  const ProcessUsage usage = read_process_usage();
  for (auto _ : state) {
    team.run();
    if (auto done = journal->flush(level); !done) give_up(done.error().message);
  }
  const auto tasks = state.iterations() * static_cast<std::int64_t>(kTasksPerRound);
  state.SetItemsProcessed(tasks);
  report_usage_per_task(state, usage, tasks);
}

void BM_Group_EncodeCompleted(benchmark::State& state) {
  std::uint64_t number = 100'000'000;
  for (auto _ : state) {
    const TransitionGroup group = ended(++number);
    benchmark::DoNotOptimize(group.bytes().data());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Group_EncodeCompleted)->UseRealTime();

/// A store with so many live tasks that was not closed.
class LiveStore {
 public:
  explicit LiveStore(std::uint64_t live) {
    constexpr std::string_view kTasks[] = {"only"};
    const auto store = open();
    Journal journal(*store, {.waits_commit = true});
    const auto publish = [&journal](TransitionGroup&& group) {
      if (!journal.reserve(1)) give_up("reserve");
      journal.publish(std::move(group), Durability::Process, nullptr, 0);
    };
    publish({kNow, WorkflowDefined{.workflow_no = 1, .name = "p::e::w", .tasks = kTasks}});
    for (std::uint64_t number = 1; number <= live; ++number) publish(created(number));
    if (auto done = journal.flush(Durability::Disk); !done) give_up(done.error().message);
  }
  std::unique_ptr<StateStore> open() const {
    auto store = open_rocksdb_store(place_);
    if (!store) give_up(store.error().message);
    return std::move(*store);
  }
  const std::string& place() const { return place_; }

 private:
  const TemporaryDirectory directory_;
  const std::string place_ = directory_.path() / "store";
};

/// One item: a live task of a store that was not closed, opened and folded.
void BM_Store_Recover(benchmark::State& state) {
  const auto live = static_cast<std::uint64_t>(state.range(0));
  const LiveStore made(live);
  const std::int64_t before = resident_bytes();
  std::int64_t grown = 0;
  for (auto _ : state) {
    const auto store = made.open();
    StoreImage image(StoreImage::Keep::Unfinished);
    auto done = store->replay([&image](std::uint64_t first, std::span<const std::byte> commit) {
      return image.apply(first, commit);
    });
    if (!done) give_up(done.error().message);
    if (image.pipelines().size() != live) state.SkipWithError("tasks were lost");
    grown = std::max(grown, resident_bytes() - before);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(live));
  state.counters["bytes_per_live_task"] = static_cast<double>(grown) / static_cast<double>(live);
}

/// The floor of recovery: RocksDB alone opens the same bytes, and every value is read once.
void BM_Store_RawScan(benchmark::State& state) {
  const auto live = static_cast<std::uint64_t>(state.range(0));
  const LiveStore made(live);
  std::vector<std::string> names;
  if (const auto status = rocksdb::DB::ListColumnFamilies({}, made.place(), &names); !status.ok())
    give_up(status.ToString());
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const std::string& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  const std::int64_t before = resident_bytes();
  std::int64_t grown = 0;
  std::uint64_t bytes = 0;
  for (auto _ : state) {
    rocksdb::DB* opened = nullptr;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    if (const auto status = rocksdb::DB::OpenForReadOnly({}, made.place(), families, &handles, &opened);
        !status.ok())
      give_up(status.ToString());
    const std::unique_ptr<rocksdb::DB> db(opened);
    for (rocksdb::ColumnFamilyHandle* const handle : handles) {
      const std::unique_ptr<rocksdb::Iterator> at(db->NewIterator({}, handle));
      for (at->SeekToFirst(); at->Valid(); at->Next()) {
        for (const char byte : at->value().ToStringView()) bytes += static_cast<std::uint8_t>(byte);
      }
      if (!at->status().ok()) give_up(at->status().ToString());
    }
    grown = std::max(grown, resident_bytes() - before);
    for (rocksdb::ColumnFamilyHandle* const handle : handles)
      db->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  benchmark::DoNotOptimize(bytes);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(live));
  state.counters["bytes_per_live_task"] = static_cast<double>(grown) / static_cast<double>(live);
}

void with_live_tasks(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgName("live")->Arg(10'000)->Arg(1'000'000)->Arg(10'000'000);
  benchmark->Unit(benchmark::kMillisecond)->UseRealTime();
}
BENCHMARK(BM_Store_Recover)->Apply(with_live_tasks);
BENCHMARK(BM_Store_RawScan)->Apply(with_live_tasks);

template <class Run>
void register_benchmark(const std::string& name, const Run& run) {
  benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime();
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const auto& [name, synchronous] : {std::pair("full", "FULL"), std::pair("normal", "NORMAL")}) {
    benchmark::RegisterBenchmark(
        (std::string("BM_Durable_Sqlite/sync:") + name).c_str(),
        [synchronous = synchronous](benchmark::State& state) { run_sqlite(state, synchronous); })
        ->ArgName("batch")
        ->Arg(1)
        ->Arg(100)
        ->Arg(1000)
        ->UseRealTime();
  }
  for (const std::size_t threads : kThreadCounts) {
    const std::string suffix = "/threads:" + std::to_string(threads);
    register_benchmark("BM_Ack_SqliteEnqueue" + suffix,
                       [=](benchmark::State& state) { run_sqlite_enqueue(state, threads); });
    register_benchmark("BM_Ack_PlainLog" + suffix,
                       [=](benchmark::State& state) { run_plain_log_acks(state, threads); });
    register_benchmark("BM_Journal_Ack" + suffix,
                       [=](benchmark::State& state) { run_journal_acks(state, threads); });
  }
  for (const Durability level : {Durability::Disk, Durability::Process}) {
    for (const std::size_t producers : {1, 2}) {
      register_benchmark("BM_Journal_Publish/level:" + std::string(to_string(level)) +
                             "/producers:" + std::to_string(producers),
                         [=](benchmark::State& state) { run_journal_publish(state, level, producers); });
    }
  }
  return true;
}();

}  // namespace
}  // namespace leat::bench
