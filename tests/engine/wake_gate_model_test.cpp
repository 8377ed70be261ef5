// The lanes' wake-up protocol (wake_gate.h, with lane.cpp and thread_workers.cpp around it) as a model: every
// interleaving of producers and workers, under sequential consistency. No task may be left in the queue while
// nobody runs; and where each task holds its worker until all have begun, each finds a worker of its own.
// Then the same with one order weakened, or one step left out: that must be found.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "interleavings.h"

namespace leat {
namespace {

constexpr int kProducers = 2;
constexpr int kWorkers = 2;
constexpr std::uint8_t kTasks = 2;

enum class Flaw : std::uint8_t {
  None,
  NoSecondLook,      ///< the worker sleeps without W2
  DelayedPublish,    ///< P1 may become visible after P2 (depth's add not seq_cst)
  DelayedAnnounce,   ///< W1, the sleeper's bit (5), may become visible after W2
  DelayedSearchEnd,  ///< the searcher's "I stopped" (4) may become visible after its next look
  NoChain,           ///< a woken worker does not pass the wake on
  EarlyHint,         ///< the searcher's look for a second task may come before (4) is visible
};

/// The procedure WakeGate::notify(), as far as one caller has come.
struct Notify {
  enum Step : std::uint8_t { kIdle, kSearcher, kSleepers, kClaim, kRing, kWake };
  Step at = kIdle;
  std::uint8_t asleep = 0;
  std::uint8_t worker = 0;
};

struct WakeModel {
  enum Producer : std::uint8_t { kPush, kAdd, kNotify };
  enum Worker : std::uint8_t {
    kPop,
    kPopped,
    kHeld,
    kSearch,
    kLook,
    kSearchEnd,
    kAnnounce,
    kLookAgain,
    kSleep,
    kAsleep,
    kClearRung,
    kClearBit,
    kHint,
    kPassOn
  };

  static constexpr std::uint8_t kYes = 1, kNo = 2;

  Flaw flaw = Flaw::None;
  std::uint8_t searches = 0;    ///< whether idle workers search before they sleep (IdlePolicy)
  std::uint8_t tasks_hold = 0;  ///< whether each task ends only when all have begun
  std::uint8_t bulk = 1;        ///< tasks in one push
  std::array<std::uint8_t, kProducers> left{1, 1};  ///< pushes that each producer still has to do

  std::uint8_t queued = 0;
  std::int8_t depth = 0;  ///< the count that everybody looks at; trails the queue
  std::uint8_t searching = 0;
  std::uint8_t sleepers = 0;
  std::uint8_t begun = 0;
  std::array<std::uint8_t, kWorkers> rung{};
  std::array<Producer, kProducers> producer{};
  std::array<Worker, kWorkers> worker{};
  std::array<std::uint8_t, kWorkers> found{};
  std::array<std::uint8_t, kWorkers> hint{};
  std::array<Notify, kProducers + kWorkers> notify{};
  std::array<Delayed, kProducers> adding{};       // P1
  std::array<Delayed, kWorkers> announcing{};     // (5)
  std::array<Delayed, kWorkers> search_ending{};  // (4)

  int threads() const { return 2 * (kProducers + kWorkers); }
  bool broken() const { return depth > kTasks || begun > kTasks; }
  bool done() const { return begun == kTasks; }

  bool step(int thread) {
    if (thread < kProducers) return step_producer(thread);
    thread -= kProducers;
    if (thread < kWorkers) return step_worker(thread);
    thread -= kWorkers;
    if (thread < kProducers) {
      if (!adding[thread].drain()) return false;
      depth += bulk;
      return true;
    }
    return drain_worker(thread - kProducers);
  }

  bool step_producer(int self) {  // Lane::push()
    switch (producer[self]) {
      case kPush:
        if (left[self] == 0 || adding[self].pending) return false;
        --left[self];
        queued += bulk;
        producer[self] = kAdd;
        return true;
      case kAdd:  // P1: (3) of lane.cpp
        if (adding[self].write(flaw == Flaw::DelayedPublish)) depth += bulk;
        notify[self].at = Notify::kSearcher;
        producer[self] = kNotify;
        return true;
      case kNotify:
        if (!step_notify(notify[self])) producer[self] = kPush;
        return true;
    }
    return false;
  }

  /// @return false: the call has returned
  bool step_notify(Notify& self) {
    switch (self.at) {
      case Notify::kIdle:
        return false;
      case Notify::kSearcher:  // P2 (1)
        self.at = searching != 0 ? Notify::kIdle : Notify::kSleepers;
        return true;
      case Notify::kSleepers:  // P2 (2)
        self.asleep = sleepers;
        self.at = self.asleep == 0 ? Notify::kIdle : Notify::kClaim;
        return true;
      case Notify::kClaim:
        self.worker = (self.asleep & 1) != 0 ? 0 : 1;
        if (sleepers == self.asleep) {
          sleepers &= static_cast<std::uint8_t>(~(1 << self.worker));
          self.at = Notify::kRing;
        } else {
          self.asleep = sleepers;
          if (self.asleep == 0) self.at = Notify::kIdle;
        }
        return true;
      case Notify::kRing:  // (8)
        rung[self.worker] = 1;
        self.at = Notify::kWake;
        return true;
      case Notify::kWake:
        if (worker[self.worker] == kAsleep) worker[self.worker] = kSleep;
        self = Notify{};
        return true;
    }
    return false;
  }

  bool has_work() const { return depth > 0; }

