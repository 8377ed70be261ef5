// A lane: everything between the dispatcher and the tasks of one executor key. Admission, queue, run
// permits, execution and counts; it knows nothing of pipelines, journals or rules.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <concurrentqueue.h>

#include "attempt.h"
#include "capacity.h"
#include "hand.h"
#include "histogram.h"
#include "leat/clock.h"
#include "leat/executor.h"
#include "leat/metrics.h"
#include "parking_lot.h"
#include "pause_gate.h"
#include "queued_task.h"
#include "ranked_queue.h"
#include "rate_limiter.h"
#include "resumption.h"
#include "workers.h"

namespace leat {

/// Thread-safety: any number of threads, but for run_some(w): one at a time for each worker number.
/// Invariants:
///   1. Slots admitted = tasks in the queue + attempts that hold a slot + deferred ones that have just got
///      one again. A task in the queue owns one.
///   2. Pushes and pops are counted afterwards, each where its thread counts alone, so that producers and
///      workers share no line for it; a push's add is the "work is visible" of WakeGate. So is that of
///      ranked_.
///   3. A task is parked only while no slot is free or the executor brakes; whoever frees one
///      looks at the lot.
///      Deferred attempts that want theirs again go before the lot, see resumption.h.
///   4. A worker collects the slots of what it ran and gives them back in one piece: when a task is parked,
///      when its hand is empty, or when somebody who needs one takes them from it. Until then they are owed.
class Lane final : public SlotListener {
 public:
  /// @param limits   max_concurrent already resolved, from 1
  /// @param workers  how many worker numbers run_some() will be called with
  /// @param gate     takes the tasks whose namespaces are paused
  Lane(std::string key, std::shared_ptr<TaskExecutor> executor, ExecutorLimits limits, std::uint32_t workers,
       std::uint32_t journal_key, Clock& clock, AttemptListener& listener, PauseGate& gate);
  ~Lane();

  const std::string& key() const noexcept { return key_; }
  const ExecutorLimits& limits() const noexcept { return limits_; }
  TaskExecutor& executor() const noexcept {
    return *executor_.load(std::memory_order_acquire);  // (15) acquire: pairs with (16) in resume()
  }

  /// The key's number in the journal; 0: nothing is remembered.
  std::uint32_t journal_key() const noexcept { return journal_key_; }

  /// Gives each attempt its line. @pre one for each; before anything runs
  /// @param claim  for further records
  void set_board(std::span<BoardLine> lines, ClaimLines claim) noexcept;

  // --- the dispatcher's side ---

  /// Admits events in order until one is refused. @return how many were taken
  std::size_t offer(std::span<const TaskReadyEvent> events) noexcept;
  /// Admits the task, or parks it until a slot is free; `slot` may hold the slot already.
  void admit_or_park(const TaskReadyEvent& event, Slots slot) noexcept;
  /// Takes one slot for a task that will come later. @return an empty token where none is free
  Slots reserve() noexcept;
  /// A caller was told NoCapacity.
  void count_refusal() noexcept { rejected_.fetch_add(1, std::memory_order_relaxed); }  // relaxed: a count
  bool has_capacity() const noexcept;
  /// How many tasks it admits at most.
  std::uint64_t slots() const noexcept { return capacity_.limit(); }
  /// Whether a slot is free, whatever the executor says.
  bool has_slots() const noexcept { return capacity_.admitted() < capacity_.limit() || owed() > 0; }
  /// See ParkingLot::set_weight().
  void set_tenant_weight(std::string_view tenant, std::uint32_t weight) { lot_.set_weight(tenant, weight); }
  /// Takes the parked tasks out, in turn.
  std::vector<ParkedTask> unpark();
  /// @return  nothing: it was of a line from which none comes any more
  std::optional<QueuedTask> unpack(const ParkedTask& task) const noexcept;
  /// Parks tasks of a line, in one piece: until slots are free, as admit_or_park().
  void park(ParkedLine& line, std::uint32_t count, Priority priority, std::string_view tenant) noexcept;
  /// Slots came back, or the executor's own brake may be off: parked tasks get what is free.
  void slots_released() noexcept override;

  // --- the workers' side ---

