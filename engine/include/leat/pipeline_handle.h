// A pipeline (one execution of a workflow) as its submitter sees it.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "leat/durability.h"
#include "leat/error.h"
#include "leat/states.h"
#include "leat/uuid.h"

namespace leat {

inline constexpr std::size_t kSignalBytesMax = std::size_t{64} << 10;  ///< of one value's text
inline constexpr std::size_t kSignalsBytesMax = std::size_t{4} << 20;  ///< of all that one pipeline has

/// What an acknowledgement reached.
struct Ack {
  Durability level;
  std::uint64_t sequence;  ///< of the journal; 0 at level Memory
};

/// What a finished pipeline amounts to.
struct PipelineResult {
  PipelineState state = PipelineState::Pending;
  std::uint32_t completed = 0;  ///< tasks
  std::uint32_t failed = 0;
  std::uint32_t skipped = 0;
  std::uint32_t cancelled = 0;
  std::string error;    ///< empty when Completed
  std::string context;  ///< JSON text: that of the Completed task that ended last, else the initial one
};

/// How a Running task runs: what its state does not say, and the journal does not know.
enum class SubState : std::uint8_t {
  None,      ///< it is not Running
  Active,    ///< it has slot and permit
  Deferred,  ///< it has given them back while it waits, see <leat/task.h>
};

/// @return the enumerator's name
std::string_view to_string(SubState state) noexcept;

/// How often tasks of a pipeline were tried again. Rescues are not among it: a process died then, and no
/// attempt failed.
struct RetryStats {
  std::uint32_t retries = 0;      ///< attempts beyond the first one of each task
  std::uint32_t tasks = 0;        ///< that had such attempts
  std::uint32_t attempt_max = 0;  ///< the highest number of an attempt; 1 where nothing was tried again
  std::uint32_t exhausted = 0;    ///< tasks that Failed at their last attempt allowed
};

class Pipeline;

/// A pipeline seen from outside. Copying is cheap; dropping it cancels nothing; it may outlive the Runner.
///
/// Thread-safety: any number of threads.
class PipelineHandle {
 public:
  PipelineHandle(const PipelineHandle& other) noexcept;
  PipelineHandle(PipelineHandle&& other) noexcept : pipeline_(std::exchange(other.pipeline_, nullptr)) {}
  PipelineHandle& operator=(PipelineHandle other) noexcept {
    std::swap(pipeline_, other.pipeline_);
    return *this;
  }
  ~PipelineHandle();

  const Uuid& id() const noexcept;
  PipelineState state() const noexcept;

  /// Blocks until the submission has reached its level. @return Stopped, Storage or WouldDeadlock instead
  std::expected<Ack, Error> acknowledged() const;

  /// Blocks until the pipeline has ended and its end has reached its level.
  ///
  /// @return Timeout, WouldDeadlock (called from inside a task), Stopped (the Runner stopped
  ///         first) or Storage
  std::expected<PipelineResult, Error> wait(
      std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max()) const;

  /// Waits as wait() does, then reads a value of what the pipeline left, see PipelineResult::context.
  /// ```cpp
  /// #include <leat/json.h>
  /// const auto rows = handle.result<std::int64_t>("rows");
  /// const auto names = handle.result<std::vector<std::string>>("names");
  /// ```
  /// @tparam T  bool, a number, std::string, and whatever nlohmann::json converts to. A bool is no number, a
  ///            number with a fraction no integer, and one that T cannot hold is of another type
  /// @return    NotFound (no such key), WrongType, InvalidState (the pipeline is not Completed), or as wait()
  template <class T>
  std::expected<T, Error> result(std::string_view key, std::chrono::nanoseconds timeout =
                                                           std::chrono::nanoseconds::max()) const;
  /// The same of what one of its tasks left, also where others failed.
  /// @return as result(); InvalidState: that task is not Completed; NotFound: there is no such task, or key
  template <class T>
  std::expected<T, Error> result_of(std::string_view task, std::string_view key,
                                    std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max()) const;
  /// The context that a task left: JSON text. @pre the pipeline has ended, else InvalidState.
  /// @return as result_of(); Storage: a large one that an earlier process left is in the store alone
  std::expected<std::string, Error> context_of(std::string_view task) const;

