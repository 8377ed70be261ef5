// A lane's tasks that have waited without a thread: what goes on, and deferred tasks, which have given slot
// and permit back meanwhile.
#include <functional>
#include <memory>
#include <utility>

#include "check.h"
#include "lane.h"
#include "leat/executor.h"

namespace leat {
namespace {

/// What CompletionToken::take_again() was given; deletes itself.
class TokenReturn final : public Resumption {
 public:
  TokenReturn(Attempt& of, std::function<void()> callback) : callback_(std::move(callback)) { attempt = &of; }
  void resume() noexcept override {
    const std::unique_ptr<TokenReturn> self(this);
    callback_();
  }
  void abandon() noexcept override { delete this; }

 private:
  const std::function<void()> callback_;
};

}  // namespace

bool CompletionToken::defer() noexcept {
  return attempt_ != nullptr && !attempt_->deferred() && attempt_->lane->defer(*attempt_);
}

void CompletionToken::take_again(std::function<void()> callback) {
  if (attempt_ == nullptr) return;
  auto* const resumption = new TokenReturn(*attempt_, std::move(callback));
  Lane& lane = *attempt_->lane;
  if (attempt_->deferred()) return lane.take_again(*resumption);
  attempt_->share();
  lane.carry_on(*resumption);
}

void Lane::carry_on(Resumption& resumption) noexcept {
  enter();  // until it has gone on
  enter();  // until this thread has left: it may have gone on, and the lane be idle, before
  if (resumption.attempt != nullptr) resumption.attempt->hold();
  resumptions_.push(resumption);
  workers_->notify();
  leave();
}

void Lane::take_again(Resumption& resumption) noexcept {
  enter();  // twice, as above
  enter();
  resumption.attempt->hold();
  if (resumption.attempt->await_return(resumption, resumptions_)) {
    slots_released();  // as admit_or_park()
  } else {
    resumptions_.push(resumption);
    workers_->notify();
  }
  leave();
}

void Lane::abandon(Resumption& resumption) noexcept {
  Attempt* const attempt = resumption.attempt;
  resumption.slot.release();
  resumption.abandon();
  let_go(attempt);
  leave();
}

/// A resumption is done with its attempt; null: it had none.
void Lane::let_go(Attempt* attempt) noexcept {
  if (attempt != nullptr && attempt->drop()) recycle(*attempt);
}

/// One thing that may go on without a permit, or with `permit`, or with one that is free.
/// @return whether there was one
bool Lane::resume_one(std::uint32_t worker, Attempt*& permit) noexcept {
  Resumption* resumption = resumptions_.pop();
  if (resumption == nullptr && resumptions_.wants_permit()) {
    if (permit == nullptr && (permit = attempts_.try_take()) == nullptr) return false;
    resumption = resumptions_.pop_for_permit();
    if (resumption != nullptr) {
      // The record that stood for the permit makes room for the one that had it before.
      if (resumption->attempt->end_rest(*resumption)) attempts_.put_aside(*std::exchange(permit, nullptr));
      resumption->slot.release();  // nothing, but where the attempt had them
    }
  }
  if (resumption == nullptr) return false;
  // The worker that was woken for it may have been woken for a task, too.
  if (resumptions_.any() || anything_queued()) workers_->notify();
  Attempt* const attempt = resumption->attempt;
  if (attempt != nullptr)
    attempt->shard.store(worker, std::memory_order_relaxed);  // relaxed: its own, or a figure
  {
    const RunningScope scope(attempt == nullptr ? &no_task_ : attempt);
    resumption->resume();
  }
  let_go(attempt);  // only now: what runs in the scope is no other use of the record
  leave();
  return true;
}

void Lane::carry_on_rest() noexcept {
  while (Resumption* const resumption = resumptions_.pop()) {
    Attempt* const attempt = resumption->attempt;
    resumption->resume();
    let_go(attempt);
    leave();
  }
}

bool Lane::defer(Attempt& attempt) noexcept {
  if ((closed_.load(std::memory_order_relaxed) & kClosed) != 0)
    return false;  // relaxed: who misses it is told to end, see below
  if (!attempt.listener->may_defer(attempt)) return false;
  Attempt* const substitute = attempts_.try_substitute();
  if (substitute == nullptr) return false;
  if (attempt.begin_rest()) enter();  // until it is recycled: stop() finds it neither active nor gone
  attempt.slot.release();
  attempts_.give_back(*substitute);
  if (anything_queued() || resumptions_.wants_permit()) workers_->notify();  // as in recycle()
  return true;
}

void Lane::interrupt_deferred() noexcept {
  if (attempts_.deferred() == 0) return;
  attempts_.for_each([](Attempt& attempt) { attempt.interrupt(); });
}

}  // namespace leat
