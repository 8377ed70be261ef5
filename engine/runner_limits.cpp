// How many at once, how often, and whose turn: what a Runner is told about it.
#include <string>

#include "leat/runner.h"
#include "runner_state.h"

namespace leat {
namespace {

std::unexpected<Error> refuse(std::string message) {
  return std::unexpected(Error{ErrorCode::InvalidArgument, std::move(message)});
}

}  // namespace

std::expected<void, Error> Runner::limit_concurrency(std::string_view keys, std::uint32_t pipelines_max) {
  if (keys.empty() || keys.size() > ConcurrencyGate::kKeyBytesMax) {
    return refuse("concurrency keys of " + std::to_string(keys.size()) + " bytes (accepted: 1 to " +
                  std::to_string(ConcurrencyGate::kKeyBytesMax) + ")");
  }
  if (pipelines_max == 0 || pipelines_max > ConcurrencyGate::kLimitMax) {
    return refuse(std::to_string(pipelines_max) + " pipelines at once for '" + std::string(keys) +
                  "' (accepted: 1 to " + std::to_string(ConcurrencyGate::kLimitMax) + ")");
  }
  state_->scheduler.gate().limit(keys, pipelines_max);
  return {};
}

}  // namespace leat
