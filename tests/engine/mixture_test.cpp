// All features at once, over several lives of one store that ends in a kill, or in a stop, while everything is
// under way. Afterwards each pipeline that was accepted has ended once, as its kind may end, whoever was told
// was told the same, nothing is left in lanes and keys, and the store is whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "eventually.h"
#include "leat/history.h"
#include "leat/leat.h"
#include "leat/store_reader.h"
#include "leat/store_verifier.h"
#include "memory_budget.h"
#include "mixture.h"
#include "seed.h"
#include "temporary_directory.h"

namespace leat {
namespace {

using namespace std::chrono_literals;

#if defined(__SANITIZE_THREAD__)
constexpr std::uint32_t kSubmissions = 40;
constexpr bool kMayWaitInStore =
    false;  // what is read of rows is memory of RocksDB, which TSan cannot follow
#else
constexpr std::uint32_t kSubmissions = 250;
constexpr bool kMayWaitInStore = true;
#endif
constexpr std::uint32_t kSubmitters = 2;
constexpr std::uint32_t kKeys = 3;       // of executors
constexpr std::uint32_t kCustomers = 4;  // concurrency keys
constexpr std::uint32_t kAtOnceMax = 2;  // pipelines of one
constexpr std::array kLevels = {Durability::Process, Durability::Disk, Durability::Memory};

std::string key(std::uint32_t i) {
  return "k" + std::to_string(i);
}
std::string customer(std::uint32_t i) {
  return "customer " + std::to_string(i);
}

class Mixture : public testing::TestWithParam<Backend> {
 protected:
  enum class End { Kill, Stop };
  void open();
  void rage(End how);
  void end(End how);
  void settle();
  void expect_nothing_left();
  void expect_store_tells_the_same();

  std::mt19937_64 random_ = seeded_generator();
  int kills_ = 0;

 private:
  void submit(std::mt19937_64 random);
  SubmitOptions random_options(std::mt19937_64& random, Books::Entry& entry);
  void meddle(std::mt19937_64 random);
  void come_and_go(std::mt19937_64& random);
  void pause_something(std::mt19937_64& random);
  void touch_a_pipeline(std::mt19937_64& random);
  void keep(const PipelineHandle& handle);
  std::vector<PipelineHandle> handles() const;
  std::string left() const;
  void expect_each_second_once(const StoreImage& image);
  RoutingConfig routing(std::uint32_t shift) const;
  bool dead() const { return !*alive_; }

