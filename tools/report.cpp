#include "report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "duration_text.h"
#include "row_writer.h"

namespace leat::tools {
namespace {

using Json = nlohmann::ordered_json;

Json latency_json(const LatencySummary& latency) {
  return {{"p50", latency.p50}, {"p99", latency.p99}, {"max", latency.max}};
}

std::string shown(std::uint64_t ns) {
  return format_duration(std::chrono::nanoseconds(static_cast<std::int64_t>(ns)));
}

LatencySummary slower(const LatencySummary& a, const LatencySummary& b) {
  return {.count = a.count + b.count,
          .p50 = std::max(a.p50, b.p50),
          .p99 = std::max(a.p99, b.p99),
          .max = std::max(a.max, b.max)};
}

std::uint64_t task_count(const RunReport& report) {
  std::uint64_t tasks = 0;
  for (const PipelineReport& pipeline : report.pipelines) tasks += pipeline.tasks;
  return tasks;
}

double seconds(const RunReport& report) {
  return std::chrono::duration<double>(report.duration).count();
}

void print_executors(const RunReport& report) {
  static constexpr std::array<Column, 10> kExecutorColumns = {{{"executor"},
                                                               {"tasks", true},
                                                               {"failed", true},
                                                               {"retries", true},
                                                               {"queue p50", true},
                                                               {"p99", true},
                                                               {"max", true},
                                                               {"run p50", true},
                                                               {"p99", true},
                                                               {"max", true}}};
  RowWriter executors(stdout, RowFormat::Table, kExecutorColumns);
  for (const auto& [key, metrics] : report.executors) {
    executors.row(std::array<std::string, 10>{
        key, fmt::to_string(metrics.total_executed - metrics.total_retried),
        fmt::to_string(metrics.total_failed), fmt::to_string(metrics.total_retried),
        shown(metrics.queue_wait.p50), shown(metrics.queue_wait.p99), shown(metrics.queue_wait.max),
        shown(metrics.run_time.p50), shown(metrics.run_time.p99), shown(metrics.run_time.max)});
  }
  executors.finish();
}

void print_pipelines(const RunReport& report) {
  static constexpr std::array<Column, 8> kPipelineColumns = {{{"pipeline"},
                                                              {"workflow"},
                                                              {"state"},
                                                              {"tasks", true},
                                                              {"completed", true},
                                                              {"failed", true},
                                                              {"skipped", true},
                                                              {"error"}}};
  RowWriter pipelines(stdout, RowFormat::Table, kPipelineColumns);
  for (const PipelineReport& pipeline : report.pipelines) {
    const PipelineResult& result = pipeline.result;
    pipelines.row(std::array<std::string, 8>{
        pipeline.id, pipeline.workflow, std::string(to_string(result.state)), fmt::to_string(pipeline.tasks),
        fmt::to_string(result.completed), fmt::to_string(result.failed), fmt::to_string(result.skipped),
        result.error});
  }
  pipelines.finish();
}

}  // namespace

std::uint64_t RunReport::count(PipelineState state) const noexcept {
  return static_cast<std::uint64_t>(std::ranges::count_if(
      pipelines, [state](const PipelineReport& pipeline) { return pipeline.result.state == state; }));
}

void RunReport::add(RunReport&& other) {
  for (PipelineReport& pipeline : other.pipelines) pipelines.push_back(std::move(pipeline));
  duration += other.duration;
  for (const auto& [key, metrics] : other.executors) {
    ExecutorMetrics& sum = executors[key];
    sum.total_executed += metrics.total_executed;
    sum.total_failed += metrics.total_failed;
    sum.total_retried += metrics.total_retried;
    sum.queue_wait = slower(sum.queue_wait, metrics.queue_wait);
    sum.run_time = slower(sum.run_time, metrics.run_time);
  }
}

void print_json(const RunReport& report) {
  Json executors = Json::object();
  for (const auto& [key, metrics] : report.executors) {
    executors[key] = {{"executed", metrics.total_executed},
                      {"failed", metrics.total_failed},
                      {"retried", metrics.total_retried},
                      {"queue_wait_ns", latency_json(metrics.queue_wait)},
                      {"run_ns", latency_json(metrics.run_time)}};
  }
  const Json object = {
      {"pipelines", report.pipelines.size()},
      {"completed", report.count(PipelineState::Completed)},
      {"failed", report.count(PipelineState::Failed) + report.count(PipelineState::Cancelled)},
      {"tasks", task_count(report)},
      {"seconds", seconds(report)},
      {"executors", std::move(executors)}};
  fmt::print("{}\n", object.dump(-1, ' ', false, Json::error_handler_t::replace));
  std::fflush(stdout);
}

void print_tables(const RunReport& report) {
  if (!report.pipelines.empty()) {
    print_executors(report);
    fmt::print("\n");
    print_pipelines(report);
    fmt::print("\n");
  }
  fmt::print("{} of {} pipelines completed, {} tasks, {:.3f} s\n", report.count(PipelineState::Completed),
             report.pipelines.size(), task_count(report), seconds(report));
  std::fflush(stdout);
}

}  // namespace leat::tools
