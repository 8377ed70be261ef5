// Schedules, as a Runner's caller meets them.
#include <functional>
#include <string>
#include <utility>

#include "attempt.h"
#include "leat/context.h"
#include "refusal.h"
#include "runner_state.h"
#include "store_failure.h"

namespace leat {
namespace {

std::expected<void, Error> check(std::string_view name, const ScheduleOptions& options, bool keeps) {
  if (name.empty() || name.size() > ScheduleTable::kNameBytesMax) {
    return refuse("a schedule's name of " + std::to_string(name.size()) + " bytes (accepted: 1 to " +
                  std::to_string(ScheduleTable::kNameBytesMax) + ")");
  }
  if (options.misfire_after.count() <= 0 || options.misfire_after > std::chrono::hours(24 * 366)) {
    return refuse("misfire_after of " + std::to_string(options.misfire_after.count()) +
                  " ns (accepted: more than 0, up to 366 days)");
  }
  if (options.catch_up_max == 0 || options.catch_up_max > ScheduleTable::kCatchUpMax) {
    return refuse("catch_up_max " + std::to_string(options.catch_up_max) + " (accepted: 1 to " +
                  std::to_string(ScheduleTable::kCatchUpMax) + ")");
  }
  if (keeps && options.durability == Durability::Memory) {
    return refuse("durability memory for a schedule (accepted: process, disk)");
  }
  if (options.concurrency_key.size() > ConcurrencyGate::kKeyBytesMax) {
    return refuse("concurrency_key of " + std::to_string(options.concurrency_key.size()) +
                  " bytes (accepted: at most " + std::to_string(ConcurrencyGate::kKeyBytesMax) + ")");
  }
  if (auto fits = check_context_size(options.context.size()); !fits) return fits;
  if (auto context = Context::parse(options.context); !context) return std::unexpected(context.error());
  return {};
}

}  // namespace

/// A change that is to be on the disk when it returns.
std::expected<void, Error> Runner::change_schedule(
    const std::function<std::expected<void, Error>()>& change) {
  if (running_attempt() != nullptr) {
    return std::unexpected(
        Error{ErrorCode::WouldDeadlock, "this change waits for the disk; not inside a task"});
  }
  if (!state_->scheduler.reserve_record()) return journal_closed();
  if (auto changed = change(); !changed) return changed;
  // Before start() nobody commits: it is written with what start() brings.
  return state_->scheduler.accepting() ? flush() : std::expected<void, Error>();
}

std::expected<void, Error> Runner::schedule(std::string_view name, const Workflow& workflow,
                                            ScheduleOptions options) {
  if (auto checked = check(name, options, state_->journal != nullptr); !checked) return checked;
  if (auto registered = register_workflow(workflow); !registered) return registered;
  const ScheduleDefinition definition{.workflow = std::string(workflow.full_name()),
                                      .workflow_version = workflow.version(),
                                      .options = std::move(options)};
  return change_schedule([&] { return state_->scheduler.schedules().set(name, definition); });
}

std::vector<ScheduleInfo> Runner::schedules() const {
  return state_->scheduler.schedules().list();
}

std::expected<void, Error> Runner::pause_schedule(std::string_view name) {
  return change_schedule([&] { return state_->scheduler.schedules().pause(name, true); });
}

std::expected<void, Error> Runner::resume_schedule(std::string_view name) {
  return change_schedule([&] { return state_->scheduler.schedules().pause(name, false); });
}

std::expected<void, Error> Runner::remove_schedule(std::string_view name) {
  return change_schedule([&] { return state_->scheduler.schedules().remove(name); });
}

}  // namespace leat
