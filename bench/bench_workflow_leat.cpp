// BM_{Diamond,Chain3,FanOut1000,WfInstance}_Leat: workflows of tasks that do nothing, so all that is measured
// is the engine and, from level process on, its journal.
#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bench_runner.h"
#include "process_usage.h"
#include "tally.h"
#include "workflow_shapes.h"

namespace leat::bench {
namespace {

constexpr std::array kLevels{Durability::Memory, Durability::Process, Durability::Disk};

/// Runs `in_flight` pipelines an iteration, all submitted before the first is waited for. A pipeline counts
/// once its end has reached the level.
void run_workflow(benchmark::State& state, const Workflow& workflow, Durability level,
                  std::size_t in_flight) {
  BenchRunner runner({.level = level, .max_queued = 8192});
  take(runner->register_workflow(workflow), "register_workflow");
  std::vector<PipelineHandle> handles;
  handles.reserve(in_flight);
  const std::uint64_t tasks_before = Tally::total();
  const ProcessUsage begin = read_process_usage();
  for (auto _ : state) {
    for (std::size_t i = 0; i < in_flight; ++i) {
      handles.push_back(take(runner->submit_async(workflow, {.durability = level}), "submit_async"));
    }
    for (const PipelineHandle& handle : handles) {
      if (take(handle.wait(), "wait").state != PipelineState::Completed)
        give_up("pipeline", "did not complete");
    }
    handles.clear();
  }
  const auto pipelines = state.iterations() * static_cast<std::int64_t>(in_flight);
  const auto tasks = pipelines * static_cast<std::int64_t>(workflow.tasks().size());
  if (Tally::total() - tasks_before != static_cast<std::uint64_t>(tasks)) {
    state.SkipWithError("tasks ran more or less than once");
  }
  state.SetItemsProcessed(pipelines);
  report_usage_per_task(state, begin, tasks);
}

/// @param name  the row's name up to the level
void register_workflow(const std::string& name, const Workflow& workflow, std::size_t in_flight) {
  for (const Durability level : kLevels) {
    const std::string row = name + "/level:" + std::string(to_string(level));
    benchmark::RegisterBenchmark(row.c_str(), [=](benchmark::State& state) {
      run_workflow(state, workflow, level, in_flight);
    })->UseRealTime();
  }
}

[[maybe_unused]] const bool kRegistered = [] {
  register_workflow("BM_Diamond_Leat", make_diamond(), 4096);
  register_workflow("BM_Chain3_Leat", make_chain(3), 4096);
  register_workflow("BM_FanOut1000_Leat", make_fan_out(1000), 16);
  for (const NamedWorkflow& instance : load_workflow_instances()) {
    register_workflow("BM_WfInstance_Leat/name:" + instance.name, instance.workflow, 1);
  }
  return true;
}();

}  // namespace
}  // namespace leat::bench
