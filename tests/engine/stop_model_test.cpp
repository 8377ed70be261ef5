// The beginning of a stop (Lane::close() and run_some(), Runner::stop()) as a model: every interleaving of
// workers that begin tasks and of a stop. Once the stop has seen that nothing runs, nothing begins; for then
// it waits for the threads without telling anybody. Then with the looks in another order, or one order
// weakened: that must be found.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "interleavings.h"

namespace leat {
namespace {

constexpr int kWorkers = 2;

enum class Flaw : std::uint8_t {
  None,
  LooksFirst,    ///< the worker looks whether the lane is closed before it takes a permit
  DelayedClose,  ///< (7) may become visible after the look at what is active
  DelayedTake,   ///< the permit may count as active only after the look at the lane (6)
};

struct StopModel {
  enum Worker : std::uint8_t { kLookFirst, kTake, kLook, kRun, kGiveBack, kGone };
  enum Stop : std::uint8_t { kClose, kCount, kJoins };

  Flaw flaw = Flaw::None;
  std::uint8_t closed = 0;
  std::uint8_t active = 0;
  std::uint8_t begun_late = 0;
  std::uint8_t tasks = 3;
  Stop stop = kClose;
  Delayed closing{};
  std::array<Worker, kWorkers> worker{kTake, kTake};
  std::array<Delayed, kWorkers> taking{};

  int threads() const { return 2 * kWorkers + 2; }
  bool broken() const { return begun_late != 0; }
  bool done() const { return stop == kJoins; }

  bool step(int thread) {
    if (thread < kWorkers) return step_worker(thread);
    if ((thread -= kWorkers) < kWorkers) {
      if (!taking[thread].drain()) return false;
      ++active;
      return true;
    }
    return thread == kWorkers ? step_stop() : drain_close();
  }

  bool step_worker(int self) {
    Worker& at = worker[self];
    switch (at) {
      case kLookFirst:
        at = closed ? kGone : kTake;
        return true;
      case kTake:
        if (tasks == 0) return false;
        if (taking[self].write(flaw == Flaw::DelayedTake)) ++active;
        at = flaw == Flaw::LooksFirst ? kRun : kLook;
        return true;
      case kLook:  // (6)
        at = closed || tasks == 0 ? kGiveBack : kRun;
        return true;
      case kRun:
        if (tasks > 0) --tasks;
        if (stop == kJoins) begun_late = 1;
        at = kGiveBack;
        return true;
      case kGiveBack:
        if (taking[self].drain()) ++active;  // the same word: the earlier write comes first
        --active;
        at = closed ? kGone : flaw == Flaw::LooksFirst ? kLookFirst : kTake;
        return true;
      case kGone:
        return false;
    }
    return false;
  }

  bool step_stop() {
    switch (stop) {
      case kClose:  // (7)
        if (closing.write(flaw == Flaw::DelayedClose)) closed = 1;
        stop = kCount;
        return true;
      case kCount:
        if (active > 0) return false;  // looks again and again
        stop = kJoins;
        return true;
      default:
        return false;
    }
  }

  bool drain_close() {
    if (!closing.drain()) return false;
    closed = 1;
    return true;
  }
};

TEST(StopModel, NothingBeginsOnceTheStopHasSeenNothingRun) {
  const Walk walked = walk(StopModel{});
  EXPECT_TRUE(walked.sound());
  EXPECT_GT(walked.states, 100U);
}

TEST(StopModel, AWorkerThatLooksBeforeItTakesAPermitBeginsUnseen) {
  EXPECT_TRUE(
      walk(StopModel{.flaw = Flaw::LooksFirst, .worker = {StopModel::kLookFirst, StopModel::kLookFirst}})
          .broken());
}

TEST(StopModel, ALaneThatIsClosedAfterTheLookAtWhatRunsLetsATaskBegin) {
  EXPECT_TRUE(walk(StopModel{.flaw = Flaw::DelayedClose}).broken());
}

TEST(StopModel, APermitThatCountsAfterTheLookAtTheLaneLetsATaskBegin) {
  EXPECT_TRUE(walk(StopModel{.flaw = Flaw::DelayedTake}).broken());
}

}  // namespace
}  // namespace leat
