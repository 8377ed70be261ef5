#include "pause_gate.h"

#include <algorithm>
#include <utility>

#include "check.h"

namespace leat {
namespace {

constexpr std::string_view kOpen = "open";
constexpr std::string_view kPaused = "paused";

}  // namespace

PauseGate::PauseGate(const AttemptListener& listener) : listener_(listener) {
  auto router = Router::make(RoutingConfig(std::string(kOpen)), names_);
  LEAT_CHECK(router.has_value());
  router_ = std::move(*router);
}

PauseGate::~PauseGate() = default;

std::expected<void, RouteError> PauseGate::install() {
  RoutingConfig config{std::string(kOpen)};
  for (const std::string& pattern : patterns_) config.with_rule(pattern, std::string(kPaused));
  if (auto swapped = router_->swap(config); !swapped) return std::unexpected(std::move(swapped.error()));
  closed_.store(!patterns_.empty(), std::memory_order_relaxed);  // relaxed: see closed()
  return {};
}

std::expected<bool, RouteError> PauseGate::pause(std::string_view pattern) {
  MutexLock lock(mutex_);
  if (std::ranges::find(patterns_, pattern) != patterns_.end()) return false;
  patterns_.emplace_back(pattern);
  if (auto installed = install(); !installed) {
    patterns_.pop_back();
    return std::unexpected(std::move(installed.error()));
  }
  return true;
}

bool PauseGate::resume(std::string_view pattern, std::vector<QueuedTask>& free) {
  MutexLock lock(mutex_);
  const auto found = std::ranges::find(patterns_, pattern);
  if (found == patterns_.end()) return false;
  patterns_.erase(found);
  LEAT_CHECK(install().has_value());  // fewer rules of those that were accepted
  std::vector<Held> still;
  for (Held& held : held_) {
    const QueuedTask task = held.task.unpack(listener_);
    if (is_paused(task.event.task_namespace)) {
      still.push_back(std::move(held));
    } else {
      if (held.alone != nullptr) held.alone->fetch_sub(1, std::memory_order_relaxed);  // relaxed: a count
      free.push_back(task);
    }
  }
  held_.swap(still);
  return true;
}

bool PauseGate::is_paused(Namespace task) const {
  const auto key = router_->resolve(std::string_view(task), 0);
  return key && router_->key(*key) == kPaused;
}

bool PauseGate::matches(Namespace task) const {
  MutexLock lock(mutex_);
  return is_paused(task);
}

std::string PauseGate::pattern_of(Namespace task) const {
  MutexLock lock(mutex_);
  const auto explained = router_->explain(std::string_view(task));
  return explained && explained->winner ? patterns_[*explained->winner - 1] : std::string();
}

bool PauseGate::hold(const QueuedTask& task, std::atomic<std::uint32_t>& alone) {
  if (task.event.adopts) return false;
  MutexLock lock(mutex_);
  if (!is_paused(task.event.task_namespace)) return false;
  const bool is_alone = task.event.origin == nullptr;
  held_.push_back({ParkedTask(task), is_alone ? &alone : nullptr});
  if (is_alone) alone.fetch_add(1, std::memory_order_relaxed);  // relaxed: a count
  return true;
}

void PauseGate::clear() {
  MutexLock lock(mutex_);
  held_.clear();
}

std::size_t PauseGate::held() const {
  MutexLock lock(mutex_);
  return held_.size();
}

}  // namespace leat
