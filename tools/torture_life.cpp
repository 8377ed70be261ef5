#include "torture_life.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "exit_status.h"
#include "leat/leat.h"
#include "leat/wrapped_store.h"
#include "torture_clock.h"
#include "torture_report.h"

namespace leat::tools {
namespace {

using namespace std::chrono_literals;

constexpr auto kLongestDrain = 30s;

std::atomic<bool> told_to_stop{false};

void report(const TortureReport& said) {
  if (::write(kTortureReportFd, &said, sizeof said) != sizeof said)
    ::_exit(kGood);  // nobody listens any more
}

/// Kills its process the n-th time that the chosen point is passed; no thread gets past it then.
///
/// Thread-safety: any number of threads.
class Fate {
 public:
  explicit Fate(const TortureLifeOptions& options) : at_(options.die_at), left_(options.die_after) {}

  void pass(std::string_view point) noexcept {
    if (point != at_) return;
    // relaxed: a count
    if (left_.fetch_sub(1, std::memory_order_relaxed) <= 1) ::kill(::getpid(), SIGKILL);
  }

 private:
  const std::string at_;
  std::atomic<std::int64_t> left_;
};

/// The real store, which may die within a call.
class FatedStore final : public WrappedStore {
 public:
  FatedStore(std::unique_ptr<StateStore> store, Fate& fate) : WrappedStore(std::move(store)), fate_(fate) {}

  std::expected<void, StoreError> replay_from(std::uint64_t sequence, const Visitor& visit) override {
    return store().replay_from(sequence, [&](std::uint64_t first, std::span<const std::byte> commit) {
      fate_.pass("recovering");
      return visit(first, commit);
    });
  }
  std::expected<void, StoreError> append_rows(std::uint64_t first, std::uint64_t end,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    fate_.pass(rows.slice.empty() ? "writing" : "checkpointing");
    auto done = store().append_rows(first, end, commit, rows);
    fate_.pass("written");
    return done;
  }
  std::expected<void, StoreError> sync() override {
    fate_.pass("syncing");
    auto done = store().sync();
    fate_.pass("committed");
    return done;
  }

 private:
  Fate& fate_;
};

/// Lets another executor do the work, and may die between a task's claim (it is Running, with a slot, a
/// permit and a line on the board) and its function.
class FatedExecutor final : public TaskExecutor {
 public:
  /// @param executor  registered as well, under a key that no route leads to: what it works with comes from
  ///                  there
  FatedExecutor(std::shared_ptr<TaskExecutor> executor, Fate& fate)
      : executor_(std::move(executor)), fate_(fate) {}

  void start(const TaskReadyEvent& event, CompletionToken token) override {
    report({.kind = TortureReport::Kind::Claimed,
            .task = event.task_number,
            .attempt = static_cast<std::uint32_t>(event.attempt),
            .pipeline = event.pipeline_execution_id});
    fate_.pass("claimed");
    executor_->start(event, std::move(token));
  }
  bool brakes() const noexcept override { return false; }

 private:
  const std::shared_ptr<TaskExecutor> executor_;
  Fate& fate_;
};

void limit(int resource, rlim_t value) {
  const rlimit both{value, value};
  static_cast<void>(::setrlimit(resource, &both));
}

void make_trouble(const std::string& trouble, std::uint64_t seed) {
  if (trouble == "files") limit(RLIMIT_NOFILE, 24);
  if (trouble == "memory") limit(RLIMIT_AS, (64 + seed % 256) << 20);  // too little to live, up to plenty
  if (trouble == "size") {
    ::signal(SIGXFSZ, SIG_IGN);  // a write beyond it fails, as on a full disk
    limit(RLIMIT_FSIZE, rlim_t{96} << 10);
  }
  if (trouble == "cpu") {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    static_cast<void>(::sched_setaffinity(0, sizeof one, &one));
  }
}

/// A caller that forks beside a running engine.
void fork_for_nothing() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  if (child > 0) ::waitpid(child, nullptr, 0);
}

/// A text from which can be told that it is whole.
std::string bulk(std::size_t bytes) {
  return std::string(bytes, static_cast<char>('a' + bytes % 26));
}

/// How much a task adds to its context: nothing in most pipelines, in the others enough to lie apart.
std::size_t bulk_bytes(const Uuid& pipeline, std::uint32_t number) {
  return pipeline.hash() % 4 != 0 ? 0 : kContextInlineBytesMax + (pipeline.hash() / 4 + number * 977) % 6000;
}

/// What the tasks do: they tell, look at what the tasks before them have left, and now and then they fail.
class Tasks {
 public:
  Tasks(Fate& fate, const TortureClock& clock) : fate_(fate), clock_(clock) {}

