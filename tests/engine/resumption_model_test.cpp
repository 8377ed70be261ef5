// A deferred attempt that comes back (resumption.h, lane_resumptions.cpp, attempt.cpp) as a model: every
// interleaving of its token's thread, of a task that gives slot and permit back, of a stop that hurries it,
// and of the worker that goes on with it. In the end slot and permit are back, the record was free once, and
// was nobody else's while a thread still held it for this use. Then with a step left out, or one order
// weakened: that must be found.
#include <gtest/gtest.h>

#include <cstdint>

#include "interleavings.h"

namespace leat {
namespace {

enum class Flaw : std::uint8_t {
  None,
  NoReference,         ///< who waits in line does not keep the record
  WithdrawsUnlocked,   ///< the end takes it out of its line after it has left cancel_mutex_
  DelayedReady,        ///< (1): it may become visible as ready after the look for sleepers
  DelayedWantsSlot,    ///< (3): that it wants a slot may become visible after its own look for one
  DelayedSlot,         ///< (2 in capacity.h): a slot may come back after the look at who wants one
  DelayedWantsPermit,  ///< (5): that it wants a permit may become visible after the look for sleepers
  DelayedPermit,       ///< (7 in attempt_pool.cpp): a permit may come back after the look at who wants one
  DelayedSleep,  ///< (2), (6), (12 in attempt_pool.cpp): the worker's last look may come before it says "asleep"
  DelayedBack,   ///< (5 in attempt.cpp): what it took again may become visible after its reference is dropped
};

/// One slot, one permit; another task has both.
struct ResumptionModel {
  enum Line : std::uint8_t { kNowhere, kForSlot, kForPermit, kReady, kOut, kGone };
  enum Token : std::uint8_t {
    kTakeAgain,
    kQueue,
    kQueueReady,
    kRingReady,
    kWantsSlot,
    kTrySlot,
    kGiveSlot,
    kRingSlot,
    kEnd,
    kTaken
  };
  enum End : std::uint8_t {
    kLock,
    kForget,
    kWithdraw,
    kUnlock,
    kAbandon,
    kSettle,
    kRecycle,
    kRingPermit,
    kEnded
  };
  enum Other : std::uint8_t {
    kReleases,
    kLooksForSlot,
    kTriesSlot,
    kGives,
    kRings,
    kReturns,
    kLooks,
    kWakes,
    kDone
  };
  enum Worker : std::uint8_t {
    kLook,
    kPop,
    kEndRest,
    kResume,
    kLetGo,
    kRecycles,
    kRingsPermit,
    kTurnEnds,
    kSaysAsleep,
    kLastLook,
    kAsleep
  };
  enum Stop : std::uint8_t { kTells, kRingsBell, kFrees, kTold };

  Flaw flaw = Flaw::None;
  std::uint8_t ends_in_line = 0;  ///< the token's thread ends it; else its callback does
  Stop stop = kTold;
  Token token = kTakeAgain;
  End end = kLock;
  Other other = kReleases;
  Worker worker = kLook;

  std::uint8_t admitted = 1, pool = 0,
               aside = 1;  // aside: records that stand for permits of deferred attempts
  std::uint8_t wants_slot = 0, wants_permit = 0, readies = 0;
  std::uint8_t locked = 0;  // cancel_mutex_
  Line line = kNowhere;
  std::uint8_t line_slot = 0;  // the resumption has a slot
  std::uint8_t returning = 0, named = 0, withdrawn = 0, told = 0, over = 0;
  std::uint8_t deferred = 1, slot = 0, references = 1, free = 0;
  std::uint8_t permit = 0, asleep = 0, in_scope = 0, freed = 0;
  std::uint8_t stray = 0;  // somebody touched what was not his any more
  Delayed ready_count{}, slot_count{}, permit_count{}, releasing{}, returning_permit{}, sleeping{}, back{};

