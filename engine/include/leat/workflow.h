// Workflows: tasks and what each waits for, checked once and immutable from then on. Knows
// nothing of execution.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "leat/durability.h"
#include "leat/executor.h"
#include "leat/retry_policy.h"
#include "leat/task_context.h"
#include "leat/trigger_rule.h"

namespace leat {

inline constexpr std::size_t kWorkflowTasksMax = 1'000'000;
inline constexpr std::size_t kWorkflowEdgesMax = 16'000'000;
inline constexpr std::size_t kTaskNamespaceBytesMax = 512;  ///< tenant::package::workflow::task as a whole
inline constexpr std::size_t kWorkflowSignalsMax = 4096;    ///< names
inline constexpr std::size_t kSignalNameBytesMax = 128;
inline constexpr std::size_t kWorkflowChildrenMax = 256;  ///< names
inline constexpr std::uint32_t kChildDepthMax = 16;  ///< generations below one that is no child

enum class WorkflowErrorCode : std::uint8_t {
  EmptyWorkflow,
  DuplicateTask,
  MissingDependency,    ///< a task waits for one that is not in the workflow
  DuplicateDependency,  ///< a task names the same dependency twice
  CyclicDependency,     ///< the message shows the cycle as a path
  InvalidName,          ///< empty, holds "::", starts or ends with ':', or too long
  InvalidOption,        ///< a retry policy, timeout or config that cannot be
  InvalidTrigger,       ///< a rule nested too deep or about a task that is not a dependency
  LimitExceeded,        ///< too many tasks or edges
};

/// @return the enumerator's name
std::string_view to_string(WorkflowErrorCode code) noexcept;

struct WorkflowError {
  WorkflowErrorCode code;
  std::string message;  ///< one line; names the task and what is wrong with it
};

/// What a task may be given besides its name and function. Every field has a default.
struct TaskOptions {
  std::vector<std::string> after = {};  ///< the tasks it waits for; their contexts are merged in this order
  RetryPolicy retry = {};
  std::chrono::nanoseconds timeout{0};  ///< of one attempt's run; 0: none
  /// From Ready (for a retry: from its due time) until an attempt begins; 0: none. Past it the task is
  /// Failed.
  std::chrono::nanoseconds queue_timeout{0};
  /// From the first time Ready until the task's end, retries and waits included; 0: none. Past it the task is
  /// Failed, and what runs is told to stop. A restart of the process begins it anew.
  std::chrono::nanoseconds total_timeout{0};
  /// How often it runs again after its process died with it; then it is Failed (`ABANDONED`) and in
  /// quarantine, see Runner::quarantined(). At most 1,000. From the second time on it runs alone, until it
  /// ends, or its coroutine waits for more than time.
  std::uint32_t rescues_max = 3;
  TriggerRule trigger = {};
  std::string executor = {};  ///< an executor key that outweighs the routes; empty: none
  std::string config = "{}";  ///< free JSON for the executor
  /// Memory: its end is not waited for: what depends on it begins at once, and a crash may make both run
  /// again. Only where all that depend on it are at Memory, too: else it keeps the pipeline's level, see
  /// Workflow::warnings().
  std::optional<Durability> durability = {};
  /// Besides its dependencies it waits for this signal, see PipelineHandle::signal(), and costs nothing
  /// meanwhile. The value is in its context, under the signal's name. A trigger rule is asked as soon as the
  /// dependencies have ended, so that a task which is not to run is Skipped without the signal; one that
  /// looks at the context is asked once the signal is there. 1 to 128 bytes; empty: none.
  std::string signal = {};
  /// From the pipeline's submission (or its start_at) until the signal, by the wall clock, across restarts;
  /// 0: none. A task that waits for the signal alone and past it is Failed, without a retry.
  std::chrono::nanoseconds signal_timeout{0};
  /// Signals for which its coroutine may wait, see TaskContext::signal().
  std::vector<std::string> awaits = {};
  /// Names under which it may start children, see TaskContext::start_child(). Each is a signal, too: a
  /// child's end.
  std::vector<std::string> children = {};
};

/// What a pipeline may be told by name.
struct SignalDefinition {
  std::string name;
  std::vector<std::uint32_t> tasks;  ///< that have it as TaskOptions::signal; ascending
  bool is_child = false;             ///< some task may start a child of that name
};

/// One task of a built workflow. What it refers to lives as long as the workflow.
struct TaskDefinition {
  std::string_view name;
  std::string_view namespace_name;            ///< "tenant::package::workflow::task"
  std::span<const std::uint32_t> after;       ///< indices of its dependencies, in declared order
  std::span<const std::uint32_t> successors;  ///< indices of the tasks that wait for it, ascending
  TaskFunction function;                      ///< may be empty: its executor reads `config`
  RetryPolicy retry;
  std::chrono::nanoseconds timeout{0};
  std::chrono::nanoseconds queue_timeout{0};
  std::chrono::nanoseconds total_timeout{0};
  std::uint32_t rescues_max = 3;
  TriggerRule trigger;
  std::string executor;
  bool at_memory = false;  ///< its end is not waited for, nor is that of any task that depends on it
  std::optional<std::uint32_t> signal;  ///< that it waits for: an index into Workflow::signals()
  std::chrono::nanoseconds signal_timeout{0};
  std::vector<std::uint32_t> awaits;    ///< the same, for its coroutine; in declared order
  std::vector<std::uint32_t> children;  ///< the same, that it may start; in declared order
  std::string config;                 ///< JSON text without spaces, keys in the order of their bytes
};

/// A checked workflow. Copies share one definition.
///
/// A task's number is its index in tasks(): the order in which the tasks were given to the builder.
/// ```cpp
/// auto etl = leat::Workflow::builder("etl")
///                .task("extract", [](leat::TaskContext& task) { task.set("rows", 3); })
///                .task("load", &load, {.after = {"extract"}, .retry = {.max_attempts = 5}})
///                .build();
/// // As in: "task 'load' waits for 'extrct', which is not in the workflow".
/// if (!etl) return fail(etl.error().message);
/// ```
/// Thread-safety: immutable.
class Workflow {
 public:
  class Builder;
  struct Definition;  ///< the engine's own
  static Builder builder(std::string name);

