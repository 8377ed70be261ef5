// libFuzzer: any bytes as a value: a duration, a moment, limits, a signal, an identifier, a context, a trigger
// rule, a name. What is read is written as what is read again.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "duration_text.h"
#include "leat/context.h"
#include "leat/durability.h"
#include "leat/namespace.h"
#include "leat/trigger_rule.h"
#include "leat/uuid.h"
#include "retention_text.h"
#include "signal_text.h"

namespace {

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz_values: %s\n", what);
  std::abort();
}

/// What `--keep-events`, `--since` and `--signal` are given.
void read_command_line_value(std::string_view text) {
  using namespace leat::tools;
  if (const auto limits = parse_retention(text)) {
    require(text == "all" || limits->age_ns || limits->count || limits->bytes,
            "no limit in a list of limits");
    require(limits->age_ns.value_or(0) >= 0, "a negative age");
    require(limits->bytes.value_or(0) < std::uint64_t{1} << 63, "more bytes than were asked for");
  }
  constexpr std::int64_t kNow = 1'800'000'000'000'000'000;
  if (const auto moment = parse_moment(text, kNow)) {
    // A date stands for itself; so long ago goes with the clock.
    const auto later = parse_moment(text, kNow + 1);
    require(later && (*later == *moment || *later == *moment + 1), "a moment that depends on more than now");
  }
  if (const auto signal = parse_signal(text)) {
    const std::string written = signal->pipeline.to_string() + ":" + signal->name + "=" + signal->value;
    const auto again = parse_signal(written);
    require(again && again->pipeline == signal->pipeline && again->name == signal->name &&
                again->value == signal->value,
            "a signal is not stable");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto duration = leat::tools::parse_duration(text)) {
    require(duration->count() >= 0, "a negative duration");
    require(!leat::tools::format_duration(*duration).empty(), "a duration without a text");
  }
  read_command_line_value(text);
  if (const auto id = leat::Uuid::parse(text)) {
    require(leat::Uuid::parse(id->to_string()) == id, "an identifier is not stable");
  }
  if (const auto context = leat::Context::parse(text)) {
    const std::string json = context->to_json();
    const auto again = leat::Context::parse(json);
    require(again.has_value() && again->to_json() == json, "a context is not stable");
  }
  if (const auto rule = leat::TriggerRule::parse(text)) {
    const auto again = leat::TriggerRule::parse(rule->to_json());
    require(again.has_value() && again->to_json() == rule->to_json(), "a trigger rule is not stable");
  }
  if (const auto level = leat::parse_durability(text))
    require(leat::to_string(*level) == text, "another level");
  leat::NamespaceTable names;
  if (const auto name = names.intern(text)) require(name->view() == text, "another name");
  return 0;
}