  int threads() const { return 11; }
  bool broken() const { return stray != 0 || free > 1 || admitted > 1 || pool > 1; }
  bool done() const {
    return free == 1 && references == 0 && admitted == 0 && pool == 1 && aside == 0 && (line == kGone) &&
           wants_slot == 0 && wants_permit == 0 && readies == 0;
  }

  bool step(int thread) {
    switch (thread) {
      case 0:
        return step_token();
      case 1:
        return step_other();
      case 2:
        return step_worker();
      case 3:
        return step_stop();
      case 4:
        return drain(ready_count, readies);
      case 5:
        return drain(slot_count, wants_slot);
      case 6:
        return drain(permit_count, wants_permit);
      case 7:
        return release_late();
      case 8:
        return drain(returning_permit, pool);
      case 9:
        return drain(sleeping, asleep);
      default:
        if (!back.drain()) return false;
        deferred = 0;
        return true;
    }
  }

  static bool drain(Delayed& delayed, std::uint8_t& count) {
    if (!delayed.drain()) return false;
    ++count;
    return true;
  }
  bool release_late() {
    if (!releasing.drain()) return false;
    --admitted;
    return true;
  }
  /// Whoever takes the mutex of the lines sees what was written under it before.
  void see_lines() {
    drain(ready_count, readies);
    drain(slot_count, wants_slot);
    drain(permit_count, wants_permit);
  }
  void ring() {
    if (asleep == 0) return;
    asleep = 0;
    worker = kLook;
  }
  /// Resumptions::leave_line()
  bool leave_line() {
    see_lines();
    if (line != kForSlot && line != kForPermit) return false;
    --(line == kForSlot ? wants_slot : wants_permit);
    line = kOut;
    return true;
  }
  void push_ready() {
    line = kReady;
    if (ready_count.write(flaw == Flaw::DelayedReady)) ++readies;
  }
  void give_slot() {  // Resumptions::give_slot(); the caller has taken a slot
    see_lines();
    if (line != kForSlot) return static_cast<void>(--admitted);
    --wants_slot;
    line_slot = 1;
    line = kForPermit;
    if (permit_count.write(flaw == Flaw::DelayedWantsPermit)) ++wants_permit;
  }
  bool try_slot() {
    if (releasing.pending || admitted > 0) return false;
    ++admitted;
    return true;
  }
  /// Attempt::drop(). @return whether it was the last
  bool drop() {
    if (references == 0) return stray = 1, false;
    return --references == 0;
  }
  void recycle() {  // Lane::recycle(), up to the bell
    ++free;
    if (in_scope != 0) stray = 1;
    if (slot != 0) --admitted;
    slot = 0;
    if (deferred != 0) {
      --aside;
    } else if (returning_permit.write(flaw == Flaw::DelayedPermit)) {
      ++pool;
    }
  }

  bool
  step_token() {  // CompletionToken::take_again(), Lane::take_again(), and the end where it does not wait
    switch (token) {
      case kTakeAgain:
        if (flaw != Flaw::NoReference) ++references;
        token = kQueue;
        return true;
      case kQueue:  // Attempt::await_return()
        if (locked) return false;
        if (told) {
          token = kQueueReady;
          return true;
        }
        returning = 1;
        line = kForSlot;
        if (slot_count.write(flaw == Flaw::DelayedWantsSlot)) ++wants_slot;  // (3)
        token = kWantsSlot;
        return true;
      case kQueueReady:
        push_ready();  // (1)
        token = kRingReady;
        return true;
      case kRingReady:
      case kRingSlot:
        ring();
        token = token == kRingReady ? kEnd : kWantsSlot;
        return true;
      case kWantsSlot:  // Lane::slots_released(): its own write it sees
        token = wants_slot + slot_count.pending > 0 ? kTrySlot : kEnd;
        return true;
      case kTrySlot:  // (1 in capacity.h)
        token = try_slot() ? kGiveSlot : kEnd;
        return true;
      case kGiveSlot:
        give_slot();
        token = kRingSlot;
        return true;
      case kEnd:
        if (ends_in_line == 0 || step_end()) return ends_in_line != 0;
        token = kTaken;
        return true;
      case kTaken:
        return false;
    }
    return false;
  }

