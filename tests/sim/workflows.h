// Workflows that the simulator is tried on.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "leat/task.h"
#include "leat/workflow.h"

namespace leat::sim {

/// Two lanes, a retry, each kind of time-out, contexts that meet, a task that runs whatever happened.
inline Workflow everything() {
  using namespace std::chrono_literals;
  const auto counts = [](TaskContext& task) {
    task.set(task.task_name(), task.get<std::int64_t>(task.task_name()).value_or(0) + 1);
  };
  return *Workflow::builder("everything")
              .task("first", counts, {.retry = {.max_attempts = 3, .initial = 10ms, .cap = 50ms}})
              .task("left", counts, {.after = {"first"}, .timeout = 15ms, .executor = "other"})
              .task("right", counts,
                    {.after = {"first"}, .retry = {.max_attempts = 2, .initial = 5ms}, .total_timeout = 60ms})
              .task("middle", counts, {.after = {"first"}, .queue_timeout = 30ms})
              .task("last", counts, {.after = {"left", "right", "middle"}})
              .task("cleanup", counts, {.after = {"left", "right"}, .trigger = TriggerRule::all_done()})
              .build();
}

/// Tasks that wait for signals: a root, one behind another, one that may come too late, one that is skipped
/// by a value.
inline Workflow signalled() {
  using namespace std::chrono_literals;
  const auto nothing = [](TaskContext&) {};
  return *Workflow::builder("signalled")
              .task("first", nothing, {.signal = "begin"})
              .task("plain", nothing)
              .task("second", nothing, {.after = {"plain"}, .signal = "go", .signal_timeout = 20ms})
              .task("refused", nothing,
                    {.after = {"plain"},
                     .trigger = *TriggerRule::context_value("go", TriggerOperator::Equals, "false"),
                     .signal = "go"})
              .task("last", nothing,
                    {.after = {"first", "second", "refused"}, .trigger = TriggerRule::all_done()})
              .build();
}

/// Tasks that throw what they like: each time in some pipelines, once in the others.
inline Workflow throwing() {
  using namespace std::chrono_literals;
  const RetryPolicy retry{.max_attempts = 3, .initial = 5ms};
  const auto throws = [](auto what) {
    return [what](TaskContext& task) {
      task.set(task.task_name(), true);
      if (task.attempt() == 1 || task.event().pipeline_execution_id.hash() % 2 == 0) throw what;
    };
  };
  return *Workflow::builder("throwing")
              .task("exception", throws(std::runtime_error("thrown")), {.retry = retry})
              .task("number", throws(1), {.retry = retry})
              .task("last", [](TaskContext&) {},
                    {.after = {"exception", "number"}, .trigger = TriggerRule::one_success()})
              .build();
}

/// Tasks whose ends are not waited for: all behind the first, and one beside it.
inline Workflow unwaited() {
  const auto counts = [](TaskContext& task) { task.set(task.task_name(), 1); };
  return *Workflow::builder("unwaited")
              .task("first", counts)
              .task("left", counts, {.after = {"first"}, .durability = Durability::Memory})
              .task("right", counts, {.after = {"left"}, .durability = Durability::Memory})
              .task("beside", counts, {.durability = Durability::Memory})
              .task("last", counts, {.after = {"right", "beside"}, .durability = Durability::Memory})
              .build();
}

/// A task that starts children, one that waits for one of them, and one that nobody waits for.
inline Workflow parent() {
  using namespace std::chrono_literals;
  const auto nothing = [](TaskContext&) {};
  const auto child = *Workflow::builder("child")
                          .task("one", [](TaskContext& task) { task.set("one", true); })
                          .task("two", nothing, {.after = {"one"}, .retry = {.initial = 5ms}})
                          .build();
  const auto starts = [child](TaskContext& task) -> std::expected<void, TaskError> {
    for (const char* const name : {"waited for", "left alone"}) {
      if (const auto begun = task.start_child(name, child); !begun)
        return std::unexpected(TaskError(begun.error().message));
    }
    return {};
  };
  return *Workflow::builder("parent")
              .task("starts", starts, {.retry = {.initial = 5ms}, .children = {"waited for", "left alone"}})
              .task("after", nothing, {.after = {"starts"}, .signal = "waited for"})
              .build();
}

/// Coroutines that sleep, with their slot and without, wait for a signal, look, throw, end at once, and take
/// too long.
inline Workflow coroutines() {
  using namespace std::chrono_literals;
  const auto sleeps = [](TaskContext& task) -> Task {
    task.set("woken", co_await sleep_for(3ms));
    task.set("deferred", co_await defer(sleep_for(7ms)));
  };
  const auto told = [](TaskContext& task) -> TryTask {
    const auto value = co_await task.signal("go", 50ms);
    if (!value && value.error().code != ErrorCode::Timeout) co_return std::unexpected(TaskError("not told"));
    co_return {};
  };
  const auto looks = [](TaskContext& task) -> Task {
    int left = 3;
    task.set("looked", co_await defer_until([&left] { return --left == 0; }, 2ms));
    if (task.attempt() == 1) throw std::runtime_error("once more");
  };
  return *Workflow::builder("coroutines")
              .task("sleeps", sleeps, {.timeout = 30ms})
              .task("told", told, {.retry = {.initial = 5ms}, .awaits = {"go"}})
              .task("looks", looks, {.retry = {.initial = 5ms}, .executor = "other"})
              .task("too long", [](TaskContext&) -> Task { co_await defer(sleep_for(20ms)); },
                    {.retry = {.max_attempts = 2, .initial = 5ms}, .timeout = 5ms})
              .task("at once", [](TaskContext&) -> Task { co_return; })
              .task("last", [](TaskContext&) {},
                    {.after = {"sleeps", "told", "looks"}, .trigger = TriggerRule::all_done()})
              .build();
}

}  // namespace leat::sim
