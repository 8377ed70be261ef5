#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <memory>
#include <string>

#include "check.h"
#include "futex.h"
#include "lane.h"
#include "workers.h"

namespace leat {
namespace {

constexpr std::size_t kTasksPerTurn = 256;

// A drain task runs the lane until it finds nothing, then leaves. The two short programs, as in wake_gate.h:
//
//   producer                                  drain task
//   P1  make the task visible                 W1  give up the worker number   (one bit of busy_)
//   P2  look for a free number; if there is   W2  look for a task; if there is one, act as a producer
//       one, take it and enqueue a drain
//
// All four are seq_cst. If P2 finds every number taken, each drain's W1 comes after P2, hence after P1: its
// W2 sees the task.
class ArenaWorkers final : public Workers {
 public:
  ArenaWorkers(Lane& lane, std::uint32_t count)
      : lane_(lane),
        count_(count),
        threads_(std::make_unique<std::atomic<pid_t>[]>(count)),
        arena_(static_cast<int>(count), 0) {
    LEAT_CHECK(count > 0 && count <= 64);
    arena_.initialize();
  }

  ~ArenaWorkers() override { stop(); }

  void notify() noexcept override {
    // (1) seq_cst: P2; pairs with (3).
    std::uint64_t busy = busy_.load(std::memory_order_seq_cst);
    for (int free; (free = std::countr_one(busy)) < static_cast<int>(count_);) {
      const std::uint64_t bit = std::uint64_t{1} << free;
      // (8) seq_cst: counted before the look at stopping_, so that stop() waits (4, 5) for the drain or the
      // drain never is.
      alive_.fetch_add(1, std::memory_order_seq_cst);
      if (!stopping_.load(std::memory_order_seq_cst) &&
          // (2) seq_cst: takes over the worker's state from the drain that had the number before (3).
          busy_.compare_exchange_strong(busy, busy | bit, std::memory_order_seq_cst)) {
        // TSan does not see how oneTBB hands the captures over; drain() itself is checked.
        return arena_.enqueue([this, free]() __attribute__((no_sanitize("thread"))) {
          drain(static_cast<std::uint32_t>(free));
        });
      }
      alive_.fetch_sub(1, std::memory_order_release);         // (6) release: pairs with (5)
      if (stopping_.load(std::memory_order_relaxed)) return;  // relaxed: seen above
    }
  }

  Backend backend() const noexcept override { return Backend::Arena; }

  std::string thread_name(std::uint32_t worker) const override {
    // relaxed: a figure; a drain that has left may have been another thread's.
    return "oneTBB's " + std::to_string(threads_[worker].load(std::memory_order_relaxed));
  }

  void stop() noexcept override {
    // (4) seq_cst: a producer that took a number before this is counted in alive_, or gives the
    // number back (2).
    stopping_.store(true, std::memory_order_seq_cst);
    // (5) acquire: pairs with (6): nothing of a drain follows its leave.
    for (std::uint32_t alive; (alive = alive_.load(std::memory_order_acquire)) != 0;) {
      futex_wait(alive_, alive, kStopLookNs);
    }
  }

 private:
  // A drain that leaves does not wake stop(): after its last decrement it may not touch this object any more.
  static constexpr std::int64_t kStopLookNs = 200'000;

  void drain(std::uint32_t worker) noexcept {
    // (7) acquire: sees what the producer did before (2). oneTBB orders that as well, but not where
    // TSan can see it.
    static_cast<void>(busy_.load(std::memory_order_acquire));
    threads_[worker].store(thread_number(), std::memory_order_relaxed);  // relaxed: a figure
    while (lane_.run_some(worker, kTasksPerTurn) > 0) {
    }
    // (3) seq_cst: W1, and release of the worker's state to (2).
    busy_.fetch_and(~(std::uint64_t{1} << worker), std::memory_order_seq_cst);
    if (lane_.has_work()) notify();  // W2
    // (6) release: the last touch of this object; pairs with (5).
    alive_.fetch_sub(1, std::memory_order_release);
  }

  /// The kernel's number of the calling thread, as `top -H` shows it.
  static pid_t thread_number() noexcept {
    thread_local const pid_t number = gettid();
    return number;
  }

  Lane& lane_;
  const std::uint32_t count_;
  std::unique_ptr<std::atomic<pid_t>[]> threads_;  // that last had each worker number
  oneapi::tbb::task_arena arena_;
  alignas(64) std::atomic<std::uint64_t> busy_{0};  // worker numbers in use, one bit each
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint32_t> alive_{0};  // drains queued or running, and producers about to queue one
};

}  // namespace

std::unique_ptr<Workers> make_arena_workers(Lane& lane, std::uint32_t count) {
  return std::make_unique<ArenaWorkers>(lane, count);
}

struct ArenaBudget::Control {
  oneapi::tbb::global_control limit;
};

// oneTBB takes the lowest of all limits that are set in a process, so a limit that just fits one Runner
// would starve the next. It is set to what oneTBB can have at all; how many threads there are is bounded
// by the arenas.
constexpr std::uint32_t kThreadsMax = 256;

ArenaBudget::ArenaBudget()
    : control_(new Control{
          oneapi::tbb::global_control(oneapi::tbb::global_control::max_allowed_parallelism, kThreadsMax)}) {}
ArenaBudget::~ArenaBudget() = default;

std::uint32_t ArenaBudget::granted() const noexcept {
  const std::size_t active =
      oneapi::tbb::global_control::active_value(oneapi::tbb::global_control::max_allowed_parallelism);
  return active > 1 ? static_cast<std::uint32_t>(active - 1) : 0;
}

}  // namespace leat
