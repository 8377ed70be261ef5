// What executors may ask of the engine.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "lane_table.h"
#include "leat/executor.h"
#include "scheduler.h"

namespace leat {

/// One object serves all executors of a Runner.
///
/// Thread-safety: any number of threads.
class ExecutorBinding final : public ExecutorServices {
 public:
  ExecutorBinding(Scheduler& scheduler, LaneTable& lanes) noexcept : scheduler_(scheduler), lanes_(lanes) {}

  /// Gives the executor these services. @return InvalidState where it belongs to another Runner
  std::expected<void, Error> bind(TaskExecutor& executor);

  std::expected<std::string, Error> load_context(const TaskReadyEvent& event) const override;
  std::expected<void, Error> stage_context(const TaskReadyEvent& event, std::string_view json) override;
  const TaskFunction* find_task(const TaskReadyEvent& event) const noexcept override;
  std::string_view task_config(const TaskReadyEvent& event) const noexcept override;
  void capacity_changed() noexcept override;

 private:
  const TaskDefinition* definition(const TaskReadyEvent& event) const noexcept;

  Scheduler& scheduler_;
  LaneTable& lanes_;
};

}  // namespace leat