  void set_workers(Workers& workers) noexcept { workers_ = &workers; }
  /// Runs up to `budget` tasks on this thread, which then looks at has_work() before it sleeps or leaves.
  /// @return how many it began
  std::size_t run_some(std::uint32_t worker, std::size_t budget) noexcept;
  /// Whether run_some() could begin a task now.
  bool has_work() const noexcept;
  /// From here on nothing is begun; what is queued stays, and what comes is parked.
  void close() noexcept;
  /// Has a worker call resume(): soon, and after close() as well. It needs neither slot nor permit.
  void carry_on(Resumption& resumption) noexcept;
  /// The attempt waits without its slot and permit: other tasks may have them.
  /// @return false: too much is deferred already, or the lane is closed; it keeps both
  bool defer(Attempt& attempt) noexcept;
  /// Has a worker call resume() once the deferred attempt has slot and permit again, which it gets before
  /// parked and queued tasks do; or at once, without them, where it is told to end.
  void take_again(Resumption& resumption) noexcept;
  /// It is told to end, and need not wait for them any more; nothing where it does not wait.
  /// @return the slot that it had got, to be given back
  [[nodiscard]] Slots hurry(Resumption& resumption) noexcept {
    Slots freed = resumptions_.hurry(resumption);
    workers_->notify();
    return freed;
  }
  /// Its attempt ends: takes it out of its line. @return false: it does not wait
  bool withdraw(Resumption& resumption) noexcept { return resumptions_.withdraw(resumption); }
  /// Lets it go. @pre withdraw() took it
  void abandon(Resumption& resumption) noexcept;
  /// Whether a worker is about to ask the executor for the parked tasks.
  bool looks_soon() const noexcept { return look_.due.load(std::memory_order_relaxed); }  // relaxed: a figure
  /// Deferred ones that have a slot again, and wait for a permit.
  std::size_t returning() const noexcept { return resumptions_.for_permit(); }
  /// Attempts that have given slot and permit back.
  std::size_t deferred() const noexcept { return attempts_.deferred(); }
  /// Ends what is deferred, because the Runner stops: see Attempt::interrupt().
  void interrupt_deferred() noexcept;
  /// Calls what no worker has called. @pre they are gone
  void carry_on_rest() noexcept;
  /// From here on tasks begin as the limiter allows. @pre it outlives all that runs
  void set_rate(RateLimiter& rate) noexcept {
    rate_.store(&rate, std::memory_order_release);  // (19) release: pairs with (20)
  }
  /// A token is there.
  void rate_allows() noexcept;
  /// Undoes close(), with another executor, or the same.
  void resume(std::shared_ptr<TaskExecutor> executor);
  /// From here on nothing is begun, or again; what comes is admitted all the same.
  void set_paused(bool paused) noexcept;
  bool closed() const noexcept { return (closed_.load(std::memory_order_relaxed) & kClosed) != 0; }
  bool paused() const noexcept { return (closed_.load(std::memory_order_relaxed) & kPaused) != 0; }

  // --- what an attempt needs ---

  void recycle(Attempt& attempt) noexcept;
  /// A thread that is none of the workers ends an attempt, or something is to go on: stop() waits until it
  /// has left the engine.
  // relaxed: it comes before active() falls (10 in attempt_pool.cpp).
  void enter() noexcept { visitors_.fetch_add(1, std::memory_order_relaxed); }
  // (8) release: the thread's last step; pairs with (9).
  void leave() noexcept { visitors_.fetch_sub(1, std::memory_order_release); }
  /// Nothing runs, and nobody is about to leave.
  bool quiet() const noexcept {
    return active() == 0 && visitors_.load(std::memory_order_acquire) == 0;  // (9) acquire: pairs with (8)
  }
  /// Held: it did not begin, because its pipeline is paused, and will come again.
  enum class Outcome { Completed, Failed, Retried, Late, Dropped, Held };
  /// Counts an attempt's end; `attempt` ran on the calling thread, or its shard is shared.
  /// @param journalled  the end goes to the journal, which counts committed_ends() when it is there
  /// @param error       of one that Failed
  void count(const Attempt& attempt, Outcome outcome, bool journalled = false,
             TaskError::Class error = TaskError::Class::Task) noexcept;
  /// Ends that have reached the store; written by the journal's committer alone.
  std::atomic<std::uint64_t>& committed_ends() noexcept { return committed_ends_; }
  /// Calls with each attempt record.
  template <class F>
  void for_each_attempt(const F& call) const {
    attempts_.for_each(call);
  }
  Clock& clock() const noexcept { return clock_; }
  /// Attempts that run now.
  std::size_t active() const noexcept { return attempts_.active(); }

