// Parking (lane.cpp, capacity.h, parking_lot.h) as a model: every interleaving of threads that park tasks and
// workers that owe slots and give them back. No task may stay parked once nothing runs. Then with one order
// weakened, or one step left out: that must be found.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "interleavings.h"

namespace leat {
namespace {

constexpr int kParkers = 2;
constexpr int kWorkers = 2;
constexpr std::uint8_t kTasks = kParkers + 1;  // one runs already

enum class Flaw : std::uint8_t {
  None,
  NoSecondTry,     ///< who parks a task does not try once more
  NoCollecting,    ///< who finds no slot does not take those that the workers owe
  DelayedCount,    ///< (3): the parked count may become visible after the parking thread's own try
  DelayedRelease,  ///< (2): the slots may come back after the look at the parked count
  DelayedOwing,    ///< (12): the owed slot may become visible after its worker's look at the parked count
};

constexpr int kThreads = kParkers + kWorkers;

// A worker never comes to an end of its turn here, where it would give back what it owes: the task that it
// took last may run for ever.
struct ParkingModel {
  // Lane::slots_released() and what it calls, which both kinds of threads run.
  enum Hand : std::uint8_t { kIdle, kLook, kLock, kAcquire, kTake, kPush, kCollect, kReturn };
  enum Parker : std::uint8_t { kCheck, kTry, kCollectOwed, kTryAgain, kLockLot, kPark, kAgain, kParked };
  enum Worker : std::uint8_t { kPop, kOwe, kLookForParked, kGive };

  Flaw flaw = Flaw::None;
  std::uint8_t limit = 1;
  std::uint8_t admitted = 1;
  std::uint8_t queued = 1;
  std::uint8_t lot = 0;
  std::uint8_t count = 0;
  std::uint8_t locked = 0;
  std::uint8_t ran = 0;
  std::array<std::uint8_t, kWorkers> owed{};
  std::array<Parker, kParkers> parker{};
  std::array<Worker, kWorkers> worker{};
  std::array<Hand, kThreads> hand{};
  std::array<std::uint8_t, kThreads> next_owing{};  // whom collect_owed() looks at next
  std::array<std::uint8_t, kThreads> collected{};
  std::array<Delayed, kParkers> counting{};   // (3)
  std::array<Delayed, kThreads> releasing{};  // (2), of what was collected
  std::array<std::uint8_t, kThreads> to_release{};
  std::array<Delayed, kWorkers> owing{};  // (12)

  int threads() const { return kThreads + kParkers + kThreads + kWorkers; }
  bool broken() const { return admitted > limit; }
  bool done() const { return ran == kTasks && admitted == owed[0] + owed[1] && lot == 0 && count == 0; }

  bool step(int thread) {
    if (thread < kParkers) return step_parker(thread);
    thread -= kParkers;
    if (thread < kWorkers) return step_worker(thread);
    thread -= kWorkers;
    if (thread < kParkers) {
      if (!counting[thread].drain()) return false;
      ++count;
      return true;
    }
    thread -= kParkers;
    if (thread < kThreads) return releasing[thread].drain() && release(thread);
    thread -= kThreads;
    if (!owing[thread].drain()) return false;
    ++owed[thread];
    return true;
  }

  bool release(int self) {
    admitted = static_cast<std::uint8_t>(admitted - to_release[self]);
    to_release[self] = 0;
    return true;
  }

  bool step_parker(int self) {  // Lane::admit_or_park()
    Parker& at = parker[self];
    switch (at) {
      case kCheck:  // Lane::reserve()
        at = count > 0 ? kLockLot : kTry;
        return true;
      case kTry:  // (1)
      case kTryAgain:
        if (admitted < limit) {
          ++admitted;
          ++queued;
          at = kParked;
        } else if (at == kTry && flaw != Flaw::NoCollecting) {
          hand[self] = kCollect;
          at = kCollectOwed;
        } else {
          at = kLockLot;
        }
        return true;
      case kCollectOwed:
        if (!step_hand(self, self)) at = kTryAgain;
        return true;
      case kLockLot:
        if (locked) return false;
        locked = 1;
        at = kPark;
        return true;
      case kPark:  // (3)
        ++lot;
        if (counting[self].write(flaw == Flaw::DelayedCount)) ++count;
        locked = 0;
        hand[self] = flaw == Flaw::NoSecondTry ? kIdle : kLook;
        at = kAgain;
        return true;
      case kAgain:
        if (!step_hand(self, self)) at = kParked;
        return true;
      case kParked:
        return false;
    }
    return false;
  }

