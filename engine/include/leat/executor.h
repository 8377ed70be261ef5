// Who runs a task: the interface that executors implement, what they receive and what they answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "leat/error.h"
#include "leat/metrics.h"
#include "leat/task_error.h"
#include "leat/task_event.h"

namespace leat {

enum class DispatchErrorCode : std::uint8_t {
  NoExecutor,       ///< the routed key has no executor now: the task stays Ready
  NoCapacity,       ///< the routed executor is full: the task stays Ready
  ExecutionFailed,  ///< an executor could not run the task; the retry policy decides
  Stopped,          ///< the Runner no longer admits
  InvalidEvent,     ///< its task is not known to this Runner, or its attempt numbers are wrong
  Storage,          ///< the journal refused
};

/// @return the enumerator's name
std::string_view to_string(DispatchErrorCode code) noexcept;

/// Why a dispatch did not happen. Holds no memory of its own.
struct DispatchError {
  DispatchErrorCode code;
  std::string_view key;  ///< the executor key, where one was resolved; valid while the Runner lives
};

enum class ExecutionStatus : std::uint8_t { Completed, Failed, Retry };

/// @return the enumerator's name
std::string_view to_string(ExecutionStatus status) noexcept;

/// The outcome of one attempt.
struct ExecutionResult {
  Uuid task_execution_id;
  ExecutionStatus status = ExecutionStatus::Completed;
  std::string error_message;             ///< empty when Completed
  std::chrono::nanoseconds duration{0};  ///< 0: measured by the lane
  /// The task's own wish for its next delay; with Retry only.
  std::optional<std::chrono::nanoseconds> retry_after;
  TaskError::Class error_class = TaskError::Class::Task;  ///< for retry policies that look at it

  /// The same with another class of its error.
  ExecutionResult as(TaskError::Class kind) && {
    error_class = kind;
    return std::move(*this);
  }
  bool should_retry() const noexcept { return status == ExecutionStatus::Retry; }

  static ExecutionResult success(const Uuid& task, std::chrono::nanoseconds duration = {});
  /// Final unless `should_retry`; then the retry policy decides.
  static ExecutionResult failed(const Uuid& task, std::string message, bool should_retry = false,
                                std::chrono::nanoseconds duration = {});
  static ExecutionResult retry(const Uuid& task, std::string message, std::chrono::nanoseconds duration = {});
};

class Attempt;
class Context;

/// The right, and the duty, to say how one attempt ended: once, from any thread. Dropped without a word,
/// it ends the attempt with an error that says so and goes through the retry policy like a task's own.
///
/// Thread-safety: one thread at a time; may be moved to another.
class CompletionToken {
 public:
  CompletionToken() noexcept = default;
  CompletionToken(CompletionToken&& other) noexcept;
  CompletionToken& operator=(CompletionToken&& other) noexcept;
  ~CompletionToken();

  /// Ends the attempt; a late or doubled completion (after a timeout or a cancel) is counted and dropped.
  /// Without a result: it is Completed.
  void complete() noexcept;
  void complete(ExecutionResult result) noexcept;
  void complete(std::expected<ExecutionResult, DispatchError> result) noexcept;

  /// Adds captured output to the task's record; what exceeds 64 KiB in all is cut at the front.
  void append_output(std::string_view text);

  /// Names a child process, leader of its group, that works for this attempt. Where this process is killed,
  /// the next one ends that group before it runs the task again, unless its leader has ended by then: nothing
  /// else tells the group from a later one with its number. To be called before the attempt's end.
  void note_child(int pid) noexcept;

  /// Remembers what the work is called elsewhere; to be called before it is submitted there. It blocks until
  /// that is at the pipeline's level. After a crash the executor gets the name back, see
  /// TaskExecutor::adopt(). At level Memory nothing is remembered. A second name replaces the first.
  ///
  /// @param external_ref  1 to 256 bytes
  /// @return              InvalidArgument, InvalidState (the attempt is over), WouldDeadlock (inside a
  ///                      callback of on_cancel()), Stopped or Storage: then the work must not be submitted
  std::expected<void, Error> external_ref(std::string_view external_ref);

  /// Called at most once, when the attempt should end early (timeout, cancel, stop): on the thread that
  /// asks for it, or at once on the caller's, where the stop came first. It must not block. Set it before
  /// the work is started.
  void on_cancel(std::function<void()> callback);

  /// Gives slot and run permit back while the work waits for something, so that other tasks run: the attempt
  /// stays Running, in the journal and after a crash, and its sub-state is Deferred. A stop interrupts it
  /// without waiting for its deadline. It may be completed as it is, or take both again first.
  ///
  /// @return false: it keeps both, because it is over or deferred already, or too many are
  bool defer() noexcept;
  /// Takes both again, before parked and queued tasks do, and calls back on a worker of the lane; told to
  /// end, it calls back without them. A token that is completed or dropped before may be called back for, or
  /// not. Not to be called again before it has called back.
  void take_again(std::function<void()> callback);

  /// Tells of the same wish to end early, for code that polls.
  std::stop_token stop_token() const noexcept;

  explicit operator bool() const noexcept { return attempt_ != nullptr; }

