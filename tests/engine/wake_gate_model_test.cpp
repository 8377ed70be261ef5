// The lanes' wake-up protocol (wake_gate.h, with lane.cpp, hand.h and thread_workers.cpp around it) as a
// model: every interleaving of producers and workers, under sequential consistency. No task may be left while
// nobody runs; and where each task holds its worker until all have begun, each finds a worker of its own.
// Then the same with one order weakened, or one step left out: that must be found.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "interleavings.h"

namespace leat {
namespace {

constexpr int kProducers = 2;
constexpr int kWorkers = 3;

enum class Flaw : std::uint8_t {
  None,
  NoSecondLook,      ///< the worker sleeps without W2
  DelayedPublish,    ///< P1 may become visible after P2 (depth's add not seq_cst)
  DelayedAnnounce,   ///< W1, the sleeper's bit (5), may become visible after W2
  DelayedSearchEnd,  ///< the searcher's "I stopped" (4) may become visible after its next look
  DelayedHand,       ///< the tasks in a hand (3 in hand.h) may become visible after the wake is passed on
  NoChainFromQueue,  ///< who takes several tasks into its hand does not pass the wake on
  NoChainFromHand,   ///< who steals one of several tasks does not pass the wake on
};

/// The procedure WakeGate::notify(), as far as one caller has come.
struct Notify {
  enum Step : std::uint8_t { kSearcher, kSleepers, kClaim, kRing, kWake };
  Step at = kSearcher;
  std::uint8_t asleep = 0;
  std::uint8_t worker = 0;
};

struct Producer {
  enum Step : std::uint8_t { kPush, kAdd, kNotify };
  Step at = kPush;
  std::uint8_t pushes = 0;  ///< that it still has to do
  Delayed adding = {};      // P1
  Notify notify = {};
};

struct Worker {
  enum Step : std::uint8_t {
    kNext,
    kFall,
    kChain,
    kSteal,
    kLookForMore,
    kChainOfSteal,
    kBegin,
    kHeld,
    kSearch,
    kLook,
    kSearchEnd,
    kAnnounce,
    kLookAgain,
    kSleep,
    kAsleep,
    kClearRung,
    kClearBit
  };
  Step at = kNext;
  std::uint8_t hand = 0;     ///< tasks in it
  std::uint8_t taken = 0;    // how many the last refill took
  std::uint8_t victims = 0;  // how many hands it has looked into
  std::uint8_t found = 0;
  std::uint8_t rung = 0;
  Delayed announcing = {};     // (5)
  Delayed search_ending = {};  // (4)
  Delayed handing = {};        // (3 in hand.h)
  Notify notify = {};
};

struct WakeModel {
  Flaw flaw = Flaw::None;
  std::uint8_t workers = 2;
  std::uint8_t searches = 0;    ///< whether idle workers search before they sleep (IdlePolicy)
  std::uint8_t tasks_hold = 0;  ///< whether each task ends only when all have begun
  std::uint8_t bulk = 1;        ///< tasks in one push
  std::uint8_t tasks = 2;       ///< in all
  std::array<Producer, kProducers> producer{Producer{.pushes = 1}, Producer{.pushes = 1}};

  std::uint8_t queued = 0;
  std::int8_t depth = 0;  ///< of the queue, as everybody sees it: trails the queue itself
  std::uint8_t searching = 0;
  std::uint8_t sleepers = 0;
  std::uint8_t begun = 0;
  std::array<Worker, kWorkers> worker{};

  int threads() const { return 2 * (kProducers + workers); }
  bool broken() const { return begun > tasks; }
  bool done() const { return begun == tasks; }

  bool step(int thread) {
    if (thread < kProducers) return step_producer(producer[thread]);
    if ((thread -= kProducers) < kProducers) {
      if (!producer[thread].adding.drain()) return false;
      add();
      return true;
    }
    if ((thread -= kProducers) < workers) return step_worker(thread);
    return drain_worker(thread - workers);
  }

  bool step_producer(Producer& self) {  // Lane::push()
    switch (self.at) {
      case Producer::kPush:
        if (self.pushes == 0 || self.adding.pending) return false;
        --self.pushes;
        queued += bulk;
        self.at = Producer::kAdd;
        return true;
      case Producer::kAdd:  // P1: (3) of lane.cpp
        if (self.adding.write(flaw == Flaw::DelayedPublish)) add();
        self.at = Producer::kNotify;
        return true;
      case Producer::kNotify:
        if (!step_notify(self.notify)) return true;
        self.notify = {};
        self.at = Producer::kPush;
        return true;
    }
    return false;
  }

  void add() { depth = static_cast<std::int8_t>(depth + bulk); }

