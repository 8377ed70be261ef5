// A parent and its child, for tests of what one learns of the other.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "behaviours.h"
#include "one_task.h"

namespace leat::behaviours {
inline const auto charges = [](TaskContext& task) {
  task.set("receipt", task.get<std::int64_t>("cents").value_or(0) / 100);
};

inline std::string field(const std::string& end, std::string_view key) {
  return Context::parse(end)->get<std::string>(key).value_or("");
}

inline Workflow charge(TaskFunction function = make_task_function(charges)) {
  return *Workflow::builder("charge").task("charge", std::move(function), {.retry = kOnce}).build();
}

/// order: `pay` starts the child "charge", `ship` waits for its end, which it finds in its context.
class Children : public testing::TestWithParam<Durability> {
 protected:
  Workflow order(std::optional<Workflow> child = {}, RetryPolicy retry = kOnce) {
    return *Workflow::builder("order")
                .task("pay",
                      [this,
                       child = child.value_or(charge_)](TaskContext& task) -> std::expected<void, TaskError> {
                        const auto begun = task.start_child("charge", child, R"({"cents": 1200})");
                        if (!begun) return std::unexpected(begun.error().message);
                        ids_.insert(begun->to_string());
                        if (after_start_) return after_start_(task);
                        return {};
                      },
                      {.retry = std::move(retry), .children = {"charge"}})
                .task(
                    "ship",
                    [this](TaskContext& task) { ends_.push_back(task.get_json("charge").value_or("none")); },
                    {.after = {"pay"}, .retry = kOnce, .signal = "charge"})
                .build();
  }
  void open() {
    auto runner = Runner::builder()
                      .state_store(make_memory_store(medium_))
                      .lent_threads()
                      .checkpoint_after(checkpoint_after_)
                      .build();
    ASSERT_TRUE(runner) << runner.error().message;
    runner_ = std::make_unique<Runner>(std::move(*runner));
    for (const Workflow& workflow : {order_, charge_}) ASSERT_TRUE(runner_->register_workflow(workflow));
    ASSERT_TRUE(runner_->start());
  }
  void run_all() {
    while (runner_->run_some(16).value_or(0) > 0) {
    }
  }
  PipelineHandle submit() {
    auto handle = runner_->submit(order_, {.durability = GetParam()});
    EXPECT_TRUE(handle) << handle.error().message;
    return *handle;
  }
  PipelineResult run_order() {
    PipelineHandle handle = submit();
    const auto result = handle.wait(kLong);
    EXPECT_TRUE(result) << result.error().message;
    run_all();
    return result.value_or(PipelineResult());
  }
  /// How the pipelines of a workflow ended, or stand, in the store.
  std::vector<std::string> states(std::string_view workflow) {
    std::vector<std::string> found;
    for (const auto& [number, pipeline] : read(medium_).pipelines()) {
      if (read_.workflows().at(pipeline.workflow_no).name.ends_with(workflow))
        found.emplace_back(to_string(pipeline.state));
    }
    return found;
  }
  StoreImage& read(const std::shared_ptr<MemoryMedium>& medium) {
    read_ = behaviours::read(medium).image;
    return read_;
  }

  std::shared_ptr<MemoryMedium> medium_ = std::make_shared<MemoryMedium>();
  std::set<std::string> ids_;
  std::vector<std::string> ends_;
  std::function<std::expected<void, TaskError>(TaskContext&)> after_start_;
  std::uint64_t checkpoint_after_ = 1 << 20;
  Workflow charge_ = charge();
  Workflow order_ = order();
  StoreImage read_{StoreImage::Keep::Everything};
  std::unique_ptr<Runner> runner_;
};

}  // namespace leat::behaviours
