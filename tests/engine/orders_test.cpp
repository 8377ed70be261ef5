// The models walk through protocols with the orders that the code has. This holds the code to them: on x86-64
// most weaker orders make the same instructions, so no run of any test would notice. Each line names the
// access and the model's test that shows what is lost with less.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace leat {
namespace {

struct Order {
  const char* file;
  const char* access;  ///< as in the code, without what stands in brackets, "." for "->"
  const char* order;
  int times;
  const char* shown_by;
};

constexpr const char* kPublish = "WakeGateModel.ATaskThatBecomesVisibleAfterTheLookForSleepersIsLost";
constexpr const char* kAnnounce =
    "WakeGateModel.AnAnnouncementThatBecomesVisibleAfterTheLastLookLosesAWakeUp";
constexpr const char* kSearchEnd = "WakeGateModel.ASearcherThatSeemsToSearchAfterItsLastLookLosesAWakeUp";
constexpr const char* kHand = "WakeGateModel.AHandThatBecomesVisibleAfterTheWakeIsPassedOnBuriesATask";
constexpr const char* kOwed =
    "ParkingModel.AnOwedSlotThatBecomesVisibleAfterTheLookAtTheCountLeavesATaskParked";
constexpr const char* kParked = "ParkingModel.ACountThatBecomesVisibleAfterTheSecondTryLeavesTheTaskParked";
constexpr const char* kSlot = "ParkingModel.ASlotThatComesBackAfterTheLookAtTheCountLeavesATaskParked";
constexpr const char* kNumber = "ArenaModel.ANumberThatComesBackAfterTheLastLookLosesATask";
constexpr const char* kAlive = "ArenaModel.ADrainThatIsNotCountedBeforeTheLookAtTheStopOutlivesIt";
constexpr const char* kBell = "LentThreadsModel.AWeakerOrderOnEitherSideLosesATask";
constexpr const char* kCommitter = "LentCommitterModel.NothingPublishedWaitsWhileTheThreadThatStaysSleeps";
constexpr const char* kOwner = "InboxModel.AnOwnerThatLeavesBeforeItsWritesAreVisibleMisleadsTheNext";
constexpr const char* kMessage = "InboxModel.AMessageThatIsPostedBeforeItIsWrittenLosesOthers";
constexpr const char* kClosed = "StopModel.ALaneThatIsClosedAfterTheLookAtWhatRunsLetsATaskBegin";
constexpr const char* kPermit = "StopModel.APermitThatCountsAfterTheLookAtTheLaneLetsATaskBegin";
constexpr const char* kReady = "ResumptionModel.AResumptionThatBecomesReadyAfterTheLookForSleepersIsLost";
constexpr const char* kWantsSlot =
    "ResumptionModel.AWishForASlotThatBecomesVisibleAfterTheOwnLookWaitsForEver";
constexpr const char* kSlotBack = "ResumptionModel.ASlotThatComesBackAfterTheLookAtWhoWantsOneIsLost";
constexpr const char* kWantsPermit =
    "ResumptionModel.AWishForAPermitThatBecomesVisibleAfterTheLookForSleepersWaitsForEver";
constexpr const char* kPermitBack = "ResumptionModel.APermitThatComesBackAfterTheLookAtWhoWantsOneIsLost";
constexpr const char* kLastLook = "ResumptionModel.AWorkerThatLooksBeforeItSaysThatItSleepsMissesAPermit";
constexpr const char* kTakenAgain =
    "ResumptionModel.WhatIsTakenAgainAndVisibleAfterTheReferenceIsDroppedNeverComesBack";
constexpr const char* kLookDue = "LookModel.ATaskThatBecomesVisibleAfterTheLookIsDueStaysParked";
constexpr const char* kJournalPublish = "WakeProtocol.PublishingByAReleaseStoreLosesAWakeUp";
constexpr const char* kJournalAnnounce = "WakeProtocol.AnnouncingByAReleaseStoreLosesAWakeUp";
constexpr const char* kCredit = "WakeProtocol.WaiterThatDoesNotLookAgainSleepsOnFreeCredits";
constexpr const char* kCell = "RingModel.ACellThatIsSeenBeforeItsGroupIsWrittenIsCommittedTorn";
constexpr const char* kReuse = "RingModel.ACellThatIsGivenBackBeforeItWasReadIsOverwritten";
constexpr const char* kSwap = "SwapModel.AReaderThatCountsAfterItsLookReadsRulesThatAreGone";
constexpr const char* kInForce = "SwapModel.RulesThatAreInForceAfterTheLookAtTheReadersAreFreedUnderOne";

constexpr Order kOrders[] = {
    {"engine/wake_gate.h", "searching_.load", "seq_cst", 1, kSearchEnd},
    {"engine/wake_gate.h", "searching_.compare_exchange_strong", "seq_cst", 1, kSearchEnd},
    {"engine/wake_gate.h", "searching_.store", "seq_cst", 1, kSearchEnd},
    {"engine/wake_gate.h", "sleepers_.load", "seq_cst", 1, kPublish},
    {"engine/wake_gate.h", "sleepers_.compare_exchange_weak", "seq_cst", 1, kAnnounce},
    {"engine/wake_gate.h", "sleepers_.fetch_or", "seq_cst", 1, kAnnounce},
    {"engine/lane.cpp", "pushed.fetch_add", "seq_cst", 1, kPublish},
    {"engine/lane.cpp", "pushed.load", "seq_cst", 1, kAnnounce},
    {"engine/ranked_queue.h", "count_.fetch_add", "seq_cst", 1, kPublish},
    {"engine/ranked_queue.h", "count_.load", "seq_cst", 1, kAnnounce},
    {"engine/hand.h", "range_.store", "seq_cst", 1, kHand},
    {"engine/hand.h", "range_.load", "seq_cst", 1, kHand},
    {"engine/lane.cpp", "owed.fetch_add", "seq_cst", 1, kOwed},
    {"engine/lane.cpp", "owed.exchange", "seq_cst", 1, kOwed},
    {"engine/parking_lot.h", "count_.fetch_add", "seq_cst", 1, kParked},
    {"engine/parking_lot.h", "count_.load", "seq_cst", 1, kSlot},
    {"engine/capacity.h", "admitted_.load", "seq_cst", 1, kParked},
    {"engine/capacity.h", "admitted_.compare_exchange_weak", "seq_cst", 1, kParked},
    {"engine/capacity.h", "admitted_.fetch_sub", "seq_cst", 1, kSlot},
    {"engine/arena_workers.cpp", "busy_.load", "seq_cst", 1, kNumber},
    {"engine/arena_workers.cpp", "busy_.compare_exchange_strong", "seq_cst", 1, kNumber},
    {"engine/arena_workers.cpp", "busy_.fetch_and", "seq_cst", 1, kNumber},
    {"engine/arena_workers.cpp", "alive_.fetch_add", "seq_cst", 1, kAlive},
    {"engine/arena_workers.cpp", "stopping_.store", "seq_cst", 1, kAlive},
    {"engine/arena_workers.cpp", "stopping_.load", "seq_cst", 1, kAlive},
    {"engine/lent_threads.cpp", "sleepers_.fetch_add", "seq_cst", 1, kBell},
    {"engine/lent_threads.cpp", "sleepers_.load", "seq_cst", 1, kBell},
    {"engine/lent_threads.cpp", "rung_.fetch_add", "release", 1, kBell},
    {"engine/lent_threads.cpp", "rung_.load", "acquire", 1, kBell},
    {"engine/lent_workers.cpp", "seat_.exchange", "acq_rel", 2, kCommitter},
    {"engine/pipeline.cpp", "inbox_.compare_exchange_weak", "acquire", 1, kOwner},
    {"engine/pipeline.cpp", "inbox_.compare_exchange_weak", "release", 1, kMessage},
    {"engine/pipeline.cpp", "inbox_.compare_exchange_strong", "release", 1, kOwner},
    {"engine/pipeline.cpp", "inbox_.exchange", "acquire", 1, kMessage},
    {"engine/lane.cpp", "closed_.fetch_or", "seq_cst", 2, kClosed},
    {"engine/lane.cpp", "closed_.load", "seq_cst", 2, kPermit},
    {"engine/attempt.cpp", "active_.fetch_add", "seq_cst", 1, kPermit},
    {"engine/attempt.cpp", "active_.load", "seq_cst", 1, kClosed},
    {"engine/attempt.cpp", "top_.compare_exchange_weak", "seq_cst", 1, kPermitBack},
    {"engine/attempt.cpp", "top_.load", "seq_cst", 1, kLastLook},
    {"engine/attempt.cpp", "word_.fetch_sub", "acq_rel", 1, kTakenAgain},
    {"engine/resumption.h", "readies_.fetch_add", "seq_cst", 2, kReady},
    {"engine/resumption.h", "readies_.load", "seq_cst", 1, kLastLook},
    {"engine/resumption.h", "wants_slot_.fetch_add", "seq_cst", 1, kWantsSlot},
    {"engine/resumption.h", "wants_slot_.load", "seq_cst", 1, kSlotBack},
    {"engine/resumption.h", "wants_permit_.fetch_add", "seq_cst", 1, kWantsPermit},
    {"engine/resumption.h", "wants_permit_.load", "seq_cst", 1, kLastLook},
    {"engine/lane.cpp", "due.exchange", "acq_rel", 2, kLookDue},
    {"storage/journal.cpp", "turn.exchange", "seq_cst", 1, kJournalPublish},
    {"storage/journal.cpp", "asleep.load", "seq_cst", 1, kJournalPublish},
    {"storage/journal.cpp", "asleep.exchange", "seq_cst", 2, kJournalAnnounce},
    {"storage/journal.cpp", "head_published", "seq_cst", 2, kJournalAnnounce},
    {"storage/journal.cpp", "stopped.exchange", "seq_cst", 1, kJournalAnnounce},
    {"storage/journal.cpp", "waiting.fetch_add", "seq_cst", 1, kCredit},
    {"storage/journal.cpp", "waiting.load", "seq_cst", 1, kCredit},
    {"storage/journal.cpp", "credits.load", "seq_cst", 1, kCredit},
    {"storage/journal.cpp", "credits.fetch_add", "seq_cst", 1, kReuse},
    {"storage/journal.cpp", "credits.compare_exchange_weak", "acquire", 1, kReuse},
    {"storage/journal.cpp", "tickets.fetch_add", "acq_rel", 1, kReuse},
    {"storage/journal_commit.cpp", "turn.load", "acquire", 1, kCell},
    {"routing/router.cpp", "readers_.fetch_add", "seq_cst", 1, kSwap},
    {"routing/router.cpp", "publication_.load", "seq_cst", 2, kSwap},
    {"routing/router.cpp", "publication_.store", "seq_cst", 2, kInForce},
    {"routing/router.cpp", "readers.load", "seq_cst", 1, kInForce},
    {"routing/router.cpp", "readers_.fetch_sub", "release", 2, kSwap},
};

/// The code of a file: no comments, no spaces but between words, nothing in brackets, "." for "->".
std::string code_of(const std::string& file) {
  std::ifstream in(std::string(LEAT_SOURCE_DIR) + "/" + file);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  const auto is_word = [](char byte) {
    return std::isalnum(static_cast<unsigned char>(byte)) != 0 || byte == '_';
  };
  std::string code;
  bool spaced = false;
  int brackets = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::string_view rest = std::string_view(text).substr(at);
    if (rest.starts_with("//")) {
      at += std::min(rest.find('\n'), rest.size()) - 1;
    } else if (std::isspace(static_cast<unsigned char>(text[at])) != 0) {
      spaced = true;
    } else if (text[at] == '[' || text[at] == ']') {
      brackets += text[at] == '[' ? 1 : -1;
    } else if (brackets == 0) {
      if (spaced && is_word(text[at]) && !code.empty() && is_word(code.back())) code += ' ';
      spaced = false;
      const bool is_arrow = rest.starts_with("->");
      code += is_arrow ? '.' : text[at];
      if (is_arrow) ++at;
    }
  }
  return code;
}

