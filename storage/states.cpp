// The tables behind the states: their names, and which may follow which.
#include "leat/states.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "leat/store_image.h"

namespace leat {
namespace {

constexpr std::array<std::string_view, 7> kTaskNames = {"NotStarted", "Ready",   "Running",  "Completed",
                                                        "Failed",     "Skipped", "Cancelled"};
constexpr std::array<std::string_view, 6> kPipelineNames = {"Pending", "Running", "Completed",
                                                            "Failed",  "Paused",  "Cancelled"};

using Row = std::uint8_t;  // bit n: the state with value n may follow

template <typename State>
constexpr std::size_t index(State state) {
  return static_cast<std::size_t>(state);
}

template <typename... States>
constexpr Row to(States... states) {
  return static_cast<Row>((0U | ... | (1U << index(states))));
}

constexpr std::array<Row, 7> kTaskTable = [] {
  using enum TaskState;
  std::array<Row, 7> table{};
  table[index(NotStarted)] = to(Ready, Failed, Skipped, Cancelled);
  table[index(Ready)] = to(Running, Failed, Cancelled);
  table[index(Running)] = to(Ready, Completed, Failed, Skipped, Cancelled);
  return table;
}();

constexpr std::array<Row, 6> kPipelineTable = [] {
  using enum PipelineState;
  std::array<Row, 6> table{};
  table[index(Pending)] = to(Running, Completed, Failed, Paused, Cancelled);
  table[index(Running)] = to(Completed, Failed, Paused, Cancelled);
  table[index(Paused)] = to(Running, Completed, Failed, Cancelled);
  return table;
}();

template <typename State, std::size_t kCount>
bool lookup(const std::array<Row, kCount>& table, State from, State next) noexcept {
  return index(from) < kCount && index(next) < kCount && ((table[index(from)] >> index(next)) & 1U) != 0;
}

template <typename State, std::size_t kCount>
bool has_no_successor(const std::array<Row, kCount>& table, State state) noexcept {
  return index(state) < kCount && table[index(state)] == 0;
}

}  // namespace

std::string_view to_string(TaskState state) noexcept {
  return index(state) < kTaskNames.size() ? kTaskNames[index(state)] : "?";
}

std::string_view to_string(PipelineState state) noexcept {
  return index(state) < kPipelineNames.size() ? kPipelineNames[index(state)] : "?";
}

bool is_terminal(TaskState state) noexcept {
  return has_no_successor(kTaskTable, state);
}
bool is_terminal(PipelineState state) noexcept {
  return has_no_successor(kPipelineTable, state);
}

bool may_become(TaskState from, TaskState to) noexcept {
  return lookup(kTaskTable, from, to);
}
bool may_become(PipelineState from, PipelineState to) noexcept {
  return lookup(kPipelineTable, from, to);
}

std::string_view to_string(TransitionReason reason) noexcept {
  switch (reason) {
    case TransitionReason::Created:
      return "Created";
    case TransitionReason::Dependencies:
      return "Dependencies";
    case TransitionReason::Started:
      return "Started";
    case TransitionReason::Result:
      return "Result";
    case TransitionReason::Retry:
      return "Retry";
    case TransitionReason::Rescue:
      return "Rescue";
    case TransitionReason::Interrupted:
      return "Interrupted";
    case TransitionReason::Cancel:
      return "Cancel";
    case TransitionReason::Abandoned:
      return "Abandoned";
    case TransitionReason::TriggerRule:
      return "TriggerRule";
    case TransitionReason::Deadline:
      return "Deadline";
    case TransitionReason::Signal:
      return "Signal";
    case TransitionReason::GivenUp:
      return "GivenUp";
  }
  return "";
}

}  // namespace leat
