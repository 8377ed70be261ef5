// libFuzzer: any bytes as a value: a duration, an identifier, a context, a trigger rule, a name. What is read
// is written as what is read again.
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

namespace {

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz_values: %s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto duration = leat::tools::parse_duration(text)) {
    require(duration->count() >= 0, "a negative duration");
    require(!leat::tools::format_duration(*duration).empty(), "a duration without a text");
  }
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
