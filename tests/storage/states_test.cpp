// The vocabulary: names, transition tables, identifiers.
#include "leat/states.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "leat/durability.h"
#include "leat/store_error.h"
#include "leat/store_health.h"
#include "leat/store_image.h"
#include "leat/uuid.h"

namespace leat::test {
namespace {

const std::vector<TaskState> kTaskStates = {TaskState::NotStarted, TaskState::Ready,  TaskState::Running,
                                            TaskState::Completed,  TaskState::Failed, TaskState::Skipped,
                                            TaskState::Cancelled};
const std::vector<PipelineState> kPipelineStates = {PipelineState::Pending,   PipelineState::Running,
                                                    PipelineState::Completed, PipelineState::Failed,
                                                    PipelineState::Paused,    PipelineState::Cancelled};

/// One row per state in the order of its values, one character per state that may follow: '1' yes.
template <typename State>
std::vector<std::string> table(const std::vector<State>& states) {
  std::vector<std::string> rows;
  for (const State from : states) {
    std::string& row = rows.emplace_back();
    for (const State to : states) row += may_become(from, to) ? '1' : '.';
  }
  return rows;
}

TEST(States, TaskTransitionsAreThoseOfTheTable) {                     // rows 157, 158, 162
  EXPECT_EQ(table(kTaskStates), (std::vector<std::string>{".1..111",  // NotStarted
                                                          "..1.1.1",  // Ready
                                                          ".1.1111",  // Running
                                                          ".......", ".......", ".......", "......."}));
}

TEST(States, PipelineTransitionsAreThoseOfTheTable) {
  EXPECT_EQ(table(kPipelineStates), (std::vector<std::string>{".11111",  // Pending
                                                              "..1111",  // Running
                                                              "......", "......",
                                                              ".111.1",  // Paused
                                                              "......"}));
}

TEST(States, TerminalStatesAreThoseThatNothingFollows) {
  std::string terminal;
  for (const TaskState state : kTaskStates) terminal += is_terminal(state) ? '1' : '.';
  EXPECT_EQ(terminal, "...1111");
  terminal.clear();
  for (const PipelineState state : kPipelineStates) terminal += is_terminal(state) ? '1' : '.';
  EXPECT_EQ(terminal, "..11.1");
}

TEST(States, NamesAreThoseOfTheEnumerators) {
  EXPECT_EQ(to_string(TaskState::NotStarted), "NotStarted");
  EXPECT_EQ(to_string(TaskState::Cancelled), "Cancelled");
  EXPECT_EQ(to_string(PipelineState::Pending), "Pending");
  EXPECT_EQ(to_string(PipelineState::Paused), "Paused");
  EXPECT_EQ(to_string(StoreErrorCode::NewerFormat), "NewerFormat");
}

TEST(States, NamesOfReasonsAreThoseOfTheEnumerators) {
  const std::vector<std::string_view> names = {
      "Created", "Dependencies", "Started",     "Result",   "Retry",  "Rescue", "Interrupted",
      "Cancel",  "Abandoned",    "TriggerRule", "Deadline", "Signal", "GivenUp"};
  for (std::size_t reason = 0; reason < names.size(); ++reason)
    EXPECT_EQ(to_string(static_cast<TransitionReason>(reason)), names[reason]);
}

TEST(States, NamesOfAStoresHealthAreThoseOfTheEnumerators) {
  const std::vector<std::string_view> names = {"Healthy", "Degraded", "ReadOnly", "Failed"};
  for (std::size_t health = 0; health < names.size(); ++health)
    EXPECT_EQ(to_string(static_cast<StoreHealth>(health)), names[health]);
}

TEST(Durability, WordsAreReadBack) {
  for (const Durability level : {Durability::Memory, Durability::Process, Durability::Disk}) {
    EXPECT_EQ(parse_durability(to_string(level)), level);
  }
}

TEST(Durability, OtherWordsAreRefused) {
  for (const char* word : {"", "Disk", "disk ", "fsync"})
    EXPECT_EQ(parse_durability(word), std::nullopt) << word;
}

TEST(Uuid, Version7HasItsPartsInPlace) {
  // The example of RFC 9562, appendix A.6.
  const Uuid id = Uuid::make_v7(0x017f22e279b0, 0xcc3, 0x18c4dc0c0c07398f);
  EXPECT_EQ(id.to_string(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

TEST(Uuid, OversizedPartsDoNotTouchVersionAndVariant) {
  const Uuid id = Uuid::make_v7(0, ~std::uint32_t{0}, ~std::uint64_t{0});
  EXPECT_EQ(id.to_string(), "00000000-0000-7fff-bfff-ffffffffffff");
}

TEST(Uuid, OrderIsThatOfTimeThenCounter) {
  EXPECT_LT(Uuid::make_v7(1, 0xfff, ~std::uint64_t{0}), Uuid::make_v7(2, 0, 0));
  EXPECT_LT(Uuid::make_v7(1, 1, ~std::uint64_t{0}), Uuid::make_v7(1, 2, 0));
}

TEST(Uuid, TextIsReadBackInEitherCase) {
  const Uuid id = Uuid::make_v7(0x017f22e279b0, 0xcc3, 0x18c4dc0c0c07398f);
  EXPECT_EQ(Uuid::parse(id.to_string()), id);
  EXPECT_EQ(Uuid::parse("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"), id);
}

TEST(Uuid, OtherFormsAreRefused) {
  for (const char* text : {"", "017f22e279b07cc398c4dc0c0c07398f", "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
                           "017f22e2-79b0-7cc3-98c4-dc0c0c07398fa", "017f22e2x79b0-7cc3-98c4-dc0c0c07398f",
                           "g17f22e2-79b0-7cc3-98c4-dc0c0c07398f"}) {
    EXPECT_EQ(Uuid::parse(text), std::nullopt) << text;
  }
}

TEST(Uuid, HashIsTheSameOnEveryMachine) {
  EXPECT_EQ(Uuid::make_v7(0x017f22e279b0, 0xcc3, 0x18c4dc0c0c07398f).hash(), 9190587859902264743U);
  EXPECT_TRUE(Uuid().is_nil());
}

}  // namespace
}  // namespace leat::test
