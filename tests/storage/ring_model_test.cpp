// The journal's ring (publish() of journal.cpp, pack() and free_cells() of journal_commit.cpp) as a model:
// every interleaving of producers that use cells again and again and of the committer. No cell is written
// before its credit is back, each group is committed once, whole, in the order of its ticket. Then with one
// order weakened: that must be found.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "interleavings.h"

namespace leat {
namespace {

constexpr int kProducers = 2;
constexpr int kCells = 2;
constexpr std::uint8_t kGroups = 4;  // two of each producer: every cell is used twice
constexpr std::uint8_t kNothing = 0xff;

enum class Flaw : std::uint8_t {
  None,
  DelayedGroup,  ///< (3) not release: the group may become visible after the cell's turn
  EarlyReturn,   ///< (7) not release, or (9) not acquire: credits come back before the cell was read
  NoCredit,      ///< a ticket is drawn without a credit
};

struct RingModel {
  enum Producer : std::uint8_t { kReserve, kTicket, kWrite, kPublish };
  enum Committer : std::uint8_t { kLook, kRead, kFree };

  Flaw flaw = Flaw::None;
  std::uint8_t credits = kCells;
  std::uint8_t tickets = 0;
  std::uint8_t head = 0;
  std::uint8_t hurt = 0;
  Committer committer = kLook;
  std::array<std::uint8_t, kCells> turn{0, 1};
  std::array<std::uint8_t, kCells> group{kNothing, kNothing};  ///< the ticket whose group lies there
  std::array<Producer, kProducers> producer{};
  std::array<std::uint8_t, kProducers> left{2, 2};
  std::array<std::uint8_t, kProducers> ticket{};
  std::array<Delayed, kProducers> writing{};
  std::uint8_t returned = 0;  // the credit of head came back early

  int threads() const { return 1 + 2 * kProducers; }
  bool broken() const { return hurt != 0; }
  bool done() const { return head == kGroups && credits == kCells; }

  bool step(int thread) {
    if (thread == 0) return step_committer();
    if (--thread < kProducers) return step_producer(thread);
    thread -= kProducers;
    if (!writing[thread].drain()) return false;
    write(thread);
    return true;
  }

  /// Broken where the group that lies there has not been read.
  void write(int self) {
    std::uint8_t& cell = group[ticket[self] % kCells];
    if (cell != kNothing) hurt = 1;
    cell = ticket[self];
  }

  bool step_producer(int self) {
    Producer& at = producer[self];
    switch (at) {
      case kReserve:  // (9)
        if (left[self] == 0 || writing[self].pending) return false;
        if (flaw != Flaw::NoCredit) {
          if (credits == 0) return false;
          --credits;
        }
        --left[self];
        at = kTicket;
        return true;
      case kTicket:  // (13)
        ticket[self] = tickets++;
        at = kWrite;
        return true;
      case kWrite:
        if (writing[self].write(flaw == Flaw::DelayedGroup)) write(self);
        at = kPublish;
        return true;
      case kPublish: {  // (3)
        std::uint8_t& mine = turn[ticket[self] % kCells];
        if (mine != ticket[self]) hurt = 1;  // what LEAT_CHECK(before == ticket) says
        mine = static_cast<std::uint8_t>(ticket[self] + 1);
        at = kReserve;
        return true;
      }
    }
    return false;
  }

  bool step_committer() {
    const int cell = head % kCells;
    switch (committer) {
      case kLook:  // (14)
        if (turn[cell] != head + 1) return false;
        if (flaw == Flaw::EarlyReturn) {
          turn[cell] = static_cast<std::uint8_t>(head + kCells);
          ++credits;
          returned = 1;
        }
        committer = kRead;
        return true;
      case kRead:
        if (group[cell] != head) hurt = 1;  // torn, or another's
        group[cell] = kNothing;
        committer = kFree;
        return true;
      case kFree:  // (7)
        if (!returned) {
          turn[cell] = static_cast<std::uint8_t>(head + kCells);
          ++credits;
        }
        returned = 0;
        ++head;
        committer = kLook;
        return true;
    }
    return false;
  }
};

TEST(RingModel, EveryGroupIsCommittedOnceWholeAndInOrder) {
  const Walk walked = walk(RingModel{});
  EXPECT_TRUE(walked.sound());
  EXPECT_GT(walked.states, 200U);
}

TEST(RingModel, ACellThatIsSeenBeforeItsGroupIsWrittenIsCommittedTorn) {
  EXPECT_TRUE(walk(RingModel{.flaw = Flaw::DelayedGroup}).broken());
}

TEST(RingModel, ACellThatIsGivenBackBeforeItWasReadIsOverwritten) {
  EXPECT_TRUE(walk(RingModel{.flaw = Flaw::EarlyReturn}).broken());
}

TEST(RingModel, ATicketWithoutACreditOverwritesACell) {
  EXPECT_TRUE(walk(RingModel{.flaw = Flaw::NoCredit}).broken());
}

}  // namespace
}  // namespace leat
