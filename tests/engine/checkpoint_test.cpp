// The checkpoint as the engine writes it: whatever the moment, what is recovered from the newest complete
// round and the journal behind it is what the whole journal amounts to; and the journal stays small.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "eventually.h"
#include "leat/history.h"
#include "leat/leat.h"
#include "leat/store_reader.h"
#include "leat/store_recovery.h"
#include "leat/store_verifier.h"
#include "seed.h"
#include "temporary_directory.h"

namespace leat {
namespace {

using namespace std::chrono_literals;
constexpr auto kLong = 60s;
constexpr Retention kNoEvents = {.age_ns = 0};

/// Makes threads linger wherever the engine reads the wall clock: among others between a task's start and its
/// record.
class LingeringClock final : public Clock {
 public:
  explicit LingeringClock(std::uint64_t seed) : turns_(seed) {}
  std::int64_t steady_ns() noexcept override { return clock_->steady_ns(); }
  std::int64_t unix_ns() noexcept override {
    // relaxed: any number does
    const std::uint64_t turn = turns_.fetch_add(0x9e3779b97f4a7c15U, std::memory_order_relaxed);
    if ((turn >> 60) == 0) std::this_thread::sleep_for(300us);
    return clock_->unix_ns();
  }

 private:
  const std::unique_ptr<Clock> clock_ = make_system_clock();
  std::atomic<std::uint64_t> turns_;
};

/// A memory store of which every state that a crash can leave is kept, and the whole journal beside it.
class RecordingStore final : public StateStore {
 public:
  struct Crash {
    std::vector<MemoryMedium::Commit> commits;
    std::string marks;
    std::uint64_t used_below;
  };
  struct Record {
    std::mutex mutex;
    std::vector<MemoryMedium::Commit> journal;  ///< all that was ever appended
    std::vector<Crash> crashes;                 ///< the medium after each append and each tidying up
    std::atomic<std::size_t> rounds = 0;
  };

  explicit RecordingStore(std::shared_ptr<Record> record, bool keep_crashes)
      : record_(std::move(record)), keep_crashes_(keep_crashes), store_(make_memory_store(medium_)) {}

  std::uint64_t epoch() const noexcept override { return store_->epoch(); }
  std::uint64_t next_sequence() const noexcept override { return store_->next_sequence(); }
  std::uint64_t journal_end() const noexcept override { return store_->journal_end(); }
  std::uint64_t journal_hash() const noexcept override { return store_->journal_hash(); }
  bool closed_cleanly() const noexcept override { return store_->closed_cleanly(); }
  std::expected<void, StoreError> replay(const Visitor& visit) override { return store_->replay(visit); }
  bool keeps_checkpoints() const noexcept override { return true; }
  CheckpointMarks checkpoints() const override { return store_->checkpoints(); }
  std::uint64_t next_generation() const noexcept override { return store_->next_generation(); }
  void retain_events(const Retention& events) override { store_->retain_events(events); }
  std::uint64_t events_begin() const noexcept override { return store_->events_begin(); }
  std::expected<void, StoreError> append(std::uint64_t first, std::uint64_t end,
                                         std::span<const std::byte> commit) override {
    return append_rows(first, end, commit, {});
  }
  std::expected<void, StoreError> append_rows(std::uint64_t first, std::uint64_t end,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    const std::scoped_lock lock(record_->mutex);
    auto done = store_->append_rows(first, end, commit, rows);
    record_->journal.push_back({first, end, {commit.begin(), commit.end()}});
    if (rows.ended) ++record_->rounds;
    remember();
    return done;
  }
  std::expected<bool, StoreError> tidy() override {
    const std::scoped_lock lock(record_->mutex);
    auto done = store_->tidy();
    remember();
    return done;
  }
  std::expected<void, StoreError> acknowledge(std::uint64_t end) override { return store_->acknowledge(end); }
  std::expected<void, StoreError> sync() override {
    const std::scoped_lock lock(record_->mutex);
    return store_->sync();
  }
  std::expected<void, StoreError> close() override { return store_->close(); }

  std::size_t journal_bytes() const {
    std::size_t bytes = 0;
    for (const MemoryMedium::Commit& commit : medium_->commits)
      bytes += commit.bytes.size() + commit.slice.size();
    return bytes;
  }

