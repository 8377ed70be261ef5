#include "inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>

#include "exit_status.h"
#include "leat/history.h"
#include "leat/store_reader.h"

namespace leat::tools {
namespace {

constexpr std::array<Column, 8> kEventColumns = {{{"seq", true},
                                                  {"time_ns", true},
                                                  {"pipeline"},
                                                  {"task"},
                                                  {"attempt", true},
                                                  {"from"},
                                                  {"to"},
                                                  {"executor"}}};
constexpr std::array<Column, 9> kPipelineColumns = {{{"pipeline"},
                                                     {"workflow"},
                                                     {"state"},
                                                     {"tasks", true},
                                                     {"completed", true},
                                                     {"failed", true},
                                                     {"skipped", true},
                                                     {"created_ns", true},
                                                     {"finished_ns", true}}};
constexpr std::array<Column, 7> kTaskColumns = {
    {{"pipeline"}, {"task"}, {"state"}, {"attempt", true}, {"rescues", true}, {"executor"}, {"error"}}};

std::string task_namespace(const WorkflowImage& workflow, std::uint32_t task) {
  return workflow.name + "::" + workflow.tasks.at(task);
}

/// Rows are written while the store is read, so that no log is too long.
int inspect_events(const InspectOptions& options) {
  RowWriter writer(stdout, options.format, kEventColumns);
  const auto image = read_rocksdb_store(options.store, [&writer](const TransitionEvent& event) {
    writer.row(std::array<std::string, 8>{
        fmt::to_string(event.sequence), fmt::to_string(event.time_ns), event.pipeline->id.to_string(),
        task_namespace(*event.workflow, event.task), fmt::to_string(event.attempt),
        event.from ? std::string(to_string(*event.from)) : std::string(), std::string(to_string(event.to)),
        std::string(event.executor)});
  });
  if (!image) return fail(opening_failure(image.error()));
  writer.finish();
  return kGood;
}

/// Finished pipelines whose events are gone: the history alone remembers them.
std::expected<void, StoreError> write_history(const InspectOptions& options, const StoreImage& image,
                                              RowWriter& writer) {
  std::set<Uuid> known;
  for (const auto& [number, pipeline] : image.pipelines()) known.insert(pipeline.id);
  return read_rocksdb_history(
      options.store, {}, [&](const PipelineSummary& summary, std::string_view workflow) {
        if (known.contains(summary.id)) return;
        writer.row(std::array<std::string, 9>{
            summary.id.to_string(), std::string(workflow), std::string(to_string(summary.state)),
            fmt::to_string(summary.tasks), fmt::to_string(summary.completed), fmt::to_string(summary.failed),
            fmt::to_string(summary.skipped), fmt::to_string(summary.created_ns),
            fmt::to_string(summary.finished_ns)});
      });
}

void write_pipelines(const StoreImage& image, RowWriter& writer) {
  for (const auto& [number, pipeline] : image.pipelines()) {
    const auto count = [&tasks = pipeline.tasks](TaskState state) {
      return fmt::to_string(
          std::ranges::count_if(tasks, [state](const TaskImage& task) { return task.state == state; }));
    };
    writer.row(std::array<std::string, 9>{
        pipeline.id.to_string(), image.workflows().at(pipeline.workflow_no).name,
        std::string(to_string(pipeline.state)), fmt::to_string(pipeline.tasks.size()),
        count(TaskState::Completed), count(TaskState::Failed), count(TaskState::Skipped),
        fmt::to_string(pipeline.created_ns), fmt::to_string(pipeline.finished_ns)});
  }
}

void write_tasks(const StoreImage& image, RowWriter& writer) {
  for (const auto& [number, pipeline] : image.pipelines()) {
    const WorkflowImage& workflow = image.workflows().at(pipeline.workflow_no);
    for (std::uint32_t i = 0; i < pipeline.tasks.size(); ++i) {
      const TaskImage& task = pipeline.tasks[i];
      writer.row(std::array<std::string, 7>{
          pipeline.id.to_string(), task_namespace(workflow, i), std::string(to_string(task.state)),
          fmt::to_string(task.attempt), fmt::to_string(task.rescues),
          task.key_no == 0 ? std::string() : image.keys().at(task.key_no), task.error});
    }
  }
}

}  // namespace

int inspect(const InspectOptions& options) {
  if (options.what == "events") return inspect_events(options);
  const auto image = read_rocksdb_store(options.store);
  if (!image) return fail(opening_failure(image.error()));
  const bool pipelines = options.what == "pipelines";
  RowWriter writer(
      stdout, options.format,
      pipelines ? std::span<const Column>(kPipelineColumns) : std::span<const Column>(kTaskColumns));
  if (pipelines) {
    if (auto written = write_history(options, *image, writer); !written) {
      return fail(opening_failure(written.error()));
    }
    write_pipelines(*image, writer);
  } else {
    write_tasks(*image, writer);
  }
  writer.finish();
  return kGood;
}

}  // namespace leat::tools