  std::expected<void, TaskError> run(TaskContext& task, std::uint32_t number) {
    const TaskReadyEvent& event = task.event();
    const auto attempt = static_cast<std::uint32_t>(event.attempt);
    TortureReport said{.kind = TortureReport::Kind::Began,
                       .task = number,
                       .attempt = attempt,
                       .pipeline = event.pipeline_execution_id};
    if (number == 0 && task.get<std::int64_t>("due").value_or(INT64_MIN) > clock_.latest_unix_ns()) {
      TortureReport early = said;
      early.kind = TortureReport::Kind::Early;
      report(early);
    }
    report(said);
    fate_.pass("started");
    if (finds_another(task, number)) {
      said.kind = TortureReport::Kind::Wrong;
      report(said);
    }
    if (attempt == 1 && (event.pipeline_execution_id.hash() + number) % 11 == 0) {
      return std::unexpected(TaskError("once").after(1ms));
    }
    task.set(task.task_name(), static_cast<std::int64_t>(number));
    if (const std::size_t bytes = bulk_bytes(event.pipeline_execution_id, number); bytes > 0)
      task.set(key_of(number), bulk(bytes));
    fate_.pass("saved");
    said.kind = TortureReport::Kind::Done;
    said.saved = mark_of(task.context().to_json(), {});
    report(said);
    return {};
  }

 private:
  static std::string key_of(std::uint32_t number) { return "bulk" + std::to_string(number); }

  /// Of what the task was given, and of what all before it have saved.
  static bool finds_another(TaskContext& task, std::uint32_t number) {
    if (!task.load()) return false;  // the store fails; its attempt will
    const auto given = task.get<std::string>("given");
    if (given && *given != bulk(given->size())) return true;
    for (std::uint32_t before = 0; before < number; ++before) {
      if (number < kLast && before > 0) continue;  // beside it
      const std::size_t bytes = bulk_bytes(task.event().pipeline_execution_id, before);
      if (task.get<std::string>(key_of(before)) != (bytes == 0 ? std::nullopt : std::optional(bulk(bytes))))
        return true;
    }
    return false;
  }

  static constexpr std::uint32_t kLast = 4;

  Fate& fate_;
  const TortureClock& clock_;
};

class Life {
 public:
  Life(const TortureLifeOptions& options, std::unique_ptr<StateStore> store)
      : options_(options),
        clock_(std::make_shared<TortureClock>(std::chrono::hours(options.hours))),
        fate_(options),
        tasks_(fate_, *clock_),
        store_(std::move(store)),
        random_(options.seed) {}

  int live();

 private:
  struct Submitted {
    PipelineHandle handle;
    Durability level;
    bool later = false;  // it has a start_at
  };

  Workflow workflow();
  std::expected<Runner, Error> build();
  std::expected<PipelineHandle, Error> submit_one(Durability level, bool later);
  void submit_some();
  void step_clock();
  /// @return whether no end of it is to come any more: it was told, or the Runner stops
  bool tell_end(const Submitted& submitted, std::chrono::nanoseconds patience);
  void tell_ends(std::vector<Submitted>& submitted, std::chrono::nanoseconds patience);
  int drain();

