// libFuzzer: any bytes as a cron expression, and the times that it names, from moments in the past, the present
// and the last century that 64 bits of nanoseconds reach, in places whose clocks change. Each time is later
// than the one before, and what a schedule keeps is read again as the same.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cron_times.h"
#include "leat/schedule.h"
#include "time_zone.h"

namespace {

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz_cron: %s\n", what);
  std::abort();
}

constexpr std::array<std::int64_t, 4> kFrom = {-3'000'000'000, 0, 1'793'000'000, 9'200'000'000};
constexpr std::array<const char*, 3> kZones = {"UTC", "Europe/Berlin", "Australia/Lord_Howe"};
constexpr int kTimes = 8;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto definition = leat::ScheduleDefinition::parse(text)) {
    const std::string json = definition->to_json();
    const auto again = leat::ScheduleDefinition::parse(json);
    require(again && again->to_json() == json, "a schedule is not written as it was read");
  }
  const auto times = leat::CronTimes::parse(text);
  if (!times) {
    require(!times.error().message.empty(), "refused without a word");
    return 0;
  }
  for (const char* name : kZones) {
    const auto zone = leat::TimeZone::find(name);
    require(zone.has_value(), "no such zone");
    for (std::int64_t at : kFrom) {
      for (int n = 0; n < kTimes; ++n) {
        const auto next = times->next_after(at, *zone);
        if (!next) break;
        require(*next > at, "a time that is not later");
        // Whoever looks just before it finds it too.
        require(times->next_after(*next - 1, *zone) == *next, "a time that comes and goes");
        at = *next;
      }
    }
  }
  return 0;
}