  bool step_worker(int self) {
    Worker& at = worker[self];
    switch (at) {
      case kPop:  // Lane::run_some()
        at = queued > 0 ? kPopped : (searches ? kSearch : kAnnounce);
        if (queued > 0) --queued;
        return true;
      case kPopped:
        --depth;
        ++begun;
        at = tasks_hold ? kHeld : kPop;
        return true;
      case kHeld:
        if (begun < kTasks) return false;
        at = kPop;
        return true;
      case kSearch:                                     // (3)
        if (search_ending[self].pending) return false;  // the same word: the earlier write comes first
        at = searching == 0 ? kLook : kAnnounce;
        searching = 1;
        return true;
      case kLook:  // one round: more of them find what one finds later
        found[self] = has_work();
        at = kSearchEnd;
        return true;
      case kSearchEnd:  // W1 (4)
        if (flaw == Flaw::EarlyHint && hint[self] == 0) {
          hint[self] = depth > 1 ? kYes : kNo;
          return true;
        }
        if (search_ending[self].write(flaw == Flaw::DelayedSearchEnd)) searching = 0;
        if (!found[self]) hint[self] = 0;
        at = found[self] ? kHint : kAnnounce;
        return true;
      default:
        return step_sleeper(self);
    }
  }

  bool step_sleeper(int self) {
    Worker& at = worker[self];
    switch (at) {
      case kAnnounce:  // W1 (5)
        if (announcing[self].write(flaw == Flaw::DelayedAnnounce)) sleepers |= bit(self);
        at = flaw == Flaw::NoSecondLook ? kSleep : kLookAgain;
        return true;
      case kLookAgain:  // W2
        at = has_work() ? kClearRung : kSleep;
        return true;
      case kSleep:  // (6); the kernel compares and sleeps in one step, and a system call empties the store
                    // buffer
        if (announcing[self].pending || search_ending[self].pending) return false;
        at = rung[self] == 0 ? kAsleep : kClearRung;
        return true;
      case kAsleep:
        return false;
      case kClearRung:
        rung[self] = 0;
        at = kClearBit;
        return true;
      case kClearBit:
        if (announcing[self].pending) return false;  // the same word: the earlier write comes first
        sleepers &= static_cast<std::uint8_t>(~bit(self));
        at = kHint;
        return true;
      case kHint:  // ThreadWorkers::work(): a bulk rings once; who wakes passes it on
        if (hint[self] == 0) hint[self] = depth > 1 ? kYes : kNo;
        if (hint[self] == kYes && flaw != Flaw::NoChain) notify[kProducers + self].at = Notify::kSearcher;
        hint[self] = found[self] = 0;
        at = kPassOn;
        return true;
      default:
        if (!step_notify(notify[kProducers + self])) at = kPop;
        return true;
    }
  }

  bool drain_worker(int self) {
    if (announcing[self].drain()) {
      sleepers |= bit(self);
      return true;
    }
    if (search_ending[self].drain()) {
      searching = 0;
      return true;
    }
    return false;
  }

  static std::uint8_t bit(int worker) { return static_cast<std::uint8_t>(1 << worker); }
};

constexpr WakeModel kBulk = {.bulk = 2, .left = {1, 0}};

WakeModel with(WakeModel model, Flaw flaw, bool searches, bool tasks_hold = false) {
  model.flaw = flaw;
  model.searches = searches;
  model.tasks_hold = tasks_hold;
  return model;
}

TEST(WakeGateModel, NoTaskWaitsWhileAllWorkersSleep) {
  for (const bool searches : {false, true}) {
    for (const WakeModel& model : {WakeModel{}, WakeModel{.left = {2, 0}}, kBulk}) {
      const Walk walked = walk(with(model, Flaw::None, searches));
      EXPECT_TRUE(walked.sound());
      EXPECT_GT(walked.states, 500U);
    }
  }
}

TEST(WakeGateModel, NoTaskWaitsBehindABusyWorkerWhileAnotherSleeps) {
  for (const bool searches : {false, true}) {
    for (const WakeModel& model : {WakeModel{}, WakeModel{.left = {2, 0}}, kBulk}) {
      EXPECT_TRUE(walk(with(model, Flaw::None, searches, true)).sound());
    }
  }
}

TEST(WakeGateModel, WithoutASecondLookAWakeUpIsLost) {
  EXPECT_TRUE(walk(with({}, Flaw::NoSecondLook, false)).stuck());
  EXPECT_TRUE(walk(with({}, Flaw::NoSecondLook, true)).stuck());
}

TEST(WakeGateModel, ATaskThatBecomesVisibleAfterTheLookForSleepersIsLost) {
  EXPECT_TRUE(walk(with({}, Flaw::DelayedPublish, false)).stuck());
  EXPECT_TRUE(walk(with({}, Flaw::DelayedPublish, true)).stuck());
}

TEST(WakeGateModel, AnAnnouncementThatBecomesVisibleAfterTheLastLookLosesAWakeUp) {
  EXPECT_TRUE(walk(with({}, Flaw::DelayedAnnounce, false)).stuck());
  EXPECT_TRUE(walk(with({}, Flaw::DelayedAnnounce, true)).stuck());
}

TEST(WakeGateModel, ASearcherThatSeemsToSearchAfterItsLastLookLosesAWakeUp) {
  EXPECT_TRUE(walk(with({}, Flaw::DelayedSearchEnd, true)).stuck());
}

TEST(WakeGateModel, ASearcherThatCountsTheTasksBeforeItStoppedLeavesOneBehindABusyWorker) {
  EXPECT_TRUE(walk(with({}, Flaw::EarlyHint, true)).sound());  // nothing is lost, but
  EXPECT_TRUE(walk(with({}, Flaw::EarlyHint, true, true)).stuck());
}

TEST(WakeGateModel, ABulkThatIsNotPassedOnLeavesATaskBehindABusyWorker) {
  EXPECT_TRUE(walk(with(kBulk, Flaw::NoChain, false, true)).stuck());
}

}  // namespace
}  // namespace leat