  /// CompletionToken::finish(), by the token's thread or by the callback. @return false: it is over
  bool step_end() {
    switch (end) {
      case kLock:                 // Attempt::drop_callback()
        if (locked) return true;  // spins
        locked = 1;
        end = kForget;
        return true;
      case kForget:
        named = returning;
        returning = 0;
        if (flaw == Flaw::WithdrawsUnlocked) locked = 0;
        end = kWithdraw;
        return true;
      case kWithdraw:
        if (named != 0 && line == kGone) stray = 1;  // another one may lie there by now
        withdrawn = named != 0 && leave_line() ? 1 : 0;
        end = kUnlock;
        return true;
      case kUnlock:
        if (flaw != Flaw::WithdrawsUnlocked) locked = 0;
        end = withdrawn != 0 ? kAbandon : kSettle;
        return true;
      case kAbandon:  // Lane::abandon()
        if (line_slot != 0) --admitted;
        line_slot = 0;
        line = kGone;
        if (flaw != Flaw::NoReference && drop()) stray = 1;
        end = kSettle;
        return true;
      case kSettle:  // the end is handled
        over = 1;
        end = drop() ? kRecycle : kEnded;
        return true;
      case kRecycle:
        recycle();
        end = kRingPermit;
        return true;
      case kRingPermit:
        ring();
        end = kEnded;
        return true;
      case kEnded:
        return false;
    }
    return false;
  }

  bool step_other() {  // Lane::recycle() of the task that has both
    switch (other) {
      case kReleases:  // (2 in capacity.h)
        if (releasing.write(flaw == Flaw::DelayedSlot)) --admitted;
        other = kLooksForSlot;
        return true;
      case kLooksForSlot:  // (4)
        other = wants_slot > 0 ? kTriesSlot : kReturns;
        return true;
      case kTriesSlot:
        release_late();  // the same word: its own earlier write comes first
        other = try_slot() ? kGives : kReturns;
        return true;
      case kGives:
        give_slot();
        other = kRings;
        return true;
      case kRings:
        ring();
        other = kLooksForSlot;
        return true;
      case kReturns:  // (7)
        if (returning_permit.write(flaw == Flaw::DelayedPermit)) ++pool;
        other = kLooks;
        return true;
      case kLooks:  // (6)
        other = wants_permit > 0 ? kWakes : kDone;
        return true;
      case kWakes:
        ring();
        other = kDone;
        return true;
      case kDone:
        return false;
    }
    return false;
  }

  bool step_stop() {  // Attempt::request_stop()
    switch (stop) {
      case kTells:
        if (locked) return false;
        told = over == 0 ? 1 : 0;
        if (told != 0 && returning != 0) {
          if (leave_line()) {
            push_ready();  // (1)
            freed = line_slot;
            line_slot = 0;
          }
          returning = 0;
        }
        stop = kRingsBell;
        return true;
      case kRingsBell:
        ring();
        stop = kFrees;
        return true;
      case kFrees:
        if (freed != 0) --admitted;
        freed = 0;
        stop = kTold;
        return true;
      case kTold:
        return false;
    }
    return false;
  }