/// The first order among the arguments of a call that begins at `at`: the one of its success.
std::string_view order_at(std::string_view code, std::size_t at) {
  constexpr std::string_view kWord = "std::memory_order_";
  int depth = 1;
  std::size_t end = at;
  for (; end < code.size() && depth > 0; ++end) depth += code[end] == '(' ? 1 : code[end] == ')' ? -1 : 0;
  const std::string_view arguments = code.substr(at, end - at - 1);
  const std::size_t found = arguments.find(kWord);
  if (found == std::string_view::npos) return {};
  const std::string_view order = arguments.substr(found + kWord.size());
  return order.substr(0, order.find_first_of(",)"));
}

int count(std::string_view code, const std::string& access, std::string_view order) {
  int times = 0;
  const std::string call = access + "(";
  for (std::size_t at = 0; (at = code.find(call, at)) != std::string_view::npos;) {
    const char before = at == 0 ? '\0' : code[at - 1];
    const bool is_whole = std::isalnum(static_cast<unsigned char>(before)) == 0 && before != '_';
    at += call.size();
    if (is_whole && order_at(code, at) == order) ++times;
  }
  return times;
}

TEST(Orders, AreThoseThatTheModelsWalkThrough) {
  for (const Order& order : kOrders) {
    const std::string code = code_of(order.file);
    ASSERT_FALSE(code.empty()) << order.file << " cannot be read";
    EXPECT_GE(count(code, order.access, order.order), order.times)
        << order.file << ": " << order.access << " is no longer " << order.order
        << "; what is lost with less: " << order.shown_by;
  }
}

TEST(Orders, AreTakenFromTheWholeAccessAndItsSuccess) {
  EXPECT_EQ(count("a.b.word_.load(std::memory_order_acquire);", "word_.load", "acquire"), 1);
  EXPECT_EQ(count("sword_.load(std::memory_order_acquire);", "word_.load", "acquire"), 0);
  EXPECT_EQ(count("w.exchange(f(1,2),std::memory_order_release,std::memory_order_acquire)", "w.exchange",
                  "acquire"),
            0);
  EXPECT_EQ(count("w.load(std::memory_order_relaxed)", "w.load", "seq_cst"), 0);
  EXPECT_EQ(count("return w.load(std::memory_order_seq_cst)", "w.load", "seq_cst"), 1);
}

}  // namespace
}  // namespace leat
