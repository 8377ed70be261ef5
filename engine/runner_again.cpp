// A Runner's calls that do tasks of ended pipelines again.
#include <utility>

#include "attempt.h"
#include "runner_state.h"
#include "store_failure.h"

namespace leat {

std::expected<PipelineHandle, Error> Runner::retry_failed(const PipelineHandle& ended) {
  return submit_again([&] { return state_->scheduler.submit_again(ended, std::nullopt); });
}
std::expected<PipelineHandle, Error> Runner::restart_from(const PipelineHandle& ended,
                                                          std::string_view task) {
  return submit_again([&] { return state_->scheduler.submit_again(ended, task); });
}
std::expected<PipelineHandle, Error> Runner::retry_failed(const Uuid& ended) {
  return submit_again(ended, std::nullopt);
}
std::expected<PipelineHandle, Error> Runner::restart_from(const Uuid& ended, std::string_view task) {
  return submit_again(ended, task);
}

/// Of a pipeline that the store remembers.
std::expected<PipelineHandle, Error> Runner::submit_again(const Uuid& ended,
                                                          std::optional<std::string_view> from) {
  return submit_again([&]() -> std::expected<PipelineHandle, Error> {
    auto remembered = state_->find_pipeline(ended);
    if (!remembered) return std::unexpected(std::move(remembered.error()));
    return state_->scheduler.submit_again(*remembered, from);
  });
}

std::vector<QuarantinedTask> Runner::quarantined(std::optional<Uuid> after, std::size_t count_max) const {
  return state_->scheduler.quarantine().list(after, count_max);
}

std::expected<PipelineHandle, Error> Runner::redrive(const Uuid& pipeline, std::string_view task) {
  return submit_again([&]() -> std::expected<PipelineHandle, Error> {
    auto remembered = state_->find_pipeline(pipeline);
    if (!remembered) return std::unexpected(std::move(remembered.error()));
    return state_->scheduler.redrive(*remembered, task);
  });
}

std::expected<void, Error> Runner::forget_quarantined(const Uuid& pipeline, std::string_view task) {
  return change_schedule([&] { return state_->scheduler.forget_quarantined(pipeline, task); });
}

/// Waits until the new pipeline has reached its level.
std::expected<PipelineHandle, Error> Runner::submit_again(
    const std::function<std::expected<PipelineHandle, Error>()>& submit) {
  if (running_attempt() != nullptr) {
    return std::unexpected(Error{ErrorCode::WouldDeadlock, "inside a task this must not be waited for"});
  }
  auto handle = submit();
  if (!handle) return handle;
  if (auto ack = handle->acknowledged(); !ack) return std::unexpected(std::move(ack.error()));
  return handle;
}

std::expected<RememberedPipeline, Error> RunnerState::find_pipeline(const Uuid& id) {
  const Error unknown{ErrorCode::NotFound,
                      "the store knows no pipeline " + id.to_string() + ", or no longer holds its events"};
  if (store == nullptr) return std::unexpected(unknown);
  if (!scheduler.accepting()) {
    return std::unexpected(Error{ErrorCode::Stopped, "the Runner has not started, or is stopping"});
  }
  const MutexLock lock(reading);
  if (store_closed) return std::unexpected(Error{ErrorCode::Stopped, "the Runner has stopped"});
  auto found = store->find_pipeline(id);
  if (!found) return std::unexpected(to_error(found.error()));
  if (!*found) return std::unexpected(unknown);
  return std::move(**found);
}

}  // namespace leat
