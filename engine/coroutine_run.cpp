#include "coroutine_run.h"

#include <utility>

#include "check.h"
#include "completion.h"
#include "lane.h"
#include "leat/pipeline_handle.h"
#include "pipeline.h"
#include "task_result.h"

namespace leat {

void TaskPromise::unhandled_exception() noexcept {
  try {
    throw;
  } catch (const std::exception& error) {
    outcome = std::unexpected(TaskError(error.what()));
  } catch (...) {
    outcome = std::unexpected(TaskError("the task threw something that is not a std::exception"));
  }
}

/// Keeps a run for as long as a callback that knows it may be called.
class CoroutineRun::Hold {
 public:
  explicit Hold(CoroutineRun& run) noexcept : run_(&run) {
    run.holds_.fetch_add(1, std::memory_order_relaxed);  // relaxed: the caller holds it, too
  }
  Hold(const Hold& other) noexcept : Hold(*other.run_) {}
  Hold& operator=(const Hold&) = delete;
  ~Hold() { run_->drop(); }
  CoroutineRun& run() const noexcept { return *run_; }

 private:
  CoroutineRun* const run_;
};

/// What a wait listens to; held by the wait, and by itself until it was told or taken back.
class CoroutineRun::Listening {
 public:
  virtual ~Listening() = default;
  virtual void mute() noexcept = 0;
};

/// Listens to a pipeline for one wait.
class CoroutineRun::EndWait final : public Listening, public EndListener {
 public:
  EndWait(CoroutineRun& run, const PipelineHandle& handle, std::uint64_t wait)
      : hold_(run), handle_(handle), wait_(wait) {}

  static std::shared_ptr<EndWait> listen(CoroutineRun& run, const PipelineHandle& handle,
                                         std::uint64_t wait) {
    const auto made = std::make_shared<EndWait>(run, handle, wait);
    made->self_ = made;
    if (!Pipeline::of(handle).listen(*made)) made->ended();
    return made;
  }
  void mute() noexcept override {
    if (Pipeline::of(handle_).mute(*this)) self_.reset();
  }
  void ended() noexcept override {
    const auto last = std::move(self_);
    hold_.run().wake(wait_, Phase::Woken);
  }

 private:
  std::shared_ptr<EndWait> self_;
  const Hold hold_;
  const PipelineHandle handle_;  // keeps the pipeline
  const std::uint64_t wait_;
};

/// Listens for a signal of its own pipeline, which stays while its task runs.
class CoroutineRun::SignalListening final : public Listening, public SignalListener {
 public:
  SignalListening(CoroutineRun& run, Signals& signals, std::uint64_t wait)
      : hold_(run), signals_(signals), wait_(wait) {}

  static std::shared_ptr<SignalListening> listen(CoroutineRun& run, Signals& signals, std::uint32_t signal,
                                                 std::uint64_t wait) {
    const auto made = std::make_shared<SignalListening>(run, signals, wait);
    made->self_ = made;
    if (!signals.listen(signal, run.event_.task_number, *made)) made->signalled();
    return made;
  }
  void mute() noexcept override {
    if (signals_.mute(*this)) self_.reset();
  }
  void signalled() noexcept override {
    const auto last = std::move(self_);
    hold_.run().wake(wait_, Phase::Woken);
  }

