// The drains of a lane in a oneTBB arena (arena_workers.cpp) as a model: every interleaving of producers,
// drains and a stop. No task may be left in the queue when no drain runs, no worker number may be had twice,
// and nothing may run after stop() has returned. Then with one order weakened, or one step left out: that
// must be found.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "interleavings.h"

namespace leat {
namespace {

constexpr int kProducers = 2;
constexpr int kDrains = 4;  // more than ever live at once, see broken()
constexpr std::uint8_t kTasks = 2;

enum class Flaw : std::uint8_t {
  None,
  NoSecondLook,    ///< the drain leaves without W2
  DelayedPublish,  ///< P1 may become visible after P2
  DelayedLeave,    ///< W1 (3), the number given back, may become visible after W2
  NoChain,         ///< a drain does not pass the wake on
  DelayedAlive,    ///< the count of drains may become visible after the look at the stop
  CountsLate,      ///< a drain is counted when it starts, not when it is queued
};

/// The procedure ArenaWorkers::notify(), as far as one caller has come.
struct Notify {
  enum Step : std::uint8_t { kIdle, kLook, kCount, kSeeStop, kTake, kUncount };
  Step at = kIdle;
  std::uint8_t busy = 0;
  Delayed counting{};
};

struct ArenaModel {
  enum Producer : std::uint8_t { kPush, kNotify };
  enum Drain : std::uint8_t {
    kNone,
    kQueued,
    kPop,
    kPassOn,
    kBegin,
    kHeld,
    kLeave,
    kLookAgain,
    kNotifyAgain,
    kGone
  };
  enum Stop : std::uint8_t { kBefore, kWaits, kStopped };

  Flaw flaw = Flaw::None;
  std::uint8_t tasks_hold = 0;
  std::uint8_t stops = 0;
  std::uint8_t bulk = 1;
  std::uint8_t numbers = 2;  ///< worker numbers: threads that the arena may use
  std::array<std::uint8_t, kProducers> left{1, 1};

  std::uint8_t depth = 0;
  std::uint8_t busy = 0;
  std::uint8_t alive = 0;
  std::uint8_t stopping = 0;
  std::uint8_t begun = 0;
  std::uint8_t overflow = 0;
  Stop stop = kBefore;
  std::array<Producer, kProducers> producer{};
  std::array<Drain, kDrains> drain{};
  std::array<std::uint8_t, kDrains> number{};
  std::array<Notify, kProducers + kDrains> notify{};
  std::array<Delayed, kProducers> adding{};  // P1
  std::array<Delayed, kDrains> leaving{};    // (3)

  int threads() const { return 2 * (kProducers + kDrains) + kProducers + kDrains + 1; }

  bool broken() const {
    int users[2] = {};
    for (int i = 0; i < kDrains; ++i) {
      if (drain[i] != kNone && drain[i] < kLookAgain) ++users[number[i]];
      if (drain[i] != kNone && stop == kStopped) return true;
    }
    return overflow || users[0] > 1 || users[1] > 1;
  }
  bool done() const { return stops ? stop == kStopped : begun == kTasks && alive == 0; }

  bool step(int thread) {
    if (thread < kProducers) return step_producer(thread);
    if ((thread -= kProducers) < kDrains) return step_drain(thread);
    if ((thread -= kDrains) < kProducers) {
      if (!adding[thread].drain()) return false;
      depth += bulk;
      return true;
    }
    if ((thread -= kProducers) < kDrains) {
      if (!leaving[thread].drain()) return false;
      give_back_number(thread);
      return true;
    }
    if ((thread -= kDrains) < kProducers + kDrains) {
      if (!notify[thread].counting.drain()) return false;
      ++alive;
      return true;
    }
    return step_stop();
  }

  bool step_producer(int self) {
    switch (producer[self]) {
      case kPush:  // P1
        if (left[self] == 0 || adding[self].pending) return false;
        --left[self];
        if (adding[self].write(flaw == Flaw::DelayedPublish)) depth += bulk;
        notify[self].at = Notify::kLook;
        producer[self] = kNotify;
        return true;
      default:
        if (!step_notify(notify[self])) producer[self] = kPush;
        return true;
    }
  }

  /// @return false: the call has returned
  bool step_notify(Notify& self) {
    switch (self.at) {
      case Notify::kIdle:
        return false;
      case Notify::kLook:  // P2 (1)
        self.busy = busy;
        self.at = all_busy(self.busy) ? Notify::kIdle : Notify::kCount;
        return true;
      case Notify::kCount:
        if (flaw != Flaw::CountsLate && self.counting.write(flaw == Flaw::DelayedAlive)) ++alive;
        self.at = Notify::kSeeStop;
        return true;
      case Notify::kSeeStop:
        self.at = stopping ? Notify::kUncount : Notify::kTake;
        return true;
      case Notify::kTake:  // (2)
        if (busy != self.busy) {
          self.busy = busy;
          self.at = Notify::kUncount;
        } else {
          const std::uint8_t free = (busy & 1) != 0 ? 1 : 0;
          busy |= static_cast<std::uint8_t>(1 << free);
          enqueue(free);
          self.at = Notify::kIdle;
        }
        return true;
      case Notify::kUncount:                 // (6)
        if (self.counting.drain()) ++alive;  // the same word: the earlier write comes first
        if (flaw != Flaw::CountsLate) --alive;
        self.at = stopping || all_busy(self.busy) ? Notify::kIdle : Notify::kCount;
        return true;
    }
    return false;
  }

