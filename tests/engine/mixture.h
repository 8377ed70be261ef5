// What the test of all features at once shares out: a store that dies, a clock that is put forward, what was
// submitted, and what was seen of it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "leat/leat.h"
#include "leat/wrapped_store.h"

namespace leat {

using namespace std::chrono_literals;  // in tests alone

/// Refuses everything from the moment when `alive` turns false: what has been written stays, as after a kill.
class MortalStore final : public WrappedStore {
 public:
  MortalStore(std::unique_ptr<StateStore> store, std::shared_ptr<std::atomic<bool>> alive)
      : WrappedStore(std::move(store)), alive_(std::move(alive)) {}
  std::expected<void, StoreError> append_rows(std::uint64_t first, std::uint64_t end,
                                              std::span<const std::byte> commit,
                                              const CommitRows& rows) override {
    return *alive_ ? WrappedStore::append_rows(first, end, commit, rows) : gone();
  }
  std::expected<void, StoreError> acknowledge(std::uint64_t end) override {
    return *alive_ ? WrappedStore::acknowledge(end) : gone();
  }
  std::expected<void, StoreError> sync() override { return *alive_ ? WrappedStore::sync() : gone(); }
  std::expected<bool, StoreError> tidy() override {
    if (*alive_) return WrappedStore::tidy();
    return std::unexpected(gone().error());
  }
  std::expected<void, StoreError> close() override { return *alive_ ? WrappedStore::close() : gone(); }

 private:
  static std::expected<void, StoreError> gone() {
    return std::unexpected(StoreError{StoreErrorCode::Io, "the process is dead"});
  }
  const std::shared_ptr<std::atomic<bool>> alive_;
};

/// The machine's clock, whose wall hand the test puts forward between two lives.
class ForwardClock final : public Clock {
 public:
  std::int64_t steady_ns() noexcept override { return clock_->steady_ns(); }
  std::int64_t unix_ns() noexcept override { return clock_->unix_ns() + ahead_ns_; }
  void put_forward(std::chrono::nanoseconds time) { ahead_ns_ += time.count(); }
  std::chrono::system_clock::time_point after(std::chrono::nanoseconds time) {
    return std::chrono::system_clock::time_point(std::chrono::nanoseconds(unix_ns()) + time);
  }

 private:
  const std::unique_ptr<Clock> clock_ = make_system_clock();
  std::atomic<std::int64_t> ahead_ns_ = 0;
};

/// What was submitted, what was seen of it, and who was told what.
class Books {
 public:
  struct Entry {
    std::string kind;
    bool is_sure = false;            ///< acknowledged, so that it must be in the store
    bool has_customer = false;       ///< its tasks say for whom they run, so it must not end before they do
    bool may_end_otherwise = false;  ///< by a cancel or a deadline
    std::optional<PipelineState> told = {};
  };
  void submitted(const PipelineHandle& handle, const Entry& submitted) {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[handle.id()];  // there already where its idempotency key was used before
    entry.kind = submitted.kind;
    entry.is_sure |= submitted.is_sure;
    entry.has_customer |= submitted.has_customer;
    entry.may_end_otherwise |= submitted.may_end_otherwise;
  }
  /// Notes that a pipeline is about to be cancelled. @return false: it must not be
  bool cancels(const Uuid& id) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end() || found->second.kind.empty() || found->second.has_customer) return false;
    return found->second.may_end_otherwise = true;
  }
  void told(const Uuid& id, PipelineState state) {
    const std::lock_guard lock(mutex_);
    std::optional<PipelineState>& told = entries_[id].told;
    EXPECT_EQ(told.value_or(state), state) << id.to_string();
    told = state;
  }
  void ran(const TaskContext& task) {
    const std::lock_guard lock(mutex_);
    ++runs_[{task.event().pipeline_execution_id, std::string(task.task_name())}];
  }
  std::map<Uuid, Entry> entries() const {
    const std::lock_guard lock(mutex_);
    return entries_;
  }
  int runs(const Uuid& pipeline, const std::string& task) const {
    const std::lock_guard lock(mutex_);
    const auto found = runs_.find({pipeline, task});
    return found == runs_.end() ? 0 : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<Uuid, Entry> entries_;
  std::map<std::pair<Uuid, std::string>, int> runs_;
};

/// How many pipelines of one customer have running tasks at once.
class Visits {
 public:
  void enter(const std::string& name, const Uuid& pipeline) {
    const std::lock_guard lock(mutex_);
    auto& inside = inside_[name];
    ++inside[pipeline];
    most_ = std::max(most_, inside.size());
  }
  void leave(const std::string& name, const Uuid& pipeline) {
    const std::lock_guard lock(mutex_);
    auto& inside = inside_[name];
    if (--inside[pipeline] == 0) inside.erase(pipeline);
  }
  std::size_t most() const {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::map<Uuid, int>> inside_;
  std::size_t most_ = 0;
};

/// Notes that a task runs, and for which customer.
template <class Body>
auto noted(Books& books, Visits& visits, Body body) {
  return [&books, &visits, body](TaskContext& task) {
    struct Visit {
      Visit(Visits& visits, const TaskContext& task, std::string customer)
          : visits_(visits), pipeline_(task.event().pipeline_execution_id), customer_(std::move(customer)) {
        if (!customer_.empty()) visits_.enter(customer_, pipeline_);
      }
      Visit(const Visit&) = delete;
      ~Visit() {
        if (!customer_.empty()) visits_.leave(customer_, pipeline_);
      }
      Visits& visits_;
      const Uuid pipeline_;
      const std::string customer_;
    };
    books.ran(task);
    const Visit visit(visits, task, task.get<std::string>("customer").value_or(""));
    return body(task);
  };
}

using Ends = std::set<PipelineState>;
inline const Ends kWell = {PipelineState::Completed}, kBadly = {PipelineState::Failed},
                  kEither = {PipelineState::Completed, PipelineState::Failed};

/// A workflow, and how its pipelines end unless they are cancelled or late.
struct Kind {
  Workflow workflow;
  Ends ends;
};

/// What is submitted, and what that and the clock begin besides.
class Kinds {
 public:
  Kinds(Books& books, Visits& visits) : books_(books), visits_(visits) {}
  Kinds(const Kinds&) = delete;