  bool step_worker() {  // Lane::run_some(), resume_one()
    switch (worker) {
      case kLook:
        if (readies > 0 && line == kReady) {  // Resumptions::pop()
          --readies;
          line = kOut;
          worker = kResume;
        } else if (wants_permit == 0) {
          worker = kTurnEnds;
        } else if (permit != 0 || pool > 0) {
          if (permit == 0) --pool;
          permit = 1;
          worker = kPop;
        } else {
          worker = kTurnEnds;
        }
        return true;
      case kPop:  // Resumptions::pop_for_permit()
        worker = line == kForPermit && leave_line() ? kEndRest : kTurnEnds;
        return true;
      case kEndRest:  // Attempt::end_rest(), AttemptPool::put_aside()
        if (locked) return false;
        if (free != 0) stray = 1;
        returning = 0;
        slot = line_slot;
        line_slot = 0;
        if (back.write(flaw == Flaw::DelayedBack)) deferred = 0;
        permit = 0;
        --aside;
        worker = kResume;
        in_scope = 1;
        return true;
      case kResume:
        in_scope = 1;
        if (free != 0) stray = 1;
        if (ends_in_line == 0 && end != kEnded && step_end()) return true;
        line = kGone;
        in_scope = 0;
        worker = kLetGo;
        return true;
      case kLetGo:
        worker = flaw != Flaw::NoReference && drop() ? kRecycles : kLook;
        return true;
      case kRecycles:
        if (back.drain()) deferred = 0;  // its own write
        recycle();
        worker = kRingsPermit;
        return true;
      case kRingsPermit:
        worker = kLook;
        return true;
      case kTurnEnds:
        if (permit != 0) ++pool;
        permit = 0;
        worker = kSaysAsleep;
        return true;
      case kSaysAsleep:
        if (sleeping.write(flaw == Flaw::DelayedSleep)) asleep = 1;
        worker = kLastLook;
        return true;
      case kLastLook:  // (2), (12 in attempt_pool.cpp), (6)
        if (readies > 0 || (pool > 0 && wants_permit > 0)) {
          asleep = 0;
          sleeping.drain();
          worker = kLook;
        } else {
          worker = kAsleep;
        }
        return true;
      case kAsleep:
        return false;
    }
    return false;
  }
};

Walk walk_with(Flaw flaw, bool ends_in_line, bool with_stop) {
  return walk(ResumptionModel{.flaw = flaw,
                              .ends_in_line = static_cast<std::uint8_t>(ends_in_line ? 1 : 0),
                              .stop = with_stop ? ResumptionModel::kTells : ResumptionModel::kTold});
}

TEST(ResumptionModel, SlotPermitAndRecordComeBackWhoeverEndsTheAttempt) {
  for (const bool ends_in_line : {false, true}) {
    for (const bool with_stop : {false, true}) {
      const Walk walked = walk_with(Flaw::None, ends_in_line, with_stop);
      EXPECT_TRUE(walked.sound()) << "ends in line: " << ends_in_line << ", with a stop: " << with_stop;
      EXPECT_GT(walked.states, 200U);
    }
  }
}

TEST(ResumptionModel, ARecordThatNobodyInLineKeepsIsAnothersWhenItsCallbackComes) {
  EXPECT_TRUE(walk_with(Flaw::NoReference, true, false).broken());
}

TEST(ResumptionModel, ARecordThatIsFreeBeforeItsWorkerHasReturnedIsAnothersMeanwhile) {
  EXPECT_TRUE(walk_with(Flaw::NoReference, false, false).broken());
}

TEST(ResumptionModel, AnEndThatWithdrawsOutsideTheMutexTouchesWhatIsGone) {
  EXPECT_TRUE(walk_with(Flaw::WithdrawsUnlocked, true, false).broken());
}

TEST(ResumptionModel, AResumptionThatBecomesReadyAfterTheLookForSleepersIsLost) {
  EXPECT_TRUE(walk_with(Flaw::DelayedReady, false, true).stuck());
}

TEST(ResumptionModel, AWishForASlotThatBecomesVisibleAfterTheOwnLookWaitsForEver) {
  EXPECT_TRUE(walk_with(Flaw::DelayedWantsSlot, false, false).stuck());
}

TEST(ResumptionModel, ASlotThatComesBackAfterTheLookAtWhoWantsOneIsLost) {
  EXPECT_TRUE(walk_with(Flaw::DelayedSlot, false, false).stuck());
}

TEST(ResumptionModel, AWishForAPermitThatBecomesVisibleAfterTheLookForSleepersWaitsForEver) {
  EXPECT_TRUE(walk_with(Flaw::DelayedWantsPermit, false, false).stuck());
}

TEST(ResumptionModel, APermitThatComesBackAfterTheLookAtWhoWantsOneIsLost) {
  EXPECT_TRUE(walk_with(Flaw::DelayedPermit, false, false).stuck());
}

TEST(ResumptionModel, AWorkerThatLooksBeforeItSaysThatItSleepsMissesAPermit) {
  EXPECT_TRUE(walk_with(Flaw::DelayedSleep, false, false).stuck());
}

TEST(ResumptionModel, WhatIsTakenAgainAndVisibleAfterTheReferenceIsDroppedNeverComesBack) {
  EXPECT_TRUE(walk_with(Flaw::DelayedBack, true, false).stuck());
}

enum class LookFlaw : std::uint8_t {
  None,
  LooksFirst,     ///< the worker says that no look is due after it has looked
  DelayedParked,  ///< (21), (22): the parked task may become visible after the look is due
};

/// Lane::look_soon() and Look::resume(): who parks a task has a worker look, unless a look is due anyway.
struct LookModel {
  enum Parker : std::uint8_t { kPark, kAsk, kPass, kParked };
  enum Worker : std::uint8_t { kTake, kClear, kHandOut };
  static constexpr int kParkers = 2;