  void enqueue(std::uint8_t free) {
    for (int i = 0; i < kDrains; ++i) {
      if (drain[i] != kNone || leaving[i].pending) continue;
      drain[i] = kQueued;
      number[i] = free;
      return;
    }
    overflow = 1;
  }

  bool step_drain(int self) {
    Drain& at = drain[self];
    switch (at) {
      case kNone:
        return false;
      case kQueued:
        if (flaw == Flaw::CountsLate) ++alive;
        at = kPop;
        return true;
      case kPop:  // Lane::next(), without hands: see wake_gate_model_test.cpp
        if (depth == 0 || stopping) {
          at = kLeave;
          return true;
        }
        --depth;
        if (depth > 0 && flaw != Flaw::NoChain) notify[kProducers + self].at = Notify::kLook;
        at = kPassOn;
        return true;
      case kPassOn:
      case kNotifyAgain:
        if (!step_notify(notify[kProducers + self])) at = at == kPassOn ? kBegin : kGone;
        return true;
      case kBegin:
        ++begun;
        at = tasks_hold ? kHeld : kPop;
        return true;
      case kHeld:
        if (begun < kTasks) return false;
        at = kPop;
        return true;
      case kLeave:  // W1 (3)
        if (leaving[self].write(flaw == Flaw::DelayedLeave)) give_back_number(self);
        at = flaw == Flaw::NoSecondLook ? kGone : kLookAgain;
        return true;
      case kLookAgain:  // W2
        if (depth > 0 && !stopping) notify[kProducers + self].at = Notify::kLook;
        at = kNotifyAgain;
        return true;
      case kGone:                                 // (6)
        if (leaving[self].pending) return false;  // (6) releases what came before
        --alive;
        at = kNone;
        return true;
    }
    return false;
  }

  bool all_busy(std::uint8_t bits) const { return bits == (1 << numbers) - 1; }
  void give_back_number(int self) { busy &= static_cast<std::uint8_t>(~(1 << number[self])); }

  bool step_stop() {
    switch (stop) {
      case kBefore:  // (4)
        if (!stops) return false;
        stopping = 1;
        stop = kWaits;
        return true;
      case kWaits:  // (5)
        if (alive > 0) return false;
        stop = kStopped;
        return true;
      default:
        return false;
    }
  }
};

constexpr ArenaModel kBulk = {.bulk = 2, .left = {1, 0}};
constexpr ArenaModel kOneNumber = {.numbers = 1};

ArenaModel with(ArenaModel model, Flaw flaw, bool tasks_hold = false, bool stops = false) {
  model.flaw = flaw;
  model.tasks_hold = tasks_hold;
  model.stops = stops;
  return model;
}

TEST(ArenaModel, NoTaskWaitsWhileNoDrainRuns) {
  for (const ArenaModel& model : {ArenaModel{}, ArenaModel{.left = {2, 0}}, kBulk, kOneNumber}) {
    const Walk walked = walk(with(model, Flaw::None));
    EXPECT_TRUE(walked.sound());
    EXPECT_GT(walked.states, 100U);
  }
}

TEST(ArenaModel, NoTaskWaitsBehindABusyDrainWhileANumberIsFree) {
  for (const ArenaModel& model : {ArenaModel{}, ArenaModel{.left = {2, 0}}, kBulk}) {
    EXPECT_TRUE(walk(with(model, Flaw::None, true)).sound());
  }
}

TEST(ArenaModel, NoDrainIsLeftWhenStopReturns) {
  for (const ArenaModel& model : {ArenaModel{}, ArenaModel{.left = {2, 0}}, kBulk}) {
    EXPECT_TRUE(walk(with(model, Flaw::None, false, true)).sound());
  }
}

TEST(ArenaModel, WithoutASecondLookATaskIsLost) {
  EXPECT_TRUE(walk(with(kOneNumber, Flaw::NoSecondLook)).stuck());
}

TEST(ArenaModel, ATaskThatBecomesVisibleAfterTheLookForANumberIsLost) {
  EXPECT_TRUE(walk(with({}, Flaw::DelayedPublish)).stuck());
}

TEST(ArenaModel, ANumberThatComesBackAfterTheLastLookLosesATask) {
  EXPECT_TRUE(walk(with(kOneNumber, Flaw::DelayedLeave)).stuck());
}

TEST(ArenaModel, ABulkThatIsNotPassedOnLeavesATaskBehindABusyDrain) {
  EXPECT_TRUE(walk(with(kBulk, Flaw::NoChain, true)).stuck());
}

TEST(ArenaModel, ADrainThatIsNotCountedBeforeTheLookAtTheStopOutlivesIt) {
  EXPECT_TRUE(walk(with({}, Flaw::DelayedAlive, false, true)).broken());
  EXPECT_TRUE(walk(with({}, Flaw::CountsLate, false, true)).broken());
}

}  // namespace
}  // namespace leat
