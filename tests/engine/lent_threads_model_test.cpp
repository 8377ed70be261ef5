// The bell of lent_threads.h as a model: every interleaving of producers and lent threads. No task may be
// left while all lent threads sleep. Then with one order weakened, or one step left out: that must be found.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "interleavings.h"

namespace leat {
namespace {

constexpr int kProducers = 2;
constexpr int kLent = 2;

enum class Flaw : std::uint8_t {
  None,
  NoLook,          ///< W2 does not look for work
  LooksFirst,      ///< the look for work comes before W1
  NoCount,         ///< W3 sleeps whatever the bell's count is
  DelayedAsleep,   ///< W1 may become visible after the look of W2
  DelayedPublish,  ///< P1 may become visible after P2
};

struct BellModel {
  enum Producer : std::uint8_t { kPublish, kLook, kRing, kOver };
  enum Lent : std::uint8_t { kWork, kEarlyLook, kSay, kRemember, kLookAgain, kSleep, kAsleep, kAwake };

  Flaw flaw = Flaw::None;
  std::uint8_t depth = 0;
  std::uint8_t begun = 0;
  std::uint8_t sleepers = 0;
  std::uint8_t rung = 0;
  std::array<Producer, kProducers> producer{};
  std::array<Lent, kLent> lent{};
  std::array<std::uint8_t, kLent> remembered{};
  std::array<std::uint8_t, kLent> found{};
  std::array<Delayed, kProducers> publishing{};
  std::array<Delayed, kLent> saying{};

  int threads() const { return 2 * (kProducers + kLent); }
  bool broken() const { return false; }
  bool done() const { return begun == kProducers; }

  bool step(int thread) {
    if (thread < kProducers) return step_producer(thread);
    if ((thread -= kProducers) < kLent) return step_lent(thread);
    if ((thread -= kLent) < kProducers) return publishing[thread].drain() && ++depth;
    return saying[thread - kProducers].drain() && ++sleepers;
  }

  bool step_producer(int self) {
    switch (producer[self]) {
      case kPublish:  // P1
        if (publishing[self].write(flaw == Flaw::DelayedPublish)) ++depth;
        producer[self] = kLook;
        return true;
      case kLook:  // P2
        producer[self] = sleepers == 0 ? kOver : kRing;
        return true;
      case kRing:
        ++rung;
        for (Lent& at : lent) at = at == kAsleep ? kAwake : at;
        producer[self] = kOver;
        return true;
      case kOver:
        return false;
    }
    return false;
  }

  bool step_lent(int self) {
    Lent& at = lent[self];
    switch (at) {
      case kWork:
        if (depth > 0) {
          --depth;
          ++begun;
        } else {
          at = flaw == Flaw::LooksFirst ? kEarlyLook : kSay;
        }
        return true;
      case kEarlyLook:
        found[self] = depth > 0;
        at = kSay;
        return true;
      case kSay:  // W1
        if (saying[self].write(flaw == Flaw::DelayedAsleep)) ++sleepers;
        at = kRemember;
        return true;
      case kRemember:  // W2
        remembered[self] = rung;
        at = kLookAgain;
        return true;
      case kLookAgain:
        if (flaw == Flaw::NoLook) found[self] = 0;
        if (flaw != Flaw::NoLook && flaw != Flaw::LooksFirst) found[self] = depth > 0;
        at = found[self] ? kAwake : kSleep;
        return true;
      case kSleep:  // W3
        at = rung == remembered[self] || flaw == Flaw::NoCount ? kAsleep : kAwake;
        return true;
      case kAsleep:
        return false;
      case kAwake:
        if (saying[self].drain()) ++sleepers;  // the same word: the earlier write comes first
        --sleepers;
        at = kWork;
        return true;
    }
    return false;
  }
};

BellModel with(Flaw flaw) {
  return {.flaw = flaw};
}

TEST(LentThreadsModel, NoTaskWaitsWhileAllLentThreadsSleep) {
  const Walk walked = walk(with(Flaw::None));
  EXPECT_TRUE(walked.sound());
  EXPECT_GT(walked.states, 1000U);
}

TEST(LentThreadsModel, WithoutALookAfterSayingAsleepATaskIsLost) {
  EXPECT_TRUE(walk(with(Flaw::NoLook)).stuck());
  EXPECT_TRUE(walk(with(Flaw::LooksFirst)).stuck());
}

TEST(LentThreadsModel, WithoutTheBellsCountATaskIsLost) {
  EXPECT_TRUE(walk(with(Flaw::NoCount)).stuck());
}

TEST(LentThreadsModel, AWeakerOrderOnEitherSideLosesATask) {
  EXPECT_TRUE(walk(with(Flaw::DelayedAsleep)).stuck());
  EXPECT_TRUE(walk(with(Flaw::DelayedPublish)).stuck());
}

enum class CommitterFlaw : std::uint8_t {
  None,
  NoBell,     ///< who stands up does not ring for those who came by
  NoneAsked,  ///< who finds the seat taken does not say so
};

/// LentCommitter: who finds its seat taken trusts whoever has it. One thread stays, and sleeps where it may;
/// one does a single run() and leaves, one a single has_work().
struct CommitterModel {
  enum Seat : std::uint8_t { kFree, kTaken, kAsked };
  enum Producer : std::uint8_t { kPublish, kWake, kRing, kOver };
  enum Lent : std::uint8_t {
    kTry,
    kCommit,
    kStandUp,
    kLook,
    kLookDoze,
    kLookStandUp,
    kSleep,
    kAsleep,
    kLeft
  };
  static constexpr int kStays = 0;
  static constexpr int kThreads = 3;

