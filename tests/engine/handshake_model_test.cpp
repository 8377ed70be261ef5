// The smaller agreements between two sides of the engine as models: each side writes, then looks at what the
// other writes, and at least one of them has to see the other. Every interleaving; then with one order
// weakened, or one look left out: that must be found.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "interleavings.h"

namespace leat {
namespace {

/// Pipeline::listen() and visits, against set_phase(), tell_end() and abandon() (pipeline_wait.cpp).
struct EndModel {
  enum class Flaw : std::uint8_t {
    None,
    DelayedPhase,   ///< the phase (10) may become visible after the look at the waiters (11)
    DelayedWaiter,  ///< the waiter (12) may become visible after its look at the phase (13)
    NoLook,         ///< who listens does not look at the phase once it is counted
    CountsLast,     ///< who listens can be told before it is counted
  };
  enum class Listener : std::uint8_t { Count, Add, Look, Listens, Over };
  enum class Visitor : std::uint8_t { Count, Look, InEngine, Leave, Gone };
  enum class Ender : std::uint8_t { End, LookForWaiters, Tell, LookForVisits, EngineGone };

  Flaw flaw = Flaw::None;
  std::uint8_t ended = 0;
  std::uint8_t waiters = 0;
  std::uint8_t added = 0;  // the listener, to the list that a mutex guards
  std::uint8_t told = 0;
  std::uint8_t used_late = 0;
  Listener listener = Listener::Count;
  Visitor visitor = Visitor::Count;
  Ender ender = Ender::End;
  Delayed ending{}, listening{}, visiting{};

  int threads() const { return 6; }
  bool broken() const { return used_late != 0; }
  bool done() const {
    return (listener == Listener::Over || (listener == Listener::Listens && told != 0)) &&
           visitor == Visitor::Gone && ender == Ender::EngineGone;
  }

  bool step(int thread) {
    switch (thread) {
      case 0:
        return step_listener();
      case 1:
        return step_visitor();
      case 2:
        return step_ender();
      case 3:
        if (!ending.drain()) return false;
        ended = 1;
        return true;
      case 4:
        return drain(listening);
      default:
        return drain(visiting);
    }
  }

  bool drain(Delayed& counting) {
    if (!counting.drain()) return false;
    ++waiters;
    return true;
  }

  bool step_listener() {
    switch (listener) {
      case Listener::Count:  // (12)
        if (listening.write(flaw == Flaw::DelayedWaiter)) ++waiters;
        listener = flaw == Flaw::CountsLast ? Listener::Look : Listener::Add;
        return true;
      case Listener::Add:
        added = 1;
        listener = flaw == Flaw::CountsLast ? Listener::Count
                   : flaw == Flaw::NoLook   ? Listener::Listens
                                            : Listener::Look;
        return true;
      case Listener::Look:  // (13)
        listener = Listener::Listens;
        if (ended != 0 && added != 0) {  // mute(): takes itself out of the list, unless it is being told
          added = 0;
          drain(listening);  // the same word: the earlier write comes first
          --waiters;
          listener = Listener::Over;
        }
        return true;
      default:
        return false;
    }
  }

  bool step_visitor() {
    switch (visitor) {
      case Visitor::Count:  // (12)
        if (visiting.write(flaw == Flaw::DelayedWaiter)) ++waiters;
        visitor = Visitor::Look;
        return true;
      case Visitor::Look:  // (13)
        visitor = ended != 0 ? Visitor::Leave : Visitor::InEngine;
        return true;
      case Visitor::InEngine:
        if (ender == Ender::EngineGone) used_late = 1;
        visitor = Visitor::Leave;
        return true;
      case Visitor::Leave:  // (21)
        drain(visiting);
        --waiters;
        visitor = Visitor::Gone;
        return true;
      default:
        return false;
    }
  }