  /// @return whether the call has returned
  bool step_notify(Notify& self) {
    switch (self.at) {
      case Notify::kSearcher:  // P2 (1)
        if (searching != 0) return true;
        self.at = Notify::kSleepers;
        return false;
      case Notify::kSleepers:  // P2 (2)
        self.asleep = sleepers;
        self.at = Notify::kClaim;
        return self.asleep == 0;
      case Notify::kClaim:
        if (sleepers != self.asleep) {
          self.asleep = sleepers;
          return self.asleep == 0;
        }
        self.worker = 0;
        while ((sleepers & bit(self.worker)) == 0) ++self.worker;
        sleepers &= static_cast<std::uint8_t>(~bit(self.worker));
        self.at = Notify::kRing;
        return false;
      case Notify::kRing:  // (8)
        worker[self.worker].rung = 1;
        self.at = Notify::kWake;
        return false;
      default:
        if (worker[self.worker].at == Worker::kAsleep) worker[self.worker].at = Worker::kSleep;
        return true;
    }
  }

  /// Lane::anything_queued(). One step: a task that leaves the queue is in a hand before depth falls.
  bool anything_queued() const {
    bool any = depth > 0;
    for (const Worker& one : worker) any = any || one.hand > 0;
    return any;
  }

  bool step_worker(int number) {
    Worker& self = worker[number];
    switch (self.at) {
      case Worker::kHeld:
        if (begun < tasks) return false;
        self.at = Worker::kNext;
        return true;
      case Worker::kNext:
      case Worker::kFall:
      case Worker::kChain:
      case Worker::kSteal:
      case Worker::kLookForMore:
      case Worker::kChainOfSteal:
      case Worker::kBegin:
        return step_next(self, number);
      default:
        return step_wait(self, number);
    }
  }

  bool step_next(Worker& self, int number) {  // Lane::next()
    switch (self.at) {
      case Worker::kNext:
        if (self.handing.drain()) self.hand = self.taken;  // its own write it sees at once
        if (self.hand > 0) {
          --self.hand;
          self.at = Worker::kBegin;
        } else if (queued > 0) {  // (3) of hand.h
          self.taken = queued;
          queued = 0;
          if (self.handing.write(flaw == Flaw::DelayedHand)) self.hand = self.taken;
          self.at = Worker::kFall;
        } else {
          self.at = Worker::kSteal;
        }
        return true;
      case Worker::kFall: {  // (5) of lane.cpp
        const bool more = depth > self.taken || self.taken > 1;
        depth = static_cast<std::int8_t>(depth - self.taken);
        if (!self.handing.pending) self.taken = 0;
        self.at = more && flaw != Flaw::NoChainFromQueue ? Worker::kChain : Worker::kNext;
        return true;
      }
      case Worker::kChain:
        if (!step_notify(self.notify)) return true;
        self.notify = {};
        self.at = Worker::kNext;
        return true;
      case Worker::kSteal: {
        if (++self.victims == workers) {
          self.victims = 0;
          self.at = searches ? Worker::kSearch : Worker::kAnnounce;
          return true;
        }
        Worker& victim = worker[(number + self.victims) % workers];
        if (victim.hand == 0) return true;
        --victim.hand;
        self.victims = 0;
        self.at = Worker::kLookForMore;
        return true;
      }
      case Worker::kLookForMore:
        self.at = anything_queued() && flaw != Flaw::NoChainFromHand ? Worker::kChainOfSteal : Worker::kBegin;
        return true;
      case Worker::kChainOfSteal:
        if (!step_notify(self.notify)) return true;
        self.notify = {};
        self.at = Worker::kBegin;
        return true;
      default:
        ++begun;
        self.at = tasks_hold ? Worker::kHeld : Worker::kNext;
        return true;
    }
  }

  bool step_wait(Worker& self, int number) {  // WakeGate::wait()
    switch (self.at) {
      case Worker::kSearch:                            // (3)
        if (self.search_ending.pending) return false;  // the same word: the earlier write comes first
        self.at = searching == 0 ? Worker::kLook : Worker::kAnnounce;
        searching = 1;
        return true;
      case Worker::kLook:  // one round: more of them find what one finds later
        self.found = anything_queued();
        self.at = Worker::kSearchEnd;
        return true;
      case Worker::kSearchEnd:  // W1 (4)
        if (self.search_ending.write(flaw == Flaw::DelayedSearchEnd)) searching = 0;
        self.at = self.found ? Worker::kNext : Worker::kAnnounce;
        self.found = 0;
        return true;
      case Worker::kAnnounce:  // W1 (5)
        if (self.announcing.write(flaw == Flaw::DelayedAnnounce)) sleepers |= bit(number);
        self.at = flaw == Flaw::NoSecondLook ? Worker::kSleep : Worker::kLookAgain;
        return true;
      case Worker::kLookAgain:  // W2
        self.at = anything_queued() ? Worker::kClearRung : Worker::kSleep;
        return true;
      case Worker::kSleep:  // (6); the kernel compares and sleeps in one step, a system call empties the
                            // store buffer
        if (self.announcing.pending || self.search_ending.pending) return false;
        self.at = self.rung == 0 ? Worker::kAsleep : Worker::kClearRung;
        return true;
      case Worker::kClearRung:
        self.rung = 0;
        self.at = Worker::kClearBit;
        return true;
      case Worker::kClearBit:
        if (self.announcing.pending) return false;  // the same word: the earlier write comes first
        sleepers &= static_cast<std::uint8_t>(~bit(number));
        self.at = Worker::kNext;
        return true;
      default:
        return false;  // asleep
    }
  }

