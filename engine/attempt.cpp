#include "attempt.h"

#include <exception>
#include <utility>

#include "child_process.h"
#include "lane.h"
#include "leat/transition_group.h"

namespace leat {

constinit thread_local Attempt* current_attempt = nullptr;

namespace {

constexpr std::size_t kOutputBytesMax = std::size_t{64} << 10;  // of a task's record
constexpr std::size_t kErrorBytesMax = std::size_t{16} << 10;

// The thread tells an attempt to end, and may own its pipeline meanwhile: it must not wait for a step.
thread_local bool tells_to_end = false;

class TellingScope {
 public:
  TellingScope() noexcept : outer_(std::exchange(tells_to_end, true)) {}
  ~TellingScope() { tells_to_end = outer_; }
  TellingScope(const TellingScope&) = delete;
  TellingScope& operator=(const TellingScope&) = delete;

 private:
  const bool outer_;
};

constexpr std::uint64_t kPhaseShift = 24;
constexpr std::uint64_t kReferenceMask = (std::uint64_t{1} << kPhaseShift) - 1;

constexpr std::uint32_t generation_of(std::uint64_t word) {
  return static_cast<std::uint32_t>(word >> 32);
}
constexpr Attempt::Phase phase_of(std::uint64_t word) {
  return static_cast<Attempt::Phase>(word >> kPhaseShift & 0xff);
}
constexpr std::uint64_t with_phase(std::uint64_t word, Attempt::Phase phase) {
  return (word & ~(std::uint64_t{0xff} << kPhaseShift)) | std::uint64_t{static_cast<std::uint8_t>(phase)}
                                                              << kPhaseShift;
}

}  // namespace

void Attempt::open(std::int64_t now_ns) {
  // relaxed: who looks for old attempts may see the time of the use before or after the one that it found.
  started_ns.store(now_ns, std::memory_order_relaxed);
  result.status = ExecutionStatus::Completed;
  result.error_message.clear();
  output.clear();
  staged_context.reset();
  timed_out = false;
  overdue = false;
  came_back = false;
  shared = false;
  interrupted = false;
  settled_inline_ = false;
  returns_at_once_ = false;
  unwound_ = false;
  drop_callback();                     // of a token that died otherwise
  const std::uint64_t references = 2;  // the worker inside start(), and the end
  const std::uint64_t next = std::uint64_t{generation() + 1} << 32;
  // (1) release: publishes the fields above to a time-out's or a stop's acquire (2).
  word_.store(with_phase(next, Phase::Running) | references, std::memory_order_release);
}

CompletionToken Attempt::token() noexcept {
  return CompletionToken(*this);
}

std::uint32_t Attempt::generation() const noexcept {
  // relaxed: read by the holder of the record or of its token, to whom the record was handed over.
  return generation_of(word_.load(std::memory_order_relaxed));
}

Attempt::Phase Attempt::phase() const noexcept {
  return phase_of(word_.load(std::memory_order_relaxed));  // relaxed: a figure
}

std::optional<std::int64_t> Attempt::running_since_ns() const noexcept {
  const Phase now = phase();
  if (now != Phase::Running && now != Phase::Overdue) return std::nullopt;
  return started_ns.load(std::memory_order_relaxed);  // relaxed: a figure
}

void Attempt::on_timer(std::uint64_t generation) noexcept {
  // (2) acquire: sees what open() (1) wrote before it looks at the task.
  std::uint64_t word = word_.load(std::memory_order_acquire);
  do {
    if (generation_of(word) != generation || phase_of(word) != Phase::Running) return;
    // (3) acq_rel: whoever completes the attempt later (4) sees that its end is already taken, with
    // our reference.
  } while (!word_.compare_exchange_weak(word, with_phase(word, Phase::Overdue) + 2, std::memory_order_acq_rel,
                                        std::memory_order_acquire));
  listener->overdue(*this);
}

/// Takes the use to its end. @return the phase that it was in
Attempt::Phase Attempt::end(std::uint32_t generation) noexcept {
  std::uint64_t word = word_.load(std::memory_order_relaxed);  // relaxed: confirmed by the exchange
  do {
    LEAT_CHECK(generation_of(word) == generation && phase_of(word) != Phase::Ended);
    // (4) acq_rel: publishes result, output and context to the owner of the pipeline; pairs with (3)
    // of a time-out.
  } while (!word_.compare_exchange_weak(word, with_phase(word, Phase::Ended), std::memory_order_acq_rel,
                                        std::memory_order_relaxed));
  return phase_of(word);
}

void Attempt::complete(std::uint32_t generation) noexcept {
  if (output.size() > kOutputBytesMax) [[unlikely]]
    output.erase(0, output.size() - kOutputBytesMax);
  if (is_own()) [[likely]] {
    const std::uint64_t word = word_.load(std::memory_order_relaxed);  // relaxed: its own
    LEAT_CHECK(generation_of(word) == generation && phase_of(word) == Phase::Running);
    word_.store(with_phase(word, Phase::Ended), std::memory_order_release);  // (4), with nobody to race
    return listener->end(*this);
  }
  Lane& visited = *lane;
  const bool visits = current_attempt != this;
  if (visits) visited.enter();
  if (end(generation) == Phase::Running) {
    listener->end(*this);
  } else {
    overdue = true;
    listener->returned(*this);
  }
  if (visits) visited.leave();
}

void Attempt::adopt(TaskExecutor& executor) {
  CompletionToken own = token();
  if (executor.adopt(task.event, adopts_ref, own) || !own) return;
  own.attempt_ = nullptr;
  drop_callback();
  unknown_elsewhere = true;
  complete(generation());
}

void Attempt::complete_unbegun() noexcept {
  end(generation());
  listener->returned(*this);
}

void Attempt::complete_thrown(const char* message, TaskError::Class kind) noexcept {
  if (!unwound_) return;
  drop_callback();
  result = ExecutionResult::failed(task.event.task_execution_id, message, true).as(kind);
  complete(generation());
}

void Attempt::hold() noexcept {
  // relaxed: the end's reference is there; what is done under this one is published by (5).
  word_.fetch_add(1, std::memory_order_relaxed);
}

bool Attempt::drop() noexcept {
  // (5) acq_rel: the last one sees all that the others did with the record before it is used again.
  return (word_.fetch_sub(1, std::memory_order_acq_rel) & kReferenceMask) == 1;
}

void Attempt::settle() noexcept {
  if (is_own()) {
    settled_inline_ = true;
  } else if (drop()) {
    lane->recycle(*this);
  }
}

void Attempt::request_stop(std::uint32_t generation) noexcept {
  const TellingScope telling;
  std::function<void()> callback;
  std::stop_source stop(std::nostopstate);
  Slots freed;
  {
    MutexLock lock(cancel_mutex_);
    // (8) acquire: pairs with (1); a record in its next use is not ours to stop.
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    if (generation_of(word) != generation || phase_of(word) == Phase::Ended) return;
    make_stop_source();
    stop = stop_;
    stopped_generation_ = generation;
    if (returning_ != nullptr) freed = lane->hurry(*std::exchange(returning_, nullptr));
    callback = std::exchange(on_cancel_, nullptr);
  }
  // Not under the mutex: what listens to the token may carry the task on.
  freed.release();
  stop.request_stop();
  if (callback) callback();
}

/// One source serves many uses of the record, until it has been used to stop one of them.
void Attempt::make_stop_source() {
  const bool stopped_before = stopped_generation_ != 0 && stopped_generation_ != generation();
  if (stop_.stop_possible() && !stopped_before) return;
  if (stopped_before) stopped_generation_ = 0;
  stop_ = std::stop_source();
}

std::stop_token Attempt::stop_token() {
  MutexLock lock(cancel_mutex_);
  make_stop_source();
  return stop_.get_token();
}

bool Attempt::begin_rest() noexcept {
  shared = true;
  deferred_.store(true, std::memory_order_relaxed);  // relaxed: its own, or a figure
  return !std::exchange(once_deferred_, true);
}

bool Attempt::end_rest(Resumption& resumption) noexcept {
  MutexLock lock(cancel_mutex_);
  if (returning_ == &resumption) returning_ = nullptr;
  if (!deferred()) return false;
  slot = std::move(resumption.slot);
  deferred_.store(false, std::memory_order_relaxed);  // relaxed: as above
  return true;
}

bool Attempt::forget_rest() noexcept {
  once_deferred_ = false;
  // relaxed: published by the next open() (1), before which interrupt() finds the old use.
  const bool was = deferred_.load(std::memory_order_relaxed);
  deferred_.store(false, std::memory_order_relaxed);
  return was;
}

bool Attempt::await_return(Resumption& resumption, Resumptions& resumptions) noexcept {
  MutexLock lock(cancel_mutex_);
  if (stopped_generation_ == generation()) return false;
  returning_ = &resumption;
  has_callback_ = true;
  resumptions.push_for_slot(resumption);
  return true;
}

void Attempt::interrupt() noexcept {
  // (15) acquire: pairs with (1): the look below is at this use, or at what followed, which the exchange
  // refuses.
  std::uint64_t word = word_.load(std::memory_order_acquire);
  const std::uint32_t generation = generation_of(word);
  if (!deferred()) return;
  do {
    if (generation_of(word) != generation || phase_of(word) != Phase::Running) return;
    // (16) acq_rel: as (3); the reference keeps the record in this use.
  } while (
      !word_.compare_exchange_weak(word, word + 1, std::memory_order_acq_rel, std::memory_order_acquire));
  if (task.event.origin == nullptr) {
    request_stop(generation);  // nothing is remembered of it
  } else {
    ++word;
    bool running = true;
    do {
      running = phase_of(word) == Phase::Running;  // else it has just ended, or its time was up
      // (17) acq_rel: as (3).
    } while (running && !word_.compare_exchange_weak(word, with_phase(word, Phase::Overdue) + 2,
                                                     std::memory_order_acq_rel, std::memory_order_acquire));
    if (running) {
      interrupted = true;
      listener->overdue(*this);
    }
  }
  settle();
}

/// drop_callback(), where there is one.
void Attempt::drop_this_callback() noexcept {
  has_callback_ = false;
  std::function<void()> callback;
  MutexLock lock(cancel_mutex_);
  callback.swap(on_cancel_);
  Resumption* const returning = std::exchange(returning_, nullptr);
  // Under the mutex: a worker that has taken it out of its line comes by here before it is gone.
  const bool withdrawn = returning != nullptr && lane->withdraw(*returning);
  lock.unlock();
  if (withdrawn) lane->abandon(*returning);
}

void Attempt::append_output(std::string_view text) {
  if (text.size() > kOutputBytesMax) text.remove_prefix(text.size() - kOutputBytesMax);
  output.append(text);
  // Cut now and then, not with each line: 64 KiB are moved for it.
  if (output.size() > 2 * kOutputBytesMax) output.erase(0, output.size() - kOutputBytesMax);
}

CompletionToken::CompletionToken(Attempt& attempt) noexcept
    : attempt_(&attempt), generation_(attempt.generation()) {}

CompletionToken::CompletionToken(CompletionToken&& other) noexcept
    : attempt_(std::exchange(other.attempt_, nullptr)), generation_(other.generation_) {}

CompletionToken& CompletionToken::operator=(CompletionToken&& other) noexcept {
  std::swap(attempt_, other.attempt_);
  std::swap(generation_, other.generation_);
  return *this;
}

CompletionToken::~CompletionToken() {
  if (attempt_ == nullptr) return;
  if (running_attempt() == attempt_ && std::uncaught_exceptions() > 0) {
    attempt_->unwound_ = true;  // the lane, which catches, knows what was thrown
  } else {
    complete(ExecutionResult::failed(attempt_->task.event.task_execution_id,
                                     "the executor dropped the task without completing it", true)
                 .as(TaskError::Class::Infrastructure));
  }
}

CompletionToken& CompletionToken::and_return() noexcept {
  attempt_->returns_at_once_ = true;
  return *this;
}

void CompletionToken::complete() noexcept {
  Attempt* const attempt = std::exchange(attempt_, nullptr);
  if (attempt == nullptr) return;  // completed before
  attempt->drop_callback();
  attempt->complete(static_cast<std::uint32_t>(generation_));  // with the result of open()
}

void CompletionToken::complete(ExecutionResult result) noexcept {
  finish(result);
}

void CompletionToken::complete(std::expected<ExecutionResult, DispatchError> result) noexcept {
  if (attempt_ == nullptr) return;
  if (!result) {
    std::string message = "the executor could not run the task: ";
    message += to_string(result.error().code);
    result = ExecutionResult::retry(attempt_->task.event.task_execution_id, std::move(message))
                 .as(TaskError::Class::Infrastructure);
  }
  finish(*result);
}

void CompletionToken::finish(ExecutionResult& result) noexcept {
  Attempt* attempt = std::exchange(attempt_, nullptr);
  if (attempt == nullptr) return;  // completed before
  attempt->drop_callback();
  attempt->result = std::move(result);
  std::string& error = attempt->result.error_message;
  if (error.size() > kErrorBytesMax) error.resize(kErrorBytesMax);
  attempt->complete(static_cast<std::uint32_t>(generation_));
}

std::expected<void, Error> CompletionToken::external_ref(std::string_view external_ref) {
  if (external_ref.empty() || external_ref.size() > kExternalRefBytesMax) {
    return std::unexpected(
        Error{ErrorCode::InvalidArgument,
              "an external_ref of " + std::to_string(external_ref.size()) + " bytes (accepted: 1 to 256)"});
  }
  if (attempt_ == nullptr) return std::unexpected(Error{ErrorCode::InvalidState, "the attempt is over"});
  if (tells_to_end) {
    return std::unexpected(
        Error{ErrorCode::WouldDeadlock, "external_ref() waits; not inside a callback of on_cancel()"});
  }
  return attempt_->listener->refer(*attempt_, external_ref);
}

void CompletionToken::append_output(std::string_view text) {
  if (attempt_ != nullptr) attempt_->append_output(text);
}

void CompletionToken::note_child(int pid) noexcept {
  BoardLine* const line = attempt_ == nullptr ? nullptr : attempt_->line;
  // Without a task on it, nothing of the attempt is remembered: it has no twin.
  if (line != nullptr && !line->empty()) line->note_child({.pid = pid, .identity = process_identity(pid)});
}

void CompletionToken::on_cancel(std::function<void()> callback) {
  if (attempt_ == nullptr) return;
  {
    MutexLock lock(attempt_->cancel_mutex_);
    if (attempt_->stopped_generation_ != generation_) {
      attempt_->on_cancel_ = std::move(callback);
      attempt_->has_callback_ = true;
      return;
    }
  }
  callback();
}

std::stop_token CompletionToken::stop_token() const noexcept {
  return attempt_ == nullptr ? std::stop_token() : attempt_->stop_token();
}

bool telling_to_end() noexcept {
  return tells_to_end;
}

}  // namespace leat
