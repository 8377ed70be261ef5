// A RoutingConfig after all checks, as patterns in normal form: what the router and the analysis work on.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "leat/route_error.h"
#include "leat/routing_config.h"
#include "pattern.h"

namespace leat {

/// @return  the patterns in order, or the first rule that is refused
[[nodiscard]] std::expected<std::vector<Pattern>, RouteError> parse_rules(const RoutingConfig& config);

}  // namespace leat