 private:
  void remember() {
    if (keep_crashes_) record_->crashes.push_back({medium_->commits, medium_->marks, medium_->used_below});
  }

  const std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  const std::shared_ptr<Record> record_;
  const bool keep_crashes_;
  const std::unique_ptr<StateStore> store_;
};

/// What is compared: rows keep no output, and where one was folded to means nothing.
std::map<std::uint64_t, PipelineImage> comparable(const StoreImage& image) {
  std::map<std::uint64_t, PipelineImage> pipelines = image.pipelines();
  for (auto& [number, pipeline] : pipelines) {
    pipeline.folded_to = 0;
    for (TaskImage& task : pipeline.tasks) task.output.clear();
  }
  return pipelines;
}

std::string describe(const std::map<std::uint64_t, PipelineImage>& pipelines) {
  std::string text;
  for (const auto& [number, pipeline] : pipelines) {
    text += std::to_string(number) + " " + std::string(to_string(pipeline.state)) + " last " +
            std::to_string(pipeline.last_completed.value_or(99)) + " created " +
            std::to_string(pipeline.created_ns) + " finished " + std::to_string(pipeline.finished_ns) + ":";
    for (const TaskImage& task : pipeline.tasks) {
      text += " " + std::string(to_string(task.state)) + "#" + std::to_string(task.attempt) + "r" +
              std::to_string(task.rescues) + "k" + std::to_string(task.key_no) + "@" +
              std::to_string(task.retry_at_ns) + "[" + std::string(task.error) +
              std::string(std::string_view(task.context).substr(0, 20)) + "]";
    }
    text += "\n";
  }
  return text;
}

/// Pipelines of all shapes and fates, some of which wait until they are let go.
class Workload {
 public:
  Workload() {
    for (std::uint32_t shape = 0; shape < kShapes; ++shape) workflows_.push_back(make(shape));
  }

  /// Submits so many, cancels a few; does not wait for the waiting ones.
  void play(Runner& runner, std::mt19937_64& random, std::uint32_t pipelines) {
    std::vector<PipelineHandle> passing;
    for (std::uint32_t number = 0; number < pipelines; ++number) {
      const std::uint32_t shape = pick(random, kShapes);
      SubmitOptions options{.durability = Durability::Process};
      if (pick(random, 4) == 0) options.idempotency_key = std::to_string(number);
      auto handle = runner.submit_async(workflows_[shape], std::move(options));
      ASSERT_TRUE(handle) << handle.error().message;
      if (pick(random, 8) == 0) (void)handle->cancel();
      if (pick(random, 3) == 0) (void)handle->signal("go", std::to_string(number));  // it need not know it
      if (pick(random, 8) == 0) (void)handle->pause("why " + std::to_string(number));
      if (!passing.empty() && pick(random, 8) == 0)
        (void)passing[pick(random, static_cast<std::uint32_t>(passing.size()))].pause();
      if (pick(random, 16) == 0) toggle(runner, random);
      (shape % kWaitingEvery == 0 ? waiting_ : passing).push_back(std::move(*handle));
      if (passing.size() < 16) continue;
      end(runner, passing);
      batches_.fetch_add(1, std::memory_order_relaxed);  // relaxed: only looked at
    }
    end(runner, passing);
  }

 private:
  void end(Runner& runner, std::vector<PipelineHandle>& passing) {
    for (PipelineHandle& one : passing) {
      (void)one.resume();      // it need not be paused
      (void)one.signal("go");  // as above; it may have come already
      ASSERT_TRUE(one.wait(kLong));
      if (const auto again = runner.retry_failed(one)) waiting_.push_back(*again);  // where something failed
    }
    passing.clear();
  }

  /// Pauses something that no task goes to, or ends that.
  void toggle(Runner& runner, std::mt19937_64& random) {
    const std::string what = "x" + std::to_string(pick(random, 4));
    if (!runner.resume_executor(what)) {
      ASSERT_TRUE(runner.pause_executor(what, "why"));
    }
    if (!runner.resume_namespaces(what + "::**")) {
      ASSERT_TRUE(runner.pause_namespaces(what + "::**"));
    }
  }

