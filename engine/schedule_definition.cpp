#include <array>
#include <charconv>

#include "leat/context.h"
#include "leat/schedule.h"

namespace leat {
namespace {

constexpr std::array<std::string_view, 4> kOverlaps = {"skip", "allow", "queue_one", "cancel_other"};
constexpr std::array<std::string_view, 3> kMisfires = {"fire_once", "skip", "catch_up"};

}  // namespace

std::string_view to_string(Overlap overlap) noexcept {
  return kOverlaps[static_cast<std::size_t>(overlap)];
}
std::string_view to_string(Misfire misfire) noexcept {
  return kMisfires[static_cast<std::size_t>(misfire)];
}

Misfire misfire_of(std::string_view word) noexcept {
  for (std::size_t i = 0; i < kMisfires.size(); ++i) {
    if (kMisfires[i] == word) return static_cast<Misfire>(i);
  }
  return Misfire::FireOnce;
}

std::string ScheduleDefinition::to_json() const {
  Context json;
  json.set("workflow", workflow);
  json.set("workflow_version", std::to_string(workflow_version));  // beyond what JSON's numbers hold for all
  json.set("cron", options.cron);
  json.set("time_zone", options.time_zone);
  json.set("overlap", to_string(options.overlap));
  json.set("misfire", to_string(options.misfire));
  json.set("misfire_after_ns", std::int64_t{options.misfire_after.count()});
  json.set("catch_up_max", options.catch_up_max);
  json.set("context", options.context);
  json.set("durability", to_string(options.durability));
  json.set("priority", static_cast<std::int64_t>(options.priority));
  json.set("concurrency_key", options.concurrency_key);
  return json.to_json();
}

std::expected<ScheduleDefinition, Error> ScheduleDefinition::parse(std::string_view text) {
  const auto json = Context::parse(text);
  if (!json) return std::unexpected(json.error());
  const auto word = [&json](std::string_view key) { return json->get<std::string>(key).value_or(""); };
  const auto number = [&json](std::string_view key) { return json->get<std::int64_t>(key).value_or(0); };
  ScheduleDefinition definition;
  definition.workflow = word("workflow");
  const std::string version = word("workflow_version");
  std::from_chars(version.data(), version.data() + version.size(), definition.workflow_version);
  ScheduleOptions& options = definition.options;
  options.cron = word("cron");
  options.time_zone = word("time_zone");
  const std::string overlap = word("overlap");
  for (std::size_t i = 0; i < kOverlaps.size(); ++i) {
    if (kOverlaps[i] == overlap) options.overlap = static_cast<Overlap>(i);
  }
  options.misfire = misfire_of(word("misfire"));
  options.misfire_after = std::chrono::nanoseconds(number("misfire_after_ns"));
  options.catch_up_max = static_cast<std::uint32_t>(number("catch_up_max"));
  options.context = word("context");
  options.durability = parse_durability(word("durability")).value_or(Durability::Disk);
  options.priority = static_cast<Priority>(number("priority"));
  options.concurrency_key = word("concurrency_key");
  if (definition.workflow.empty() || options.cron.empty()) {
    return std::unexpected(Error{ErrorCode::InvalidArgument, "a schedule without a workflow or a time"});
  }
  return definition;
}

}  // namespace leat
