// Parking (lane.cpp, capacity.h, parking_lot.h) as a model: every interleaving of threads that park tasks and
// workers that give slots back. No task may stay parked once nothing runs. Then with one order weakened, or
// one step left out: that must be found.
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
  DelayedCount,    ///< (3): the parked count may become visible after the parking thread's own try
  DelayedRelease,  ///< (2): the slot may come back after the look at the parked count
};

struct ParkingModel {
  // Lane::slots_released(), which both kinds of threads run.
  enum Hand : std::uint8_t { kIdle, kLook, kLock, kAcquire, kTake, kPush };
  enum Parker : std::uint8_t { kCheck, kTry, kLockLot, kPark, kAgain, kParked };
  enum Worker : std::uint8_t { kPop, kRelease, kGive };

  Flaw flaw = Flaw::None;
  std::uint8_t limit = 1;
  std::uint8_t admitted = 1;
  std::uint8_t queued = 1;
  std::uint8_t lot = 0;
  std::uint8_t count = 0;
  std::uint8_t locked = 0;
  std::uint8_t ran = 0;
  std::array<Parker, kParkers> parker{};
  std::array<Worker, kWorkers> worker{};
  std::array<Hand, kParkers + kWorkers> hand{};
  std::array<Delayed, kParkers> counting{};   // (3)
  std::array<Delayed, kWorkers> releasing{};  // (2)

  int threads() const { return 2 * (kParkers + kWorkers); }
  bool broken() const { return admitted > limit; }
  bool done() const { return ran == kTasks && admitted == 0 && lot == 0 && count == 0; }

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
    if (!releasing[thread - kParkers].drain()) return false;
    --admitted;
    return true;
  }

  bool step_parker(int self) {  // Lane::admit_or_park()
    Parker& at = parker[self];
    switch (at) {
      case kCheck:  // Lane::reserve()
        at = count > 0 ? kLockLot : kTry;
        return true;
      case kTry:  // (1)
        if (admitted < limit) {
          ++admitted;
          ++queued;
          at = kParked;
        } else {
          at = kLockLot;
        }
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

  bool step_worker(int self) {
    Worker& at = worker[self];
    switch (at) {
      case kPop:
        if (queued == 0 || releasing[self].pending) return false;
        --queued;
        ++ran;
        at = kRelease;
        return true;
      case kRelease:  // (2)
        if (releasing[self].write(flaw == Flaw::DelayedRelease)) --admitted;
        hand[kParkers + self] = kLook;
        at = kGive;
        return true;
      case kGive:
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
          hand[self] = kIdle;
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
    }
    return false;
  }
};

TEST(ParkingModel, NoTaskStaysParkedOnceNothingRuns) {
  for (const std::uint8_t limit : {1, 2}) {
    const Walk walked = walk(ParkingModel{.limit = limit});
    EXPECT_TRUE(walked.sound());
    EXPECT_GT(walked.states, 500U);
  }
}

TEST(ParkingModel, WithoutASecondTryATaskStaysParked) {
  EXPECT_TRUE(walk(ParkingModel{.flaw = Flaw::NoSecondTry}).stuck());
}

TEST(ParkingModel, ACountThatBecomesVisibleAfterTheSecondTryLeavesTheTaskParked) {
  EXPECT_TRUE(walk(ParkingModel{.flaw = Flaw::DelayedCount}).stuck());
}

TEST(ParkingModel, ASlotThatComesBackAfterTheLookAtTheCountLeavesATaskParked) {
  EXPECT_TRUE(walk(ParkingModel{.flaw = Flaw::DelayedRelease}).stuck());
}

}  // namespace
}  // namespace leat
