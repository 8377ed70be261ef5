// A signal as people write it on the command line: "0192f0c1-...:approved={\"by\":\"Ada\"}".
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "leat/uuid.h"

namespace leat::tools {

struct SignalText {
  Uuid pipeline;
  std::string name;
  std::string value = "true";  ///< JSON text; not looked at here
};

/// @param text  PIPELINE:NAME or PIPELINE:NAME=JSON
/// @return      or why not, with what is accepted
std::expected<SignalText, std::string> parse_signal(std::string_view text);

}  // namespace leat::tools
