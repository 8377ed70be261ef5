#include "default_dispatcher.h"

#include <utility>

namespace leat {

namespace {

bool has_valid_attempts(const TaskReadyEvent& event) noexcept {
  return event.attempt >= 1 && event.max_attempts >= event.attempt;
}

}  // namespace

/// @param split  set where another event of that name may go elsewhere
std::expected<Lane*, DispatchError> DefaultDispatcher::lane_of(const TaskReadyEvent& event,
                                                               bool& split) const noexcept {
  if (!event.task_namespace.valid() || !has_valid_attempts(event) ||
      scheduler_.find_task(event.task_namespace) == nullptr) {
    return std::unexpected(DispatchError{DispatchErrorCode::InvalidEvent, {}});
  }
  const ExecutorKeyId key = router_.resolve(event.task_namespace, [&event, &split] {
    split = true;
    return event.pipeline_execution_id.hash();
  });
  Lane* const lane = lanes_.find(key);
  if (lane == nullptr) return std::unexpected(DispatchError{DispatchErrorCode::NoExecutor, router_.key(key)});
  return lane;
}

std::expected<void, DispatchError> DefaultDispatcher::dispatch(const TaskReadyEvent& event,
                                                               DispatchOptions options) {
  const BulkResult result = dispatch_bulk({&event, 1}, options);
  return result.end;
}

BulkResult DefaultDispatcher::dispatch_bulk(std::span<const TaskReadyEvent> events, DispatchOptions options) {
  BulkResult result;
  if (!scheduler_.admitting()) {
    result.end = std::unexpected(DispatchError{DispatchErrorCode::Stopped, {}});
    return result;
  }
  if (options.durability != Durability::Memory) {
    for (; result.taken < events.size(); ++result.taken) {
      if (auto taken = dispatch_async(events[result.taken], options); !taken) {
        result.end = std::unexpected(taken.error());
        break;
      }
    }
    return result;
  }
  while (result.taken < events.size()) {
    bool split = false;
    auto lane = lane_of(events[result.taken], split);
    if (!lane) {
      result.end = std::unexpected(lane.error());
      return result;
    }
    // Neighbours with the same route and priority go in one piece.
    const TaskReadyEvent& first = events[result.taken];
    std::size_t end = result.taken + 1;
    for (; end < events.size() && events[end].priority == first.priority; ++end) {
      const bool alike = !split && events[end].task_namespace == first.task_namespace;
      if (alike && has_valid_attempts(events[end])) continue;
      const auto next = lane_of(events[end], split);
      if (!next || *next != *lane) break;
    }
    const std::size_t taken = (*lane)->offer(events.subspan(result.taken, end - result.taken));
    result.taken += taken;
    if (result.taken < end) {
      result.end = std::unexpected(DispatchError{DispatchErrorCode::NoCapacity, (*lane)->key()});
      return result;
    }
  }
  return result;
}

std::expected<PipelineHandle, DispatchError> DefaultDispatcher::dispatch_async(const TaskReadyEvent& event,
                                                                               DispatchOptions options) {
  if (!scheduler_.admitting()) return std::unexpected(DispatchError{DispatchErrorCode::Stopped, {}});
  bool split = false;
  auto lane = lane_of(event, split);
  if (!lane) return std::unexpected(lane.error());
  Slots slot = (*lane)->reserve();
  if (slot.count() == 0) {
    (*lane)->count_refusal();
    return std::unexpected(DispatchError{DispatchErrorCode::NoCapacity, (*lane)->key()});
  }
  return scheduler_.submit_alone(event, options.durability, std::move(slot));
}

std::expected<void, Error> DefaultDispatcher::register_executor(std::string_view key,
                                                                std::shared_ptr<TaskExecutor> executor,
                                                                ExecutorLimits limits) {
  if (executor == nullptr) {
    return std::unexpected(Error{ErrorCode::InvalidArgument, "executor '" + std::string(key) + "' is null"});
  }
  if (auto checked = lanes_.check(key, limits); !checked) return checked;
  auto binding = binding_of(executor);
  if (!binding) return std::unexpected(std::move(binding.error()));
  const auto journal_key = scheduler_.define_key(key);
  if (!journal_key) return std::unexpected(journal_key.error());
  auto lane = lanes_.add(key, std::move(executor), std::move(limits), *journal_key, scheduler_.board());
  if (!lane) return std::unexpected(std::move(lane.error()));
  (*binding)->add(**lane);
  return {};
}

std::expected<void, Error> DefaultDispatcher::unregister_executor(std::string_view key) {
  auto lane = lanes_.remove(key);
  if (!lane) return std::unexpected(std::move(lane.error()));
  MutexLock lock(mutex_);
  for (const auto& binding : bindings_) binding->remove(**lane);
  return {};
}

/// The services of an executor, made where it has none yet.
std::expected<ExecutorBinding*, Error> DefaultDispatcher::binding_of(
    const std::shared_ptr<TaskExecutor>& executor) {
  MutexLock lock(mutex_);
  for (const auto& binding : bindings_) {
    if (binding->serves(*executor)) return binding.get();
  }
  if (ExecutorBinding::is_bound(*executor)) {
    return std::unexpected(Error{ErrorCode::InvalidState, "executor '" + std::string(executor->name()) +
                                                              "' is registered with another Runner"});
  }
  bindings_.push_back(std::make_unique<ExecutorBinding>(executor, scheduler_));
  return bindings_.back().get();
}

bool DefaultDispatcher::has_capacity() const {
  return lanes_.has_capacity();
}

std::string_view DefaultDispatcher::resolve_executor_key(std::string_view task_namespace) const {
  const auto key = router_.resolve(task_namespace, 0);
  return key ? router_.key(*key) : std::string_view();
}

}  // namespace leat