  bool step_ender() {
    switch (ender) {
      case Ender::End:  // (10)
        if (ending.write(flaw == Flaw::DelayedPhase)) ended = 1;
        ender = Ender::LookForWaiters;
        return true;
      case Ender::LookForWaiters:  // (11)
        ender = waiters > 0 ? Ender::Tell : Ender::LookForVisits;
        return true;
      case Ender::Tell:
        if (added != 0) {
          added = 0;
          --waiters;
          told = 1;
        }
        ender = Ender::LookForVisits;
        return true;
      case Ender::LookForVisits:  // (22): abandon() looks again and again
        if (waiters != 0) return false;
        ender = Ender::EngineGone;
        return true;
      default:
        return false;
    }
  }
};

TEST(EndModel, WhoListensIsToldAndWhoVisitsFindsTheEngine) {
  const Walk walked = walk(EndModel{});
  EXPECT_TRUE(walked.sound());
  EXPECT_GT(walked.states, 40U);
}

TEST(EndModel, AnEndThatBecomesVisibleAfterTheLookForWaitersTellsNobody) {
  EXPECT_FALSE(walk(EndModel{.flaw = EndModel::Flaw::DelayedPhase}).sound());
}

TEST(EndModel, AWaiterThatBecomesVisibleAfterItsLookIsLost) {
  EXPECT_FALSE(walk(EndModel{.flaw = EndModel::Flaw::DelayedWaiter}).sound());
}

// The listener was told, and counted off, before it was counted: a visit was not seen, and the engine went.
TEST(EndModel, AListenerThatCanBeToldBeforeItIsCountedHidesAVisit) {
  EXPECT_TRUE(
      walk(EndModel{.flaw = EndModel::Flaw::CountsLast, .listener = EndModel::Listener::Add}).broken());
}

TEST(EndModel, AListenerThatDoesNotLookAgainIsLost) {
  EXPECT_TRUE(walk(EndModel{.flaw = EndModel::Flaw::NoLook}).stuck());
}

/// CoroutineRun's wait against a wish to end it: begin_wait() and end_arming(), told_to_end() and wake().
struct ArmingModel {
  enum class Flaw : std::uint8_t { None, DelayedArming, DelayedWish, NoLook };
  enum class Word : std::uint8_t { Idle, Arming, Waiting, CutShort };
  enum class Coroutine : std::uint8_t { Arm, Look, Wait, Suspended, GoesOn };
  enum class Teller : std::uint8_t { Tell, Look, Wake, Done };

  Flaw flaw = Flaw::None;
  Word word = Word::Idle;
  std::uint8_t told = 0;
  Coroutine coroutine = Coroutine::Arm;
  Teller teller = Teller::Tell;
  Delayed arming{}, telling{};

  int threads() const { return 4; }
  bool broken() const { return false; }
  bool done() const { return coroutine == Coroutine::GoesOn && teller == Teller::Done; }

  bool step(int thread) {
    switch (thread) {
      case 0:
        return step_coroutine();
      case 1:
        return step_teller();
      case 2:
        return drain_arming();
      default:
        if (!telling.drain()) return false;
        told = 1;
        return true;
    }
  }

  bool drain_arming() {
    if (!arming.drain()) return false;
    word = Word::Arming;
    return true;
  }

  bool step_coroutine() {
    switch (coroutine) {
      case Coroutine::Arm:  // (2)
        if (arming.write(flaw == Flaw::DelayedArming)) word = Word::Arming;
        coroutine = flaw == Flaw::NoLook ? Coroutine::Wait : Coroutine::Look;
        return true;
      case Coroutine::Look:  // (4)
        coroutine = told != 0 ? Coroutine::GoesOn : Coroutine::Wait;
        return true;
      case Coroutine::Wait:  // (6); its own write comes first
        drain_arming();
        coroutine = word == Word::Arming ? Coroutine::Suspended : Coroutine::GoesOn;
        if (word == Word::Arming) word = Word::Waiting;
        return true;
      default:
        return false;
    }
  }