  static constexpr std::uint32_t kShapes = 12;
  static constexpr std::uint32_t kWaitingEvery = 4;

  Workflow make(std::uint32_t shape) {
    auto builder = Workflow::builder("shape" + std::to_string(shape));
    const std::uint32_t tasks = 1 + shape % 5;
    for (std::uint32_t task = 0; task < tasks; ++task) {
      TaskOptions options{.retry = {.max_attempts = 1 + static_cast<std::int32_t>(shape % 3),
                                    .backoff = Backoff::Fixed,
                                    .initial = 200us}};
      for (std::uint32_t earlier = shape % 2 == 0 ? 0 : task / 2; earlier < task; earlier += 2) {
        options.after.push_back("t" + std::to_string(earlier));
      }
      if (shape % 7 == 3) options.trigger = TriggerRule::all_done();
      if (shape % 5 == 2 && task % 2 == 0) options.signal = "go";
      const bool waits = shape % kWaitingEvery == 0 && task == tasks / 2;
      builder.task(
          "t" + std::to_string(task),
          [=, this](TaskContext& context) { return run(context, shape, task, waits); }, std::move(options));
    }
    auto workflow = builder.build();
    EXPECT_TRUE(workflow) << workflow.error().message;
    return *workflow;
  }

  std::expected<void, TaskError> run(TaskContext& context, std::uint32_t shape, std::uint32_t task,
                                     bool waits) {
    // relaxed: only looked at
    const std::uint32_t begun = batches_.load(std::memory_order_relaxed);
    waits = waits_.fetch_add(1, std::memory_order_relaxed) < 8 && waits;     // the others need threads, too
    while (waits && batches_.load(std::memory_order_relaxed) < begun + 2) {  // relaxed: as above
      if (context.stop_requested()) break;
      std::this_thread::sleep_for(100us);  // it is what the task does: waiting
    }
    waits_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: only counted
    if (shape % 3 == task % 3 && context.event().attempt < 2) {
      return std::unexpected(TaskError("connection lost by " + std::to_string(task)));
    }
    if (shape % 5 != 1) context.set("t" + std::to_string(task), std::string(shape * 7, 'x'));
    return {};
  }

  std::atomic<std::uint32_t> batches_{0};
  std::atomic<std::uint32_t> waits_{0};
  std::vector<Workflow> workflows_;
  std::vector<PipelineHandle> waiting_;
};

/// What a whole journal amounts to, as it grows.
class GrowingFold {
 public:
  explicit GrowingFold(const std::vector<MemoryMedium::Commit>& journal) : journal_(journal) {}

  /// Takes over what ends up to there. @pre not before what it has taken
  const StoreImage& grow(std::uint64_t end) {
    EXPECT_GE(end, image_.end_sequence());
    for (; taken_ < journal_.size() && journal_[taken_].end_sequence <= end; ++taken_) {
      const auto done = image_.apply(journal_[taken_].first_sequence, journal_[taken_].bytes);
      EXPECT_TRUE(done) << done.error().message;
    }
    return image_;
  }

