// Coroutine tasks: tasks that wait without holding a thread.
#pragma once

#include <chrono>
#include <concepts>
#include <coroutine>
#include <exception>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "leat/error.h"
#include "leat/pipeline_handle.h"
#include "leat/task_context.h"
#include "leat/task_error.h"

namespace leat {

/// What the engine does for one coroutine task; its own. Each wait_ returns false where the task goes on at
/// once.
class TaskRun {
 public:
  virtual bool wait_for(std::chrono::nanoseconds time, bool deferred) = 0;
  virtual bool wait_until(std::function<bool()> condition, std::chrono::nanoseconds interval) = 0;
  virtual bool wait_for(const PipelineHandle& handle, bool deferred) = 0;
  virtual bool wait_for(std::coroutine_handle<> relay, bool deferred) = 0;
  virtual bool wait_for(const SignalWait& signal) = 0;
  /// What that wait amounts to.
  virtual std::expected<std::string, Error> take_signal(const SignalWait& signal) = 0;
  /// The relay has what it waited for.
  virtual void relayed() noexcept = 0;
  /// Whether the last wait ended because the task is to end.
  virtual bool cut_short() const noexcept = 0;
  /// What a condition of wait_until() threw; null: nothing.
  virtual std::exception_ptr take_thrown() noexcept = 0;
  /// The coroutine is at its end, and destroyed by this.
  virtual void finish(std::expected<void, TaskError> outcome) noexcept = 0;

 protected:
  ~TaskRun() = default;
};

/// See sleep_for().
struct Sleep {
  std::chrono::nanoseconds time;
};

/// See defer().
template <class A>
struct Deferred {
  A awaitable;
};

/// See defer_until().
struct DeferredUntil {
  std::function<bool()> condition;
  std::chrono::nanoseconds interval;
};

/// `co_await leat::sleep_for(time)`, in a coroutine task: goes on when the time has passed.
///
/// @return of the co_await: true; false: the task was told to end before (cancel, time-out, stop), and the
///         rest of the time is not waited for
inline Sleep sleep_for(std::chrono::nanoseconds time) noexcept {
  return {time};
}

/// `co_await leat::defer(what)`, in a coroutine task: waits for `what` (sleep_for(), a PipelineHandle, any
/// awaitable) and gives slot and run permit back meanwhile, so that other tasks run. It takes both again
/// before parked and queued tasks do. Told to end, it goes on at once, without them: to wind up. To the
/// journal, and after a crash, it is Running; a stop interrupts it without waiting for its deadline. Where
/// many are deferred already (65,536 of a lane, or half of the journal's ring) it waits and keeps both.
template <class A>
Deferred<A> defer(A&& awaitable) {
  return {std::forward<A>(awaitable)};
}

/// `co_await leat::defer_until(condition, interval)`: the same until `condition()` is true. It is asked each
/// time an interval has passed, the first one included, on a worker of the lane, while the task has neither
/// slot nor permit: a look, not work. What it throws is thrown by the co_await.
///
/// @return of the co_await: true; false: the task was told to end before
inline DeferredUntil defer_until(std::function<bool()> condition, std::chrono::nanoseconds interval) {
  return {std::move(condition), interval};
}

/// A coroutine that awaits on behalf of a task: what resumes it, on whatever thread, sends the task back to
/// its lane.
class Relay {
 public:
  struct promise_type {
    struct End {
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<promise_type> relay) noexcept {
        relay.promise().run->relayed();
      }
      void await_resume() const noexcept {}
    };
    Relay get_return_object() noexcept {
      return Relay(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    End final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() noexcept { thrown = std::current_exception(); }
    TaskRun* run = nullptr;
    std::exception_ptr thrown;
  };

  explicit Relay(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}
  Relay(Relay&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Relay& operator=(Relay&&) = delete;
  ~Relay() {
    if (coroutine_) coroutine_.destroy();
  }

  bool wait(TaskRun& run, bool deferred) const {
    coroutine_.promise().run = &run;
    return run.wait_for(coroutine_, deferred);
  }
  void rethrow() const {
    if (coroutine_.promise().thrown) std::rethrow_exception(coroutine_.promise().thrown);
  }

 private:
  std::coroutine_handle<promise_type> coroutine_;
};

/// What `co_await` makes of an awaitable.
template <class T>
decltype(auto) awaiter_of(T&& awaitable) {
  if constexpr (requires { std::forward<T>(awaitable).operator co_await(); }) {
    return std::forward<T>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<T>(awaitable)); }) {
    return operator co_await(std::forward<T>(awaitable));
  } else {
    return std::forward<T>(awaitable);
  }
}

/// Awaits what the library does not know.
template <class A>
class ForeignAwaiter {
 public:
  ForeignAwaiter(TaskRun& run, A&& awaitable, bool deferred)
      : run_(run), awaitable_(std::forward<A>(awaitable)), deferred_(deferred) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) {
    relay_.emplace(relay(std::forward<A>(awaitable_), outcome_));
    return relay_->wait(run_, deferred_);
  }
  decltype(auto) await_resume() {
    relay_->rethrow();
    if constexpr (!std::is_void_v<Result>) {
      if constexpr (std::is_reference_v<Result>) {
        return static_cast<Result>(**outcome_);
      } else {
        return Result(std::move(*outcome_));
      }
    }
  }

