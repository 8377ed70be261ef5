// The run permits of a lane: which attempt records are free, and which stand for the permits of deferred
// attempts.
#include <bit>

#include "attempt.h"

namespace leat {

AttemptPool::AttemptPool(Lane& lane, AttemptListener& listener, std::uint32_t count)
    : lane_(lane),
      listener_(listener),
      count_(count),
      attempts_(std::make_unique<Attempt[]>(count)),
      top_(0) {
  for (std::uint32_t i = 0; i < count; ++i) {
    prepare(attempts_[i], i);
    // relaxed: not shared yet.
    attempts_[i].next_free.store(i + 1 < count ? i + 1 : kNone, std::memory_order_relaxed);
  }
}

void AttemptPool::prepare(Attempt& attempt, std::uint32_t index) const noexcept {
  attempt.lane = &lane_;
  attempt.listener = &listener_;
  attempt.index = index;
  attempt.end_message.attempt = &attempt;
  attempt.overdue_message = {PipelineMessage::Kind::AttemptOverdue, nullptr, &attempt};
}

Attempt& AttemptPool::at(std::uint32_t index) const noexcept {
  if (index < count_) [[likely]]
    return attempts_[index];
  const std::uint32_t further = index - count_;
  const auto chunk = static_cast<std::uint32_t>(std::bit_width(further / kFirstChunk + 1) - 1);
  return chunks_[chunk][further - kFirstChunk * ((1U << chunk) - 1)];
}

void AttemptPool::set_board(std::span<BoardLine> lines, ClaimLines claim) noexcept {
  for (std::size_t i = 0; i < lines.size(); ++i) attempts_[i].line = &lines[i];
  claim_lines_ = std::move(claim);
}

/// Makes records that are aside; none where there are as many as there may be.
void AttemptPool::grow() {
  const std::uint32_t chunk =
      chunks_made_.load(std::memory_order_relaxed);  // relaxed: written under the mutex
  if (chunk == kChunks) return;
  const std::uint32_t size = kFirstChunk << chunk;
  chunks_[chunk] = std::make_unique<Attempt[]>(size);
  const std::span<BoardLine> lines = claim_lines_ ? claim_lines_(size) : std::span<BoardLine>();
  for (std::uint32_t i = size; i-- > 0;) {
    Attempt& attempt = chunks_[chunk][i];
    prepare(attempt, count_ + kFirstChunk * ((1U << chunk) - 1) + i);
    if (i < lines.size()) attempt.line = &lines[i];
    aside_.push_back(&attempt);
  }
  // (14) release: publishes the records; pairs with (13), and with the exchange (7) to who takes one.
  chunks_made_.store(chunk + 1, std::memory_order_release);
}

Attempt* AttemptPool::try_substitute() noexcept {
  MutexLock lock(aside_mutex_);
  if (aside_.empty()) grow();
  if (aside_.empty()) return nullptr;
  Attempt* const attempt = aside_.back();
  aside_.pop_back();
  deferred_.fetch_add(1, std::memory_order_relaxed);  // relaxed: a figure
  return attempt;
}

void AttemptPool::put_aside(Attempt& attempt) noexcept {
  MutexLock lock(aside_mutex_);
  aside_.push_back(&attempt);
  deferred_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: a figure
}

Attempt* AttemptPool::try_take() noexcept {
  // (6) acquire: sees the record as give_back (7) left it.
  std::uint64_t top = top_.load(std::memory_order_acquire);
  for (;;) {
    const auto index = static_cast<std::uint32_t>(top);
    if (index == kNone) return nullptr;
    Attempt& attempt = at(index);
    // relaxed: a stale successor is refused by the tag in the exchange.
    const std::uint64_t next = attempt.next_free.load(std::memory_order_relaxed);
    const std::uint64_t tag = (top >> 32) + 1;
    if (top_.compare_exchange_weak(top, tag << 32 | next, std::memory_order_acq_rel,
                                   std::memory_order_acquire)) {
      // (9) seq_cst: before the look at closed_ (6 in lane.cpp); pairs with (11).
      active_.fetch_add(1, std::memory_order_seq_cst);
      return &attempt;
    }
  }
}

void AttemptPool::give_back(Attempt& attempt) noexcept {
  // (10) release: who sees 0 (11) sees all that the attempts did.
  active_.fetch_sub(1, std::memory_order_release);
  std::uint64_t top = top_.load(std::memory_order_relaxed);
  std::uint64_t next;
  do {
    // relaxed: published by (7).
    attempt.next_free.store(static_cast<std::uint32_t>(top), std::memory_order_relaxed);
    next = ((top >> 32) + 1) << 32 | attempt.index;
    // (7) seq_cst: hands the record to try_take (6); and stands before the look at the queue's depth, so
    // that a worker which went to sleep for want of a permit is not forgotten, see Lane::recycle().
  } while (!top_.compare_exchange_weak(top, next, std::memory_order_seq_cst, std::memory_order_relaxed));
}

bool AttemptPool::any_free() const noexcept {
  // (12) seq_cst: part of a worker's last look before it sleeps; pairs with (7).
  return static_cast<std::uint32_t>(top_.load(std::memory_order_seq_cst)) != kNone;
}

std::uint32_t AttemptPool::active() const noexcept {
  // (11) seq_cst: after closed_ was set (7 in lane.cpp); pairs with (9), and as an acquire with (10).
  return active_.load(std::memory_order_seq_cst);
}

}  // namespace leat