  LookFlaw flaw = LookFlaw::None;
  std::uint8_t due = 0, ready = 0, parked = 0, handed_out = 0;
  Parker parker[kParkers] = {kPark, kPark};
  Delayed parking[kParkers] = {};
  Worker worker = kTake;

  int threads() const { return 2 * kParkers + 1; }
  bool broken() const { return ready > 1; }  // it is in one line at a time
  bool done() const { return handed_out == kParkers && due == 0; }

  bool step(int thread) {
    if (thread < kParkers) return step_parker(thread);
    if ((thread -= kParkers) < kParkers) {
      if (!parking[thread].drain()) return false;
      ++parked;
      return true;
    }
    return step_worker();
  }

  bool step_parker(int self) {
    switch (parker[self]) {
      case kPark:
        if (parking[self].write(flaw == LookFlaw::DelayedParked)) ++parked;
        parker[self] = kAsk;
        return true;
      case kAsk:  // (21)
        parker[self] = due != 0 ? kParked : kPass;
        due = 1;
        return true;
      case kPass:
        ++ready;
        parker[self] = kParked;
        return true;
      case kParked:
        return false;
    }
    return false;
  }

  bool step_worker() {
    switch (worker) {
      case kTake:
        if (ready == 0) return false;
        --ready;
        worker = flaw == LookFlaw::LooksFirst ? kHandOut : kClear;
        return true;
      case kClear:  // (22)
        due = 0;
        worker = flaw == LookFlaw::LooksFirst ? kTake : kHandOut;
        return true;
      case kHandOut:
        handed_out = static_cast<std::uint8_t>(handed_out + parked);
        parked = 0;
        worker = flaw == LookFlaw::LooksFirst ? kClear : kTake;
        return true;
    }
    return false;
  }
};

TEST(LookModel, NoTaskStaysParkedBeyondTheLookThatIsDue) {
  EXPECT_TRUE(walk(LookModel{}).sound());
}

TEST(LookModel, ALookThatIsDueUntilItHasLookedLeavesATaskParked) {
  EXPECT_TRUE(walk(LookModel{.flaw = LookFlaw::LooksFirst}).stuck());
}

TEST(LookModel, ATaskThatBecomesVisibleAfterTheLookIsDueStaysParked) {
  EXPECT_TRUE(walk(LookModel{.flaw = LookFlaw::DelayedParked}).stuck());
}

}  // namespace
}  // namespace leat