  bool step_worker(int self) {  // Lane::run(), owe()
    Worker& at = worker[self];
    switch (at) {
      case kPop:
        if (queued == 0 || owing[self].pending || releasing[kParkers + self].pending) return false;
        --queued;
        ++ran;
        at = kOwe;
        return true;
      case kOwe:  // (12)
        if (owing[self].write(flaw == Flaw::DelayedOwing)) ++owed[self];
        at = kLookForParked;
        return true;
      case kLookForParked:  // (4)
        at = count > 0 ? kGive : kPop;
        if (at == kGive) hand[kParkers + self] = kCollect;
        return true;
      case kGive:
        if (owing[self].drain()) ++owed[self];  // the same word: the own earlier write comes first
        if (!step_hand(kParkers + self, -1)) at = kPop;
        return true;
    }
    return false;
  }

  /// @param parker  the parker that this is: a thread sees its own write at once
  /// @return        false: the call has returned
  bool step_hand(int self, int parker_self) {
    const bool own_pending = parker_self >= 0 && counting[parker_self].pending != 0;
    switch (hand[self]) {
      case kIdle:
        return false;
      case kLook:  // (4)
        hand[self] = count + (own_pending ? 1 : 0) > 0 ? kLock : kIdle;
        return true;
      case kLock:
        if (locked) return true;  // spins
        locked = 1;
        hand[self] = kAcquire;
        return true;
      case kAcquire:  // (1), under the mutex
        if (lot > 0 && admitted < limit) {
          ++admitted;
          hand[self] = kTake;
        } else {
          locked = 0;
          hand[self] = flaw == Flaw::NoCollecting ? kIdle : kCollect;
        }
        return true;
      case kTake:
        if (own_pending) {  // the same word: the own earlier write comes first
          counting[parker_self].drain();
          ++count;
        }
        --lot;
        --count;
        locked = 0;
        hand[self] = kPush;
        return true;
      case kPush:
        ++queued;
        hand[self] = kLook;
        return true;
      case kCollect: {  // (13), one worker after the other
        std::uint8_t& owing_worker = next_owing[self];
        collected[self] = static_cast<std::uint8_t>(collected[self] + owed[owing_worker]);
        owed[owing_worker] = 0;
        if (++owing_worker < kWorkers) return true;
        owing_worker = 0;
        hand[self] = collected[self] > 0 ? kReturn : kIdle;
        return true;
      }
      case kReturn:  // (2)
        if (releasing[self].pending) return false;
        to_release[self] = collected[self];
        collected[self] = 0;
        if (releasing[self].write(flaw == Flaw::DelayedRelease)) release(self);
        hand[self] = kLook;
        return true;
    }
    return false;
  }
};

TEST(ParkingModel, NoTaskStaysParkedOnceNothingRuns) {
  for (const std::uint8_t limit : {std::uint8_t{1}, std::uint8_t{2}}) {
    const Walk walked = walk(ParkingModel{.limit = limit});
    EXPECT_TRUE(walked.sound());
    EXPECT_GT(walked.states, 500U);
  }
}

TEST(ParkingModel, WithoutASecondTryATaskStaysParked) {
  EXPECT_TRUE(walk(ParkingModel{.flaw = Flaw::NoSecondTry}).stuck());
}

TEST(ParkingModel, ASlotThatAWorkerOwesAndNobodyCollectsLeavesATaskParked) {
  EXPECT_TRUE(walk(ParkingModel{.flaw = Flaw::NoCollecting}).stuck());
}

TEST(ParkingModel, AnOwedSlotThatBecomesVisibleAfterTheLookAtTheCountLeavesATaskParked) {
  EXPECT_TRUE(walk(ParkingModel{.flaw = Flaw::DelayedOwing}).stuck());
}

TEST(ParkingModel, ACountThatBecomesVisibleAfterTheSecondTryLeavesTheTaskParked) {
  EXPECT_TRUE(walk(ParkingModel{.flaw = Flaw::DelayedCount}).stuck());
}

TEST(ParkingModel, ASlotThatComesBackAfterTheLookAtTheCountLeavesATaskParked) {
  EXPECT_TRUE(walk(ParkingModel{.flaw = Flaw::DelayedRelease}).stuck());
}

}  // namespace
}  // namespace leat
