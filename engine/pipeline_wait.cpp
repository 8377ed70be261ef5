// A pipeline as its handles see it: waiting, looking, cancelling. May outlive the engine.
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "futex.h"
#include "leat/context.h"
#include "pipeline.h"

namespace leat {

void Pipeline::acknowledge(std::uint64_t sequence) noexcept {
  ack_sequence_ = sequence;
  acknowledged_.store(true, std::memory_order_release);  // (14) publishes the sequence; pairs with (15)
  set_phase(Phase::Acknowledged);
}

void Pipeline::set_phase(Phase phase) noexcept {
  // (10) seq_cst: before the look at the waiters (11); with (12) and (13) it forbids that a waiter sleeps
  // on the old phase while nobody was seen waiting. As a release it publishes how the pipeline went; pairs
  // with (13) and (16) to (19).
  // It never goes back: a stop may come between a commit and its word.
  std::uint32_t now = phase_.load(std::memory_order_relaxed);  // relaxed: confirmed by the exchange
  do {
    if (now >= static_cast<std::uint32_t>(phase)) return;
  } while (!phase_.compare_exchange_weak(now, static_cast<std::uint32_t>(phase), std::memory_order_seq_cst,
                                         std::memory_order_relaxed));
  if (waiters_.load(std::memory_order_seq_cst) == 0) return;  // (11) see (10)
  futex_wake(phase_);
  if (LentThreads* const lent = host_.lent()) lent->ring();
  if (phase >= Phase::Ended) tell_end();
}

/// Who listens counts as a waiter, so that an end which nobody waits for looks no further.
void Pipeline::tell_end() noexcept {
  for (EndListener* const listener : continuations().take(*this)) {
    waiters_.fetch_sub(1, std::memory_order_release);  // (21) as in Visit
    listener->ended();
    drop_reference();  // never the last: whoever ends it has one
  }
}

/// A handle at work in the engine, which does not go meanwhile: abandon() waits for each visit, and a
/// pipeline that ends during one remains in the engine's list, where abandon() finds it.
class Pipeline::Visit {
 public:
  explicit Visit(Pipeline& pipeline) noexcept : pipeline_(pipeline) {
    pipeline.waiters_.fetch_add(1, std::memory_order_seq_cst);  // (12) before (13) and (19); see (10)
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;
  ~Visit() {
    if (stays_) pipeline_.drop_hold();
    pipeline_.waiters_.fetch_sub(
        1, std::memory_order_release);  // (21) release: the engine may go; pairs with (22)
  }

  /// @pre (13) or (19) saw that the pipeline had not ended. @return false: now it has, and the engine may be
  /// gone
  bool stay() noexcept {
    // (32) acquire: who finds no hold finds the end; pairs with (5).
    std::uint32_t holds = pipeline_.holds_.load(std::memory_order_acquire);
    while (!stays_ && holds > 0) {
      stays_ = pipeline_.holds_.compare_exchange_weak(holds, holds + 1, std::memory_order_acquire);
    }
    return stays_;
  }

 private:
  Pipeline& pipeline_;
  bool stays_ = false;
};

/// Blocks until the phase is at least `phase`. @return false: the time ran out
bool Pipeline::wait_phase(Phase phase, std::chrono::nanoseconds timeout) noexcept {
  using SteadyClock = std::chrono::steady_clock;  // real time, whatever clock the engine has
  const bool for_ever = timeout == std::chrono::nanoseconds::max();
  const auto begin = SteadyClock::now();
  Visit visit(*this);
  for (;;) {
    const std::uint32_t now = phase_.load(std::memory_order_seq_cst);  // (13) see (10)
    if (now >= static_cast<std::uint32_t>(phase)) return true;
    const std::chrono::nanoseconds left = timeout - (SteadyClock::now() - begin);
    if (!for_ever && left.count() <= 0) return false;
    if (!visit.stay()) continue;
    if (LentThreads* const lent = host_.lent()) {
      constexpr std::chrono::nanoseconds kLook = std::chrono::seconds(1);
      // Who has a limit looks at it after each task.
      lent->help(host_.clock().steady_ns(), std::min(left, kLook).count(),
                 for_ever ? LentThreads::kTasksPerTurn : 1);
    } else {
      futex_wait(phase_, now, for_ever ? -1 : left.count());
    }
  }
}

bool Pipeline::over() const noexcept {
  // (28) acquire: pairs with (10).
  return phase_.load(std::memory_order_acquire) >= static_cast<std::uint32_t>(Phase::Ended);
}

bool Pipeline::listen(EndListener& listener) {
  add_reference();  // the engine may have none while the pipeline waits in the store alone
  // (12) as in Visit: before the look at the phase; and before the listener can be told, which counts it off:
  // else a visit would not be counted for a moment.
  waiters_.fetch_add(1, std::memory_order_seq_cst);
  continuations().add(*this, listener);
  // (13) see (10): whoever ends the pipeline after this finds the listener.
  if (phase_.load(std::memory_order_seq_cst) < static_cast<std::uint32_t>(Phase::Ended)) return true;
  return !mute(listener);
}

bool Pipeline::mute(EndListener& listener) noexcept {
  if (!continuations().remove(*this, listener)) return false;
  waiters_.fetch_sub(1, std::memory_order_release);  // (21) as in Visit
  drop_reference();
  return true;
}

/// Why the pipeline will never end in this Runner; empty: it may, or it has.
std::optional<Error> Pipeline::broken() const {
  switch (static_cast<Phase>(phase_.load(std::memory_order_acquire))) {  // (16) acquire: pairs with (10)
    case Phase::StoreFailed:
      return Error{ErrorCode::Storage,
                   "the store has failed: the outcome of the pipeline's last step is unknown"};
    case Phase::Stopped:
      return Error{ErrorCode::Stopped, "the Runner has stopped before the pipeline ended"};
    default:
      return std::nullopt;
  }
}

std::expected<Ack, Error> Pipeline::wait_acknowledged() {
  // (17) acquire: pairs with (10).
  if (running_attempt() != nullptr && phase_.load(std::memory_order_acquire) == 0) {
    return std::unexpected(
        Error{ErrorCode::WouldDeadlock, "acknowledged() must not be waited for inside a task"});
  }
  wait_phase(Phase::Acknowledged, std::chrono::nanoseconds::max());
  // What was acknowledged stays so, whatever came after it. (15) acquire: pairs with (14).
  if (!acknowledged_.load(std::memory_order_acquire)) return std::unexpected(*broken());
  return Ack{identity_.level, ack_sequence_};
}

std::expected<PipelineResult, Error> Pipeline::wait_end(std::chrono::nanoseconds timeout) {
  // (18) acquire: pairs with (10).
  if (running_attempt() != nullptr &&
      phase_.load(std::memory_order_acquire) < static_cast<std::uint32_t>(Phase::Ended)) {
    return std::unexpected(Error{ErrorCode::WouldDeadlock, "wait() must not be called inside a task"});
  }
  if (!wait_phase(Phase::Ended, timeout)) {
    return std::unexpected(Error{ErrorCode::Timeout, "the pipeline has not ended in the time given"});
  }
  if (auto error = broken()) return std::unexpected(std::move(*error));
  PipelineResult result{
      .state = state(),
      .completed = ended(TaskState::Completed),
      .failed = ended(TaskState::Failed),
      .skipped = ended(TaskState::Skipped),
      .cancelled = ended(TaskState::Cancelled),
      .error = {},
      .context = {}};
  if (rare_ != nullptr && rare_->result) {
    if (!*rare_->result) return std::unexpected(rare_->result->error());
    result.context = **rare_->result;
  } else if (const Error* const lost = last_context().lost()) {
    return std::unexpected(*lost);
  } else {
    result.context = last_context().text();
  }
  result.error = error_of(result.state);
  return result;
}

/// Empty where it is Completed. @pre  no task is open
std::string Pipeline::error_of(PipelineState end) const {
  if (end == PipelineState::Cancelled) return "cancelled";
  if (end != PipelineState::Failed) return {};
  const std::string counts = std::to_string(ended(TaskState::Failed)) + " task(s) failed, " +
                             std::to_string(ended(TaskState::Completed)) + " completed, " +
                             std::to_string(ended(TaskState::Skipped)) + " skipped";
  if (!overdue_ && !given_up_) return counts;
  return (overdue_ ? "its deadline passed: " : "given up: ") + counts + ", " +
         std::to_string(ended(TaskState::Cancelled)) + " cancelled";
}

std::expected<std::string, Error> Pipeline::context_of(std::string_view task) const {
  if (!over()) return std::unexpected(Error{ErrorCode::InvalidState, "the pipeline has not ended"});
  if (auto error = broken()) return std::unexpected(std::move(*error));
  const auto number = workflow_->workflow.find(task);
  if (!number) {
    return std::unexpected(Error{ErrorCode::NotFound, "workflow '" +
                                                          std::string(workflow_->workflow.full_name()) +
                                                          "' has no task '" + std::string(task) + "'"});
  }
  if (const TaskState state = state_of(*number); state != TaskState::Completed) {
    return std::unexpected(
        Error{ErrorCode::InvalidState,
              "task '" + std::string(task) + "' is " + std::string(to_string(state)) + ", not Completed"});
  }
  const SharedContext& context = *tasks_[*number].context;
  if (const Error* const lost = context.lost()) return std::unexpected(*lost);
  if (!context.in_store_alone()) return std::string(context.text());
  return std::unexpected(
      Error{ErrorCode::Storage, "the context of task '" + std::string(task) +
                                    "' is large, and was recovered: it is in the store alone"});
}

PipelineState Pipeline::state() const noexcept {
  return state_.load(std::memory_order_relaxed);  // relaxed: a value to look at
}

TaskState Pipeline::task_state(std::uint32_t task) const noexcept {
  return state_of(task);
}

RetryStats Pipeline::retry_stats() const noexcept {
  RetryStats stats;
  for (std::uint32_t i = 0; i < workflow_->tasks.size(); ++i) {
    const std::uint32_t attempt = task_attempt(i);
    stats.attempt_max = std::max(stats.attempt_max, attempt);
    stats.retries += attempt - 1;
    stats.tasks += attempt > 1;
    const std::int32_t allowed =
        identity_.max_attempts > 0 ? identity_.max_attempts : workflow_->definitions[i].retry.max_attempts;
    stats.exhausted += state_of(i) == TaskState::Failed && static_cast<std::int32_t>(attempt) >= allowed;
  }
  return stats;
}

std::vector<SubState> Pipeline::sub_states() {
  std::vector<SubState> states(workflow_->tasks.size(), SubState::None);
  Visit visit(*this);
  // (34) seq_cst: as (13).
  if (phase_.load(std::memory_order_seq_cst) >= static_cast<std::uint32_t>(Phase::Ended) || !visit.stay())
    return states;
  for (std::uint32_t i = 0; i < states.size(); ++i) {
    // relaxed: a value to look at.
    const std::uint32_t word = tasks_[i].word.load(std::memory_order_relaxed);
    if (state_in(word) != TaskState::Running) continue;
    const Attempt* const attempt = running(i, static_cast<std::int32_t>(attempt_of(word)));
    states[i] = attempt != nullptr && attempt->deferred() ? SubState::Deferred : SubState::Active;
  }
  return states;
}

std::expected<void, Error> Pipeline::cancel() {
  Visit visit(*this);
  // (19) seq_cst: as (13).
  if (phase_.load(std::memory_order_seq_cst) >= static_cast<std::uint32_t>(Phase::Ended) || !visit.stay()) {
    if (auto error = broken()) return std::unexpected(std::move(*error));
    return std::unexpected(Error{ErrorCode::InvalidState, "the pipeline has ended already"});
  }
  if (!host_.bring_in(*this) || (identity_.level != Durability::Memory && !host_.journal()->reserve(1))) {
    return std::unexpected(Error{ErrorCode::Stopped, "the Runner is stopping"});
  }
  post_control(PipelineMessage::Kind::Cancel);
  return {};
}

/// Posts an AskMessage and waits until it is handled and what it did has reached the level.
std::expected<void, Error> Pipeline::ask(PipelineMessage::Kind kind, std::string_view text,
                                         std::string_view value) {
  if (telling_to_end()) {
    return std::unexpected(
        Error{ErrorCode::WouldDeadlock, "a callback of on_cancel() must not wait for a pipeline"});
  }
  Visit visit(*this);
  // (33) seq_cst: as (13).
  if (phase_.load(std::memory_order_seq_cst) >= static_cast<std::uint32_t>(Phase::Ended) || !visit.stay()) {
    if (auto error = broken()) return std::unexpected(std::move(*error));
    return std::unexpected(Error{ErrorCode::InvalidState, "the pipeline has ended already"});
  }
  const bool journals = identity_.level != Durability::Memory;
  if (!host_.bring_in(*this) || (journals && !host_.journal()->reserve(1))) {
    return std::unexpected(Error{ErrorCode::Stopped, "the Runner is stopping"});
  }
  const auto message = std::make_shared<AskMessage>();
  message->kind = kind;
  message->text = text;
  message->value = value;
  message->self = message;
  post(*message);
  message->handled.acquire();
  if (message->refused) return std::unexpected(std::move(*message->refused));
  if (!journals) return {};
  if (auto flushed = host_.journal()->flush(identity_.level); !flushed) {
    return std::unexpected(Error{ErrorCode::Storage, std::move(flushed.error().message)});
  }
  return {};
}

void Pipeline::abandon(bool unused) noexcept {
  // relaxed: the committer, which alone takes a pipeline to its end, has been joined.
  if (phase_.load(std::memory_order_relaxed) < static_cast<std::uint32_t>(Phase::Ended))
    set_phase(Phase::Stopped);
  if (!unused) return;
  // (22) acquire: pairs with (21). Who waits or cancels is about to leave: it is over, and the journal
  // stopped.
  while (waiters_.load(std::memory_order_acquire) > 0) std::this_thread::yield();
  first_slot_.release();  // its lane goes with the Runner
  leave_engine();
}

PipelineHandle::PipelineHandle(Pipeline& pipeline) noexcept : pipeline_(&pipeline) {
  pipeline.add_reference();
}
PipelineHandle::PipelineHandle(const PipelineHandle& other) noexcept : pipeline_(other.pipeline_) {
  if (pipeline_ != nullptr) pipeline_->add_reference();
}
PipelineHandle::~PipelineHandle() {
  if (pipeline_ != nullptr) pipeline_->drop_reference();
}
const Uuid& PipelineHandle::id() const noexcept {
  return pipeline_->id();
}
PipelineState PipelineHandle::state() const noexcept {
  return pipeline_->state();
}
std::expected<Ack, Error> PipelineHandle::acknowledged() const {
  return pipeline_->wait_acknowledged();
}
std::expected<PipelineResult, Error> PipelineHandle::wait(std::chrono::nanoseconds timeout) const {
  return pipeline_->wait_end(timeout);
}
std::expected<void, Error> PipelineHandle::cancel() {
  return pipeline_->cancel();
}

std::expected<std::string, Error> PipelineHandle::context_of(std::string_view task) const {
  return pipeline_->context_of(task);
}

std::expected<void, Error> PipelineHandle::pause(std::string_view reason) {
  return pipeline_->pause(reason);
}
std::expected<void, Error> PipelineHandle::resume() {
  return pipeline_->resume();
}

std::vector<TaskState> PipelineHandle::task_states() const {
  std::vector<TaskState> states(pipeline_->workflow().tasks.size());
  for (std::uint32_t i = 0; i < states.size(); ++i) states[i] = pipeline_->task_state(i);
  return states;
}

std::vector<SubState> PipelineHandle::sub_states() const {
  return pipeline_->sub_states();
}

RetryStats PipelineHandle::retry_stats() const {
  return pipeline_->retry_stats();
}

std::string_view to_string(SubState state) noexcept {
  switch (state) {
    case SubState::None:
      return "None";
    case SubState::Active:
      return "Active";
    case SubState::Deferred:
      return "Deferred";
  }
  return "unknown";
}

}  // namespace leat