  bool step_teller() {
    switch (teller) {
      case Teller::Tell:  // (5)
        if (telling.write(flaw == Flaw::DelayedWish)) told = 1;
        teller = Teller::Look;
        return true;
      case Teller::Look:  // (3)
        teller = word == Word::Arming || word == Word::Waiting ? Teller::Wake : Teller::Done;
        return true;
      case Teller::Wake:  // (7)
        if (word == Word::Waiting) coroutine = Coroutine::GoesOn;
        word = Word::CutShort;
        teller = Teller::Done;
        return true;
      default:
        return false;
    }
  }
};

TEST(ArmingModel, AWishToEndReachesEveryWait) {
  EXPECT_TRUE(walk(ArmingModel{}).sound());
}

TEST(ArmingModel, AWaitThatBecomesVisibleAfterTheLookForAWishIsNotCutShort) {
  EXPECT_TRUE(walk(ArmingModel{.flaw = ArmingModel::Flaw::DelayedArming}).stuck());
}

TEST(ArmingModel, AWishThatBecomesVisibleAfterTheLookAtTheWaitCutsNothingShort) {
  EXPECT_TRUE(walk(ArmingModel{.flaw = ArmingModel::Flaw::DelayedWish}).stuck());
}

TEST(ArmingModel, AWaitThatDoesNotLookForAWishIsNotCutShort) {
  EXPECT_TRUE(walk(ArmingModel{.flaw = ArmingModel::Flaw::NoLook}).stuck());
}

/// LentWorkers::run() against stop(): after stop() no number runs its lane.
struct NumberModel {
  enum class Flaw : std::uint8_t { None, DelayedStop, DelayedNumber, LateGiveBack };
  enum class Runner : std::uint8_t { Take, Look, Run, GiveBack, Gone };
  enum class Stopper : std::uint8_t { Stop, Look, LaneGone };

  Flaw flaw = Flaw::None;
  std::uint8_t busy = 0;
  std::uint8_t stopped = 0;
  std::uint8_t used_late = 0;
  Runner runner = Runner::Take;
  Stopper stopper = Stopper::Stop;
  Delayed taking{}, stopping{};

  int threads() const { return 4; }
  bool broken() const { return used_late != 0; }
  bool done() const { return runner == Runner::Gone && stopper == Stopper::LaneGone; }

  bool step(int thread) {
    switch (thread) {
      case 0:
        return step_runner();
      case 1:
        return step_stopper();
      case 2:
        if (!taking.drain()) return false;
        busy = 1;
        return true;
      default:
        if (!stopping.drain()) return false;
        stopped = 1;
        return true;
    }
  }

  bool step_runner() {
    switch (runner) {
      case Runner::Take:  // (2)
        if (taking.write(flaw == Flaw::DelayedNumber)) busy = 1;
        runner = Runner::Look;
        return true;
      case Runner::Look:  // (1)
        runner = stopped != 0 ? Runner::GiveBack : Runner::Run;
        if (flaw == Flaw::LateGiveBack && runner == Runner::Run) busy = 0;  // (3) seen before what it follows
        return true;
      case Runner::Run:
        if (stopper == Stopper::LaneGone) used_late = 1;
        runner = Runner::GiveBack;
        return true;
      case Runner::GiveBack:  // (3); the same word: the earlier write comes first
        taking.drain();
        busy = 0;
        runner = Runner::Gone;
        return true;
      default:
        return false;
    }
  }