  bool drain_worker(int number) {
    Worker& self = worker[number];
    if (self.announcing.drain()) {
      sleepers |= bit(number);
    } else if (self.search_ending.drain()) {
      searching = 0;
    } else if (self.handing.drain()) {
      self.hand = self.taken;
    } else {
      return false;
    }
    return true;
  }

  static std::uint8_t bit(int number) { return static_cast<std::uint8_t>(1 << number); }
};

constexpr WakeModel kTwoProducers = {};
constexpr WakeModel kOneProducer = {.producer = {Producer{.pushes = 2}, Producer{}}};
constexpr WakeModel kBulk = {.bulk = 2, .producer = {Producer{.pushes = 1}, Producer{}}};
constexpr WakeModel kBulkOfThree = {
    .workers = 3, .bulk = 3, .tasks = 3, .producer = {Producer{.pushes = 1}, Producer{}}};

WakeModel with(WakeModel model, Flaw flaw, bool searches, bool tasks_hold = false) {
  model.flaw = flaw;
  model.searches = searches;
  model.tasks_hold = tasks_hold;
  return model;
}

TEST(WakeGateModel, NoTaskWaitsWhileAllWorkersSleep) {
  for (const bool searches : {false, true}) {
    for (const WakeModel& model : {kTwoProducers, kOneProducer, kBulk}) {
      const Walk walked = walk(with(model, Flaw::None, searches));
      EXPECT_TRUE(walked.sound());
      EXPECT_GT(walked.states, 500U);
    }
  }
}

TEST(WakeGateModel, NoTaskWaitsBehindABusyWorkerWhileAnotherSleeps) {
  for (const bool searches : {false, true}) {
    for (const WakeModel& model : {kTwoProducers, kOneProducer, kBulk}) {
      EXPECT_TRUE(walk(with(model, Flaw::None, searches, true)).sound());
    }
  }
  EXPECT_TRUE(walk(with(kBulkOfThree, Flaw::None, false, true)).sound());
}

TEST(WakeGateModel, WithoutASecondLookAWakeUpIsLost) {
  EXPECT_TRUE(walk(with(kTwoProducers, Flaw::NoSecondLook, false)).stuck());
  EXPECT_TRUE(walk(with(kTwoProducers, Flaw::NoSecondLook, true)).stuck());
}

TEST(WakeGateModel, ATaskThatBecomesVisibleAfterTheLookForSleepersIsLost) {
  EXPECT_TRUE(walk(with(kTwoProducers, Flaw::DelayedPublish, false)).stuck());
  EXPECT_TRUE(walk(with(kTwoProducers, Flaw::DelayedPublish, true)).stuck());
}

TEST(WakeGateModel, AnAnnouncementThatBecomesVisibleAfterTheLastLookLosesAWakeUp) {
  EXPECT_TRUE(walk(with(kTwoProducers, Flaw::DelayedAnnounce, false)).stuck());
  EXPECT_TRUE(walk(with(kTwoProducers, Flaw::DelayedAnnounce, true)).stuck());
}

TEST(WakeGateModel, ASearcherThatSeemsToSearchAfterItsLastLookLosesAWakeUp) {
  EXPECT_TRUE(walk(with(kTwoProducers, Flaw::DelayedSearchEnd, true)).stuck());
}

TEST(WakeGateModel, AHandThatBecomesVisibleAfterTheWakeIsPassedOnBuriesATask) {
  EXPECT_TRUE(walk(with(kBulk, Flaw::DelayedHand, false, true)).stuck());
}

TEST(WakeGateModel, AWakeThatIsNotPassedOnLeavesATaskBehindABusyWorker) {
  EXPECT_TRUE(walk(with(kBulk, Flaw::NoChainFromQueue, false, true)).stuck());
  EXPECT_TRUE(walk(with(kBulkOfThree, Flaw::NoChainFromHand, false, true)).stuck());
}

}  // namespace
}  // namespace leat
