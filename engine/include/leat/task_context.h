// What a task function receives: who it is, what its dependencies left, and whether it should end early.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "leat/context.h"
#include "leat/error.h"
#include "leat/executor.h"
#include "leat/task_error.h"
#include "leat/task_event.h"
#include "leat/uuid.h"

namespace leat {

/// What the engine does for a running attempt. Given by the executor that runs the task function.
///
/// Thread-safety: one thread at a time.
class AttemptControl {
 public:
  /// Tells when the attempt should end early.
  virtual std::stop_token stop_token() = 0;
  /// Adds to the output that is recorded with the task.
  virtual void append_output(std::string_view text) = 0;

 protected:
  ~AttemptControl() = default;
};

/// See TaskContext::signal().
struct SignalWait {
  std::string name;
  std::optional<std::chrono::nanoseconds> timeout = {};
};

class Workflow;
class CoroutineTask;
/// Makes the coroutine of a coroutine task; see <leat/task.h>.
using CoroutineFunction = std::function<CoroutineTask(TaskContext&)>;

/// One attempt as its task function sees it. The context is loaded at the first look at it, so that a task
/// which never looks costs nothing; what it changes is saved with Completed, what it leaves alone is
/// handed on unread.
/// ```cpp
/// [](leat::TaskContext& task) -> std::expected<void, leat::TaskError> {
///   const auto rows = task.get<std::int64_t>("rows");
///   if (!rows) return std::unexpected("extract left no rows");
///   task.set("loaded", *rows);
///   return {};
/// }
/// ```
/// Thread-safety: one thread at a time.
class TaskContext {
 public:
  /// @param control  null: nobody asks for an early end, and output goes nowhere
  /// @pre            `event`, `services` and `control` outlive this object
  TaskContext(const TaskReadyEvent& event, ExecutorServices& services,
              AttemptControl* control = nullptr) noexcept
      : event_(event), services_(services), control_(control) {}
  TaskContext(const TaskContext&) = delete;
  TaskContext& operator=(const TaskContext&) = delete;

  const TaskReadyEvent& event() const noexcept { return event_; }
  /// "tenant::package::workflow::task"
  std::string_view task_namespace() const noexcept { return event_.task_namespace; }
  /// The last segment of the namespace.
  std::string_view task_name() const noexcept;
  std::int32_t attempt() const noexcept { return event_.attempt; }
  /// @return whether no retry can follow
  bool is_last_attempt() const noexcept { return event_.attempt >= event_.max_attempts; }
  /// The task's free JSON; "{}" where none was given.
  std::string_view config() const noexcept { return services_.task_config(event_); }

  /// Asks for the end of this attempt: timeout, cancel or stop. A long task looks at it now and then.
  const std::stop_token& stop_token();
  bool stop_requested() { return stop_token().stop_requested(); }

  /// Loads the context unless it is loaded. An error stays: the task sees an empty context, and the attempt
  /// fails with that error, without a retry, whatever the task function returns.
  std::expected<const Context*, Error> load();
  /// The error of load(); empty where it was not called or succeeded.
  const std::optional<Error>& load_error() const noexcept;
  /// The context to read; an empty one after an error of load().
  const Context& context();
  /// The context to change; it will be saved.
  Context& edit();

  template <class T>
  std::optional<T> get(std::string_view key) {
    return context().template get<T>(key);
  }
  std::optional<std::string> get_json(std::string_view key) { return context().get_json(key); }

  template <ScalarLike T>
  void set(std::string_view key, const T& value) {
    edit().set(key, value);
  }
  std::expected<void, Error> set_json(std::string_view key, std::string_view text) {
    return edit().set_json(key, text);
  }
  template <ScalarLike T>
  std::expected<void, Error> insert(std::string_view key, const T& value) {
    return edit().insert(key, value);
  }
  template <ScalarLike T>
  std::expected<void, Error> update(std::string_view key, const T& value) {
    return edit().update(key, value);
  }
  /// @return whether the key was there
  bool remove(std::string_view key) { return edit().remove(key); }

  /// `co_await task.signal("approved")`, in a coroutine task: waits for what PipelineHandle::signal() tells
  /// its pipeline, without slot and run permit, see leat::defer(); goes on at once where it has come. After a
  /// crash the task begins anew and finds what came. A wait of days is cheaper, and counts no rescues, as
  /// TaskOptions::signal.
  ///
  /// @param name     one of TaskOptions::awaits, or a signal that another task of the workflow declares
  /// @param timeout  begins anew with the task
  /// @return of the co_await: std::expected<std::string, Error>: the value, JSON text; NotFound (undeclared),
  ///         Timeout, Cancelled (the task was told to end before), InvalidState (it is in no pipeline)
  SignalWait signal(std::string name, std::optional<std::chrono::nanoseconds> timeout = {}) const {
    return {std::move(name), timeout};
  }