  std::string_view tenant() const noexcept;
  std::string_view package() const noexcept;
  std::string_view name() const noexcept;
  /// "tenant::package::workflow"
  std::string_view full_name() const noexcept;

  /// A hash of all that decides how the workflow runs: names, order, edges, options, definition and version
  /// tag. The same content gives the same version on every machine. What functions do cannot be seen: see
  /// Builder::version_tag().
  std::uint64_t version() const noexcept;
  /// As given to Builder::definition().
  std::string_view definition() const noexcept;

  /// What build() did not do as it was told: one line each.
  std::span<const std::string> warnings() const noexcept;
  std::span<const TaskDefinition> tasks() const noexcept;
  /// @param task  a task's name, or its whole namespace
  /// Complexity: O(1), one hash.
  std::optional<std::uint32_t> find(std::string_view task) const noexcept;

  /// All names that its tasks declare, in the order in which they do.
  std::span<const SignalDefinition> signals() const noexcept;
  /// @return its index in signals(); empty: no task declares it
  std::optional<std::uint32_t> find_signal(std::string_view name) const noexcept;

  /// The tasks that depend on none, ascending.
  std::span<const std::uint32_t> roots() const noexcept;
  /// Every task once, each after all its dependencies; always the same for the same workflow.
  std::span<const std::uint32_t> topological_order() const noexcept;
  /// Level 0: the roots; level n: the tasks whose longest way from a root has n steps. Each ascending.
  std::vector<std::vector<std::uint32_t>> levels() const;

  /// @return whether neither task waits, directly or not, for the other; false for a task and itself
  /// @pre a, b < tasks().size()
  /// Complexity: O(tasks + edges).
  bool are_parallel(std::uint32_t a, std::uint32_t b) const;
  /// The task and all that it waits for, directly or not; ascending.
  /// @pre task < tasks().size()
  std::vector<std::uint32_t> subgraph(std::uint32_t task) const;

 private:
  friend class WorkflowBuild;
  explicit Workflow(std::shared_ptr<const Definition> definition) noexcept;
  std::shared_ptr<const Definition> definition_;
};

/// Collects a workflow's tasks. Nothing is checked before build(), so tasks may be given in any order.
class Workflow::Builder {
 public:
  explicit Builder(std::string name);

  Builder& tenant(std::string name);   ///< default: "public"
  Builder& package(std::string name);  ///< default: "embedded"
  /// Free text, kept with every pipeline's workflow in the store: enough for its definer to build it again.
  Builder& definition(std::string text);
  /// Stands for the code of the task functions in version(); change it when they change what they do.
  Builder& version_tag(std::string text);

  template <TaskCallable F>
  Builder& task(std::string name, F&& function, TaskOptions options = {}) {
    return add(std::move(name), make_task_function(std::forward<F>(function)), std::move(options));
  }
  /// A task without a function, for an executor that reads `config`.
  Builder& task(std::string name, TaskOptions options = {}) {
    return add(std::move(name), {}, std::move(options));
  }

  /// Checks everything. The builder stays as it is.
  ///
  /// @return the workflow, or the first error found
  /// Complexity: linear in tasks, edges and the bytes of all texts.
  std::expected<Workflow, WorkflowError> build() const;

 private:
  friend class WorkflowBuild;
  struct Task {
    std::string name;
    TaskFunction function;
    TaskOptions options;
  };
  Builder& add(std::string name, TaskFunction function, TaskOptions options);

  std::string tenant_ = "public";
  std::string package_ = "embedded";
  std::string name_;
  std::string definition_;
  std::string version_tag_;
  std::vector<Task> tasks_;
};

inline Workflow::Builder Workflow::builder(std::string name) {
  return Builder(std::move(name));
}

}  // namespace leat
