#include "inspect_filter.h"

#include <fmt/format.h>

#include "retention_text.h"

namespace leat::tools {
namespace {

/// @param last  the enumerator with the highest value; they are dense from 0
template <typename State>
std::expected<State, std::string> parse_state(std::string_view word, State last) {
  std::string accepted;
  for (int value = 0; value <= static_cast<int>(last); ++value) {
    const auto state = static_cast<State>(value);
    if (word == to_string(state)) return state;
    accepted += (value == 0 ? "" : ", ") + std::string(to_string(state));
  }
  return std::unexpected(fmt::format("--state: '{}' (accepted: {})", word, accepted));
}

}  // namespace

std::expected<InspectFilter, std::string> InspectFilter::make(const InspectWords& words,
                                                              std::string_view what, std::int64_t now_ns) {
  InspectFilter filter;
  if (!words.pipeline.empty()) {
    filter.query_.id = Uuid::parse(words.pipeline);
    if (!filter.query_.id) {
      return std::unexpected(fmt::format(
          "--pipeline: '{}' (accepted: an ID that `leat inspect pipelines` lists)", words.pipeline));
    }
  }
  if (!words.state.empty() && what == "pipelines") {
    const auto state = parse_state(words.state, PipelineState::Cancelled);
    if (!state) return std::unexpected(state.error());
    filter.query_.state = *state;
  } else if (!words.state.empty()) {
    const auto state = parse_state(words.state, TaskState::Cancelled);
    if (!state) return std::unexpected(state.error());
    filter.task_state_ = *state;
  }
  if (!words.since.empty()) {
    const auto from = parse_moment(words.since, now_ns);
    if (!from) return std::unexpected("--since: " + from.error());
    filter.query_.finished_from_ns = *from;
  }
  if (!words.until.empty()) {
    const auto before = parse_moment(words.until, now_ns);
    if (!before) return std::unexpected("--until: " + before.error());
    filter.query_.finished_before_ns = *before;
  }
  return filter;
}

}  // namespace leat::tools
