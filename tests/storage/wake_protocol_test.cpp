// The journal's two wake-up protocols as models: every interleaving of their steps is walked through, and
// none may end with somebody asleep who has work. Each model is also run with one of its precautions taken
// away, which must be found.
#include <gtest/gtest.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace leat::test {
namespace {

/// @return  the number of states reached from `start`; nothing where one of them is stuck: no thread can
/// step, and not
///          all are done
template <typename Model>
std::optional<std::size_t> explore(const Model& start) {
  std::set<Model> seen = {start};
  std::vector<Model> todo = {start};
  while (!todo.empty()) {
    const Model model = todo.back();
    todo.pop_back();
    bool stepped = false;
    for (int thread = 0; thread < Model::kThreads; ++thread) {
      Model next = model;
      if (!next.step(thread)) continue;
      stepped = true;
      if (seen.insert(next).second) todo.push_back(next);
    }
    if (!stepped && !model.done()) return std::nullopt;
  }
  return seen.size();
}

/// What a weaker program would do.
enum class Flaw : std::uint8_t {
  None,
  NoSecondLook,     ///< the one who falls asleep does not look again after announcing it
  DelayedPublish,   ///< what is published may become visible after the look at the sleeper (a release store)
  DelayedAnnounce,  ///< the sleeper's announcement may become visible after its second look
};

/// One committer, two producers with two groups each; numbers in brackets are those of journal.cpp.
struct CommitterSleep {
  static constexpr int kProducers = 2;
  static constexpr int kThreads =
      1 + 2 * kProducers + 1;  // committer, producers, their store buffers, its own
  static constexpr int kGroups = 4;
  enum Committer : std::uint8_t { kLook, kAnnounce, kLookAgain, kRevoke, kWait, kAsleep };
  enum Producer : std::uint8_t { kTicket, kPublish, kSeeSleeper, kTakeSleeper, kNotify };

  Flaw flaw = Flaw::None;
  std::uint8_t asleep = 0;
  std::uint8_t head = 0;
  std::uint8_t tickets = 0;
  std::array<bool, kGroups + 1> published{};  // one more, never published
  Committer committer = kLook;
  bool announcing = false;  // in the committer's store buffer
  std::array<Producer, kProducers> producer{};
  std::array<std::uint8_t, kProducers> ticket{};
  std::array<std::uint8_t, kProducers> left{2, 2};
  std::array<bool, kProducers> publishing{};  // in the producer's store buffer

  friend auto operator<=>(const CommitterSleep&, const CommitterSleep&) = default;

  bool done() const { return head == kGroups; }

  bool step(int thread) {
    if (thread == 0) return step_committer();
    if (thread <= kProducers) return step_producer(static_cast<std::size_t>(thread - 1));
    if (thread <= 2 * kProducers) return drain(static_cast<std::size_t>(thread - 1 - kProducers));
    if (!announcing) return false;
    announcing = false;
    asleep = 1;
    return true;
  }

  bool step_committer() {
    switch (committer) {
      case kLook:
        if (done()) return false;
        if (published[head]) {
          ++head;
        } else {
          committer = kAnnounce;
        }
        return true;
      case kAnnounce:  // (1)
        if (flaw == Flaw::DelayedAnnounce) {
          announcing = true;
        } else {
          asleep = 1;
        }
        committer = flaw == Flaw::NoSecondLook ? kWait : kLookAgain;
        return true;
      case kLookAgain:  // (2)
        committer = published[head] ? kRevoke : kWait;
        return true;
      case kRevoke:
        announcing = false;
        asleep = 0;
        committer = kLook;
        return true;
      case kWait:                      // the kernel compares and sleeps in one step
        if (announcing) return false;  // its own buffer drains before the system call
        committer = asleep == 1 ? kAsleep : kLook;
        return true;
      case kAsleep:
        return false;
    }
    return false;
  }

