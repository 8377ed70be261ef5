// BM_Diamond_Sqlite: the workflow table that a service writes by hand when it wants to forget nothing.
#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sqlite_database.h"
#include "tally.h"
#include "temporary_directory.h"

namespace leat::bench {
namespace {

enum State : int { kNotStarted = 0, kReady = 1, kRunning = 2, kCompleted = 3 };

constexpr std::int64_t kTasks = 5;  // 0: setup; 1, 2, 3: side by side; 4: merge

SqliteDatabase make_tables(const std::filesystem::path& file) {
  SqliteDatabase database(file, "FULL");
  database.execute("CREATE TABLE pipeline(id INTEGER PRIMARY KEY, state INTEGER NOT NULL)");
  database.execute(
      "CREATE TABLE task(id INTEGER PRIMARY KEY, state INTEGER NOT NULL, waits INTEGER NOT NULL)");
  database.execute("CREATE INDEX ready ON task(id) WHERE state = 1");
  return database;
}

/// One row a task with the number of dependencies that it still waits for. One process, so one writer: it
/// claims and completes in batches and runs the tasks between the two.
class SqliteDiamonds {
 public:
  explicit SqliteDiamonds(const std::filesystem::path& file) : database_(make_tables(file)) {}

  /// Takes `count` new diamonds in one transaction.
  void submit(std::size_t count) {
    begin_.run();
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t pipeline = ++pipelines_;
      insert_pipeline_.run(pipeline, kRunning);
      for (std::int64_t task = 0; task < kTasks; ++task) {
        insert_task_.run(pipeline * kTasks + task, task == 0 ? kReady : kNotStarted, kDependencies[task]);
      }
    }
    commit_.run();
  }

  /// Completes what ran, claims everything that is ready by then, both in one transaction, and runs it.
  /// @return whether anything was ready
  bool step() {
    begin_.run();
    for (const std::int64_t id : claimed_) complete(id);
    claimed_.clear();
    claim_.for_each([this] { claimed_.push_back(claim_.column(0)); }, kRunning);
    commit_.run();
    for (std::size_t i = 0; i < claimed_.size(); ++i) Tally::add_one();
    return !claimed_.empty();
  }

 private:
  static constexpr std::array<int, kTasks> kDependencies{0, 1, 1, 1, 3};

  void complete(std::int64_t id) {
    complete_.run(kCompleted, id);
    const std::int64_t task = id % kTasks;
    const std::int64_t first = id - task;
    if (task == 0) {
      for (std::int64_t successor = 1; successor < 4; ++successor) release_.run(first + successor);
    } else if (task < 4) {
      release_.run(first + 4);
    } else {
      end_pipeline_.run(kCompleted, id / kTasks);
    }
  }

  SqliteDatabase database_;
  SqliteStatement begin_ = database_.prepare("BEGIN IMMEDIATE");
  SqliteStatement commit_ = database_.prepare("COMMIT");
  SqliteStatement insert_pipeline_ = database_.prepare("INSERT INTO pipeline VALUES(?, ?)");
  SqliteStatement insert_task_ = database_.prepare("INSERT INTO task VALUES(?, ?, ?)");
  SqliteStatement claim_ = database_.prepare("UPDATE task SET state = ? WHERE state = 1 RETURNING id");
  SqliteStatement complete_ = database_.prepare("UPDATE task SET state = ? WHERE id = ?");
  // The last dependency makes it Ready: 1.
  SqliteStatement release_ =
      database_.prepare("UPDATE task SET waits = waits - 1, state = (waits = 1) WHERE id = ?");
  SqliteStatement end_pipeline_ = database_.prepare("UPDATE pipeline SET state = ? WHERE id = ?");
  std::int64_t pipelines_ = 0;
  std::vector<std::int64_t> claimed_;
};

void BM_Diamond_Sqlite(benchmark::State& state) {
  const auto batch = static_cast<std::size_t>(state.range(0));
  const TemporaryDirectory directory;
  SqliteDiamonds diamonds(directory.path() / "workflows.db");
  const std::uint64_t before = Tally::total();
  for (auto _ : state) {
    diamonds.submit(batch);
    while (diamonds.step()) {
    }
  }
  const auto done = state.iterations() * static_cast<std::int64_t>(batch);
  if (Tally::total() - before != static_cast<std::uint64_t>(done * kTasks))
    state.SkipWithError("tasks were lost");
  state.SetItemsProcessed(done);
}
BENCHMARK(BM_Diamond_Sqlite)->ArgName("batch")->Arg(1)->Arg(100)->Arg(1000)->Arg(10000)->UseRealTime();

}  // namespace
}  // namespace leat::bench