 private:
  const std::vector<MemoryMedium::Commit>& journal_;
  std::size_t taken_ = 0;
  StoreImage image_{StoreImage::Keep::Unfinished};
};

class CheckpointEveryCrash : public testing::TestWithParam<Retention> {};

TEST_P(CheckpointEveryCrash, RecoversWhatTheWholeJournalAmountsTo) {
  std::mt19937_64 random = seeded_generator();
  const auto record = std::make_shared<RecordingStore::Record>();
  {
    Workload workload;
    auto runner = Runner::builder()
                      .state_store(std::make_unique<RecordingStore>(record, true))
                      .retain_events(GetParam())
                      .clock(std::make_shared<LingeringClock>(random()))
                      .checkpoint_after(3000)
                      .workers(32)
                      .log_sink([](Severity, std::string_view) {})
                      .build();
    ASSERT_TRUE(runner) << runner.error().message;
    ASSERT_TRUE(runner->start());
    workload.play(*runner, random, 600);
    (void)runner->stop(1ms);
  }
  EXPECT_GT(record->rounds, 4U);
  std::size_t from_rounds = 0;
  GrowingFold fold(record->journal);
  for (const RecordingStore::Crash& crash : record->crashes) {
    const auto medium = std::make_shared<MemoryMedium>();
    medium->commits = crash.commits;
    medium->marks = crash.marks;
    medium->used_below = crash.used_below;
    const auto store = make_memory_store(medium);
    from_rounds += store->checkpoints().newest().generation != 0;
    const auto image = recover_unfinished(*store);
    ASSERT_TRUE(image) << image.error().message;
    const StoreImage& whole = fold.grow(store->journal_end());
    ASSERT_EQ(comparable(*image), comparable(whole))
        << "at " << store->journal_end() << " from round " << store->checkpoints().newest().generation << ", "
        << store->checkpoints().newest().minimum << " to " << store->checkpoints().newest().end
        << "\nrecovered:\n"
        << describe(comparable(*image)) << "whole journal:\n"
        << describe(comparable(whole));
    EXPECT_EQ(image->keys(), whole.keys());
    EXPECT_EQ(image->pauses(), whole.pauses());
    EXPECT_EQ(image->submissions(), whole.submissions());
    EXPECT_EQ(image->next_pipeline_no(), whole.next_pipeline_no());
    EXPECT_EQ(image->next_workflow_no(), whole.next_workflow_no());
    EXPECT_EQ(image->next_key_no(), whole.next_key_no());
  }
  EXPECT_GT(from_rounds, record->crashes.size() / 2);
}

INSTANTIATE_TEST_SUITE_P(Events, CheckpointEveryCrash,
                         testing::Values(Retention{}, kNoEvents, Retention{.count = 500}),
                         [](const auto& events) {
                           return !events.param.age_ns && !events.param.count ? "Kept"
                                  : events.param.age_ns                       ? "Dropped"
                                                                              : "Counted";
                         });

TEST(Checkpoint, KeepsTheJournalSmallWhileManyPassAndOneLives) {
  const auto record = std::make_shared<RecordingStore::Record>();
  auto store = std::make_unique<RecordingStore>(record, false);
  RecordingStore& seen = *store;
  std::atomic<bool> hold{true};
  const auto let_go = [&hold] {
    hold = false;
    hold.notify_all();
  };
  auto runner = Runner::builder()
                    .state_store(std::move(store))
                    .retain_events(kNoEvents)
                    .checkpoint_after(20'000)
                    .build();
  ASSERT_TRUE(runner) << runner.error().message;
  const auto old = Workflow::builder("old")
                       .task("wait",
                             [&](TaskContext& context) {
                               const std::stop_callback stopped(context.stop_token(), let_go);
                               hold.wait(true);
                             })
                       .build();
  const auto task = runner->register_task("a::b::c::nothing", [](TaskContext&) {});
  ASSERT_TRUE(task);
  ASSERT_TRUE(runner->start());
  auto handle = runner->submit_async(*old, {.durability = Durability::Process});
  ASSERT_TRUE(handle);
  constexpr int kTasks = 20'000;
  for (int number = 0; number < kTasks;) {
    const std::size_t rounds = record->rounds;
    for (const int end = number + kTasks / 10; number < end;) {
      const auto event = runner->make_event(*task);
      if (runner->dispatcher().dispatch(event, {.durability = Durability::Process})) {
        ++number;
      } else {
        std::this_thread::yield();
      }
    }
    // A machine that is busy elsewhere may keep the timers, and so the rounds, waiting.
    ASSERT_TRUE(eventually([&] { return record->rounds > rounds; }));
  }
  let_go();
  ASSERT_TRUE(handle->wait(kLong));
  ASSERT_TRUE(runner->wait_idle(kLong));
  std::size_t all = 0;
  {
    const std::scoped_lock lock(record->mutex);
    for (const MemoryMedium::Commit& commit : record->journal) all += commit.bytes.size();
  }
  EXPECT_GT(all, 900'000U);
  EXPECT_GT(record->rounds, 3U);
  ASSERT_TRUE(runner->stop(kLong));
  EXPECT_LT(seen.journal_bytes(), all / 3);
}

/// A store whose events go at once, with pipelines of three kinds: completed, failed, cancelled.
class History : public testing::Test {
 protected:
  void SetUp() override {
    const auto good = Workflow::builder("good").task("a", [](TaskContext&) {}).build();
    const auto bad = Workflow::builder("bad")
                         .task("a",
                               [](TaskContext&) -> std::expected<void, TaskError> {
                                 return std::unexpected(TaskError("no such file"));
                               },
                               {.retry = {.max_attempts = 1}})
                         .task("b", [](TaskContext&) {}, {.after = {"a"}})
                         .build();
    auto runner = make({});
    ASSERT_TRUE(runner->start());
    for (int number = 0; number < 200; ++number) {
      const auto handle = runner->submit(number % 10 == 3 ? *bad : *good);
      ASSERT_TRUE(handle);
      ASSERT_TRUE(handle->wait(kLong));
      ids_.push_back(handle->id());
    }
    ASSERT_TRUE(runner->stop(kLong));
  }

  std::expected<Runner, Error> make(const Retention& history) {
    return Runner::builder()
        .database_url(directory_.url())
        .retain_events(kNoEvents)
        .retain_history(history)
        .checkpoint_after(2000)
        .build();
  }

  std::vector<PipelineSummary> find(const HistoryQuery& query) {
    std::vector<PipelineSummary> found;
    const auto read = read_rocksdb_history(
        directory_.path(), query, [&](const PipelineSummary& summary, std::string_view name) {
          EXPECT_EQ(name, summary.tasks == 1 ? "public::embedded::good" : "public::embedded::bad");
          EXPECT_EQ(summary.error, summary.tasks == 1 ? "" : "no such file");
          found.push_back(summary);
          found.back().error = {};
        });
    EXPECT_TRUE(read) << read.error().message;
    return found;
  }

  TemporaryDirectory directory_;
  std::vector<Uuid> ids_;
};

TEST_F(History, HoldsEveryFinishedPipelineThoughItsEventsAreGone) {
  const auto image = read_rocksdb_store(directory_.path());
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_LT(image->pipelines().size(), 150U);
  const std::vector<PipelineSummary> all = find({});
  ASSERT_EQ(all.size(), ids_.size());
  for (std::size_t index = 0; index < ids_.size(); ++index) {
    EXPECT_EQ(all[index].id, ids_[index]);
    EXPECT_LE(all[index].created_ns, all[index].finished_ns);
  }
  const auto findings = verify_rocksdb_store(directory_.path());
  ASSERT_TRUE(findings);
  EXPECT_TRUE(findings->empty()) << findings->front().message;
}

TEST_F(History, IsFoundByIdentifierStateAndTime) {
  for (const std::size_t index : {0, 77, 199}) {
    const auto found = find({.id = ids_[index]});
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].id, ids_[index]);
  }
  EXPECT_TRUE(find({.id = Uuid::make_v7(1, 2, 3)}).empty());
  const auto failed = find({.state = PipelineState::Failed});
  ASSERT_EQ(failed.size(), 20U);
  EXPECT_EQ(failed[0].failed, 1U);
  EXPECT_EQ(failed[0].skipped, 1U);
  const std::vector<PipelineSummary> all = find({});
  const auto middle =
      find({.finished_from_ns = all[50].finished_ns, .finished_before_ns = all[120].finished_ns});
  ASSERT_EQ(middle.size(), 70U);
  EXPECT_EQ(middle.front(), all[50]);
  EXPECT_EQ(middle.back(), all[119]);
}

TEST_F(History, GoesByCountWithTheNextRounds) {
  const auto good = Workflow::builder("good").task("a", [](TaskContext&) {}).build();
  auto runner = make({.count = 30});
  ASSERT_TRUE(runner) << runner.error().message;
  ASSERT_TRUE(runner->start());
  for (int number = 0; number < 200; ++number) ASSERT_TRUE(runner->submit(*good)->wait(kLong));
  ASSERT_TRUE(runner->stop(kLong));
  const std::size_t left = find({}).size();
  EXPECT_GE(left, 30U);
  EXPECT_LT(left, 200U);
}

}  // namespace
}  // namespace leat
