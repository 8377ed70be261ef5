// Workflows that the simulator is tried on.
#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

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

}  // namespace leat::sim
