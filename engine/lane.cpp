#include "lane.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <iterator>
#include <thread>
#include <utility>

#include "check.h"
#include "cpu_relax.h"

namespace leat {
namespace {

std::size_t thread_number() noexcept {
  thread_local const std::size_t number = std::hash<std::thread::id>{}(std::this_thread::get_id());
  return number;
}

// As which worker the thread is in run_some(). Not the attempt's shard: where a token's callback comes while
// start() still runs, two threads run one attempt.
thread_local std::uint32_t own_number = 0;

/// An event may come from a caller who got it from a pipeline: here it belongs to none.
TaskReadyEvent alone(TaskReadyEvent event) noexcept {
  event.origin = nullptr;
  event.task_number = 0;
  event.adopts = false;
  return event;
}

/// Makes queued tasks while the queue copies them in, so that a bulk needs no buffer.
template <class MakeTask>
struct MakingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = QueuedTask;
  using difference_type = std::ptrdiff_t;
  using pointer = void;
  using reference = QueuedTask;
  const MakeTask* make;
  std::size_t index;
  QueuedTask operator*() const noexcept { return (*make)(index); }
  MakingIterator& operator++() noexcept {
    ++index;
    return *this;
  }
  MakingIterator operator++(int) noexcept { return {make, index++}; }
};

}  // namespace

Lane::Lane(std::string key, std::shared_ptr<TaskExecutor> executor, ExecutorLimits limits,
           std::uint32_t workers, std::uint32_t journal_key, Clock& clock, AttemptListener& listener,
           PauseGate& gate)
    : key_(std::move(key)),
      executors_{std::move(executor)},
      executor_(executors_.back().get()),
      limits_(std::move(limits)),
      journal_key_(journal_key),
      clock_(clock),
      listener_(listener),
      gate_(gate),
      capacity_(std::uint64_t{limits_.max_concurrent} + limits_.max_queued, *this),
      attempts_(*this, listener, limits_.max_concurrent),
      lot_(limits_.aging),
      shards_(std::make_unique<Shard[]>(workers + 1)),
      shared_shard_(workers),
      brakes_(executors_.back()->brakes()) {
  for (std::size_t i = 0; i < kProducers; ++i) producers_.push_back(std::make_unique<Producer>(queue_));
  worker_states_.reserve(workers);
  for (std::uint32_t i = 0; i < workers; ++i) worker_states_.push_back(std::make_unique<Worker>(queue_));
}

Lane::~Lane() = default;

void Lane::set_board(std::span<BoardLine> lines, ClaimLines claim) noexcept {
  attempts_.set_board(lines, std::move(claim));
}

template <class MakeTask>
void Lane::push(std::size_t count, const MakeTask& make_task) noexcept {
  // A token keeps the blocks that went through it: threads share one until two of them want it at once.
  const std::size_t spread = spread_.load(std::memory_order_relaxed);  // relaxed, twice: any value will do
  std::size_t i = thread_number() % spread;
  // (1) acquire: takes over the token's state from whoever released it (2).
  while (producers_[i]->busy.exchange(true, std::memory_order_acquire)) {
    if (spread < kProducers) spread_.store(spread + 1, std::memory_order_relaxed);
    i = (i + 1) % kProducers;
  }
  const bool stored =
      queue_.enqueue_bulk(producers_[i]->token, MakingIterator<MakeTask>{&make_task, 0}, count);
  // Only out of memory: slots bound what is needed.
  LEAT_CHECK(stored);
  // (3) seq_cst: the tasks are visible before notify() looks for sleepers; pairs with (4), the
  // sleeper's last look.
  producers_[i]->pushed.fetch_add(count, std::memory_order_seq_cst);
  producers_[i]->busy.store(false, std::memory_order_release);  // (2) release: pairs with (1)
  workers_->notify();
}

/// To the queue, or to those that go by their rank.
void Lane::push_one(const QueuedTask& task) noexcept {
  if (task.event.priority == Priority::Normal) {
    return push(1, [&](std::size_t) { return task; });
  }
  ranked_.push(task);
  workers_->notify();
}

