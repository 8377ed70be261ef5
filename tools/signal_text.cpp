#include "signal_text.h"

#include <fmt/format.h>

namespace leat::tools {

std::expected<SignalText, std::string> parse_signal(std::string_view text) {
  const std::size_t colon = text.find(':');
  const auto id = Uuid::parse(text.substr(0, colon));
  if (!id || colon == text.npos) {
    return std::unexpected(
        fmt::format("--signal {}: no pipeline's identifier before ':' (accepted: "
                    "PIPELINE:NAME or PIPELINE:NAME=JSON)",
                    text));
  }
  const std::string_view rest = text.substr(colon + 1);
  const std::size_t equals = rest.find('=');
  SignalText signal{*id, std::string(rest.substr(0, equals))};
  if (equals != rest.npos) signal.value = rest.substr(equals + 1);
  return signal;
}

}  // namespace leat::tools
