// Threads that callers lend: by Runner::run_until_idle(), and wherever they wait. The shell without threads
// of its own; it knows a list of things to do, and nothing of lanes, journals or timers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "leat_locks/mutex.h"

namespace leat {

/// Something that a lent thread can do.
///
/// Thread-safety: any number of threads.
class LentWork {
 public:
  /// Tasks are not begun by a thread that waits inside a task: its stack would grow with the queue.
  /// A watch looks on, and nothing follows from it.
  enum class Kind : std::uint8_t { Tasks, Commits, Timers, Watch };

  LentWork(Kind kind, std::string name) : kind_(kind), name_(std::move(name)) {}
  LentWork(const LentWork&) = delete;
  LentWork& operator=(const LentWork&) = delete;

  Kind kind() const noexcept { return kind_; }
  const std::string& name() const noexcept { return name_; }

  /// Whether run() would do something; not where all that may do it are at it: they ring when they leave.
  virtual bool has_work() noexcept = 0;
  /// @param budget  tasks to begin, or timers to fire, at most; other kinds do one piece
  /// @return        how much was done; 0: nothing
  virtual std::size_t run(std::size_t budget) noexcept = 0;
  /// When there will be work by itself, by the steady clock; nothing: never.
  virtual std::optional<std::int64_t> due_ns() { return std::nullopt; }

 protected:
  ~LentWork() = default;

 private:
  const Kind kind_;
  const std::string name_;
};

/// Decides what a lent thread does next, in place of the round robin. The simulator's way in.
class LentOrder {
 public:
  /// Does one piece of work, or lets time pass until there is some.
  /// @param works      in the order of add()
  /// @param may_begin  whether tasks may be begun
  virtual void help(const std::vector<LentWork*>& works, bool may_begin) noexcept = 0;

 protected:
  ~LentOrder() = default;
};

/// The list of things to do, and the bell that wakes who sleeps for want of them:
///
///   producer                                  lent thread
///   P1  make the work visible                 W1  say "asleep"     (sleepers_)
///   P2  look for sleepers; if there are any,  W2  remember the bell's count, then look for work
///       count the bell up and wake them       W3  sleep, unless the bell has been counted up
///
/// P1 and W1 are seq_cst read-modify-writes (or P1 and W2's look are under one mutex), P2 and W2's look are
/// seq_cst: if P2 misses W1, W2 sees the work; else the bell wakes W3.
///
/// Thread-safety: any number of threads.
class LentThreads {
 public:
  static constexpr std::size_t kTasksPerTurn = 256;
  static constexpr std::size_t kTimersPerTurn = 256;

  /// @param order  null: round robin, and sleep; outlives this object
  explicit LentThreads(LentOrder* order) noexcept : order_(order) {}

  /// @param work  outlives the last help()
  void add(LentWork& work);
  /// Nobody lends: nothing was added.
  bool empty() const noexcept { return !any_.load(std::memory_order_relaxed); }  // relaxed: a flag to look at

  /// One round through all that can be done now. Inside a task no task is begun.
  /// @param budget  tasks to begin at most
  /// @return        how much was done; 0: nothing could be done now
  std::size_t run_some(std::size_t budget) noexcept;
  /// The same, or sleeps until there may be work, or for `timeout_ns` at most.
  ///
  /// @param now_ns  the engine's steady clock
  /// @param budget  tasks to begin at most; 0: no task is begun, nor waited for
  /// @return        whether something was done
  bool help(std::int64_t now_ns, std::int64_t timeout_ns, std::size_t budget = kTasksPerTurn) noexcept;
  /// There is work, or something that somebody waits for has happened.
  /// @pre made visible as in P1
  void ring() noexcept;

 private:
  std::vector<LentWork*> works() const;

  LentOrder* const order_;
  std::atomic<bool> any_{false};
  std::atomic<std::uint32_t> sleepers_{0};
  std::atomic<std::uint32_t> rung_{0};
  mutable Mutex mutex_;
  std::vector<LentWork*> works_ LEAT_GUARDED_BY(mutex_);
};

}  // namespace leat