  CommitterFlaw flaw = CommitterFlaw::None;
  std::uint8_t published = 0;
  std::uint8_t committed = 0;
  std::uint8_t dozing = 0;  // the journal's `asleep`
  Seat seat = kFree;
  std::uint8_t rung = 0;
  std::array<Producer, kProducers> producer{};
  std::array<Lent, kThreads> lent{kTry, kTry, kLook};
  std::array<std::uint8_t, kThreads> remembered{};
  std::array<std::uint8_t, kThreads> did{};   // committed something
  std::array<std::uint8_t, kThreads> more{};  // found something to commit

  int threads() const { return kProducers + kThreads; }
  bool broken() const { return false; }
  bool done() const { return committed == kProducers; }

  void ring() {
    ++rung;
    for (Lent& at : lent) at = at == kAsleep ? kTry : at;
  }
  std::uint8_t try_doze() {
    dozing = 1;
    return published > committed;
  }

  bool step(int thread) {
    return thread < kProducers ? step_producer(thread) : step_lent(thread - kProducers);
  }

  bool step_producer(int self) {
    switch (producer[self]) {
      case kPublish:
        ++published;
        producer[self] = kWake;
        return true;
      case kWake:
        producer[self] = dozing == 1 ? kRing : kOver;
        dozing = 0;
        return true;
      case kRing:
        ring();
        producer[self] = kOver;
        return true;
      case kOver:
        return false;
    }
    return false;
  }

  bool try_sit() {
    if (seat == kFree) {
      seat = kTaken;
      return true;
    }
    if (flaw != CommitterFlaw::NoneAsked) seat = kAsked;
    return false;
  }
  void stand_up() {
    if (seat == kAsked && flaw != CommitterFlaw::NoBell) ring();
    seat = kFree;
  }

  bool step_lent(int self) {
    Lent& at = lent[self];
    const bool stays = self == kStays;
    const Lent otherwise = stays ? kLook : kLeft;
    switch (at) {
      case kTry:
        at = try_sit() ? kCommit : otherwise;
        return true;
      case kCommit:
        did[self] = published > committed;
        committed = published;
        at = kStandUp;
        return true;
      case kStandUp:
        stand_up();
        at = stays && did[self] ? kTry : otherwise;
        return true;
      case kLook:
        remembered[self] = rung;
        at = try_sit() ? kLookDoze : stays ? kSleep : kLeft;
        return true;
      case kLookDoze:
        more[self] = try_doze();
        at = kLookStandUp;
        return true;
      case kLookStandUp:
        stand_up();
        at = !stays ? kLeft : more[self] ? kTry : kSleep;
        return true;
      case kSleep:
        at = rung == remembered[self] ? kAsleep : kTry;
        return true;
      case kAsleep:
      case kLeft:
        return false;
    }
    return false;
  }
};

TEST(LentCommitterModel, NothingPublishedWaitsWhileTheThreadThatStaysSleeps) {
  const Walk walked = walk(CommitterModel());
  EXPECT_TRUE(walked.sound());
  EXPECT_GT(walked.states, 300U);
}

TEST(LentCommitterModel, WhoStandsUpWithoutABellForThoseWhoCameByLosesACommit) {
  EXPECT_TRUE(walk(CommitterModel{.flaw = CommitterFlaw::NoBell}).stuck());
  EXPECT_TRUE(walk(CommitterModel{.flaw = CommitterFlaw::NoneAsked}).stuck());
}

}  // namespace
}  // namespace leat
