// JSON texts for code that needs no JSON values.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "leat/error.h"

namespace leat {

/// @param text  any JSON value
/// @return      its canonical text (no spaces, keys in the order of their bytes), or InvalidArgument with
///              the byte (from 1) where it is wrong
std::expected<std::string, Error> canonical_json(std::string_view text);

}  // namespace leat