 private:
  friend class Attempt;
  friend class TaskExecutor;
  friend class ThreadTaskExecutor;
  explicit CompletionToken(Attempt& attempt) noexcept;
  /// start() returns as soon as it has completed the token: what the end releases may wait for its thread.
  CompletionToken& and_return() noexcept;
  void finish(ExecutionResult& result) noexcept;
  Attempt* attempt_ = nullptr;
  std::uint64_t generation_ = 0;
};

class TaskContext;
using TaskFunction = std::function<std::expected<void, TaskError>(TaskContext&)>;

/// What the engine does for one executor. Given at registration, valid until the Runner has stopped.
///
/// Thread-safety: any number of threads; the calls about an event only while its attempt runs.
class ExecutorServices {
 public:
  /// The context that the event's task starts from: initial, or its dependencies' contexts merged. JSON text.
  virtual std::expected<std::string, Error> load_context(const TaskReadyEvent& event) const = 0;
  /// Sets what the task saves; it lands in the same commit as Completed. Without it the loaded
  /// context is kept.
  virtual std::expected<void, Error> stage_context(const TaskReadyEvent& event, std::string_view json) = 0;
  /// The function registered for the event's task; null: none.
  virtual const TaskFunction* find_task(const TaskReadyEvent& event) const noexcept = 0;
  /// The task's free JSON `config`; "{}" where none was given.
  virtual std::string_view task_config(const TaskReadyEvent& event) const noexcept = 0;
  /// The same by name alone, of the workflow registered last that has such a task.
  /// Complexity: linear in the registered workflows; by event it is a look.
  virtual const TaskFunction* find_task(Namespace task) const = 0;
  virtual std::string_view task_config(Namespace task) const = 0;
  /// To be called when an overridden has_capacity() may have turned true.
  virtual void capacity_changed() noexcept = 0;
  /// Whether a lane that leads to this executor has a free slot.
  virtual bool has_slots() const noexcept = 0;
  /// Whether the Runner is stopping: then who is told to end may leave work elsewhere to itself. Where it has
  /// an external_ref, the task stays Running, and the next Runner on the store has it adopted.
  virtual bool stopping() const noexcept = 0;
  /// All lanes that lead to this executor, taken together.
  virtual ExecutorMetrics metrics() const = 0;

 protected:
  ~ExecutorServices() = default;
};

/// An execution backend. Write `execute` for work that this thread does, or `start` for work that
/// ends elsewhere.
///
/// Thread-safety: every method is called from several threads at once.
class TaskExecutor {
 public:
  virtual ~TaskExecutor() = default;

  /// Runs one attempt to its end on the calling worker. An exception or an error goes through
  /// the retry policy like a task's own error.
  virtual std::expected<ExecutionResult, DispatchError> execute(const TaskReadyEvent& event);

  /// Begins one attempt and returns; the token ends it. The default runs execute().
  virtual void start(const TaskReadyEvent& event, CompletionToken token);

  /// Takes over work that a process which died had named by CompletionToken::external_ref(), under the
  /// executor key that began it; the default knows none. Processes that die before it has ended are counted
  /// as they are for a start: the second adoption runs alone, and after the third the task is given up.
  ///
  /// @param token  ends the attempt, as that of start() would
  /// @return       false: the work is unknown, and the token was not touched: the task is rescued, which
  ///               begins it anew
  virtual bool adopt(const TaskReadyEvent& event, std::string_view external_ref, CompletionToken& token);

  /// Whether another task is welcome. The default is the lane's free slots; an override is a brake besides
  /// them, see ExecutorServices::capacity_changed(). Called by whoever dispatches, by the lane's workers, and
  /// by the timer's thread, which watches; never by the journal's committer. It must not throw, and not block
  /// for long.
  virtual bool has_capacity() const;

  /// Whether has_capacity() is to be asked. An executor that does not override it says false, which saves
  /// each parked task the way to a worker who asks.
  virtual bool brakes() const noexcept { return true; }

  /// The default is what its lanes count; all zero before registration.
  virtual ExecutorMetrics metrics() const;

  /// For logs; the executor keys that lead here are the lanes' names.
  virtual std::string_view name() const { return "executor"; }

 protected:
  /// @pre registered with a Runner
  ExecutorServices& services() const noexcept { return *services_; }

 private:
  friend class ExecutorBinding;
  ExecutorServices* services_ = nullptr;  // the one field: set once, at registration, before any call
};

/// How a lane's workers wait for work.
enum class IdlePolicy : std::uint8_t { Park, SpinThenPark, Spin };

/// Which threads serve a lane.
enum class Backend : std::uint8_t {
  Threads,  ///< own named threads: for any task, also one that blocks
  /// A oneTBB arena: for tasks that compute, and may use oneTBB themselves. Asked for more than 64 threads,
  /// or for more than oneTBB grants, the lane is served by own threads instead, with a warning.
  Arena,
  /// None of its own: the threads that callers lend by Runner::run_until_idle() and by waiting. With a
  /// ThreadTaskExecutor this is the inline executor.
  Lent,
};

/// Limits of one executor key.
struct ExecutorLimits {
  std::uint32_t max_concurrent = 0;  ///< attempts at once; 0: the Runner's worker count
  std::uint32_t max_queued = 1024;   ///< tasks admitted beyond those
  Backend backend = Backend::Threads;
  IdlePolicy idle = IdlePolicy::SpinThenPark;
  /// How much longer a task must have waited to go before one of the next higher level.
  std::chrono::nanoseconds aging = std::chrono::seconds(1);
  /// Threads that serve the lane; 0: max_concurrent of them (Threads), or the Runner's worker count
  /// (Arena, Lent). An executor that overrides start() and returns at once needs one or two, however many
  /// attempts it has under way. The lane's counts take about 74 KB for each thread.
  std::uint32_t threads = 0;
  /// Own threads (Backend::Threads) run on these CPUs alone, by the kernel's numbers; empty: wherever the
  /// thread that makes them may run. Refused with another backend, and for a CPU that this process may not
  /// use.
  std::vector<std::uint32_t> cpus = {};
};

}  // namespace leat