  bool step_stopper() {
    switch (stopper) {
      case Stopper::Stop:
        if (stopping.write(flaw == Flaw::DelayedStop)) stopped = 1;
        stopper = Stopper::Look;
        return true;
      case Stopper::Look:  // (4), again and again
        if (busy != 0) return false;
        stopper = Stopper::LaneGone;
        return true;
      default:
        return false;
    }
  }
};

TEST(NumberModel, NoLentThreadIsInTheLaneWhenStopReturns) {
  EXPECT_TRUE(walk(NumberModel{}).sound());
}

TEST(NumberModel, AStopThatBecomesVisibleAfterTheLookAtTheNumbersLetsOneIn) {
  EXPECT_TRUE(walk(NumberModel{.flaw = NumberModel::Flaw::DelayedStop}).broken());
}

TEST(NumberModel, ANumberThatIsTakenVisiblyAfterTheLookForAStopOutlivesIt) {
  EXPECT_TRUE(walk(NumberModel{.flaw = NumberModel::Flaw::DelayedNumber}).broken());
}

TEST(NumberModel, ANumberThatIsSeenGivenBackBeforeItsWorkOutlivesTheStop) {
  EXPECT_TRUE(walk(NumberModel{.flaw = NumberModel::Flaw::LateGiveBack}).broken());
}

/// A lane that opens again (Lane::resume(), set_paused(false)) against a worker's last look; and the gate's
/// stop(), which rings whoever sleeps or not.
struct OpeningModel {
  enum class Flaw : std::uint8_t {
    None,
    DelayedOpening,  ///< (18) may become visible after the look for sleepers
    DelayedStop,     ///< (7) of wake_gate.h may become visible after the ring (8)
    NoWorkersLook,   ///< the worker sleeps without W2
  };
  enum class Worker : std::uint8_t { Announce, Look, Sleep, Asleep, Awake, Gone };
  enum class Opener : std::uint8_t { Open, LookForSleepers, Done };
  enum class Stopper : std::uint8_t { Waits, Stop, Ring, Wake, Done };

  Flaw flaw = Flaw::None;
  std::uint8_t closed = 1;
  std::uint8_t queued = 1;
  std::uint8_t sleeper = 0;
  std::uint8_t rung = 0;
  std::uint8_t stopped = 0;
  Worker worker = Worker::Announce;
  Opener opener = Opener::Open;
  Stopper stopper = Stopper::Waits;
  Delayed opening{}, stopping{};

  int threads() const { return 5; }
  bool broken() const { return false; }
  bool done() const { return queued == 0 && worker == Worker::Gone; }

  bool step(int thread) {
    switch (thread) {
      case 0:
        return step_worker();
      case 1:
        return step_opener();
      case 2:
        return step_stopper();
      case 3:
        if (!opening.drain()) return false;
        closed = 0;
        return true;
      default:
        if (!stopping.drain()) return false;
        stopped = 1;
        return true;
    }
  }

  bool step_worker() {
    switch (worker) {
      case Worker::Announce:  // (5)
        if (stopped != 0) {
          worker = Worker::Gone;
          return true;
        }
        sleeper = 1;
        worker = flaw == Flaw::NoWorkersLook ? Worker::Sleep : Worker::Look;
        return true;
      case Worker::Look:  // W2: (17), (9)
        worker = (closed == 0 && queued > 0) || stopped != 0 ? Worker::Awake : Worker::Sleep;
        return true;
      case Worker::Sleep:  // (6)
        worker = rung != 0 ? Worker::Awake : Worker::Asleep;
        return true;
      case Worker::Awake:
        rung = 0;
        sleeper = 0;
        if (closed == 0) queued = 0;
        worker = Worker::Announce;
        return true;
      default:
        return false;
    }
  }

  void ring() {
    rung = 1;
    if (worker == Worker::Asleep) worker = Worker::Awake;
  }

  bool step_opener() {
    switch (opener) {
      case Opener::Open:  // (18)
        if (opening.write(flaw == Flaw::DelayedOpening)) closed = 0;
        opener = Opener::LookForSleepers;
        return true;
      case Opener::LookForSleepers:  // notify(): (2), (8)
        if (sleeper != 0) {
          sleeper = 0;
          ring();
        }
        opener = Opener::Done;
        return true;
      default:
        return false;
    }
  }