  const TemporaryDirectory directory_;
  const std::shared_ptr<ForwardClock> clock_ = std::make_shared<ForwardClock>();
  const std::uint64_t budget_ = kMayWaitInStore ? 100'000 * pick(random_, 3) : 0;
  const ExecutorLimits limits_{.max_concurrent = 3, .max_queued = 12, .backend = GetParam()};
  Books books_;
  Visits visits_;
  const Kinds kinds_{books_, visits_};
  std::shared_ptr<std::atomic<bool>> alive_;
  std::unique_ptr<Runner> runner_;
  Namespace alone_;
  std::uint32_t lives_ = 0;
  std::atomic<bool> calm_ = false;  // the meddler is to end
  std::atomic<std::uint32_t> accepted_ = 0, unknown_ = 0;
  std::atomic<std::uint64_t> thens_ = 0, told_ = 0;
  mutable std::mutex mutex_;
  std::vector<PipelineHandle> handles_;  // of this life
};

RoutingConfig Mixture::routing(std::uint32_t shift) const {
  RoutingConfig routing(key(shift % kKeys));
  routing.with_rule("**::diamond::*", key((shift + 1) % kKeys));
  routing.with_rule(RoutingRule("**::a", {{key(0), 50}, {key((shift + 2) % kKeys), 50}}));
  return routing;
}

void Mixture::open() {
  ++lives_;
  alive_ = std::make_shared<std::atomic<bool>>(true);
  auto store = open_rocksdb_store(directory_.path());
  ASSERT_TRUE(store) << store.error().message;
  auto builder = Runner::builder();
  builder.state_store(std::make_unique<MortalStore>(std::move(*store), alive_))
      .clock(clock_)
      .routing_config(routing(0))
      .checkpoint_after(50'000)
      .log_sink([](Severity, std::string_view) {});
  if (budget_ > 0) builder.memory_budget(budget_);
  for (std::uint32_t i = 0; i < kKeys; ++i)
    builder.register_executor(key(i), std::make_shared<ThreadTaskExecutor>(), limits_);
  auto built = builder.build();
  ASSERT_TRUE(built) << built.error().message;
  runner_ = std::make_unique<Runner>(std::move(*built));
  for (const Kind& kind : kinds_.submitted()) ASSERT_TRUE(runner_->register_workflow(kind.workflow));
  for (const Workflow& workflow : {kinds_.child(), kinds_.scheduled()})
    ASSERT_TRUE(runner_->register_workflow(workflow));
  alone_ = *runner_->register_task("t::p::w::alone", [this](TaskContext& task) { books_.ran(task); });
  ASSERT_TRUE(runner_->limit_concurrency("customer *", kAtOnceMax));
  ASSERT_TRUE(runner_->start());
  for (const PipelineHandle& handle : runner_->resumed()) keep(handle);
  if (lives_ > 1) return;
  for (const Overlap overlap : {Overlap::Skip, Overlap::Allow, Overlap::QueueOne, Overlap::CancelOther}) {
    ScheduleOptions options{.cron = "* * * * * *", .overlap = overlap, .misfire = Misfire::CatchUp};
    options.durability = Durability::Process;
    ASSERT_TRUE(runner_->schedule(to_string(overlap), kinds_.scheduled(), options));
  }
}

/// From here on this handle is meddled with, and who waits for it is told.
void Mixture::keep(const PipelineHandle& handle) {
  ++thens_;
  const auto told = [this, id = handle.id()](const std::expected<PipelineResult, Error>& result) {
    ++told_;
    if (result) books_.told(id, result->state);
  };
  if (!handle.then(told, key(0))) --thens_;
  const std::lock_guard lock(mutex_);
  handles_.push_back(handle);
}

std::vector<PipelineHandle> Mixture::handles() const {
  const std::lock_guard lock(mutex_);
  return handles_;
}

SubmitOptions Mixture::random_options(std::mt19937_64& random, Books::Entry& entry) {
  SubmitOptions options{.durability = kLevels[pick(random, kLevels.size())],
                        .priority = static_cast<Priority>(pick(random, 3))};
  if (pick(random, 4) == 0) {
    options.idempotency_key = std::string(to_string(options.durability)) + std::to_string(pick(random, 300));
  }
  if (pick(random, 5) == 0) options.start_at = clock_->after(std::chrono::milliseconds(pick(random, 30)));
  if (pick(random, 6) == 0) {
    options.deadline = clock_->after(31ms + std::chrono::milliseconds(pick(random, 50)));
    entry.may_end_otherwise = true;
  }
  if (pick(random, 3) == 0) {
    options.concurrency_key = customer(pick(random, kCustomers));
    // Where one ends early, or an attempt overruns, a task may run still when the customer's next one begins.
    entry.has_customer =
        !entry.may_end_otherwise && entry.kind != "retries" && options.idempotency_key.empty();
    if (entry.has_customer) options.context = R"({"customer":")" + options.concurrency_key + "\"}";
  }
  return options;
}

void Mixture::submit(std::mt19937_64 random) {
  for (std::uint32_t i = 0; i < kSubmissions && !dead(); ++i) {
    const Kind& kind =
        kinds_.submitted()[pick(random, static_cast<std::uint32_t>(kinds_.submitted().size()))];
    Books::Entry entry{.kind = std::string(kind.workflow.name())};
    const SubmitOptions options = random_options(random, entry);
    entry.is_sure = options.durability != Durability::Memory && pick(random, 8) == 0;
    std::optional<PipelineHandle> handle;
    if (pick(random, 10) == 0) {
      auto alone = runner_->dispatcher().dispatch_async(runner_->make_event(alone_),
                                                        {.durability = Durability::Process});
      if (alone) books_.submitted(handle.emplace(*alone), {.kind = "alone"});
    } else {
      auto submitted = entry.is_sure ? runner_->submit(kind.workflow, options)
                                     : runner_->submit_async(kind.workflow, options);
      if (submitted) books_.submitted(handle.emplace(*submitted), entry);
      if (!submitted && dead()) ++unknown_;
    }
    if (!handle) continue;
    keep(*handle);
    ++accepted_;
  }
}

void Mixture::come_and_go(std::mt19937_64& random) {
  const std::string chosen = key(pick(random, kKeys));
  const bool was_there = runner_->unregister_executor(chosen).has_value();
  for (std::uint32_t i = pick(random, 50); i > 0; --i) std::this_thread::yield();
  const auto again = runner_->register_executor(chosen, std::make_shared<ThreadTaskExecutor>(), limits_);
  EXPECT_TRUE(was_there && again);
}

void Mixture::pause_something(std::mt19937_64& random) {
  const std::string chosen = key(pick(random, kKeys));
  const std::string pattern = pick(random, 2) == 0 ? "**::a" : "*::*::diamond::**";
  if (pick(random, 2) == 0) static_cast<void>(runner_->pause_executor(chosen));
  if (pick(random, 2) == 0) static_cast<void>(runner_->pause_namespaces(pattern));
  static_cast<void>(runner_->limit_rate(chosen, {.count = 1000 * (1 + pick(random, 9)), .burst = 5}));
  for (std::uint32_t i = pick(random, 50); i > 0; --i) std::this_thread::yield();
  if (pick(random, 8) == 0) return;  // for longer
  static_cast<void>(runner_->resume_executor(chosen));
  static_cast<void>(runner_->resume_namespaces(pattern));
}

void Mixture::touch_a_pipeline(std::mt19937_64& random) {
  std::optional<PipelineHandle> chosen;
  {
    const std::lock_guard lock(mutex_);
    if (handles_.empty()) return;
    chosen = handles_[pick(random, static_cast<std::uint32_t>(handles_.size()))];
  }
  switch (pick(random, 6)) {
    case 0:
      static_cast<void>(chosen->pause());
      break;
    case 1:
      static_cast<void>(chosen->resume());
      break;
    case 2:
      static_cast<void>(runner_->signal(chosen->id(), "more"));
      break;
    case 3:
      if (books_.cancels(chosen->id())) static_cast<void>(chosen->cancel());
      break;
    default:
      static_cast<void>(chosen->signal("go"));
      break;
  }
}

void Mixture::meddle(std::mt19937_64 random) {
  while (!calm_ && !dead()) {
    switch (pick(random, 6)) {
      case 0:
        come_and_go(random);
        break;
      case 1:
        static_cast<void>(runner_->set_routing(routing(pick(random, kKeys))));
        break;
      case 2:
        pause_something(random);
        break;
      case 3:
        static_cast<void>(runner_->pause_schedule("queue_one"));
        static_cast<void>(runner_->resume_schedule("queue_one"));
        static_cast<void>(runner_->limit_concurrency("customer 1", 1 + pick(random, kAtOnceMax)));
        break;
      default:
        touch_a_pipeline(random);
        break;
    }
    std::this_thread::yield();
  }
}

void Mixture::rage(End how) {
  const std::uint32_t kill_at = accepted_ + 1 + pick(random_, kSubmissions);
  calm_ = false;
  std::thread meddler([this, seed = random_()] { meddle(std::mt19937_64(seed)); });
  std::vector<std::thread> submitters;
  for (std::uint32_t i = 0; i < kSubmitters; ++i)
    submitters.emplace_back([this, seed = random_()] { submit(std::mt19937_64(seed)); });
  if (how == End::Kill) {
    EXPECT_TRUE(eventually([&] { return accepted_ >= kill_at; }));
    *alive_ = false;
  }
  for (std::thread& submitter : submitters) submitter.join();
  calm_ = true;
  meddler.join();
}

void Mixture::end(End how) {
  const auto stopped = runner_->stop(how == End::Kill ? 0ns : 1ms);
  if (how == End::Stop) {
    EXPECT_TRUE(stopped) << stopped.error().message;
  }
  handles_.clear();
  runner_.reset();
  EXPECT_EQ(told_, thens_) << "in life " << lives_;
  clock_->put_forward(std::chrono::seconds(pick(random_, 5)));
}

/// Ends all that meddling has left, until every pipeline has come to its end.
void Mixture::settle() {
  for (const Pause& pause : runner_->pauses()) {
    EXPECT_TRUE(pause.scope == PauseScope::ExecutorKey ? runner_->resume_executor(pause.what)
                                                       : runner_->resume_namespaces(pause.what));
  }
  for (std::uint32_t i = 0; i < kKeys; ++i) EXPECT_TRUE(runner_->limit_rate(key(i), {}));
  EXPECT_TRUE(runner_->limit_concurrency("customer 1", kAtOnceMax));
  for (const ScheduleInfo& info : runner_->schedules()) EXPECT_TRUE(runner_->remove_schedule(info.name));
  const auto all_ended = [&] {
    for (PipelineHandle& handle : handles()) {
      if (is_terminal(handle.state())) continue;
      for (const char* name : {"go", "more"}) static_cast<void>(handle.signal(name));
      static_cast<void>(handle.resume());
    }
    return resident(*runner_) + in_store(*runner_) == 0;
  };
  ASSERT_TRUE(eventually(all_ended, 60s)) << left();
  for (const PipelineHandle& handle : handles()) {
    const auto result = handle.wait(30s);
    ASSERT_TRUE(result) << result.error().message;
    books_.told(handle.id(), result->state);
  }
}

/// What has not ended, and why.
std::string Mixture::left() const {
  std::string text = std::to_string(in_store(*runner_)) + " in the store alone";
  for (const SlotAudit& audit : runner_->audit()) {
    const ExecutorMetrics metrics = runner_->metrics(audit.key);
    text += "\n" + audit.key + ": " + std::to_string(metrics.active_tasks) + " run, " +
            std::to_string(metrics.queued_tasks) + " are queued, " + std::to_string(metrics.parked_tasks) +
            " parked, " + std::to_string(metrics.deferred_tasks) + " deferred; " +
            std::to_string(audit.slots_taken) + " slots are taken, " + std::to_string(audit.slots_found) +
            " found";
  }
  for (const PipelineHandle& handle : handles()) {
    if (is_terminal(handle.state())) continue;
    text += "\n" + handle.id().to_string() + " " + std::string(to_string(handle.state()));
    for (const char* task : {"a", "b", "c", "d", "t"}) {
      if (const auto why = runner_->explain(handle, task))
        text += std::string("\n  ") + task + ": " + why->text;
    }
  }
  return text;
}

void Mixture::expect_nothing_left() {
  std::atomic<std::uint32_t> begun = 0;
  const auto meet = [&](TaskContext&) {
    const std::uint32_t meeting = begun++ / kAtOnceMax + 1;
    EXPECT_TRUE(eventually([&] { return begun >= meeting * kAtOnceMax; }));
  };
  const Workflow meets = *Workflow::builder("meets").task("t", meet).build();
  for (std::uint32_t i = 0; i < kCustomers; ++i) {
    const std::vector<SubmitOptions> options(
        kAtOnceMax, {.durability = Durability::Memory, .concurrency_key = customer(i)});
    const auto meeting = runner_->submit_bulk(meets, options);
    ASSERT_TRUE(meeting) << meeting.error().message;
    for (const PipelineHandle& handle : *meeting) EXPECT_TRUE(handle.wait(30s));
  }
  ASSERT_TRUE(runner_->wait_idle(30s));
  for (const SlotAudit& audit : runner_->audit()) {
    const ExecutorMetrics metrics = runner_->metrics(audit.key);
    EXPECT_TRUE(audit.balanced()) << audit.key;
    EXPECT_EQ(audit.slots_taken + audit.permits_taken, 0U) << audit.key;
    EXPECT_EQ(metrics.active_tasks + metrics.queued_tasks + metrics.parked_tasks, 0U) << audit.key;
    EXPECT_EQ(metrics.deferred_tasks + metrics.stuck_tasks, 0U) << audit.key;
  }
  EXPECT_LE(visits_.most(), kAtOnceMax);
  const auto drained = runner_->drain(30s);
  EXPECT_TRUE(drained) << drained.error().message;
  runner_.reset();
  EXPECT_EQ(told_, thens_);
}

/// How often a task has begun, and ended, as its events say.
struct Transitions {
  int starts = 0, ends = 0;
};

void Mixture::expect_store_tells_the_same() {
  const auto findings = verify_rocksdb_store(directory_.path());
  ASSERT_TRUE(findings) << findings.error().message;
  for (const StoreError& finding : *findings) ADD_FAILURE() << finding.message;
  std::map<std::pair<std::uint64_t, std::uint32_t>, Transitions> transitions;
  const auto image = read_rocksdb_store(directory_.path(), [&](const TransitionEvent& event) {
    Transitions& of = transitions[{event.pipeline->pipeline_no, event.task}];
    of.starts += event.to == TaskState::Running;
    of.ends += is_terminal(event.to);
  });
  ASSERT_TRUE(image) << image.error().message;
  std::map<Uuid, std::vector<PipelineState>> summaries;
  ASSERT_TRUE(read_rocksdb_history(directory_.path(), {}, [&](const PipelineSummary& summary, auto) {
    summaries[summary.id].push_back(summary.state);
  }));
  std::map<Uuid, Books::Entry> entries = books_.entries();
  std::uint32_t unknown = 0;
  for (const auto& [number, pipeline] : image->pipelines()) {
    const WorkflowImage& workflow = image->workflows().at(pipeline.workflow_no);
    SCOPED_TRACE(workflow.name + " " + pipeline.id.to_string());
    EXPECT_TRUE(is_terminal(pipeline.state));
    EXPECT_EQ(summaries[pipeline.id], std::vector{pipeline.state});
    for (std::uint32_t task = 0; task < pipeline.tasks.size(); ++task) {
      const Transitions& of = transitions[{number, task}];
      const int runs = books_.runs(pipeline.id, workflow.tasks[task]);
      EXPECT_TRUE(is_terminal(pipeline.tasks[task].state));
      EXPECT_EQ(of.ends, 1);
      EXPECT_LE(runs, of.starts + kills_);
      if (pipeline.tasks[task].state == TaskState::Completed) {
        EXPECT_GE(runs, 1);
      }
    }
    const auto found = entries.extract(pipeline.id);
    const Books::Entry entry = found ? found.mapped() : Books::Entry();
    EXPECT_EQ(entry.told.value_or(pipeline.state), pipeline.state);
    const bool by_itself = !pipeline.traits->schedule.empty() || !pipeline.traits->parent.empty();
    unknown += entry.kind.empty() && !by_itself;
    if (!entry.kind.empty() && !entry.may_end_otherwise) {
      EXPECT_TRUE(kinds_.ends_of(workflow.name).contains(pipeline.state));
    }
  }
  EXPECT_LE(unknown, unknown_);
  for (const auto& [id, entry] : entries) EXPECT_FALSE(entry.is_sure) << id.to_string() << " is lost";
  EXPECT_EQ(summaries.size(), image->pipelines().size());
  expect_each_second_once(*image);
}

/// Of the schedule whose times may overlap, none is lost or doubled.
void Mixture::expect_each_second_once(const StoreImage& image) {
  std::vector<std::int64_t> seconds;
  for (const auto& [number, pipeline] : image.pipelines()) {
    if (pipeline.traits->schedule == "allow")
      seconds.push_back(pipeline.traits->scheduled_ns / 1'000'000'000);
  }
  std::ranges::sort(seconds);
  for (std::size_t i = 1; i < seconds.size(); ++i) EXPECT_EQ(seconds[i], seconds[i - 1] + 1);
}

INSTANTIATE_TEST_SUITE_P(Backends, Mixture, testing::Values(Backend::Arena, Backend::Threads),
                         [](const auto& param) {
                           return param.param == Backend::Arena ? "Arena" : "Threads";
                         });

TEST_P(Mixture, EachPipelineEndsOnceAndNothingIsLeftWhateverHappensAtOnce) {
  for (const End how : {End::Kill, End::Stop, End::Kill, End::Kill}) {
    kills_ += how == End::Kill;
    ASSERT_NO_FATAL_FAILURE(open());
    rage(how);
    end(how);
  }
  ASSERT_NO_FATAL_FAILURE(open());
  rage(End::Stop);
  ASSERT_NO_FATAL_FAILURE(settle());
  ASSERT_NO_FATAL_FAILURE(expect_nothing_left());
  expect_store_tells_the_same();
}

}  // namespace
}  // namespace leat
