// The live swap of rules (Router::Pin and Router::swap()) as a model: every interleaving of readers and of
// swaps, each of which fills the slot that the one before freed. Nobody reads rules that are being filled, or
// gone. Then with one order weakened, or one look left out: that must be found.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "interleavings.h"

namespace leat {
namespace {

constexpr int kReaders = 2;
constexpr std::uint8_t kSwaps = 3;

enum class Flaw : std::uint8_t {
  None,
  NoSecondLook,    ///< the reader does not look whether its slot is still in force
  DelayedCount,    ///< (2): the reader's count may become visible after that look
  DelayedPublish,  ///< (1): the other slot may be in force only after the look at the readers
  NoWait,          ///< swap() does not look at the readers
};

struct SwapModel {
  enum Reader : std::uint8_t { kLook, kCount, kLookAgain, kRetreat, kRead, kLeave };
  enum Swap : std::uint8_t { kFill, kFilled, kPublish, kWait, kFree };

  Flaw flaw = Flaw::None;
  std::uint8_t in_force = 0;  ///< how many swaps have been; the slot is its lowest bit
  std::uint8_t next = 0;      // as the swap sees it
  std::uint8_t hurt = 0;
  Swap swap = kFill;
  std::uint8_t swaps = 0;
  Delayed publishing{};
  std::array<std::uint8_t, 2> whole{1, 0};  ///< whether a slot's rules can be read
  std::array<std::uint8_t, 2> readers{};
  std::array<Reader, kReaders> reader{};
  std::array<std::uint8_t, kReaders> seen{};
  std::array<std::uint8_t, kReaders> reads{2, 1};
  std::array<Delayed, kReaders> counting{};

  int threads() const { return kReaders + 1 + kReaders + 1; }
  bool broken() const { return hurt != 0; }
  bool done() const { return swaps == kSwaps && reads[0] + reads[1] == 0; }

  bool step(int thread) {
    if (thread < kReaders) return step_reader(thread);
    thread -= kReaders;
    if (thread == 0) return step_swap();
    if (--thread < kReaders) {
      if (!counting[thread].drain()) return false;
      ++readers[seen[thread] & 1];
      return true;
    }
    if (!publishing.drain()) return false;
    in_force = next;
    return true;
  }

  bool step_reader(int self) {
    Reader& at = reader[self];
    switch (at) {
      case kLook:  // (1)
        if (reads[self] == 0) return false;
        seen[self] = in_force;
        at = kCount;
        return true;
      case kCount:  // (2)
        if (counting[self].write(flaw == Flaw::DelayedCount)) ++readers[seen[self] & 1];
        at = flaw == Flaw::NoSecondLook ? kRead : kLookAgain;
        return true;
      case kLookAgain:  // (1)
        at = seen[self] == in_force ? kRead : kRetreat;
        return true;
      case kRead:
        if (whole[seen[self] & 1] == 0) hurt = 1;
        at = kLeave;
        return true;
      case kRetreat:
      case kLeave:                                               // (4)
        if (!counting[self].drain()) --readers[seen[self] & 1];  // else its own count was never seen
        if (at == kLeave) --reads[self];
        at = kLook;
        return true;
    }
    return false;
  }

  bool step_swap() {
    switch (swap) {
      case kFill:
        if (swaps == kSwaps) return false;
        next = static_cast<std::uint8_t>(in_force + 1);
        if (whole[next & 1] != 0) hurt = 1;
        swap = kFilled;
        return true;
      case kFilled:
        whole[next & 1] = 1;
        swap = kPublish;
        return true;
      case kPublish:  // (1)
        if (publishing.write(flaw == Flaw::DelayedPublish)) in_force = next;
        swap = flaw == Flaw::NoWait ? kFree : kWait;
        return true;
      case kWait:  // (3)
        if (readers[(next + 1) & 1] != 0) return false;
        swap = kFree;
        return true;
      case kFree:
        whole[(next + 1) & 1] = 0;
        if (publishing.drain()) in_force = next;  // a later write of its own would show it
        ++swaps;
        swap = kFill;
        return true;
    }
    return false;
  }
};

TEST(SwapModel, NobodyReadsRulesThatAreBeingFilledOrGone) {
  const Walk walked = walk(SwapModel{});
  EXPECT_TRUE(walked.sound());
  EXPECT_GT(walked.states, 500U);
}

TEST(SwapModel, AReaderThatDoesNotLookAgainReadsRulesThatAreGone) {
  EXPECT_TRUE(walk(SwapModel{.flaw = Flaw::NoSecondLook}).broken());
}

TEST(SwapModel, AReaderThatCountsAfterItsLookReadsRulesThatAreGone) {
  EXPECT_TRUE(walk(SwapModel{.flaw = Flaw::DelayedCount}).broken());
}

TEST(SwapModel, RulesThatAreInForceAfterTheLookAtTheReadersAreFreedUnderOne) {
  EXPECT_TRUE(walk(SwapModel{.flaw = Flaw::DelayedPublish}).broken());
}

TEST(SwapModel, ASwapThatWaitsForNobodyFreesRulesUnderAReader) {
  EXPECT_TRUE(walk(SwapModel{.flaw = Flaw::NoWait}).broken());
}

}  // namespace
}  // namespace leat