  bool step_producer(std::size_t self) {
    switch (producer[self]) {
      case kTicket:
        if (left[self] == 0 || publishing[self]) return false;
        --left[self];
        ticket[self] = tickets++;
        producer[self] = kPublish;
        return true;
      case kPublish:  // (3)
        if (flaw == Flaw::DelayedPublish) {
          publishing[self] = true;
        } else {
          published[ticket[self]] = true;
        }
        producer[self] = kSeeSleeper;
        return true;
      case kSeeSleeper:  // (4)
        producer[self] = asleep == 1 ? kTakeSleeper : kTicket;
        return true;
      case kTakeSleeper:
        producer[self] = asleep == 1 ? kNotify : kTicket;
        asleep = 0;
        return true;
      case kNotify:
        if (committer == kAsleep) committer = kLook;
        producer[self] = kTicket;
        return true;
    }
    return false;
  }

  bool drain(std::size_t self) {
    if (!publishing[self]) return false;
    publishing[self] = false;
    published[ticket[self]] = true;
    return true;
  }
};

/// Two producers that wait for a credit each, one committer that gives them back one by one.
struct CreditWait {
  static constexpr int kWaiters = 2;
  static constexpr int kThreads = 1 + kWaiters;
  enum Waiter : std::uint8_t { kEnter, kReadFreed, kTake, kSleep, kAsleep, kDone };
  enum Giver : std::uint8_t { kGive, kSeeWaiters, kBump, kNotifyAll };

  Flaw flaw = Flaw::None;
  std::uint8_t credits = 0;
  std::uint8_t waiting = 0;
  std::uint8_t freed = 0;
  std::uint8_t to_give = kWaiters;
  Giver giver = kGive;
  std::array<Waiter, kWaiters> waiter{};
  std::array<std::uint8_t, kWaiters> seen{};

  friend auto operator<=>(const CreditWait&, const CreditWait&) = default;

  bool done() const { return waiter[0] == kDone && waiter[1] == kDone; }

  bool step(int thread) {
    return thread == 0 ? step_giver() : step_waiter(static_cast<std::size_t>(thread - 1));
  }

  bool step_giver() {
    switch (giver) {
      case kGive:  // (7)
        if (to_give == 0) return false;
        --to_give;
        ++credits;
        giver = kSeeWaiters;
        return true;
      case kSeeWaiters:  // (8)
        giver = waiting > 0 ? kBump : kGive;
        return true;
      case kBump:
        ++freed;
        giver = kNotifyAll;
        return true;
      case kNotifyAll:
        for (Waiter& one : waiter) {
          if (one == kAsleep) one = kReadFreed;
        }
        giver = kGive;
        return true;
    }
    return false;
  }

  bool step_waiter(std::size_t self) {
    Waiter& at = waiter[self];
    switch (at) {
      case kEnter:  // (5)
        ++waiting;
        at = kReadFreed;
        return true;
      case kReadFreed:  // (11)
        seen[self] = freed;
        at = flaw == Flaw::NoSecondLook ? kSleep : kTake;
        return true;
      case kTake:  // (6)
        if (credits > 0) {
          --credits;
          --waiting;
          at = kDone;
        } else {
          at = kSleep;
        }
        return true;
      case kSleep:
        at = freed == seen[self] ? kAsleep : kReadFreed;
        return true;
      case kAsleep:
      case kDone:
        return false;
    }
    return false;
  }
};

TEST(WakeProtocol, NoInterleavingLosesTheCommittersWakeUp) {
  const auto states = explore(CommitterSleep{});
  ASSERT_TRUE(states);
  EXPECT_GT(*states, 1000U);
}

TEST(WakeProtocol, CommitterWithoutASecondLookLosesAWakeUp) {
  EXPECT_FALSE(explore(CommitterSleep{.flaw = Flaw::NoSecondLook}));
}

TEST(WakeProtocol, PublishingByAReleaseStoreLosesAWakeUp) {
  EXPECT_FALSE(explore(CommitterSleep{.flaw = Flaw::DelayedPublish}));
}

TEST(WakeProtocol, AnnouncingByAReleaseStoreLosesAWakeUp) {
  EXPECT_FALSE(explore(CommitterSleep{.flaw = Flaw::DelayedAnnounce}));
}

TEST(WakeProtocol, NoInterleavingLosesACreditsWaiter) {
  const auto states = explore(CreditWait{});
  ASSERT_TRUE(states);
  EXPECT_GT(*states, 100U);
}

TEST(WakeProtocol, WaiterThatDoesNotLookAgainSleepsOnFreeCredits) {
  EXPECT_FALSE(explore(CreditWait{.flaw = Flaw::NoSecondLook}));
}

}  // namespace
}  // namespace leat::test