  using Callback = std::function<void(std::expected<PipelineResult, Error>)>;

  /// Calls back once, when wait() would return without waiting, on a worker of the executor key; after the
  /// Runner's end on the thread that stopped it, or at once on the caller's. A continuation needs no slot and
  /// counts as no task, but holds the worker: like a task it must not wait for others. What it throws is
  /// logged.
  ///
  /// @return NotFound: the key never had an executor
  std::expected<void, Error> then(Callback callback, std::string_view executor = "default") const;

  class Awaiter;
  /// `co_await handle`: what wait() returns, for any coroutine; goes on where then() calls back, or where it
  /// is if the pipeline has ended already. A coroutine task goes on with its own executor, see <leat/task.h>.
  Awaiter operator co_await() const;
  /// `co_await handle.on("key")`: the same with another executor's workers.
  Awaiter on(std::string executor) const;

  /// Asks for the end of the pipeline: what has not started never will, what runs is told to stop. Does not
  /// wait, not for the disk either: until wait() tells how it ended, a crash may forget that it was asked.
  std::expected<void, Error> cancel();

  /// Nothing of the pipeline begins from here on, queued tasks included; what runs goes on to its end.
  /// Returns once that is remembered at the pipeline's level: a restart finds it Paused. Limits on waiting go
  /// on. Pausing what is paused changes nothing.
  ///
  /// @param reason  at most 1,024 bytes, for `leat inspect pauses`
  /// @return        InvalidState (the pipeline has ended), InvalidArgument, Stopped, Storage, or
  ///                WouldDeadlock (in a callback of on_cancel())
  std::expected<void, Error> pause(std::string_view reason = {});
  /// What was kept from beginning begins. @return as pause(); InvalidState also where it is not paused
  std::expected<void, Error> resume();

  /// Tells the pipeline something by a name that its workflow declares (TaskOptions::signal and awaits).
  /// Returns once that is remembered at the pipeline's level. Each name comes once: the same value again
  /// changes nothing, so a sender that does not know whether it was heard sends it again. A signal may come
  /// before anybody waits for it.
  ///
  /// @param value  JSON text; at most 64 KiB, and 4 MiB with the pipeline's other signals
  /// @return       NotFound (the message shows the declared names), AlreadyExists (it came with another
  ///               value), InvalidState (the pipeline has ended), InvalidArgument, Stopped, Storage, or
  ///               WouldDeadlock (in a callback of on_cancel())
  std::expected<void, Error> signal(std::string_view name, std::string_view value = "true");

  /// How each task stands now, in the workflow's order.
  std::vector<TaskState> task_states() const;
  std::vector<SubState> sub_states() const;
  /// As of now.
  RetryStats retry_stats() const;

 private:
  friend class Pipeline;
  explicit PipelineHandle(Pipeline& pipeline) noexcept;
  Pipeline* pipeline_;  // counts its handles; null: this one was moved from
};

/// Waits for a pipeline's end without holding a thread.
class PipelineHandle::Awaiter {
 public:
  Awaiter(PipelineHandle handle, std::string executor) noexcept
      : handle_(std::move(handle)), executor_(std::move(executor)) {}
  bool await_ready() const noexcept;
  bool await_suspend(std::coroutine_handle<> coroutine);
  /// @return as wait(); NotFound: the key never had an executor
  std::expected<PipelineResult, Error> await_resume() const;

 private:
  const PipelineHandle handle_;
  const std::string executor_;
  std::optional<Error> refused_;
};

inline PipelineHandle::Awaiter PipelineHandle::operator co_await() const {
  return on("default");
}
inline PipelineHandle::Awaiter PipelineHandle::on(std::string executor) const {
  return Awaiter(*this, std::move(executor));
}

}  // namespace leat