  bool step_stopper() {
    switch (stopper) {
      case Stopper::Waits:  // until all is done
        if (queued > 0) return false;
        stopper = Stopper::Stop;
        return true;
      case Stopper::Stop:  // (7)
        if (stopping.write(flaw == Flaw::DelayedStop)) stopped = 1;
        stopper = Stopper::Ring;
        return true;
      case Stopper::Ring:  // (8)
        ring();
        stopper = Stopper::Done;
        return true;
      default:
        return false;
    }
  }
};

TEST(OpeningModel, ATaskOfALaneThatOpensAgainIsRunAndTheStopWakesWhoeverSleeps) {
  EXPECT_TRUE(walk(OpeningModel{}).sound());
}

TEST(OpeningModel, ALaneThatIsSeenOpenAfterTheLookForSleepersLeavesItsTask) {
  EXPECT_TRUE(walk(OpeningModel{.flaw = OpeningModel::Flaw::DelayedOpening}).stuck());
}

TEST(OpeningModel, AStopThatIsSeenAfterItsRingLeavesAWorkerAsleep) {
  EXPECT_TRUE(walk(OpeningModel{.flaw = OpeningModel::Flaw::DelayedStop}).stuck());
}

TEST(OpeningModel, AWorkerThatDoesNotLookAgainLeavesTheTask) {
  EXPECT_TRUE(walk(OpeningModel{.flaw = OpeningModel::Flaw::NoWorkersLook}).stuck());
}

/// A hand of one cell: its owner fills it, a thief copies it out (hand.h).
struct HandModel {
  enum class Flaw : std::uint8_t {
    None,
    DelayedCell,   ///< the cell may become visible after the range (3)
    LateCopy,      ///< the copy may be done after the thief is seen gone (5)
    NoThiefCount,  ///< the owner does not look for thieves (2)
  };
  enum class Thief : std::uint8_t { Come, Claim, Copy, Go, CopyLate, Gone };

  Flaw flaw = Flaw::None;
  std::uint8_t cell = 0;   // the number of the refill that wrote it
  std::uint8_t range = 0;  // as many refills are published
  std::uint8_t taken = 0;  // and as many are claimed
  std::uint8_t claimed = 0;
  std::uint8_t thieves = 0;
  std::uint8_t wrong = 0;
  std::uint8_t writing = 0;  // the owner has begun to fill the cell anew
  Thief thief = Thief::Come;
  Delayed filling{};

  int threads() const { return 3; }
  bool broken() const { return wrong != 0; }
  bool done() const { return thief == Thief::Gone && range == 2; }

  bool step(int thread) {
    switch (thread) {
      case 0:
        return step_owner();
      case 1:
        return step_thief();
      default:
        if (!filling.drain()) return false;
        cell = static_cast<std::uint8_t>(range);
        return true;
    }
  }

  bool step_owner() {
    if (writing == 0) {  // (6), (2)
      if (range == 2 || range != taken || (thieves != 0 && flaw != Flaw::NoThiefCount)) return false;
      writing = 1;
      if (filling.write(flaw == Flaw::DelayedCell)) cell = static_cast<std::uint8_t>(range + 1);
      return true;
    }
    ++range;  // (3)
    writing = 0;
    return true;
  }