  /// Attempts that ended, so far.
  std::uint64_t executed() const noexcept;
  /// Ready tasks that wait for a slot.
  std::size_t parked() const noexcept { return lot_.count(); }
  ExecutorMetrics metrics() const;
  /// Of several lanes taken together.
  static ExecutorMetrics metrics_of(std::span<const Lane* const> lanes);
  /// Adds what the lane counted to plain sums.
  void add_metrics(ExecutorMetrics& sum, Histogram::Sum& queue_wait, Histogram::Sum& run_time) const;

  /// Counts slots and permits anew. @pre as Runner::audit() says
  SlotAudit audit() const;
  /// One line on an attempt that is out: task, age, thread. @pre it stays out
  std::string describe(const Attempt& attempt) const;

  // --- what the watchdog looks at ---

  /// See ParkingLot::place_of().
  std::optional<std::size_t> place_in_lot(const TaskReadyEvent& event) const { return lot_.place_of(event); }
  /// Whether the rate allows a task to begin now.
  bool within_rate() const {
    const RateLimiter* const limiter = rate();
    return limiter == nullptr || limiter->has_token();
  }

  /// How far the lane has come; exact where nothing moves.
  struct Flow {
    std::uint64_t left = 0;  ///< tasks that came in and wait no more: begun, dropped, held, or sent elsewhere
    std::uint64_t waiting = 0;  ///< queued and parked
    bool could_begin = false;   ///< some wait, and a permit (or for parked ones: a slot) is free
  };
  Flow flow() const noexcept;
  /// The watchdog's findings, for metrics. @param ready_since_ns  steady clock; empty: nothing waits
  void note(std::optional<std::int64_t> ready_since_ns, bool stalled) noexcept;

  /// Attempts that are said to be stuck: one more, or one fewer.
  void count_stuck(int change) noexcept {
    stuck_.fetch_add(static_cast<std::uint32_t>(change), std::memory_order_relaxed);  // relaxed: a figure
  }
  /// Whose threads serve it, whatever was asked for. @pre start() has been called
  Backend backend() const noexcept { return workers_ == nullptr ? limits_.backend : workers_->backend(); }
  /// The name of a worker's thread.
  std::string thread_name(std::uint32_t worker) const { return workers_->thread_name(worker); }

  /// Tasks admitted and not yet given back.
  std::uint64_t in_flight() const noexcept {
    const std::uint64_t owed_before =
        owed();  // read first: what is given back in between counts once at most
    return capacity_.admitted() - std::min(owed_before, capacity_.admitted());
  }

 private:
  struct QueueTraits : moodycamel::ConcurrentQueueDefaultTraits {
    static constexpr std::size_t BLOCK_SIZE = 128;
  };
  using Queue = moodycamel::ConcurrentQueue<QueuedTask, QueueTraits>;

  // A producer token serves one thread at a time; a few of them serve any number, so that no thread leaves
  // an implicit producer behind in a queue that never frees memory. As few as do: each keeps what it has had.
  struct alignas(64) Producer {
    explicit Producer(Queue& queue) : token(queue) {}
    std::atomic<bool> busy{false};
    moodycamel::ProducerToken token;
    std::atomic<std::uint64_t> pushed{0};
  };
  struct alignas(64) Shard {  // written by one worker; the last one by every other thread
    // journalled: of executed, those whose end the journal is told; dropped: taken, and never to be begun;
    // held: taken, and put aside by a pause.
    std::atomic<std::uint64_t> executed{0}, retried{0}, late{0}, journalled{0}, dropped{0}, held{0};
    std::atomic<std::uint64_t> failed[TaskError::kClasses] = {};
    Histogram queue_wait, run_time;
  };
  struct Worker {
    explicit Worker(Queue& queue) : token(queue) {}
    moodycamel::ConsumerToken token;
    Hand hand;
    std::int64_t now_ns = 0;  // the last look at the clock: a task's end is the next one's start
    std::int64_t refilled_ns = 0;  // when it last had to look for tasks
    bool gathers = false;          // it found few
    alignas(64) std::atomic<std::uint64_t> popped{0};
    std::atomic<std::uint32_t> owed{0};  // slots of tasks that it ran, not yet given back
  };

  static constexpr std::size_t kProducers = 8;
  // Where a refill brings fewer than kFew tasks and they run within kGatherNs, they come one by one, about
  // as fast as they run. Each look costs the producer the lines that it writes: the next one waits for a
  // moment, in which a few more come.
  static constexpr std::size_t kFew = 8;
  static constexpr std::int64_t kGatherNs = 500;
  static constexpr int kGatherPauses = 8;
  static constexpr std::int64_t kNothingWaits = INT64_MIN;
  static constexpr std::uint8_t kClosed = 1;
  static constexpr std::uint8_t kPaused = 2;

