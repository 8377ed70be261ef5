// One attempt of a coroutine task: owns its coroutine, and wakes it from what it waits for.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <expected>
#include <functional>
#include <memory>
#include <utility>

#include "attempt.h"
#include "continuations.h"
#include "leat/executor.h"
#include "leat/task.h"
#include "leat/task_context.h"
#include "leat/task_event.h"
#include "resumption.h"
#include "timer_queue.h"

namespace leat {

/// A wait is told of from several sides (its timer, a pipeline's end, a wish to end), of which the first
/// wakes it:
///
///   the coroutine, as it suspends             who wakes
///   S1  begin the wait: its number, Arming    W1  Arming or Waiting of this number -> Woken
///   S2  make known what it waits for          W2  it was Waiting: send the task back to its lane
///   S3  Arming -> Waiting; else go on
///
/// Each arrow is one exchange of one word, so exactly one of S3 and W2 lets the coroutine go on. A wish to
/// end is noted before it looks at the word, and looked for after S1 (both seq_cst): it is seen on one side
/// at least.
///
/// Thread-safety: the coroutine's side: one thread at a time, handed on through the lane. ended_early,
///   on_timer: any thread.
/// Invariants:
///   1. After S3 the thread that suspended touches the object no more: it may go on, and be gone, elsewhere.
///   2. Held by the coroutine, by each timer that may still be told, by the attempt's wish to end, and by
///      each listener to a pipeline or a signal.
class CoroutineRun final : public TaskRun, public Resumption, public TimerListener {
 public:
  /// Begins on the calling worker, inside its attempt. What making the coroutine throws goes through.
  static void start(const CoroutineFunction& function, const TaskReadyEvent& event,
                    ExecutorServices& services, CompletionToken token);

  // TaskRun
  bool wait_for(std::chrono::nanoseconds time, bool deferred) override;
  bool wait_until(std::function<bool()> condition, std::chrono::nanoseconds interval) override;
  bool wait_for(const PipelineHandle& handle, bool deferred) override;
  bool wait_for(std::coroutine_handle<> relay, bool deferred) override;
  bool wait_for(const SignalWait& signal) override;
  std::expected<std::string, Error> take_signal(const SignalWait& signal) override;
  void relayed() noexcept override;
  bool cut_short() const noexcept override { return cut_short_; }
  std::exception_ptr take_thrown() noexcept override { return std::exchange(thrown_, nullptr); }
  void finish(std::expected<void, TaskError> outcome) noexcept override;

  void resume() noexcept override;
  void on_timer(std::uint64_t wait) noexcept override;

 private:
  enum class Phase : std::uint64_t { Idle, Arming, Waiting, Woken, CutShort };
  static constexpr std::uint64_t kPhases = 8;
  class Listening;
  class EndWait;
  class SignalListening;
  class Hold;

  CoroutineRun(const TaskReadyEvent& event, ExecutorServices& services, CompletionToken token);
  ~CoroutineRun() = default;
  void drop() noexcept;

  std::uint64_t begin_wait(bool may_be_cut_short);
  std::uint64_t begin_wait_for_others(bool may_be_cut_short);
  bool end_arming(bool deferred) noexcept;
  void end_wait() noexcept;
  void set_timer(std::uint64_t wait);
  void wake(std::uint64_t wait, Phase how) noexcept;
  void told_to_end() noexcept;
  void come_back() noexcept;
  bool still_waits() noexcept;

  const TaskReadyEvent event_;
  TaskContext context_;
  CompletionToken token_;
  Clock& clock_;
  TimerQueue& timers_;
  std::coroutine_handle<> coroutine_;
  std::atomic<std::uint32_t> holds_{1};
  std::atomic<std::uint64_t> word_{0};  // the wait's number * kPhases + its Phase
  std::atomic<bool> told_{false};       // to end
  std::atomic<bool> cuttable_{false};   // the wait ends where the task is told to
  // What follows is the coroutine's side's.
  std::uint64_t waits_ = 0;
  bool shared_ = false;     // some wait has begun
  bool cut_short_ = false;  // the last wait
  bool sleeps_ = false;     // timer_ may come
  TimerId timer_;
  std::shared_ptr<Listening> listening_;
  std::chrono::nanoseconds time_{0};
  std::function<bool()> condition_;
  std::exception_ptr thrown_;
};

}  // namespace leat
