#include "sim_coroutine.h"

#include <chrono>
#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "coroutine_run.h"
#include "leat/pipeline_handle.h"
#include "leat/task.h"

namespace leat::sim {
namespace {

/// The coroutine around a task's own, which is what the engine wakes.
class Watched final : public CoroutineTask {
 public:
  struct OwnPromise {};
  struct promise_type final : TaskPromise {
    struct Ready {
      TaskPromise* promise;
      bool await_ready() const noexcept { return true; }
      void await_suspend(std::coroutine_handle<>) const noexcept {}
      TaskPromise& await_resume() const noexcept { return *promise; }
    };
    Watched get_return_object() noexcept {
      return Watched(std::coroutine_handle<promise_type>::from_promise(*this), *this);
    }
    void return_value(std::expected<void, TaskError> result) noexcept { outcome = std::move(result); }
    Ready await_transform(OwnPromise) noexcept { return {this}; }
    std::suspend_always await_transform(std::suspend_always wait) const noexcept { return wait; }
  };
  using CoroutineTask::CoroutineTask;
};

/// The task's own coroutine. What it asks of the engine is asked for the one around it.
class Inner final : public TaskRun {
 public:
  Inner(TaskPromise& outer, CoroutineTask task) : outer_(outer), coroutine_(task.release(*this)) {}
  ~Inner() { coroutine_.destroy(); }
  Inner(const Inner&) = delete;
  Inner& operator=(const Inner&) = delete;

  void resume() const { coroutine_.resume(); }
  /// Empty while it waits.
  const std::optional<std::expected<void, TaskError>>& outcome() const noexcept { return outcome_; }

  bool wait_for(std::chrono::nanoseconds time, bool deferred) override {
    return outer_.run->wait_for(time, deferred);
  }
  bool wait_until(std::function<bool()> condition, std::chrono::nanoseconds interval) override {
    return outer_.run->wait_until(std::move(condition), interval);
  }
  bool wait_for(const PipelineHandle& handle, bool deferred) override {
    return outer_.run->wait_for(handle, deferred);
  }
  bool wait_for(std::coroutine_handle<> relay, bool deferred) override {
    return outer_.run->wait_for(relay, deferred);
  }
  bool wait_for(const SignalWait& signal) override { return outer_.run->wait_for(signal); }
  std::expected<std::string, Error> take_signal(const SignalWait& signal) override {
    return outer_.run->take_signal(signal);
  }
  void relayed() noexcept override { outer_.run->relayed(); }
  bool cut_short() const noexcept override { return outer_.run->cut_short(); }
  std::exception_ptr take_thrown() noexcept override { return outer_.run->take_thrown(); }
  void finish(std::expected<void, TaskError> outcome) noexcept override { outcome_ = std::move(outcome); }

 private:
  TaskPromise& outer_;
  const std::coroutine_handle<> coroutine_;
  std::optional<std::expected<void, TaskError>> outcome_;
};

/// Says that the coroutine is gone, when it goes.
class Going {
 public:
  explicit Going(CoroutineWatch& watch) noexcept : watch_(watch) {}
  ~Going() { watch_.gone(); }
  Going(const Going&) = delete;
  Going& operator=(const Going&) = delete;

 private:
  CoroutineWatch& watch_;
};

Watched watch_over(CoroutineTask task, TaskContext& context, CoroutineWatch& watch) {
  const Going going(watch);
  TaskPromise& own = co_await Watched::OwnPromise{};
  Inner inner(own, std::move(task));
  while (watch.alive()) {
    inner.resume();
    watch.stepped();
    if (inner.outcome()) {
      if (watch.alive()) watch.ended(context, *inner.outcome());
      co_return *inner.outcome();
    }
    co_await std::suspend_always{};
  }
  co_return std::unexpected(TaskError("dead"));
}

}  // namespace

void begin_coroutine(const CoroutineFunction& function, const TaskReadyEvent& event,
                     ExecutorServices& services, CompletionToken token, CoroutineWatch& watch) {
  const CoroutineFunction watched = [&function, &watch](TaskContext& context) -> CoroutineTask {
    return watch_over(function(context), context, watch);
  };
  CoroutineRun::start(watched, event, services, std::move(token));
}

}  // namespace leat::sim
