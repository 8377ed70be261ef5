// When a place's clocks stand how far from UTC. The only part of the engine that knows where zones come from.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "leat/error.h"

namespace leat {

/// A zone of the machine's time zone database; cheap to copy.
///
/// Thread-safety: immutable.
class TimeZone {
 public:
  /// For so long a zone's clocks stand `offset_s` ahead of UTC. Unix time in seconds.
  struct Period {
    std::int64_t begin_s;
    std::int64_t end_s;  ///< the first second that is not in it
    std::int64_t offset_s;
  };

  /// @param name  as in the IANA's database: "Europe/Berlin", "UTC"
  /// @return      NotFound, with the name
  static std::expected<TimeZone, Error> find(std::string_view name);

  Period at(std::int64_t unix_s) const;

 private:
  explicit TimeZone(const void* zone) noexcept : zone_(zone) {}
  const void* zone_;  // of a database that stays
};

}  // namespace leat
