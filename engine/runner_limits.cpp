// How many at once, how often, and whose turn: what a Runner is told about it.
#include <string>

#include "leat/runner.h"
#include "refusal.h"
#include "runner_state.h"

namespace leat {

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

std::expected<void, Error> Runner::limit_rate(std::string_view executor_key, Rate rate) {
  using std::chrono::nanoseconds;
  if (rate.count > 1'000'000'000 || rate.per <= nanoseconds(0) || rate.per > std::chrono::hours(24) ||
      rate.burst == 0 || rate.burst > 1'000'000 || rate.per.count() < rate.count) {
    return refuse("a rate of " + std::to_string(rate.count) + " in " + std::to_string(rate.per.count()) +
                  " ns, " + std::to_string(rate.burst) +
                  " at once (accepted: at most one in 1 ns, periods up to 24 h, bursts of 1 to 1,000,000)");
  }
  return state_->lanes.limit_rate(executor_key, rate, state_->timers);
}

std::expected<void, Error> Runner::set_tenant_weight(std::string_view tenant, std::uint32_t weight) {
  if (tenant.empty() || tenant.find("::") != std::string_view::npos) {
    return refuse("tenant '" + std::string(tenant) + "' (accepted: the first segment of a namespace)");
  }
  if (weight == 0 || weight > LaneTable::kTenantWeightMax) {
    return refuse("weight " + std::to_string(weight) + " for tenant '" + std::string(tenant) +
                  "' (accepted: 1 to " + std::to_string(LaneTable::kTenantWeightMax) + ")");
  }
  state_->lanes.set_tenant_weight(tenant, weight);
  return {};
}

}  // namespace leat