 private:
  using Result = decltype(awaiter_of(std::declval<A>()).await_resume());
  using Kept = std::conditional_t<
      std::is_void_v<Result>, std::monostate,
      std::conditional_t<std::is_reference_v<Result>, std::remove_reference_t<Result>*, Result>>;

  static Relay relay(A&& awaitable, std::optional<Kept>& outcome) {
    auto&& awaiter =
        awaiter_of(std::forward<A>(awaitable));  // by name: g++ 12 moves what is awaited as an xvalue
    if constexpr (std::is_void_v<Result>) {
      co_await awaiter;
    } else if constexpr (std::is_reference_v<Result>) {
      outcome.emplace(&static_cast<std::remove_reference_t<Result>&>(co_await awaiter));
    } else {
      outcome.emplace(co_await awaiter);
    }
  }

  TaskRun& run_;
  A&& awaitable_;
  const bool deferred_;
  std::optional<Kept> outcome_;
  std::optional<Relay> relay_;
};

/// Awaits time, or a condition.
class TimeAwaiter {
 public:
  TimeAwaiter(TaskRun& run, Sleep sleep, bool deferred) : run_(run), time_(sleep.time), deferred_(deferred) {}
  TimeAwaiter(TaskRun& run, DeferredUntil until)
      : run_(run), condition_(std::move(until.condition)), time_(until.interval), deferred_(true) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) {
    return condition_ ? run_.wait_until(std::move(condition_), time_) : run_.wait_for(time_, deferred_);
  }
  bool await_resume() const {
    if (const std::exception_ptr thrown = run_.take_thrown()) std::rethrow_exception(thrown);
    return !run_.cut_short();
  }

 private:
  TaskRun& run_;
  std::function<bool()> condition_;
  const std::chrono::nanoseconds time_;
  const bool deferred_;
};

/// Awaits a pipeline's end.
class EndAwaiter {
 public:
  EndAwaiter(TaskRun& run, PipelineHandle handle, bool deferred)
      : run_(run), handle_(std::move(handle)), deferred_(deferred) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) { return run_.wait_for(handle_, deferred_); }
  std::expected<PipelineResult, Error> await_resume() const {
    if (run_.cut_short()) {
      return std::unexpected(
          Error{ErrorCode::Cancelled, "the task was told to end before the pipeline had ended"});
    }
    return handle_.wait(std::chrono::nanoseconds(0));
  }

 private:
  TaskRun& run_;
  const PipelineHandle handle_;
  const bool deferred_;
};

/// Awaits a signal.
class SignalAwaiter {
 public:
  SignalAwaiter(TaskRun& run, SignalWait signal) : run_(run), signal_(std::move(signal)) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<>) { return run_.wait_for(signal_); }
  std::expected<std::string, Error> await_resume() const { return run_.take_signal(signal_); }

 private:
  TaskRun& run_;
  const SignalWait signal_;
};

/// What coroutine tasks await by other means than a Relay.
template <class T>
inline constexpr bool kIsLeatWait = false;
template <>
inline constexpr bool kIsLeatWait<Sleep> = true;
template <>
inline constexpr bool kIsLeatWait<DeferredUntil> = true;
template <>
inline constexpr bool kIsLeatWait<SignalWait> = true;
template <>
inline constexpr bool kIsLeatWait<PipelineHandle> = true;
template <class A>
inline constexpr bool kIsLeatWait<Deferred<A>> = true;

