// What one executor may ask of the engine.
#pragma once

#include <atomic>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lane.h"
#include "leat/executor.h"
#include "leat_locks/mutex.h"
#include "scheduler.h"

namespace leat {

/// Ties an executor to its Runner, for the Runner's life.
///
/// Thread-safety: any number of threads.
class ExecutorBinding final : public ExecutorServices {
 public:
  /// @pre the executor is bound nowhere
  ExecutorBinding(std::shared_ptr<TaskExecutor> executor, Scheduler& scheduler) noexcept;
  /// The executor is free for another Runner.
  ~ExecutorBinding();

  static bool is_bound(const TaskExecutor& executor) noexcept { return executor.services_ != nullptr; }
  bool serves(const TaskExecutor& executor) const noexcept { return executor_.get() == &executor; }
  /// One more key leads to the executor.
  void add(Lane& lane);
  /// The key leads to it no more; nothing where it never did.
  void remove(Lane& lane);

  std::expected<std::string, Error> load_context(const TaskReadyEvent& event) const override;
  std::expected<void, Error> stage_context(const TaskReadyEvent& event, std::string_view json) override;
  const TaskFunction* find_task(const TaskReadyEvent& event) const noexcept override;
  std::string_view task_config(const TaskReadyEvent& event) const noexcept override;
  const TaskFunction* find_task(Namespace task) const override;
  std::string_view task_config(Namespace task) const override;
  void capacity_changed() noexcept override;
  bool has_slots() const noexcept override;
  bool stopping() const noexcept override { return !scheduler_.accepting(); }
  ExecutorMetrics metrics() const override;

 private:
  using Lanes = std::vector<Lane*>;

  const TaskDefinition* definition(const TaskReadyEvent& event) const noexcept;
  const Lanes& lanes() const noexcept {
    return *lanes_.load(std::memory_order_acquire);  // (1) acquire: pairs with (2) in add()
  }

  const std::shared_ptr<TaskExecutor> executor_;
  Scheduler& scheduler_;
  Mutex mutex_;
  // Of the list of lanes: few, and kept for their readers.
  std::vector<std::unique_ptr<const Lanes>> versions_ LEAT_GUARDED_BY(mutex_);
  const Lanes none_;
  std::atomic<const Lanes*> lanes_{&none_};
};

}  // namespace leat