/// A task that the end of a worker's own one has released stays in its hand where nothing waits ahead of it:
/// it costs neither queue nor wake, for the worker comes by next. Others may steal it.
bool Lane::keep(const QueuedTask& task) noexcept {
  const Attempt* const last = running_attempt();
  if (last == nullptr || last->lane != this || !last->is_coming_back()) return false;
  if (task.event.priority != Priority::Normal || ranked_.any() || depth() > 0) return false;
  return worker_states_[own_number]->hand.refill([&task](QueuedTask* cells, std::size_t) {
    *cells = task;
    return std::size_t{1};
  }) > 0;
}

std::size_t Lane::offer(std::span<const TaskReadyEvent> events) noexcept {
  std::size_t taken = 0;
  const std::size_t welcome = gate_.closed() ? welcome_at_gate(events) : events.size();
  if (!slots_awaited() && !braked()) {  // nobody overtakes a parked task
    Slots slots = take_slots(welcome);
    taken = slots.count();
    if (taken > 0) {
      const std::int64_t now = clock_.stopwatch_ns();
      if (events.front().priority == Priority::Normal) {
        push(taken, [&](std::size_t i) { return QueuedTask{alone(events[i]), now}; });
      } else {
        for (const TaskReadyEvent& event : events.first(taken)) push_one({alone(event), now});
      }
      slots.detach();
    }
  }
  if (taken < events.size()) count_refusal();
  return taken;
}

Slots Lane::reserve() noexcept {
  if (slots_awaited() || braked()) return {};
  return take_slots(1);
}

/// @return as many as are free
Slots Lane::take_slots(std::size_t wanted) noexcept {
  Slots slots(capacity_, wanted);
  if (slots.count() < wanted && collect_owed()) slots.merge(Slots(capacity_, wanted - slots.count()));
  return slots;
}

/// Gives back what the workers owe. @return whether it was anything
bool Lane::collect_owed() noexcept {
  std::size_t count = 0;
  for (const auto& worker : worker_states_) {
    // (13) seq_cst: after a parked task was counted (3 in parking_lot.h); pairs with (12): either the slot is
    // found here, or its worker finds the task. As an acquire with (12): what the tasks did goes before.
    count += worker->owed.exchange(0, std::memory_order_seq_cst);
  }
  if (count > 0) capacity_.release(count);
  return count > 0;
}

std::uint64_t Lane::owed() const noexcept {
  std::uint64_t sum = 0;
  // relaxed: a count to look at.
  for (const auto& worker : worker_states_) sum += worker->owed.load(std::memory_order_relaxed);
  return sum;
}

/// The attempt has ended on its worker: its slot will be given back with those of its neighbours.
void Lane::owe(Attempt& attempt, Worker& worker) noexcept {
  attempt.slot.detach();
  // (12) seq_cst: before the look at the parked count (4 in parking_lot.h); pairs with (13).
  const std::uint32_t owed = worker.owed.fetch_add(1, std::memory_order_seq_cst) + 1;
  if (owed >= Hand::kSize || slots_awaited()) collect_owed();
}

void Lane::admit_or_park(const TaskReadyEvent& event, Slots slot) noexcept {
  const QueuedTask task{event, clock_.stopwatch_ns()};
  // Routed anew: the old slot goes back.
  if (slot.count() == 0 || !slot.belongs_to(capacity_)) {
    // relaxed: whoever brings another executor looks at the lot afterwards. A brake is asked by a worker.
    slot = brakes_.load(std::memory_order_relaxed) ? Slots() : reserve();
  }
  if (slot.count() == 1) {
    if (!keep(task)) push_one(task);
    slot.detach();
    return;
  }
  lot_.push(task);
  slots_released();  // once more: a slot may have come back before the task was counted as parked
}

void Lane::slots_released() noexcept {
  while (resumptions_.wants_slot()) {  // before the lot, and whatever the executor says
    Slots slot(capacity_, 1);
    if (slot.count() == 0 && !collect_owed()) return;
    if (slot.count() == 0) continue;
    resumptions_.give_slot(std::move(slot));
    workers_->notify();
  }
  if (lot_.count() == 0 || (closed_.load(std::memory_order_relaxed) & kClosed) != 0)
    return;                                                            // relaxed: see braked()
  brakes_.load(std::memory_order_relaxed) ? look_soon() : hand_out();  // relaxed: as above
}

