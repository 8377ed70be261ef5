// Limits on how long a task of a pipeline may wait for a worker, and take in all; and the pipeline's
// deadline.
#include <algorithm>
#include <string>
#include <thread>
#include <utility>

#include "leat/clock.h"
#include "pipeline.h"

namespace leat {
namespace {

// A timer's token: bits 0-31 the task, 32-34 which limit (4 is kSignalLimit), from 35 on the attempt. Without
// a limit it is a retry.
constexpr std::uint64_t kQueueLimit = std::uint64_t{1} << 32;
constexpr std::uint64_t kTotalLimit = std::uint64_t{2} << 32;
constexpr std::uint64_t kDeadline = std::uint64_t{3} << 32;
constexpr int kAttemptShift = 35;

std::string text_of(std::chrono::nanoseconds limit) {
  return std::to_string(limit.count() / 1'000'000) + " ms";
}

}  // namespace

/// A task has become Ready. Each timer holds the pipeline: it counts as outstanding.
void Pipeline::begin_limits(std::uint32_t index) noexcept {
  if (limits() == nullptr) return;
  const TaskDefinition& definition = workflow_->definitions[index];
  const std::int64_t now = host_.clock().steady_ns();
  if (definition.queue_timeout.count() > 0) {
    const std::int64_t retry_at = tasks_[index].retry_at_ns;
    const std::int64_t delay =
        retry_at == 0 ? 0 : std::max<std::int64_t>(0, retry_at - host_.clock().unix_ns());
    // relaxed: owned.
    const std::uint64_t attempt = attempt_of(tasks_[index].word.load(std::memory_order_relaxed));
    limits()[index].queued = host_.timers().schedule(
        time_after(time_after(now, std::chrono::nanoseconds(delay)), definition.queue_timeout), *this,
        attempt << kAttemptShift | kQueueLimit | index);
    ++outstanding_;
  }
  begin_total_limit(index, now);
}

/// From which on the age of its tasks' retries counts. Unix time.
std::int64_t Pipeline::age_begins_ns() const noexcept {
  return rare_ == nullptr ? created_ns_ : std::max(created_ns_, rare_->start_at_ns);
}

/// A task has become Ready, or its work elsewhere is to be taken over.
void Pipeline::begin_total_limit(std::uint32_t index, std::int64_t now_ns) noexcept {
  if (limits() == nullptr) return;
  const auto total = workflow_->definitions[index].total_timeout;
  if (total.count() == 0 || std::exchange(limits()[index].total_begun, true)) return;
  limits()[index].total = host_.timers().schedule(time_after(now_ns, total), *this, kTotalLimit | index);
  ++outstanding_;
}

/// An attempt or the task has ended. A timer that is being told at this moment keeps its hold: its message
/// comes.
void Pipeline::drop_limits(std::uint32_t index) noexcept {
  if (limits() == nullptr) return;
  drop_signal_limit(index);
  if (host_.timers().cancel(limits()[index].queued)) --outstanding_;
  if (is_terminal(state_of(index)) && host_.timers().cancel(limits()[index].total)) --outstanding_;
}

/// On the thread of the timers, which must not wait for a credit: other timers free some.
void Pipeline::tell_limit(std::uint64_t token) noexcept {
  if (identity_.level != Durability::Memory && !host_.journal()->try_reserve(1)) {
    constexpr std::chrono::milliseconds kLater{5};
    host_.timers().schedule(time_after(host_.clock().steady_ns(), kLater), *this, token);
    return;
  }
  auto* const message = new LimitMessage;  // reach_limit's caller deletes it
  message->kind = PipelineMessage::Kind::LimitReached;
  message->token = token;
  post(*message);
}

/// The wall clock may jump, and the steady one stand still in a suspend: it is asked again now and then. The
/// timer holds the pipeline.
void Pipeline::begin_deadline(std::int64_t at_ns) noexcept {
  constexpr std::chrono::nanoseconds kLook = std::chrono::minutes(1);
  const std::chrono::nanoseconds left(std::max<std::int64_t>(0, at_ns - host_.clock().unix_ns()));
  const std::int64_t due_ns = time_after(host_.clock().steady_ns(), std::min(left, kLook));
  rare().deadline = {at_ns, host_.timers().schedule(due_ns, *this, kDeadline)};
  ++outstanding_;
}

/// Uses up the credit, where the level needs one.
void Pipeline::look_at_deadline() noexcept {
  const std::int64_t at_ns = rare_->deadline.at_ns;
  if (open_ > 0 && !cancelling_) {
    if (at_ns <= host_.clock().unix_ns()) return end_at_deadline(at_ns);
    begin_deadline(at_ns);
  }
  if (identity_.level != Durability::Memory) host_.journal()->release(1);
}

/// Uses up the credit, where the level needs one.
void Pipeline::end_at_deadline(std::int64_t at_ns) noexcept {
  rare().deadline.at_ns = at_ns;
  cancel_tasks(true);
}

/// All tasks have ended. A timer that is being told at this moment keeps its hold: its message comes.
void Pipeline::drop_deadline() noexcept {
  if (rare_->deadline.at_ns != 0 && host_.timers().cancel(rare_->deadline.timer)) --outstanding_;
}

/// Uses up the credit, where the level needs one.
void Pipeline::reach_limit(std::uint64_t token) noexcept {
  --outstanding_;
  if (token == kDeadline) return look_at_deadline();
  const auto index = static_cast<std::uint32_t>(token);
  const TaskDefinition& definition = workflow_->definitions[index];
  const bool total = (token & kTotalLimit) != 0;
  std::uint32_t credits = identity_.level == Durability::Memory ? 0 : 1;
  if ((token & kSignalLimit) != 0) {
    reach_signal_limit(index, credits);
    if (credits > 0) host_.journal()->release(credits);
    return;
  }
  // (35) acquire: pairs with (6) of begin().
  std::uint32_t word = tasks_[index].word.load(std::memory_order_acquire);
  if (total) limits()[index].total_over = true;
  if (state_in(word) == TaskState::Ready && !cancelling_ &&
      (total || attempt_of(word) == token >> kAttemptShift) &&
      // (21), or a begin() that was first: then the word says Running now.
      tasks_[index].word.compare_exchange_strong(word, word_of(TaskState::Failed, attempt_of(word)),
                                                 std::memory_order_acq_rel, std::memory_order_acquire)) {
    // It stays outstanding until its lane, or the timer of its retry, lets go of it.
    if (rare_ != nullptr) leave_home(index);
    const std::string error =
        total ? "timeout: the task took longer in all than " + text_of(definition.total_timeout)
              : "timeout: the task waited to begin for longer than " + text_of(definition.queue_timeout);
    conclude(index,
             {.to = TaskState::Failed,
              .cause = TaskEnded::Cause::Result,
              .from = TaskState::Ready,
              .error = error},
             credits);
  } else if (total && state_in(word) == TaskState::Running) {
    // (36) acquire: pairs with (8): a worker is between the two steps of begin() for a few instructions only.
    while (!tasks_[index].begun.load(std::memory_order_acquire)) std::this_thread::yield();
    // (27) acquire: pairs with (23), an adopted task's; another's was seen with (8).
    Attempt* const attempt = tasks_[index].running.load(std::memory_order_acquire);
    if (attempt != nullptr) attempt->on_timer(attempt->generation());  // null: watch_adopted() sees to it
  }
  if (credits > 0) host_.journal()->release(credits);
}

}  // namespace leat