  /// Starts a child: a pipeline of any workflow (registered where it is not yet) at this pipeline's level and
  /// priority. Its end comes to this pipeline as the signal of that name: a task with TaskOptions::signal
  /// finds it in its context, a coroutine awaits it: ```cpp // .task("pay", &pay, {.children = {"charge"}})
  /// leat::TryTask pay(leat::TaskContext& task) {
  ///   if (auto begun = task.start_child("charge", charge, R"({"cents": 1200})"); !begun)
  ///     co_return std::unexpected(begun.error().message);
  ///   const auto end = co_await task.signal("charge");
  ///   // {"context":{"receipt":7},"pipeline":"0192...","state":"Completed"}, or with "error"
  /// ```
  /// Of each name there is one child in this pipeline's life: whoever starts it again, in a retry, after a
  /// crash, or in another task, finds the one that is, whatever workflow and context it gives. A context
  /// above 60 KiB is left out of the end, which says so. This pipeline's end, however it ends, cancels
  /// children that have not ended; what is to outlive it is submitted. Its tasks that are done again
  /// (Runner::retry_failed()) start their children anew.
  ///
  /// @param name     one of the task's TaskOptions::children
  /// @param context  the text of a JSON object
  /// @return         the child's identifier, before the child is durable: the end of this task lies behind
  ///                 it. NotFound (undeclared), InvalidState (kChildDepthMax; in no pipeline), Cancelled
  ///                 (this attempt is over), or as Runner::submit()
  std::expected<Uuid, Error> start_child(std::string_view name, const Workflow& workflow,
                                         std::string context = "{}");

  /// Adds to the output that is recorded with the task.
  void append_output(std::string_view text) {
    if (control_ != nullptr) control_->append_output(text);
  }

  /// For make_task_function(): the task is a coroutine, which `function` makes and the executor begins.
  ///
  /// @return the error of an executor that cannot
  std::expected<void, TaskError> begin_coroutine(const CoroutineFunction& function);
  /// For executors, after the task function was called: what it was told to begin; null: it is no coroutine,
  /// and has returned what it returns.
  const CoroutineFunction* coroutine() const noexcept { return coroutine_; }

  /// Whether the context was loaded, or tried to: else there is nothing to save.
  bool looked_at() const noexcept { return loaded_ != nullptr; }

  /// For executors, after the task function succeeded: stages the context if it was changed.
  ///
  /// @return nothing, or the error of load(), of the size limit or of the services: the attempt has
  ///         failed for good
  std::expected<void, Error> save();

 private:
  struct Loaded {
    Context context;
    std::optional<Error> error;
    bool changed = false;
  };
  Loaded& loaded();

  const TaskReadyEvent& event_;
  ExecutorServices& services_;
  AttemptControl* const control_;
  const CoroutineFunction* coroutine_ = nullptr;
  std::unique_ptr<Loaded> loaded_;               // at the first look at the context
  std::unique_ptr<const std::stop_token> stop_;  // at the first look at it
};

/// What can be a task: called with TaskContext&, returns nothing, std::expected<void, TaskError>, or a
/// coroutine of <leat/task.h>.
template <class F>
concept TaskCallable = std::copy_constructible<std::decay_t<F>> && std::invocable < std::decay_t<F>
&, TaskContext& > ;

/// The task function of a coroutine.
struct BeginCoroutine {
  CoroutineFunction make;
  std::expected<void, TaskError> operator()(TaskContext& task) const { return task.begin_coroutine(make); }
};

/// A task function of any such callable.
template <TaskCallable F>
TaskFunction make_task_function(F&& callable) {
  using Result = std::invoke_result_t<std::decay_t<F>&, TaskContext&>;
  if constexpr (std::is_void_v<Result>) {
    return [run = std::forward<F>(callable)](TaskContext& task) mutable -> std::expected<void, TaskError> {
      run(task);
      return {};
    };
  } else if constexpr (requires { typename Result::promise_type; }) {
    return BeginCoroutine{std::forward<F>(callable)};
  } else {
    static_assert(
        std::convertible_to<Result, std::expected<void, TaskError>>,
        "a task returns nothing, std::expected<void, leat::TaskError>, leat::Task or leat::TryTask");
    return std::forward<F>(callable);
  }
}

}  // namespace leat