void Lane::look_soon() noexcept {
  // (21) acq_rel: before a look that is due: it sees the parked task; pairs with (22).
  if (!look_.due.exchange(true, std::memory_order_acq_rel)) carry_on(look_);
}

void Lane::Look::resume() noexcept {
  due.exchange(false, std::memory_order_acq_rel);  // (22) before the look; pairs with (21)
  lane_.hand_out();
}

/// Gives free slots to parked tasks, in turn, while the executor says yes.
void Lane::hand_out() noexcept {
  while (lot_.count() > 0 && !braked()) {
    Slots slot;
    const std::optional<ParkedTask> task = lot_.pop(capacity_, slot);
    if (!task) {
      if (!collect_owed()) return;
      continue;
    }
    const std::optional<QueuedTask> queued = unpack(*task);
    if (!queued) continue;  // the lane is being closed
    push_one(*queued);
    slot.detach();
  }
}

bool Lane::has_capacity() const noexcept {
  return has_slots() && !slots_awaited() && !braked();
}

/// Tasks in the queue. Too low for a moment where a pop is counted before its push: then that push's producer
/// has yet to notify.
std::int64_t Lane::depth() const noexcept {
  std::uint64_t popped = 0, pushed = 0;
  // (5) acquire: pairs with (14). The pops first, so that none is counted whose push was not yet looked at.
  for (const auto& worker : worker_states_) popped += worker->popped.load(std::memory_order_acquire);
  // (4) seq_cst: pairs with (3).
  for (const auto& producer : producers_) pushed += producer->pushed.load(std::memory_order_seq_cst);
  return static_cast<std::int64_t>(pushed - popped);
}

/// Whether a task waits in the queue or in a worker's hand.
bool Lane::anything_queued() const noexcept {
  // The queue first: from there tasks go to a hand, and are in the hand before their pop is counted.
  if (depth() > 0 || ranked_.any()) return true;
  return std::ranges::any_of(worker_states_, [](const auto& worker) { return !worker->hand.empty(); });
}

bool Lane::has_work() const noexcept {
  if (resumptions_.ready()) return true;
  if (!attempts_.any_free()) return false;
  return resumptions_.wants_permit() ||
         // (17) seq_cst: a last look; pairs with (18)
         (closed_.load(std::memory_order_seq_cst) == 0 && anything_queued() &&
          (rate() == nullptr || rate()->ready()));
}

void Lane::close() noexcept {
  // (7) seq_cst: before the look at active(); pairs with (6).
  closed_.fetch_or(kClosed, std::memory_order_seq_cst);
}

void Lane::resume(std::shared_ptr<TaskExecutor> executor) {
  executors_.push_back(std::move(executor));
  executor_.store(executors_.back().get(), std::memory_order_release);  // (16) release: pairs with (15)
  brakes_.store(executors_.back()->brakes(),
                std::memory_order_relaxed);  // relaxed: before the lane is open (18)
  // (18) seq_cst: before the looks at the lot and for sleepers; pairs with (17), and with (3) in
  // parking_lot.h.
  closed_.fetch_and(static_cast<std::uint8_t>(~kClosed), std::memory_order_seq_cst);
  slots_released();
  if (workers_ != nullptr && anything_queued()) workers_->notify();
}

void Lane::set_paused(bool paused) noexcept {
  if (paused)
    return static_cast<void>(closed_.fetch_or(kPaused, std::memory_order_seq_cst));   // (7) as close()
  closed_.fetch_and(static_cast<std::uint8_t>(~kPaused), std::memory_order_seq_cst);  // (18) as resume()
  if (workers_ != nullptr && anything_queued()) workers_->notify();
}

/// Tasks that nobody else keeps wait at the gate without slots, so they are bounded here: as many as may be
/// queued, and what was queued by then. @return how many may come, in order
std::size_t Lane::welcome_at_gate(std::span<const TaskReadyEvent> events) const {
  // relaxed: a bound; who is held meanwhile is found at the next offer.
  if (held_alone_.load(std::memory_order_relaxed) < limits_.max_queued) return events.size();
  const auto paused = std::ranges::find_if(
      events, [this](const TaskReadyEvent& event) { return gate_.matches(event.task_namespace); });
  return static_cast<std::size_t>(paused - events.begin());
}