 private:
  std::shared_ptr<SignalListening> self_;
  const Hold hold_;
  Signals& signals_;
  const std::uint64_t wait_;
};

CoroutineRun::CoroutineRun(const TaskReadyEvent& event, ExecutorServices& services, CompletionToken token)
    : event_(event),
      context_(event_, services, running_attempt()),
      token_(std::move(token)),
      clock_(running_attempt()->lane->clock()),
      timers_(*running_attempt()->listener->timers()) {
  attempt = running_attempt();
}

void CoroutineRun::start(const CoroutineFunction& function, const TaskReadyEvent& event,
                         ExecutorServices& services, CompletionToken token) {
  const auto gone = [](CoroutineRun* run) { delete run; };
  std::unique_ptr<CoroutineRun, decltype(gone)> run(new CoroutineRun(event, services, std::move(token)),
                                                    gone);
  CoroutineTask task = function(run->context_);
  run->coroutine_ = task.release(*run);
  run.release()->coroutine_.resume();  // it sees to its own end
}

void CoroutineRun::drop() noexcept {
  // (1) acq_rel: the last one sees all that the others did with the object.
  if (holds_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

/// S1, where it takes others to end the wait.
std::uint64_t CoroutineRun::begin_wait_for_others(bool may_be_cut_short) {
  if (Pipeline* const pipeline = pipeline_of(event_)) pipeline->waits_for_others(event_.task_number);
  return begin_wait(may_be_cut_short);
}

/// S1. @return the wait's number
std::uint64_t CoroutineRun::begin_wait(bool may_be_cut_short) {
  if (!std::exchange(shared_, true)) {
    attempt->share();
    token_.on_cancel([hold = Hold(*this)] { hold.run().told_to_end(); });
  }
  cut_short_ = false;
  cuttable_.store(may_be_cut_short, std::memory_order_relaxed);  // relaxed: published by (2)
  // (2) seq_cst: before the look at told_ in end_arming(); pairs with (3).
  word_.store(++waits_ * kPhases + static_cast<std::uint64_t>(Phase::Arming), std::memory_order_seq_cst);
  return waits_;
}

/// S3. @return whether the coroutine is suspended: then the object is not to be touched any more
bool CoroutineRun::end_arming(bool deferred) noexcept {
  const std::uint64_t wait = waits_;
  if (cuttable_.load(std::memory_order_relaxed) &&
      told_.load(std::memory_order_seq_cst))  // (4) pairs with (5)
    wake(wait, Phase::CutShort);
  std::uint64_t armed = wait * kPhases + static_cast<std::uint64_t>(Phase::Arming);
  // relaxed: a look; who has been woken by now need not give anything back.
  if (deferred && !attempt->deferred() && word_.load(std::memory_order_relaxed) == armed)
    attempt->lane->defer(*attempt);
  const bool away = attempt->deferred();
  // (6) acq_rel: hands the coroutine to who wakes it (7); or sees what that one did.
  if (word_.compare_exchange_strong(armed, wait * kPhases + static_cast<std::uint64_t>(Phase::Waiting),
                                    std::memory_order_acq_rel, std::memory_order_acquire))
    return true;
  if (away) {
    come_back();
    return true;
  }
  end_wait();
  return false;
}

/// W1 and W2.
void CoroutineRun::wake(std::uint64_t wait, Phase how) noexcept {
  std::uint64_t word = word_.load(std::memory_order_seq_cst);  // (3) after told_ (5); pairs with (2)
  Phase was;
  do {
    was = static_cast<Phase>(word % kPhases);
    if (word / kPhases != wait || (was != Phase::Arming && was != Phase::Waiting)) return;
    // (7) acq_rel: pairs with (6).
  } while (!word_.compare_exchange_weak(word, wait * kPhases + static_cast<std::uint64_t>(how),
                                        std::memory_order_acq_rel, std::memory_order_acquire));
  if (was == Phase::Waiting) come_back();
}

void CoroutineRun::told_to_end() noexcept {
  told_.store(true, std::memory_order_seq_cst);  // (5) before the look at the word (3); pairs with (4)
  const std::uint64_t word = word_.load(std::memory_order_seq_cst);
  // relaxed: of the wait that the word names, or of a later one, which sees told_ itself.
  if (cuttable_.load(std::memory_order_relaxed)) wake(word / kPhases, Phase::CutShort);
}

void CoroutineRun::come_back() noexcept {
  Lane& lane = *attempt->lane;
  // A condition is asked before slot and permit are taken again.
  if (attempt->deferred() && !condition_) return lane.take_again(*this);
  lane.carry_on(*this);
}

/// The wait is over: nothing that it was told of comes any more, or it is a stranger to the next one.
void CoroutineRun::end_wait() noexcept {
  // relaxed: the coroutine's side was handed over.
  cut_short_ = static_cast<Phase>(word_.load(std::memory_order_relaxed) % kPhases) == Phase::CutShort;
  if (std::exchange(sleeps_, false) && timers_.cancel(timer_)) drop();
  if (const auto listening = std::move(listening_)) listening->mute();
}

/// Asks the condition. @return whether the coroutine does not go on now
bool CoroutineRun::still_waits() noexcept {
  while (!cut_short_) {
    try {
      if (condition_()) break;
    } catch (...) {
      thrown_ = std::current_exception();
      break;
    }
    set_timer(begin_wait(true));
    if (end_arming(true)) return true;
  }
  condition_ = nullptr;
  if (!attempt->deferred()) return false;
  attempt->lane->take_again(*this);
  return true;
}

void CoroutineRun::resume() noexcept {
  end_wait();
  if (condition_ && still_waits()) return;
  coroutine_.resume();
}

void CoroutineRun::set_timer(std::uint64_t wait) {
  holds_.fetch_add(1, std::memory_order_relaxed);  // relaxed: the caller holds it, too
  sleeps_ = true;
  timer_ = timers_.schedule(time_after(clock_.steady_ns(), time_), *this, wait);
}

void CoroutineRun::on_timer(std::uint64_t wait) noexcept {
  wake(wait, Phase::Woken);
  drop();
}

bool CoroutineRun::wait_for(std::chrono::nanoseconds time, bool deferred) {
  time_ = time;
  set_timer(begin_wait(true));
  return end_arming(deferred);
}

bool CoroutineRun::wait_until(std::function<bool()> condition, std::chrono::nanoseconds interval) {
  condition_ = std::move(condition);
  time_ = interval;
  set_timer(begin_wait_for_others(true));
  if (end_arming(true)) return true;
  if (cut_short_) {
    condition_ = nullptr;
    return false;
  }
  attempt->lane->carry_on(*this);  // the interval was over at once
  return true;
}

bool CoroutineRun::wait_for(const PipelineHandle& handle, bool deferred) {
  listening_ = EndWait::listen(*this, handle, begin_wait_for_others(true));
  return end_arming(deferred);
}

bool CoroutineRun::wait_for(std::coroutine_handle<> relay, bool deferred) {
  begin_wait_for_others(false);
  relay.resume();
  return end_arming(deferred);
}

bool CoroutineRun::wait_for(const SignalWait& signal) {
  Pipeline* const pipeline = pipeline_of(event_);
  const auto number = pipeline == nullptr ? std::unexpected(Error{}) : pipeline->find_signal(signal.name);
  if (!number) return false;  // take_signal() says why
  const std::uint64_t wait = begin_wait_for_others(true);
  listening_ = SignalListening::listen(*this, *pipeline->signals(), *number, wait);
  if (signal.timeout) {
    time_ = *signal.timeout;
    set_timer(wait);
  }
  return end_arming(true);
}

std::expected<std::string, Error> CoroutineRun::take_signal(const SignalWait& signal) {
  Pipeline* const pipeline = pipeline_of(event_);
  if (pipeline == nullptr)
    return std::unexpected(Error{ErrorCode::InvalidState, "the task is in no pipeline, which could be told"});
  const auto number = pipeline->find_signal(signal.name);
  if (!number) return std::unexpected(number.error());
  if (const Signals::Value value = pipeline->signals()->told(*number)) return *value;
  const std::string name = "signal '" + signal.name + "'";
  if (cut_short_)
    return std::unexpected(Error{ErrorCode::Cancelled, "the task was told to end before " + name + " came"});
  return std::unexpected(Error{ErrorCode::Timeout, name + " has not come in the time given"});
}

void CoroutineRun::relayed() noexcept {
  // relaxed: a relay belongs to the wait that began it, which cannot end before.
  wake(word_.load(std::memory_order_relaxed) / kPhases, Phase::Woken);
}

void CoroutineRun::finish(std::expected<void, TaskError> outcome) noexcept {
  ExecutionResult result = task_result(context_, std::move(outcome));
  coroutine_.destroy();
  CompletionToken token = std::move(token_);
  token.complete(std::move(result));
  drop();
}

}  // namespace leat
