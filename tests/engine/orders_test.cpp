// The models walk through protocols with the orders, and the steps, that the code has. This holds the code to
// them: on x86-64 most weaker orders make the same instructions, and a look that is left out loses a wake-up
// once in a million, so no run of any test would notice. Each line names the access, or the steps of a
// function, and the model's test that shows what is lost with less.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

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

constexpr const char* kNoSecondLook = "WakeGateModel.WithoutASecondLookAWakeUpIsLost";
constexpr const char* kPassedOn = "WakeGateModel.AWakeThatIsNotPassedOnLeavesATaskBehindABusyWorker";
constexpr const char* kSecondTry = "ParkingModel.WithoutASecondTryATaskStaysParked";
constexpr const char* kOwedSlot = "ParkingModel.ASlotThatAWorkerOwesAndNobodyCollectsLeavesATaskParked";
constexpr const char* kPermitFirst = "StopModel.AWorkerThatLooksBeforeItTakesAPermitBeginsUnseen";
constexpr const char* kBellLook = "LentThreadsModel.WithoutALookAfterSayingAsleepATaskIsLost";
constexpr const char* kStoodUp = "LentCommitterModel.WhoStandsUpWithoutABellForThoseWhoCameByLosesACommit";
constexpr const char* kCommitterLook = "WakeProtocol.CommitterWithoutASecondLookLosesAWakeUp";
constexpr const char* kEnd = "EndModel.AnEndThatBecomesVisibleAfterTheLookForWaitersTellsNobody";
constexpr const char* kWaiter = "EndModel.AWaiterThatBecomesVisibleAfterItsLookIsLost";
constexpr const char* kCountsFirst = "EndModel.AListenerThatCanBeToldBeforeItIsCountedHidesAVisit";
constexpr const char* kArming = "ArmingModel.AWaitThatBecomesVisibleAfterTheLookForAWishIsNotCutShort";
constexpr const char* kWish = "ArmingModel.AWishThatBecomesVisibleAfterTheLookAtTheWaitCutsNothingShort";
constexpr const char* kNoWishLook = "ArmingModel.AWaitThatDoesNotLookForAWishIsNotCutShort";
constexpr const char* kLentStop = "NumberModel.AStopThatBecomesVisibleAfterTheLookAtTheNumbersLetsOneIn";
constexpr const char* kLentTake = "NumberModel.ANumberThatIsTakenVisiblyAfterTheLookForAStopOutlivesIt";
constexpr const char* kLentGiveBack = "NumberModel.ANumberThatIsSeenGivenBackBeforeItsWorkOutlivesTheStop";
constexpr const char* kOpening = "OpeningModel.ALaneThatIsSeenOpenAfterTheLookForSleepersLeavesItsTask";
constexpr const char* kGateStop = "OpeningModel.AStopThatIsSeenAfterItsRingLeavesAWorkerAsleep";
constexpr const char* kHandCell = "HandModel.ACellThatBecomesVisibleAfterItsRangeIsCopiedOld";
constexpr const char* kHandCopy = "HandModel.ACopyThatIsDoneAfterTheThiefIsGoneIsOverwritten";
constexpr const char* kHandThief = "HandModel.AnOwnerThatDoesNotLookForThievesOverwritesACopy";
constexpr const char* kWord = "TaskWordModel.AnAttemptThatBecomesVisibleAfterRunningIsNotTold";