/// Leaves the task to the gate where its namespace is paused. Its slot goes back: others may run.
bool Lane::held_at_gate(std::uint32_t worker, const QueuedTask& task) noexcept {
  if (!gate_.hold(task, held_alone_)) return false;
  // relaxed: a count for the watchdog; only this worker writes its shard.
  shards_[worker].held.fetch_add(1, std::memory_order_relaxed);
  if (RateLimiter* const rate = this->rate()) rate->give_back();
  capacity_.release(1);
  return true;
}

std::size_t Lane::run_some(std::uint32_t worker, std::size_t budget) noexcept {
  Worker& own = *worker_states_[worker];
  Attempt* attempt = nullptr;
  std::size_t begun = 0;
  const std::uint32_t outer = std::exchange(own_number, worker);  // oneTBB may run this inside a task
  own.now_ns = 0;
  own.gathers = false;
  while (begun < budget) {
    if (resumptions_.any() && resume_one(worker, attempt)) [[unlikely]] {
      ++begun;
      if (resumptions_.wants_permit()) continue;  // deferred tasks come back before queued ones begin
    }
    if (attempt == nullptr && (attempt = attempts_.try_take()) == nullptr) break;
    // (6) seq_cst: after the permit was taken, which counts as active (9 in attempt_pool.cpp); pairs with (7):
    // either a stop sees that something is active, or nothing begins.
    if (closed_.load(std::memory_order_seq_cst) != 0) break;
    RateLimiter* const rate = this->rate();
    if (rate == nullptr ? !next(worker, attempt->task) : !next_in_rate(*rate, worker, attempt->task)) break;
    if (gate_.closed() && held_at_gate(worker, attempt->task)) [[unlikely]]
      continue;
    ++begun;
    attempt = run(*attempt, worker);
  }
  // relaxed: this worker's own; who takes them meanwhile gives them back himself.
  if (own.owed.load(std::memory_order_relaxed) > 0) collect_owed();
  // No ring: this thread looks once more.
  if (attempt != nullptr) attempts_.give_back(*attempt);
  own_number = outer;
  return begun;
}

/// Fills a worker's empty hand from the queue. @return with how many
std::size_t Lane::refill(Worker& own) noexcept {
  if (own.gathers && own.now_ns - own.refilled_ns < kGatherNs) {
    for (int i = 0; i < kGatherPauses; ++i) cpu_relax();
  }
  own.refilled_ns = own.now_ns;
  bool full = false;
  const std::size_t count = own.hand.refill([&](QueuedTask* cells, std::size_t room) {
    const std::size_t taken = queue_.try_dequeue_bulk(own.token, cells, room);
    full = taken == room;
    return taken;
  });
  own.gathers = count > 0 && count < kFew;
  if (count == 0) return 0;
  // (14) release: after the tasks are in the hand (3 in hand.h); pairs with (5).
  own.popped.store(own.popped.load(std::memory_order_relaxed) + count, std::memory_order_release);
  // A bulk rings once: who takes more than one task, or leaves some behind, passes it on.
  if (count > 1 || full) workers_->notify();
  return count;
}

/// A task of another level than Normal, where none of the worker's normal ones goes before it.
bool Lane::next_by_rank(Worker& own, QueuedTask& task) noexcept {
  if (own.hand.front() == nullptr) refill(own);
  const QueuedTask* const normal = own.hand.front();
  const std::int64_t aging = limits_.aging.count();
  const bool taken = ranked_.pop(normal == nullptr ? INT64_MAX : rank_of(*normal, aging), aging, task);
  // Likewise: what is taken next leaves something behind, here or there.
  if (!taken || normal != nullptr || ranked_.count() > 0) workers_->notify();
  return taken;
}

/// The next task for a worker: from its hand, from the queue, or from another's hand.
bool Lane::next(std::uint32_t worker, QueuedTask& task) noexcept {
  Worker& own = *worker_states_[worker];
  if (ranked_.count() > 0 && next_by_rank(own, task)) [[unlikely]]
    return true;
  do {
    if (own.hand.take(task)) return true;
  } while (refill(own) > 0);
  for (std::size_t i = 1; i < worker_states_.size(); ++i) {
    if (!worker_states_[(worker + i) % worker_states_.size()]->hand.steal(task)) continue;
    if (anything_queued()) workers_->notify();  // likewise
    return true;
  }
  return false;
}