  const std::vector<Kind>& submitted() const { return submitted_; }
  const Workflow& child() const { return child_; }
  const Workflow& scheduled() const { return scheduled_; }
  /// @param workflow  its full name
  Ends ends_of(std::string_view workflow) const {
    for (const Kind& kind : submitted_) {
      if (kind.workflow.full_name() == workflow) return kind.ends;
    }
    return kWell;
  }

 private:
  Task poll(TaskContext& task);
  TryTask ask(TaskContext& task);
  TryTask order(TaskContext& task);
  std::vector<Kind> make();

  Books& books_;
  Visits& visits_;
  const Workflow child_ =
      *Workflow::builder("child")
           .task("t", noted(books_, visits_, [](TaskContext& task) { task.set("receipt", 7); }))
           .build();
  const Workflow scheduled_ =
      *Workflow::builder("scheduled").task("t", [this](TaskContext& task) { return poll(task); }).build();
  const std::vector<Kind> submitted_ = make();
};

inline Task Kinds::poll(TaskContext& task) {
  books_.ran(task);
  int asked = 0;
  co_await defer(sleep_for(50us));
  co_await defer_until([&asked] { return ++asked == 2; }, 50us);
}

inline TryTask Kinds::ask(TaskContext& task) {
  books_.ran(task);
  const auto value = co_await task.signal("more");
  if (!value) co_return std::unexpected(value.error().message);
  co_return {};
}

inline TryTask Kinds::order(TaskContext& task) {
  books_.ran(task);
  const auto begun = task.start_child("beside", child_);
  if (!begun) co_return std::unexpected(begun.error().message);
  const auto end = co_await task.signal("beside");
  if (!end) co_return std::unexpected(end.error().message);
  co_return {};
}

inline std::vector<Kind> Kinds::make() {
  const auto counts = noted(books_, visits_, [](TaskContext& task) { task.set(task.task_name(), true); });
  const auto third = noted(books_, visits_, [](TaskContext& task) -> std::expected<void, TaskError> {
    if (task.attempt() < 3) return std::unexpected(TaskError("not yet"));
    return {};
  });
  const auto never = noted(books_, visits_, [](TaskContext&) -> std::expected<void, TaskError> {
    return std::unexpected(TaskError("never").for_good());
  });
  const auto overruns = noted(books_, visits_, [](TaskContext& task) {
    while (task.attempt() == 1 && !task.stop_requested()) std::this_thread::yield();
  });
  const auto starts = noted(books_, visits_, [this](TaskContext& task) -> std::expected<void, TaskError> {
    const auto begun = task.start_child("pays", child_);
    if (!begun) return std::unexpected(begun.error().message);
    return {};
  });
  const auto of = [](const char* name) { return Workflow::builder(name); };
  const RetryPolicy quick{.max_attempts = 9, .backoff = Backoff::Fixed, .initial = 100us};
  std::vector<Kind> kinds;
  const auto add = [&](Workflow::Builder& builder, const Ends& ends) {
    const auto workflow = builder.build();
    EXPECT_TRUE(workflow) << workflow.error().message;
    kinds.push_back({*workflow, ends});
  };
  add(of("single").task("t", counts), kWell);
  add(of("diamond")
          .task("a", counts)
          .task("b", counts, {.after = {"a"}})
          .task("c", counts, {.after = {"a"}})
          .task("d", counts, {.after = {"b", "c"}}),
      kWell);
  add(of("retries").task("a", third, {.retry = quick}).task("b", overruns, {.retry = quick, .timeout = 2ms}),
      kWell);
  add(of("fails")
          .task("a", never)
          .task("b", counts, {.after = {"a"}})
          .task("c", counts, {.after = {"a", "b"}, .trigger = TriggerRule::all_done()}),
      kBadly);
  add(of("asks")
          .task("a", counts)
          .task("b", counts, {.after = {"a"}, .signal = "go"})
          .task("c", [this](TaskContext& task) { return ask(task); }, {.retry = quick, .awaits = {"more"}}),
      kWell);
  add(of("impatient").task("a", counts, {.signal = "go", .signal_timeout = 5ms}), kEither);
  add(of("orders")
          .task("a", starts, {.retry = quick, .children = {"pays"}})
          .task("b", counts, {.after = {"a"}, .signal = "pays"})
          .task("c", [this](TaskContext& task) { return order(task); },
                {.retry = quick, .children = {"beside"}}),
      kWell);
  add(of("polls")
          .task("a", [this](TaskContext& task) { return poll(task); })
          .task("b", counts, {.after = {"a"}}),
      kWell);
  return kinds;
}

}  // namespace leat