constexpr Order kOrders[] = {
    {"engine/wake_gate.h", "searching_.load", "seq_cst", 1, kSearchEnd},
    {"engine/wake_gate.h", "searching_.compare_exchange_strong", "seq_cst", 1, kSearchEnd},
    {"engine/wake_gate.h", "searching_.store", "seq_cst", 1, kSearchEnd},
    {"engine/wake_gate.h", "sleepers_.load", "seq_cst", 1, kPublish},
    {"engine/wake_gate.h", "sleepers_.compare_exchange_weak", "seq_cst", 1, kAnnounce},
    {"engine/wake_gate.h", "sleepers_.fetch_or", "seq_cst", 1, kAnnounce},
    {"engine/wake_gate.h", "stopped_.store", "seq_cst", 1, kGateStop},
    {"engine/wake_gate.h", "stopped_.load", "seq_cst", 1, kGateStop},
    {"engine/wake_gate.h", "rung.store", "release", 1, kGateStop},
    {"engine/wake_gate.h", "rung.load", "acquire", 1, kGateStop},
    {"engine/lane.cpp", "pushed.fetch_add", "seq_cst", 1, kPublish},
    {"engine/lane.cpp", "pushed.load", "seq_cst", 1, kAnnounce},
    {"engine/ranked_queue.h", "count_.fetch_add", "seq_cst", 1, kPublish},
    {"engine/ranked_queue.h", "count_.load", "seq_cst", 1, kAnnounce},
    {"engine/hand.h", "range_.store", "seq_cst", 1, kHand},
    {"engine/hand.h", "range_.load", "seq_cst", 1, kHand},
    {"engine/hand.h", "range_.load", "acquire", 2, kHandCell},
    {"engine/hand.h", "range_.compare_exchange_weak", "acq_rel", 1, kHandThief},
    {"engine/hand.h", "thieves_.load", "acquire", 1, kHandCopy},
    {"engine/hand.h", "thieves_.fetch_sub", "release", 1, kHandCopy},
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
    {"engine/lent_workers.cpp", "stopped_.store", "seq_cst", 1, kLentStop},
    {"engine/lent_workers.cpp", "busy_.exchange", "seq_cst", 2, kLentTake},
    {"engine/lent_workers.cpp", "stopped_.load", "seq_cst", 1, kLentTake},
    {"engine/lent_workers.cpp", "busy.load", "seq_cst", 1, kLentGiveBack},
    {"engine/pipeline_wait.cpp", "phase_.compare_exchange_weak", "seq_cst", 1, kEnd},
    {"engine/pipeline_wait.cpp", "waiters_.load", "seq_cst", 1, kEnd},
    {"engine/pipeline_wait.cpp", "waiters_.fetch_add", "seq_cst", 2, kWaiter},
    {"engine/pipeline_wait.cpp", "phase_.load", "seq_cst", 5, kWaiter},
    {"engine/pipeline_wait.cpp", "waiters_.fetch_sub", "release", 3, kWaiter},
    {"engine/pipeline_wait.cpp", "waiters_.load", "acquire", 1, kWaiter},
    {"engine/coroutine_run.cpp", "word_.store", "seq_cst", 1, kArming},
    {"engine/coroutine_run.cpp", "told_.load", "seq_cst", 1, kArming},
    {"engine/coroutine_run.cpp", "told_.store", "seq_cst", 1, kWish},
    {"engine/coroutine_run.cpp", "word_.load", "seq_cst", 2, kWish},
    {"engine/coroutine_run.cpp", "word_.compare_exchange_strong", "acq_rel", 1, kWish},
    {"engine/coroutine_run.cpp", "word_.compare_exchange_weak", "acq_rel", 1, kWish},
    {"engine/pipeline.cpp", "task.word.compare_exchange_strong", "acq_rel", 1, kWord},
    {"engine/pipeline_step.cpp", "word.load", "acquire", 1, kWord},
    {"engine/pipeline_step.cpp", "word.compare_exchange_strong", "acq_rel", 1, kWord},
    {"engine/pipeline_limits.cpp", "word.load", "acquire", 1, kWord},
    {"engine/pipeline_limits.cpp", "word.compare_exchange_strong", "acq_rel", 1, kWord},
    {"engine/pipeline_pause.cpp", "word.load", "acquire", 1, kWord},
    {"engine/pipeline_pause.cpp", "word.compare_exchange_strong", "acq_rel", 1, kWord},
    {"engine/pipeline.cpp", "inbox_.compare_exchange_weak", "acquire", 1, kOwner},
    {"engine/pipeline.cpp", "inbox_.compare_exchange_weak", "release", 1, kMessage},
    {"engine/pipeline.cpp", "inbox_.compare_exchange_strong", "release", 1, kOwner},
    {"engine/pipeline.cpp", "inbox_.exchange", "acquire", 1, kMessage},
    {"engine/lane.cpp", "closed_.fetch_or", "seq_cst", 2, kClosed},
    {"engine/lane.cpp", "closed_.load", "seq_cst", 2, kPermit},
    {"engine/lane.cpp", "closed_.fetch_and", "seq_cst", 2, kOpening},
    {"engine/attempt_pool.cpp", "active_.fetch_add", "seq_cst", 1, kPermit},
    {"engine/attempt_pool.cpp", "active_.load", "seq_cst", 1, kClosed},
    {"engine/attempt_pool.cpp", "top_.compare_exchange_weak", "seq_cst", 1, kPermitBack},
    {"engine/attempt_pool.cpp", "top_.load", "seq_cst", 1, kLastLook},
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
    {"storage/journal.cpp", "stopped.load", "seq_cst", 1, kJournalAnnounce},
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

/// What a function does, in this order: as in the code, without spaces and what stands in brackets.
struct Steps {
  const char* file;
  const char* function;  ///< how it begins
  std::vector<const char*> steps;
  const char* shown_by;
};

const Steps kSteps[] = {
    {"engine/wake_gate.h",
     "void notify(",
     {"searching_.load(", "sleepers_.load(", "sleepers_.compare_exchange_weak(", "wake("},
     kPublish},
    {"engine/wake_gate.h",
     "void wait(",
     {"sleepers_.fetch_or(", "!has_work()", "!stopped()", "futex_wait("},
     kNoSecondLook},
    {"engine/wake_gate.h",
     "bool search(",
     {"searching_.compare_exchange_strong(", "has_work()", "searching_.store(0"},
     kSearchEnd},
    {"engine/wake_gate.h", "void stop(", {"stopped_.store(", "wake("}, kGateStop},
    {"engine/wake_gate.h", "void wake(", {"rung.store(1", "futex_wake("}, kGateStop},
    {"engine/lane.cpp", "void Lane::push(", {"enqueue_bulk(", "pushed.fetch_add(", "notify()"}, kPublish},
    {"engine/lane.cpp", "void Lane::push_one(", {"ranked_.push(", "notify()"}, kPublish},
    {"engine/lane.cpp",
     "void Lane::admit_or_park(",
     {"reserve()", "lot_.push(", "slots_released()"},
     kSecondTry},
    {"engine/parking_lot.h", "void push(ParkedTask&&", {"line.push_back(", "count_.fetch_add("}, kSecondTry},
    {"engine/capacity.h", "void release(", {"admitted_.fetch_sub(", "slots_released()"}, kSlot},
    {"engine/lane.cpp", "void Lane::owe(", {"owed.fetch_add(", "slots_awaited()", "collect_owed()"}, kOwed},
    {"engine/lane.cpp", "bool Lane::collect_owed(", {"owed.exchange(0", "capacity_.release("}, kOwedSlot},
    {"engine/lane.cpp",
     "std::size_t Lane::run_some(",
     {"attempts_.try_take()", "closed_.load("},
     kPermitFirst},
    {"engine/lane.cpp",
     "std::size_t Lane::refill(",
     {"hand.refill(", "popped.store(", "notify()"},
     kPassedOn},
    {"engine/lane.cpp", "bool Lane::anything_queued(", {"depth()", "hand.empty()"}, kHand},
    {"engine/lane.cpp",
     "void Lane::resume(",
     {"closed_.fetch_and(", "slots_released()", "anything_queued()", "notify()"},
     kOpening},
    {"engine/lane.cpp",
     "void Lane::set_paused(",
     {"closed_.fetch_and(", "anything_queued()", "notify()"},
     kOpening},
    {"engine/lent_threads.cpp",
     "bool LentThreads::help(",
     {"sleepers_.fetch_add(", "rung_.load(", "has_work()", "futex_wait("},
     kBellLook},
    {"engine/lent_threads.cpp",
     "void LentThreads::ring(",
     {"sleepers_.load(", "rung_.fetch_add(", "futex_wake("},
     kBell},
    {"engine/lent_workers.cpp",
     "std::size_t run(",
     {"busy_.exchange(true", "stopped_.load(", "run_some(", "busy_.exchange(false", "has_work()", "ring()"},
     kStoodUp},
    {"engine/pipeline_wait.cpp",
     "void Pipeline::set_phase(",
     {"phase_.compare_exchange_weak(", "waiters_.load(", "futex_wake(", "tell_end()"},
     kEnd},
    {"engine/pipeline_wait.cpp",
     "bool Pipeline::wait_phase(",
     {"Visit visit(", "phase_.load(", "visit.stay()", "futex_wait(phase_,now"},
     kWaiter},
    {"engine/pipeline_wait.cpp",
     "bool Pipeline::listen(",
     {"waiters_.fetch_add(", "continuations().add(", "phase_.load("},
     kCountsFirst},
    {"engine/coroutine_run.cpp",
     "bool CoroutineRun::end_arming(",
     {"told_.load(", "word_.compare_exchange_strong("},
     kNoWishLook},
    {"engine/coroutine_run.cpp",
     "void CoroutineRun::told_to_end(",
     {"told_.store(", "word_.load(", "wake("},
     kWish},
    {"storage/journal.cpp",
     "void Journal::State::give_credits(",
     {"credits.fetch_add(", "waiting.load(", "freed.fetch_add(", "notify_all()"},
     kCredit},
    {"storage/journal.cpp",
     "bool Journal::reserve(",
     {"waiting.fetch_add(", "freed.load(", "take_credits(", "freed.wait("},
     kCredit},
    {"storage/journal.cpp",
     "inline void Journal::State::publish(",
     {"turn.exchange(", "wake_committer()"},
     kJournalPublish},
    {"storage/journal.cpp",
     "bool Journal::wait_for_work(",
     {"asleep.exchange(1", "head_published(std::memory_order_seq_cst)", "asleep.wait("},
     kCommitterLook},
    {"storage/journal.cpp",
     "bool Journal::try_doze(",
     {"asleep.exchange(1", "head_published("},
     kCommitterLook},
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

/// A function's body; empty: there is none that begins so.
std::string_view body_of(std::string_view code, std::string_view function) {
  const std::size_t at = code.find(function);
  const std::size_t begin = at == std::string_view::npos ? at : code.find('{', at);
  if (begin == std::string_view::npos) return {};
  int depth = 1;
  std::size_t end = begin + 1;
  for (; end < code.size() && depth > 0; ++end) depth += code[end] == '{' ? 1 : code[end] == '}' ? -1 : 0;
  return code.substr(begin, end - begin);
}

/// @return the first step that is not there, behind the ones before it; empty: all are
std::string_view missing_step(std::string_view body, const std::vector<const char*>& steps) {
  std::size_t at = 0;
  for (const std::string_view step : steps) {
    at = body.find(step, at);
    if (at == std::string_view::npos) return step;
    at += step.size();
  }
  return {};
}

/// The call among whose arguments `at` is, as in "a.b.load".
std::string_view call_around(std::string_view code, std::size_t at) {
  int depth = 0;
  while (at > 0 && (code[--at] != '(' || depth > 0)) depth += code[at] == ')' ? 1 : code[at] == '(' ? -1 : 0;
  std::size_t begin = at;
  const auto is_name = [](char byte) {
    return std::isalnum(static_cast<unsigned char>(byte)) != 0 || byte == '_' || byte == '.';
  };
  while (begin > 0 && is_name(code[begin - 1])) --begin;
  return code.substr(begin, at - begin);
}

bool is_listed(const std::string& file, std::string_view call) {
  return std::ranges::any_of(kOrders, [&](const Order& order) {
    const std::string_view access = order.access;
    const bool ends = call == access || call.ends_with("." + std::string(access));
    return ends && file == order.file && order.order == std::string_view("seq_cst");
  });
}

std::vector<std::string> sources() {
  namespace fs = std::filesystem;
  const fs::path root(LEAT_SOURCE_DIR);
  std::vector<std::string> files;
  for (const char* const module : {"engine", "storage", "routing", "locks"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / module)) {
      if (entry.path().extension() == ".h" || entry.path().extension() == ".cpp")
        files.push_back(entry.path().lexically_relative(root).generic_string());
    }
  }
  return files;
}

TEST(Orders, AreThoseThatTheModelsWalkThrough) {
  for (const Order& order : kOrders) {
    const std::string code = code_of(order.file);
    ASSERT_FALSE(code.empty()) << order.file << " cannot be read";
    const int times = count(code, order.access, order.order);
    EXPECT_TRUE(order.order == std::string_view("seq_cst") ? times == order.times : times >= order.times)
        << order.file << ": " << order.access << " is no longer " << order.order
        << "; what is lost with less: " << order.shown_by;
  }
}

TEST(Orders, EverySequentiallyConsistentAccessIsListed) {
  std::size_t seen = 0;
  for (const std::string& file : sources()) {
    const std::string code = code_of(file);
    constexpr std::string_view kOrder = "std::memory_order_seq_cst";
    for (std::size_t at = 0; (at = code.find(kOrder, at)) != std::string::npos; at += kOrder.size(), ++seen) {
      EXPECT_TRUE(is_listed(file, call_around(code, at)))
          << file << ": " << call_around(code, at) << " is seq_cst, and no line says which model shows why";
    }
  }
  EXPECT_GT(seen, 50U);
}

TEST(Orders, StepsAreThoseThatTheModelsWalkThrough) {
  for (const Steps& function : kSteps) {
    const std::string code = code_of(function.file);
    const std::string_view body = body_of(code, function.function);
    ASSERT_FALSE(body.empty()) << function.file << ": there is no " << function.function;
    const std::string_view missing = missing_step(body, function.steps);
    EXPECT_TRUE(missing.empty()) << function.file << ": the step " << missing << " of " << function.function
                                 << "...) is no longer where it was; what is lost without it: "
                                 << function.shown_by;
  }
}

TEST(Orders, StepsAreLookedForInTheirOrderWithinTheFunction) {
  const std::string_view body = body_of("void f(){a();if(b()){c();}}void g(){d();}", "void f(");
  EXPECT_EQ(body, "{a();if(b()){c();}}");
  EXPECT_EQ(missing_step(body, {"a()", "b()", "c()"}), "");
  EXPECT_EQ(missing_step(body, {"b()", "a()"}), "a()");
  EXPECT_EQ(missing_step(body, {"c()", "d()"}), "d()");
}

TEST(Orders, ACallIsFoundFromItsArguments) {
  const std::string_view code = "x=a.b_.compare_exchange_weak(f(1),2,std::memory_order_seq_cst);";
  EXPECT_EQ(call_around(code, code.find("std::")), "a.b_.compare_exchange_weak");
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