  const TortureLifeOptions& options_;
  const std::shared_ptr<TortureClock> clock_;
  Fate fate_;
  Tasks tasks_;
  std::unique_ptr<StateStore> store_;
  std::mt19937_64 random_;
  std::optional<Runner> runner_;
  std::optional<Workflow> workflow_;
  Namespace alone_;
  std::vector<Submitted> later_;
};

Workflow Life::workflow() {
  const auto task = [this](std::uint32_t number) {
    return [this, number](TaskContext& context) { return tasks_.run(context, number); };
  };
  const RetryPolicy retry{.max_attempts = 3, .initial = 1ms, .cap = 5ms};
  return *Workflow::builder("torture")
              .task("extract", task(0), {.retry = retry})
              .task("left", task(1), {.after = {"extract"}, .retry = retry, .executor = "narrow"})
              .task("right", task(2), {.after = {"extract"}, .retry = retry})
              .task("middle", task(3), {.after = {"extract"}, .retry = retry, .timeout = 10s})
              .task("load", task(4), {.after = {"left", "right", "middle"}, .retry = retry})
              .build();
}

std::expected<PipelineHandle, Error> Life::submit_one(Durability level, bool later) {
  if (later || random_() % 4 != 0) {
    const std::size_t bytes = random_() % 8 == 0 ? kContextInlineBytesMax + random_() % 20'000 : 0;
    SubmitOptions options{.durability = level};
    if (bytes != 0) options.context = "{\"given\":\"" + bulk(bytes) + "\"}";
    const std::chrono::nanoseconds now(clock_->unix_ns());
    if (later) {
      options.start_at = std::chrono::system_clock::time_point(now + std::chrono::minutes(random_() % 360));
      options.context = "{\"due\":" + std::to_string(options.start_at->time_since_epoch().count()) + "}";
    }
    if (random_() % 16 == 0)
      options.deadline =
          std::chrono::system_clock::time_point(now + std::chrono::minutes(1 + random_() % 720));
    return runner_->submit_async(*workflow_, options);
  }
  auto handle = runner_->dispatcher().dispatch_async(runner_->make_event(alone_, 3), {.durability = level});
  if (handle) return std::move(*handle);
  return std::unexpected(Error{ErrorCode::Storage, std::string(to_string(handle.error().code))});
}

bool Life::tell_end(const Submitted& submitted, std::chrono::nanoseconds patience) {
  const auto result = submitted.handle.wait(patience);
  if (!result) return result.error().code != ErrorCode::Timeout;  // the Runner stops, or its store has failed
  fate_.pass("ended");
  report({.kind = TortureReport::Kind::Ended,
          .level = submitted.level,
          .state = result->state,
          .pipeline = submitted.handle.id()});
  return true;
}

void Life::tell_ends(std::vector<Submitted>& submitted, std::chrono::nanoseconds patience) {
  std::erase_if(submitted, [&](const Submitted& one) { return tell_end(one, patience); });
}

void Life::submit_some() {
  std::vector<Submitted> submitted;
  for (std::uint64_t count = 1 + random_() % 24; count > 0; --count) {
    const auto level = static_cast<Durability>(random_() % 3);
    const bool later = random_() % 32 == 0;
    auto handle = submit_one(level, later);
    fate_.pass("submitted");
    if (handle) submitted.push_back({std::move(*handle), level, later});
  }
  for (const auto& [handle, level, later] : submitted) {
    if (!handle.acknowledged()) continue;
    fate_.pass("acknowledged");
    report({.kind = TortureReport::Kind::Acknowledged, .level = level, .pipeline = handle.id()});
  }
  for (const Submitted& one : submitted) {
    if (one.later) {
      later_.push_back(one);
    } else {
      tell_end(one, 30s);
    }
  }
  tell_ends(later_, 0ns);
}

/// Forward or back; every other time whoever looks at the wall clock once a minute sees it at once.
void Life::step_clock() {
  clock_->jump_to(std::chrono::hours(options_.hours) + std::chrono::minutes(random_() % 720) - 360min);
  if (random_() % 2 == 0) clock_->leap(61s);
}

/// Ends what earlier lives have left, and sees that nothing waits any more, nor holds a slot.
int Life::drain() {
  const auto idle = runner_->wait_idle(kLongestDrain);
  bool rests = true;
  for (const std::string& key : runner_->executor_keys()) {
    const ExecutorMetrics metrics = runner_->metrics(key);
    rests = rests && metrics.parked_tasks + metrics.queued_tasks + metrics.active_tasks == 0;
  }
  for (const SlotAudit& slots : runner_->audit()) rests = rests && slots.balanced() && slots.slots_found == 0;
  const auto drained = runner_->drain(kLongestDrain);
  if (!runner_->health()) return kStoreFailure;
  return idle && rests && drained ? kGood : kFailed;
}

std::expected<Runner, Error> Life::build() {
  const auto threads = std::make_shared<ThreadTaskExecutor>();
  const auto fated = std::make_shared<FatedExecutor>(threads, fate_);
  return Runner::builder()
      .state_store(std::make_unique<FatedStore>(std::move(store_), fate_))
      .clock(clock_)
      .register_executor("default", fated, {.max_concurrent = 2, .max_queued = 8})
      .register_executor("narrow", fated, {.max_concurrent = 1, .max_queued = 1})
      .register_executor("threads", threads, {.max_concurrent = 1, .max_queued = 1})
      .workers(2)
      .checkpoint_after(64 << 10)
      .log_sink([](Severity, std::string_view) {})
      .build();
}

int Life::live() {
  auto runner = build();
  if (!runner) return fail(opening_failure(runner.error()));
  runner_.emplace(std::move(*runner));
  workflow_ = workflow();
  const auto alone = runner_->register_task("public::embedded::torture::alone",
                                            [this](TaskContext& task) { return tasks_.run(task, 0); });
  if (!alone) return kStoreFailure;
  alone_ = *alone;
  if (!runner_->register_workflow(*workflow_)) return kStoreFailure;
  fate_.pass("opened");
  if (!runner_->start()) return kStoreFailure;
  report({.kind = TortureReport::Kind::Opened});
  std::thread carried_on([this] {
    std::vector<Submitted> left;
    for (const PipelineHandle& handle : runner_->resumed()) left.push_back({handle, Durability::Process});
    while (!left.empty()) tell_ends(left, 5ms);
  });
  // The same one in every life; without it the store fails, which shows below.
  static_cast<void>(
      runner_->schedule("hourly", *workflow_, {.cron = "0 * * * *", .overlap = Overlap::Allow}));
  if (options_.drain) {
    const int status = drain();
    carried_on.join();
    return status;
  }
  while (!told_to_stop.load(std::memory_order_relaxed) && runner_->health()) {  // relaxed: a flag to look at
    submit_some();
    if (options_.trouble == "clock") step_clock();
    if (options_.trouble == "fork") fork_for_nothing();
  }
  const bool healthy = runner_->health().has_value();
  const bool stopped = runner_->stop(1s).has_value();
  carried_on.join();
  return healthy && stopped ? kGood : kStoreFailure;
}

}  // namespace

int torture_life(const TortureLifeOptions& options) {
  ::signal(SIGTERM, [](int) { told_to_stop.store(true, std::memory_order_relaxed); });  // relaxed: a flag
  ::signal(SIGPIPE, SIG_IGN);
  make_trouble(options.trouble, options.seed);
  auto store = open_rocksdb_store(options.store);
  if (!store) return fail(opening_failure(store.error()));
  return Life(options, std::move(*store)).live();
}

}  // namespace leat::tools