  bool step_thief() {
    switch (thief) {
      case Thief::Come:
        ++thieves;
        thief = Thief::Claim;
        return true;
      case Thief::Claim:       // (7), (4)
        if (range == taken) {  // nothing there
          --thieves;
          thief = Thief::Come;
          return true;
        }
        claimed = ++taken;
        thief = flaw == Flaw::LateCopy ? Thief::Go : Thief::Copy;
        return true;
      case Thief::Copy:
      case Thief::CopyLate:
        if (cell != claimed) wrong = 1;
        thief = thief == Thief::Copy ? Thief::Go : Thief::Gone;
        return true;
      case Thief::Go:  // (5)
        --thieves;
        thief = flaw == Flaw::LateCopy ? Thief::CopyLate : Thief::Gone;
        return true;
      default:
        return false;
    }
  }
};

TEST(HandModel, AThiefCopiesTheTaskThatItClaimed) {
  EXPECT_TRUE(walk(HandModel{}).sound());
}

TEST(HandModel, ACellThatBecomesVisibleAfterItsRangeIsCopiedOld) {
  EXPECT_TRUE(walk(HandModel{.flaw = HandModel::Flaw::DelayedCell}).broken());
}

TEST(HandModel, ACopyThatIsDoneAfterTheThiefIsGoneIsOverwritten) {
  EXPECT_TRUE(walk(HandModel{.flaw = HandModel::Flaw::LateCopy}).broken());
}

TEST(HandModel, AnOwnerThatDoesNotLookForThievesOverwritesACopy) {
  EXPECT_TRUE(walk(HandModel{.flaw = HandModel::Flaw::NoThiefCount}).broken());
}

/// Pipeline::begin() against a step that takes a Ready task away (cancel, limit), or stops a Running one.
struct TaskWordModel {
  enum class Flaw : std::uint8_t {
    None,
    DelayedAttempt,  ///< whom to stop may become visible after Running (6)
    TwoSteps,        ///< the worker looks at the word and writes it in two steps
  };
  enum class Word : std::uint8_t { Ready, Running, Cancelled };
  enum class Worker : std::uint8_t { Name, Begin, Write, Runs, Refused };
  enum class Owner : std::uint8_t { Look, Stop, Done };

  Flaw flaw = Flaw::None;
  Word word = Word::Ready;
  std::uint8_t running = 0;  // names the attempt
  std::uint8_t wrong = 0;
  std::uint8_t told = 0;
  Worker worker = Worker::Name;
  Owner owner = Owner::Look;
  Delayed naming{};

  int threads() const { return 3; }
  bool broken() const { return wrong != 0 || (worker == Worker::Runs && word == Word::Cancelled); }
  bool done() const { return owner == Owner::Done && (worker == Worker::Refused || worker == Worker::Runs); }

  bool step(int thread) {
    if (thread == 2) {
      if (!naming.drain()) return false;
      running = 1;
      return true;
    }
    return thread == 0 ? step_worker() : step_owner();
  }

  bool step_worker() {
    switch (worker) {
      case Worker::Name:
        if (naming.write(flaw == Flaw::DelayedAttempt)) running = 1;
        worker = Worker::Begin;
        return true;
      case Worker::Begin:  // (6)
        if (word != Word::Ready) {
          worker = Worker::Refused;
        } else if (flaw == Flaw::TwoSteps) {
          worker = Worker::Write;
        } else {
          word = Word::Running;
          worker = Worker::Runs;
        }
        return true;
      case Worker::Write:
        if (word == Word::Cancelled) wrong = 1;  // it has ended already
        word = Word::Running;
        worker = Worker::Runs;
        return true;
      default:
        return false;
    }
  }

  bool step_owner() {
    switch (owner) {
      case Owner::Look:  // (7), the exchange
        owner = word == Word::Running ? Owner::Stop : Owner::Done;
        if (word == Word::Ready) word = Word::Cancelled;
        return true;
      case Owner::Stop:
        if (running == 0) wrong = 1;  // nobody is told
        told = running;
        owner = Owner::Done;
        return true;
      default:
        return false;
    }
  }
};

TEST(TaskWordModel, ATaskBeginsOrIsTakenAwayAndWhoRunsIsTold) {
  EXPECT_TRUE(walk(TaskWordModel{}).sound());
}

TEST(TaskWordModel, AnAttemptThatBecomesVisibleAfterRunningIsNotTold) {
  EXPECT_TRUE(walk(TaskWordModel{.flaw = TaskWordModel::Flaw::DelayedAttempt}).broken());
}

TEST(TaskWordModel, ABeginInTwoStepsRevivesATaskThatHasEnded) {
  EXPECT_TRUE(walk(TaskWordModel{.flaw = TaskWordModel::Flaw::TwoSteps}).broken());
}

}  // namespace
}  // namespace leat