/// next(), where a token is there for it.
bool Lane::next_in_rate(RateLimiter& rate, std::uint32_t worker, QueuedTask& task) {
  if (!anything_queued() || !rate.try_take()) return false;
  if (!next(worker, task)) {
    rate.give_back();
    return false;
  }
  if (anything_queued()) workers_->notify();  // there may be more tokens, and the task may take long
  return true;
}

void Lane::rate_allows() noexcept {
  if (workers_ != nullptr && anything_queued()) workers_->notify();
}

/// Runs one task. @return the record where it is free again, null where the attempt goes on elsewhere
Attempt* Lane::run(Attempt& attempt, std::uint32_t worker) noexcept {
  Worker& own = *worker_states_[worker];
  if (own.now_ns == 0) own.now_ns = clock_.stopwatch_ns();
  shards_[worker].queue_wait.record(own.now_ns - attempt.task.admitted_ns);
  attempt.slot = Slots::adopt(capacity_, 1);
  attempt.shard.store(worker, std::memory_order_relaxed);  // relaxed: its own, or a figure
  attempt.open(std::exchange(own.now_ns, 0));
  {
    RunningScope scope(&attempt);
    execute(attempt);
  }
  if (!attempt.settled_inline()) {
    if (!attempt.drop()) return nullptr;
    if (attempt.once_deferred()) {
      recycle(attempt);
      return nullptr;
    }
  }
  owe(attempt, own);
  return &attempt;
}

void Lane::execute(Attempt& attempt) noexcept {
  if (!attempt.listener->begin(attempt)) return attempt.complete_unbegun();  // its pipeline counts it
  try {
    if (attempt.task.event.adopts) [[unlikely]] {
      attempt.adopt(executor());
    } else {
      executor().start(attempt.task.event, attempt.token());
    }
  } catch (const std::exception& error) {
    attempt.complete_thrown(error.what(), TaskError::Class::Task);
  } catch (...) {
    attempt.complete_thrown("the task threw something that is not a std::exception",
                            TaskError::Class::Unknown);
  }
}

void Lane::recycle(Attempt& attempt) noexcept {
  attempt.slot.release();
  const bool visits = attempt.once_deferred();
  if (attempt.forget_rest()) {
    attempts_.put_aside(attempt);  // its permit has another
  } else {
    attempts_.give_back(attempt);
  }
  // After the permit is back, so that a worker that slept for want of one is woken; and for each, since a
  // worker that wakes may find a task in its own hand and pass nothing on.
  if (anything_queued() || resumptions_.wants_permit()) workers_->notify();
  if (visits) leave();  // as the last thing, see defer()
}

void Lane::count(const Attempt& attempt, Outcome outcome, bool journalled, TaskError::Class error) noexcept {
  const bool own = running_attempt() == &attempt;
  Shard& shard = shards_[own ? own_number : shared_shard_];
  const std::int64_t now = clock_.stopwatch_ns();
  const std::int64_t ran = now - attempt.started_ns.load(std::memory_order_relaxed);  // relaxed: its own
  if (own) worker_states_[own_number]->now_ns = now;
  const auto add = [own](std::atomic<std::uint64_t>& counter) {
    // relaxed: counts alone. The own shard has one writer, so it needs no locked instruction.
    if (own) {
      counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    } else {
      counter.fetch_add(1, std::memory_order_relaxed);
    }
  };
  if (outcome == Outcome::Late) return add(shard.late);
  if (outcome == Outcome::Dropped) return add(shard.dropped);
  if (outcome == Outcome::Held) return add(shard.held);
  add(shard.executed);
  if (outcome == Outcome::Failed) add(shard.failed[static_cast<std::size_t>(error)]);
  if (outcome == Outcome::Retried) add(shard.retried);
  if (journalled) add(shard.journalled);
  if (own) {
    shard.run_time.record(ran);
  } else {
    shard.run_time.record_shared(ran);
  }
}

}  // namespace leat
