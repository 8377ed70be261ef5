// A workflow as the engine runs it: its definition with the handles that stand for its names.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "continuations.h"
#include "leat/namespace.h"
#include "leat/router.h"
#include "leat/workflow.h"
#include "pipelines_out.h"

namespace leat {

/// Immutable once made; shared by all its pipelines.
struct RegisteredWorkflow : std::enable_shared_from_this<RegisteredWorkflow> {
  struct Task {
    Namespace name;
    std::optional<ExecutorKeyId> executor;  ///< outweighs the routes
  };
  RegisteredWorkflow(const Workflow& definition, std::uint32_t number,
                     std::shared_ptr<Continuations> the_continuations, std::shared_ptr<PipelinesOut> the_out)
      : workflow(definition),
        workflow_no(number),
        limits_waiting(std::ranges::any_of(definition.tasks(),
                                           [](const TaskDefinition& task) {
                                             return task.queue_timeout.count() > 0 ||
                                                    task.total_timeout.count() > 0 ||
                                                    task.signal_timeout.count() > 0;
                                           })),
        limits_age(std::ranges::any_of(
            definition.tasks(), [](const TaskDefinition& task) { return task.retry.max_age.count() > 0; })),
        continuations(std::move(the_continuations)),
        out(std::move(the_out)) {}

  const Workflow workflow;
  const std::span<const TaskDefinition> definitions = workflow.tasks();  ///< at hand for each task that runs
  const std::uint32_t workflow_no;  ///< of the journal; 0: only ever run at level Memory
  const std::span<const SignalDefinition> signals = workflow.signals();
  const bool starts_children = std::ranges::any_of(signals, &SignalDefinition::is_child);
  const bool limits_waiting;  ///< some task has a queue_timeout, total_timeout or signal_timeout
  const bool limits_age;      ///< some task's retries have a max_age
  const std::shared_ptr<Continuations> continuations;  ///< for its pipelines, which may outlive the engine
  const std::shared_ptr<PipelinesOut> out;             ///< likewise, of those that wait in the store alone
  std::vector<Task> tasks;                             ///< as many as the workflow has, in its order
  std::string stored_definition;                       ///< as the journal has it
};

}  // namespace leat
