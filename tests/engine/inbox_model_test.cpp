// The ownership of a pipeline (Pipeline::post() and drain()) as a model: every interleaving of threads that
// post. Each message is handled once, one owner at a time, and each owner sees what the one before it wrote.
// Then with one order weakened, or one exchange taken apart: that must be found.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "interleavings.h"

namespace leat {
namespace {

constexpr int kPosters = 3;
constexpr std::uint8_t kMessages = 4;  // poster 0 posts two
constexpr std::uint8_t kUnowned = 0;
constexpr std::uint8_t kOwned = 1;
constexpr std::uint8_t kFirstMessage = 2;  // inbox values from here on: the latest message

enum class Flaw : std::uint8_t {
  None,
  DelayedFields,   ///< (3) not release: what an owner wrote may become visible after it left
  DelayedMessage,  ///< (2) not release: a message may become visible after it is in the inbox
  LeavesBlindly,   ///< (3) taken apart: a look, then a store
  TakesBlindly,    ///< (4) taken apart: a load, then a store
};

struct InboxModel {
  enum Poster : std::uint8_t {
    kLoad,
    kPost,
    kTaken,
    kRead,
    kWrite,
    kLeave,
    kLeaveStore,
    kTake,
    kTakeStore,
    kReverse,
    kNext,
    kOut
  };

  Flaw flaw = Flaw::None;
  std::uint8_t inbox = kUnowned;
  std::uint8_t handled = 0;  ///< what the step owns: read and written without any lock
  std::uint8_t doubled = 0;
  std::array<std::uint8_t, kMessages> next{};  ///< as inbox: a message, or below kFirstMessage for none
  std::array<std::uint8_t, kMessages> seen{};  ///< how often each was handled
  std::array<Poster, kPosters> poster{};
  std::array<std::uint8_t, kPosters> head{};     // what the poster read last
  std::array<std::uint8_t, kPosters> message{};  // the one it handles
  std::array<std::uint8_t, kPosters> first{};    // of the list that it took, oldest first
  std::array<std::uint8_t, kPosters>
      link{};  // what it writes, or is about to see written, to its message's next
  std::array<std::uint8_t, kPosters> count{};  // the same of `handled`
  std::array<std::uint8_t, kPosters> left{2, 1, 1};
  std::array<Delayed, kPosters> writing{};  // (3)
  std::array<Delayed, kPosters> linking{};  // (2)

  int threads() const { return 2 * kPosters; }
  bool broken() const {
    int owners = 0;
    for (const Poster at : poster) owners += at >= kTaken && at <= kNext;
    return owners > 1 || doubled;
  }
  bool done() const { return handled == kMessages && inbox == kUnowned; }

  static std::uint8_t number(int poster, std::uint8_t left) {  // poster 0: 0 and 3
    return static_cast<std::uint8_t>(poster == 0 && left == 0 ? 3 : poster);
  }

  bool step(int thread) {
    if (thread >= kPosters) return drain_writes(thread - kPosters);
    switch (poster[thread]) {
      case kLoad:
      case kPost:
      case kOut:
        return step_post(thread);
      case kTaken:
      case kRead:
      case kWrite:
      case kNext:
        return step_handle(thread);
      default:
        return step_drain(thread);
    }
  }

  bool step_post(int self) {
    switch (poster[self]) {
      case kLoad:
        if (left[self] == 0 || linking[self].pending) return false;
        --left[self];
        head[self] = inbox;
        poster[self] = kPost;
        return true;
      case kPost: {
        const std::uint8_t mine = number(self, left[self]);
        if (inbox != head[self]) {
          head[self] = inbox;
        } else if (head[self] == kUnowned) {  // (1)
          inbox = kOwned;
          message[self] = mine;
          poster[self] = kTaken;
        } else {  // (2)
          link[self] = head[self] == kOwned ? 0 : head[self];
          if (linking[self].write(flaw == Flaw::DelayedMessage)) next[mine] = link[self];
          inbox = static_cast<std::uint8_t>(kFirstMessage + mine);
          poster[self] = kOut;
        }
        return true;
      }
      default:
        if (left[self] == 0) return false;
        poster[self] = kLoad;
        return true;
    }
  }

  bool step_handle(int self) {
    switch (poster[self]) {
      case kTaken:
        if (seen[message[self]]++ > 0) doubled = 1;
        poster[self] = kRead;
        return true;
      case kRead:
        if (writing[self].drain()) handled = count[self];  // its own earlier write it sees at once
        count[self] = static_cast<std::uint8_t>(handled + 1);
        poster[self] = kWrite;
        return true;
      case kWrite:
        if (writing[self].write(flaw == Flaw::DelayedFields)) handled = count[self];
        poster[self] = first[self] == 0 ? kLeave : kNext;
        return true;
      default:
        message[self] = static_cast<std::uint8_t>(first[self] - kFirstMessage);
        first[self] = next[message[self]];
        poster[self] = kTaken;
        return true;
    }
  }

  bool step_drain(int self) {
    switch (poster[self]) {
      case kLeave:  // (3)
        if (inbox != kOwned) {
          poster[self] = kTake;
        } else if (flaw == Flaw::LeavesBlindly) {
          poster[self] = kLeaveStore;
        } else {
          inbox = kUnowned;
          poster[self] = kOut;
        }
        return true;
      case kLeaveStore:
        inbox = kUnowned;
        poster[self] = kOut;
        return true;
      case kTake:  // (4)
        head[self] = inbox;
        if (flaw == Flaw::TakesBlindly) {
          poster[self] = kTakeStore;
        } else {
          inbox = kOwned;
          poster[self] = kReverse;
        }
        return true;
      case kTakeStore:
        inbox = kOwned;
        poster[self] = kReverse;
        return true;
      default: {  // the list, latest first, turned around; only its owner sees it
        std::uint8_t oldest = 0;
        for (std::uint8_t latest = head[self]; latest >= kFirstMessage;) {
          const std::uint8_t earlier = next[latest - kFirstMessage];
          next[latest - kFirstMessage] = oldest;
          oldest = latest;
          latest = earlier;
        }
        first[self] = oldest;
        poster[self] = kNext;
        return true;
      }
    }
  }

  bool drain_writes(int self) {
    if (writing[self].drain()) {
      handled = count[self];
      return true;
    }
    if (linking[self].drain()) {
      next[number(self, left[self])] = link[self];
      return true;
    }
    return false;
  }
};

TEST(InboxModel, EveryMessageIsHandledOnceByOneOwnerAtATime) {
  const Walk walked = walk(InboxModel{});
  EXPECT_TRUE(walked.sound());
  EXPECT_GT(walked.states, 1000U);
}

TEST(InboxModel, AnOwnerThatLeavesBeforeItsWritesAreVisibleMisleadsTheNext) {
  EXPECT_FALSE(walk(InboxModel{.flaw = Flaw::DelayedFields}).sound());
}

TEST(InboxModel, AMessageThatIsPostedBeforeItIsWrittenLosesOthers) {
  EXPECT_FALSE(walk(InboxModel{.flaw = Flaw::DelayedMessage}).sound());
}

TEST(InboxModel, AnOwnerThatLeavesByAPlainStoreLosesAMessage) {
  EXPECT_FALSE(walk(InboxModel{.flaw = Flaw::LeavesBlindly}).sound());
}

TEST(InboxModel, AnOwnerThatTakesTheInboxInTwoStepsLosesAMessage) {
  EXPECT_FALSE(walk(InboxModel{.flaw = Flaw::TakesBlindly}).sound());
}

}  // namespace
}  // namespace leat