/// What the coroutines of Task and TryTask have in common.
class TaskPromise {
 public:
  struct End {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> task) noexcept {
      TaskPromise& promise = task.promise();
      promise.run->finish(std::move(promise.outcome));
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  End final_suspend() const noexcept { return {}; }
  /// As for a plain function, see TaskExecutor::execute().
  void unhandled_exception() noexcept;

  TimeAwaiter await_transform(Sleep sleep) { return {*run, sleep, false}; }
  TimeAwaiter await_transform(Deferred<Sleep> deferred) { return {*run, deferred.awaitable, true}; }
  TimeAwaiter await_transform(DeferredUntil until) { return {*run, std::move(until)}; }
  SignalAwaiter await_transform(SignalWait signal) { return {*run, std::move(signal)}; }
  EndAwaiter await_transform(const PipelineHandle& handle) { return {*run, handle, false}; }
  template <class A>
  requires std::same_as<std::remove_cvref_t<A>, PipelineHandle> EndAwaiter
  await_transform(Deferred<A>&& deferred) {
    return {*run, deferred.awaitable, true};
  }
  template <class A>
  requires(!kIsLeatWait<std::remove_cvref_t<A>>) ForeignAwaiter<A> await_transform(A&& awaitable) {
    return {*run, std::forward<A>(awaitable), false};
  }
  template <class A>
  ForeignAwaiter<A> await_transform(Deferred<A>&& deferred) {
    return {*run, std::forward<A>(deferred.awaitable), true};
  }

  TaskRun* run = nullptr;
  std::expected<void, TaskError> outcome;
};

/// A coroutine task that has not begun: what a coroutine function returns.
class CoroutineTask {
 public:
  CoroutineTask(std::coroutine_handle<> coroutine, TaskPromise& promise) noexcept
      : coroutine_(coroutine), promise_(&promise) {}
  CoroutineTask(CoroutineTask&& other) noexcept
      : coroutine_(std::exchange(other.coroutine_, nullptr)), promise_(other.promise_) {}
  CoroutineTask& operator=(CoroutineTask&&) = delete;
  ~CoroutineTask() {
    if (coroutine_) coroutine_.destroy();
  }

  /// Hands the coroutine over to the engine. @return the coroutine, which `run` destroys
  std::coroutine_handle<> release(TaskRun& run) noexcept {
    promise_->run = &run;
    return std::exchange(coroutine_, nullptr);
  }

 private:
  std::coroutine_handle<> coroutine_;
  TaskPromise* promise_;
};

/// A task as a coroutine: `leat::Task fn(leat::TaskContext&)`, registered like a function. It holds slot and
/// run permit until its end, but no thread while it waits; see defer() for giving those back, too. It begins
/// on a worker of its lane, goes on there after each wait (on any of the lane's workers), and ends as a
/// function does: by co_return, or by what it throws. Cancel, time-outs and stop end its waits; the run-time
/// limit counts them. ```cpp leat::Task poll(leat::TaskContext& task) {
///   while (co_await leat::defer(leat::sleep_for(std::chrono::minutes(1)))) {
///     if (arrived()) co_return;
///   }
/// }
/// ```
/// It may await sleep_for(), a PipelineHandle, and anything that other coroutines can await, which may resume
/// it on any thread and is not cut short: it should heed the task's stop_token(). References to the
/// TaskContext stay valid; a lambda's captures live as long as its workflow.
class [[nodiscard]] Task : public CoroutineTask {
 public:
  struct promise_type final : TaskPromise {
    Task get_return_object() noexcept {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this), *this);
    }
    void return_void() const noexcept {}
  };
  using CoroutineTask::CoroutineTask;
};

/// The same for a task that says how it went: `co_return {};`, or `co_return std::unexpected("no rows");`.
class [[nodiscard]] TryTask : public CoroutineTask {
 public:
  struct promise_type final : TaskPromise {
    TryTask get_return_object() noexcept {
      return TryTask(std::coroutine_handle<promise_type>::from_promise(*this), *this);
    }
    void return_value(std::expected<void, TaskError> result) noexcept { outcome = std::move(result); }
  };
  using CoroutineTask::CoroutineTask;
};

}  // namespace leat
