// How a lane's own threads sleep and are woken: the two short programs below, and nothing else.
//
//   producer                                  worker
//   P1  make the task visible                 W1  say "asleep"            (sleepers, or searching = 0)
//   P2  look for a searcher or a sleeper      W2  look for a task
//
// P1 and W1 are read-modify-writes, P2 and W2 loads, all of them seq_cst, so they have one order. If P2
// comes before W1 in it, then P1 comes before W2, and the worker sees the task. Otherwise P2 sees the
// searcher or the sleeper: a searcher will look again after it has said that it stopped, and a sleeper is
// claimed by exactly one producer, who wakes it. Either way no task waits while its worker sleeps.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cpu_relax.h"
#include "futex.h"
#include "leat/executor.h"

namespace leat {

/// Thread-safety: notify and stop: any number of threads. wait(i): worker i alone.
/// Invariants:
///   1. A set bit in sleepers_ means that the worker sleeps or is about to; who clears it
///      (a claim) must wake it.
///   2. At most one worker searches; while it does, nobody is woken.
class WakeGate {
 public:
  /// @param cpus  how many the workers may use: with one, a search would keep it from who has the work
  WakeGate(std::uint32_t workers, IdlePolicy policy, std::uint32_t cpus)
      : policy_(cpus > 1 ? policy : IdlePolicy::Park),
        workers_(workers),
        sleepers_(std::make_unique<std::atomic<std::uint64_t>[]>((workers + 63) / 64)),
        beds_(std::make_unique<Bed[]>(workers)) {}

  /// Wakes a worker. Costs a futex call only if somebody sleeps and nobody searches.
  ///
  /// @pre the caller made work visible by a seq_cst read-modify-write
  void notify() noexcept {
    // (1) seq_cst: P2. A searcher looks for work after (4).
    if (searching_.load(std::memory_order_seq_cst) != 0) return;
    for (std::uint32_t word = 0; word * 64 < workers_; ++word) {
      // (2) seq_cst: P2. Pairs with (5).
      std::uint64_t asleep = sleepers_[word].load(std::memory_order_seq_cst);
      while (asleep != 0) {
        const int bit = std::countr_zero(asleep);
        // (2) seq_cst: the claim; one producer gets it.
        if (sleepers_[word].compare_exchange_weak(asleep, asleep & ~(std::uint64_t{1} << bit),
                                                  std::memory_order_seq_cst)) {
          return wake(word * 64 + static_cast<std::uint32_t>(bit));
        }
      }
    }
  }

  /// Returns when there may be work, or after stop().
  template <class HasWork>
  void wait(std::uint32_t worker, const HasWork& has_work) noexcept {
    if (policy_ != IdlePolicy::Park && search(has_work)) return;
    const std::uint64_t bit = std::uint64_t{1} << (worker % 64);
    // (5) seq_cst: W1. Pairs with (2).
    sleepers_[worker / 64].fetch_or(bit, std::memory_order_seq_cst);
    std::atomic<std::uint32_t>& rung = beds_[worker].rung;
    if (!has_work() && !stopped()) {  // W2
      // (6) acquire: pairs with (8).
      while (rung.load(std::memory_order_acquire) == 0) futex_wait(rung, 0);
    }
    // A claim that came in between rings later, for nothing: the next sleep ends at once and looks again.
    rung.store(0, std::memory_order_relaxed);  // relaxed: only this worker sleeps here
    // relaxed: awake; a late claim only rings.
    sleepers_[worker / 64].fetch_and(~bit, std::memory_order_relaxed);
  }

  void stop() noexcept {
    // (7) seq_cst: as P1; pairs with (9), the look in wait() after (5).
    stopped_.store(true, std::memory_order_seq_cst);
    for (std::uint32_t i = 0; i < workers_; ++i) wake(i);
  }

  // (9) seq_cst: as W2; pairs with (7).
  bool stopped() const noexcept { return stopped_.load(std::memory_order_seq_cst); }

 private:
  static constexpr int kSearchRounds = 2000;  // about 50 us: longer than a futex wake takes

  template <class HasWork>
  bool search(const HasWork& has_work) noexcept {
    std::uint32_t none = 0;
    // (3) seq_cst: from here on producers leave the sleepers alone.
    if (!searching_.compare_exchange_strong(none, 1, std::memory_order_seq_cst)) return false;
    bool found = false;
    for (int round = 0; !found && !stopped() && (policy_ == IdlePolicy::Spin || round < kSearchRounds);
         ++round) {
      found = has_work();
      if (!found) cpu_relax();
    }
    // (4) seq_cst: W1; the caller's next look for work is W2.
    searching_.store(0, std::memory_order_seq_cst);
    return found;
  }

  void wake(std::uint32_t worker) noexcept {
    // (8) release: pairs with (6).
    beds_[worker].rung.store(1, std::memory_order_release);
    futex_wake(beds_[worker].rung, 1);
  }

  struct alignas(64) Bed {  // one line each: a ring wakes one worker and disturbs no other
    std::atomic<std::uint32_t> rung{0};
  };

  const IdlePolicy policy_;
  const std::uint32_t workers_;
  std::atomic<bool> stopped_{false};
  alignas(64) std::atomic<std::uint32_t> searching_{0};
  std::unique_ptr<std::atomic<std::uint64_t>[]> sleepers_;
  std::unique_ptr<Bed[]> beds_;
};

}  // namespace leat
