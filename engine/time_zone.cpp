#include "time_zone.h"

#include <date/tz.h>

#include <chrono>
#include <exception>

namespace leat {

std::expected<TimeZone, Error> TimeZone::find(std::string_view name) {
  try {
    return TimeZone(date::locate_zone(std::string(name)));
  } catch (const std::exception& error) {
    return std::unexpected(
        Error{ErrorCode::NotFound, "time zone '" + std::string(name) + "': " + error.what() +
                                       " (accepted: names of the IANA, as Europe/Berlin)"});
  }
}

TimeZone::Period TimeZone::at(std::int64_t unix_s) const {
  const auto info =
      static_cast<const date::time_zone*>(zone_)->get_info(date::sys_seconds(std::chrono::seconds(unix_s)));
  return {.begin_s = info.begin.time_since_epoch().count(),
          .end_s = info.end.time_since_epoch().count(),
          .offset_s = info.offset.count()};
}

}  // namespace leat