  std::uint64_t queued() const noexcept;
  Slots take_slots(std::size_t wanted) noexcept;
  void owe(Attempt& attempt, Worker& worker) noexcept;
  bool collect_owed() noexcept;
  std::uint64_t owed() const noexcept;
  bool next(std::uint32_t worker, QueuedTask& task) noexcept;
  std::size_t welcome_at_gate(std::span<const TaskReadyEvent> events) const;
  bool held_at_gate(std::uint32_t worker, const QueuedTask& task) noexcept;
  std::int64_t depth() const noexcept;
  void push_one(const QueuedTask& task) noexcept;
  bool keep(const QueuedTask& task) noexcept;
  std::size_t refill(Worker& own) noexcept;
  bool next_by_rank(Worker& own, QueuedTask& task) noexcept;
  bool anything_queued() const noexcept;
  bool next_in_rate(RateLimiter& rate, std::uint32_t worker, QueuedTask& task);
  RateLimiter* rate() const noexcept {
    return rate_.load(std::memory_order_acquire);  // (20) acquire: pairs with (19)
  }
  // relaxed, twice: who parks for it is found by resume(), which looks at the lot after it has opened the
  // lane.
  bool braked() const noexcept {
    return (closed_.load(std::memory_order_relaxed) & kClosed) != 0 ||
           (brakes_.load(std::memory_order_relaxed) && !executor().has_capacity());
  }
  void hand_out() noexcept;
  void look_soon() noexcept;
  template <class MakeTask>
  void push(std::size_t count, const MakeTask& make_task) noexcept;
  Attempt* run(Attempt& attempt, std::uint32_t worker) noexcept;
  bool resume_one(std::uint32_t worker, Attempt*& permit) noexcept;
  void let_go(Attempt* attempt) noexcept;
  // Whether somebody waits for a slot: nobody overtakes him.
  bool slots_awaited() const noexcept { return lot_.count() > 0 || resumptions_.wants_slot(); }
  void execute(Attempt& attempt) noexcept;

  const std::string key_;
  std::vector<std::shared_ptr<TaskExecutor>>
      executors_;  // all that ever were: some thread may still look at one
  std::atomic<TaskExecutor*> executor_;
  const ExecutorLimits limits_;
  const std::uint32_t journal_key_;
  Clock& clock_;
  const AttemptListener& listener_;
  PauseGate& gate_;
  Workers* workers_ = nullptr;

  Capacity capacity_;
  AttemptPool attempts_;
  ParkingLot lot_;
  RankedQueue ranked_;
  Queue queue_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::vector<std::unique_ptr<Worker>> worker_states_;
  std::unique_ptr<Shard[]> shards_;  // one for each worker, then the shared one
  const std::uint32_t shared_shard_;
  std::atomic<RateLimiter*> rate_{nullptr};  // null: no limit
  /// Asks the executor for the parked tasks, on a worker: whoever frees a slot may be the committer.
  class Look final : public Resumption {
   public:
    explicit Look(Lane& lane) noexcept : lane_(lane) {}
    void resume() noexcept override;
    std::atomic<bool> due{false};

   private:
    Lane& lane_;
  };
  Look look_{*this};
  std::atomic<bool> brakes_;  // the executor has a brake of its own
  // kClosed, kPaused, or both: nothing is begun. Workers look at it for each task: nothing here is written
  // often.
  std::atomic<std::uint8_t> closed_{0};
  std::atomic<std::size_t> spread_{1};        // producer tokens that threads begin with; likewise
  std::atomic<std::uint32_t> held_alone_{0};  // tasks without a pipeline that a paused name holds
  Resumptions resumptions_;                   // likewise
  Attempt no_task_;          // stands for what belongs to none, where a thread is asked what it runs
  alignas(64) std::atomic<std::uint64_t> rejected_{0};
  std::atomic<std::uint64_t> unparked_{0};
  std::atomic<std::uint64_t> committed_ends_{0};
  std::atomic<std::int64_t> ready_since_ns_{kNothingWaits};
  std::atomic<bool> stalled_{false};
  std::atomic<std::uint32_t> stuck_{0};
  std::atomic<std::uint32_t> visitors_{0};
};

}  // namespace leat
