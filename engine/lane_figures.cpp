// What a lane tells of itself: metrics, the audit of its slots and permits, what the watchdog looks at.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "lane.h"

namespace leat {

std::uint64_t Lane::executed() const noexcept {
  std::uint64_t sum = 0;
  // relaxed: an attempt is counted before its slot is given back, so who sees no slot taken sees its count.
  for (std::uint32_t i = 0; i <= shared_shard_; ++i)
    sum += shards_[i].executed.load(std::memory_order_relaxed);
  return sum;
}

ExecutorMetrics Lane::metrics() const {
  const Lane* const self = this;
  return metrics_of({&self, 1});
}

ExecutorMetrics Lane::metrics_of(std::span<const Lane* const> lanes) {
  ExecutorMetrics sum;
  Histogram::Sum queue_wait, run_time;
  for (const Lane* const lane : lanes) lane->add_metrics(sum, queue_wait, run_time);
  sum.queue_wait = queue_wait.summary();
  sum.run_time = run_time.summary();
  return sum;
}

std::uint64_t Lane::queued() const noexcept {
  auto sum = static_cast<std::uint64_t>(std::max<std::int64_t>(0, depth())) + ranked_.count();
  for (const auto& worker : worker_states_) sum += worker->hand.size();
  return sum;
}

void Lane::add_metrics(ExecutorMetrics& sum, Histogram::Sum& queue_wait, Histogram::Sum& run_time) const {
  std::uint64_t journalled = 0;
  // relaxed, here and below: a snapshot never stops the workers; its counts may be a few tasks apart.
  // Committed before journalled, so that their difference is not below 0.
  const std::uint64_t committed = committed_ends_.load(std::memory_order_relaxed);
  for (std::uint32_t i = 0; i <= shared_shard_; ++i) {
    const Shard& shard = shards_[i];
    sum.total_executed += shard.executed.load(std::memory_order_relaxed);
    for (std::size_t kind = 0; kind < TaskError::kClasses; ++kind) {
      const std::uint64_t failed = shard.failed[kind].load(std::memory_order_relaxed);
      sum.total_failed += failed;
      sum.failed_by_class[kind] += failed;
    }
    sum.total_retried += shard.retried.load(std::memory_order_relaxed);
    sum.total_late += shard.late.load(std::memory_order_relaxed);
    sum.total_dropped += shard.dropped.load(std::memory_order_relaxed);
    journalled += shard.journalled.load(std::memory_order_relaxed);
    queue_wait.add(shard.queue_wait);
    run_time.add(shard.run_time);
  }
  sum.active_tasks += attempts_.active();
  sum.queued_tasks += queued();
  sum.parked_tasks += lot_.count();
  sum.completing_tasks += journalled - std::min(journalled, committed);
  sum.max_concurrent += limits_.max_concurrent;
  sum.max_queued += limits_.max_queued;
  sum.threads += workers_ == nullptr ? 0 : shared_shard_;
  sum.arenas_refused += limits_.backend == Backend::Arena && backend() != Backend::Arena ? 1 : 0;
  sum.total_rejected += rejected_.load(std::memory_order_relaxed);
  sum.stuck_tasks += stuck_.load(std::memory_order_relaxed);
  sum.stalled_lanes += stalled_.load(std::memory_order_relaxed) ? 1 : 0;
  const auto age = [](std::int64_t now, std::int64_t since) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, now - since));
  };
  const std::int64_t ready_since = ready_since_ns_.load(std::memory_order_relaxed);
  if (ready_since != kNothingWaits)
    sum.oldest_ready_ns = std::max(sum.oldest_ready_ns, age(clock_.steady_ns(), ready_since));
  sum.deferred_tasks += attempts_.deferred();
  if (attempts_.active() == 0 && attempts_.deferred() == 0) return;
  const std::int64_t now = clock_.stopwatch_ns();
  attempts_.for_each([&](const Attempt& attempt) {
    if (const auto since = attempt.running_since_ns())
      sum.oldest_running_ns = std::max(sum.oldest_running_ns, age(now, *since));
  });
}

SlotAudit Lane::audit() const {
  SlotAudit audit{.key = key_, .slots_taken = capacity_.admitted(), .permits_taken = attempts_.active()};
  attempts_.for_each([&](const Attempt& attempt) {
    if (attempt.running_since_ns())
      (attempt.deferred() ? audit.deferred : audit.holders).push_back(describe(attempt));
  });
  audit.permits_found = audit.holders.size();
  audit.slots_found = queued() + audit.holders.size() + owed() + resumptions_.for_permit();
  return audit;
}

std::string Lane::describe(const Attempt& attempt) const {
  // relaxed, twice: written before the caller learnt of the attempt, or when it was carried on.
  const std::int64_t ran_ns = clock_.stopwatch_ns() - attempt.started_ns.load(std::memory_order_relaxed);
  return fmt::format("task '{}', attempt {}, begun {:.1f} s ago by thread '{}' of executor '{}'",
                     std::string_view(attempt.task.event.task_namespace), attempt.task.event.attempt,
                     static_cast<double>(ran_ns) / 1e9,
                     thread_name(attempt.shard.load(std::memory_order_relaxed)), key_);
}

Lane::Flow Lane::flow() const noexcept {
  Flow flow{.left =
                unparked_.load(std::memory_order_relaxed)};  // relaxed, here and below: figures to compare
  for (std::uint32_t i = 0; i <= shared_shard_; ++i) {
    const Shard& shard = shards_[i];
    flow.left += shard.executed.load(std::memory_order_relaxed) +
                 shard.dropped.load(std::memory_order_relaxed) + shard.held.load(std::memory_order_relaxed);
  }
  const std::uint64_t queued_now = queued(), parked_now = lot_.count();
  flow.waiting = queued_now + parked_now;
  if (flow.waiting == 0) return flow;
  if (attempts_.active() > 0 || attempts_.deferred() > 0) {
    attempts_.for_each(
        [&](const Attempt& attempt) { flow.left += attempt.phase() == Attempt::Phase::Running ? 1 : 0; });
  }
  flow.could_begin =
      closed_.load(std::memory_order_relaxed) == 0 && (rate() == nullptr || rate()->has_token()) &&
      ((queued_now > 0 && attempts_.any_free()) || (parked_now > 0 && has_slots() && !braked()));
  return flow;
}

void Lane::note(std::optional<std::int64_t> ready_since_ns, bool stalled) noexcept {
  // relaxed, twice: figures for metrics.
  ready_since_ns_.store(ready_since_ns.value_or(kNothingWaits), std::memory_order_relaxed);
  stalled_.store(stalled, std::memory_order_relaxed);
}

}  // namespace leat
