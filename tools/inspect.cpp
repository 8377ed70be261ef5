#include "inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <set>

#include "exit_status.h"
#include "inspect_pipeline.h"
#include "leat/history.h"
#include "leat/store_reader.h"
#include "leat/uuid.h"
#include "task_times.h"

namespace leat::tools {
namespace {

constexpr std::array<Column, 9> kEventColumns = {{{"seq", true},
                                                  {"time_ns", true},
                                                  {"pipeline"},
                                                  {"task"},
                                                  {"attempt", true},
                                                  {"from"},
                                                  {"to"},
                                                  {"executor"},
                                                  {"reason"}}};
constexpr std::array<Column, 9> kPipelineColumns = {{{"pipeline"},
                                                     {"workflow"},
                                                     {"state"},
                                                     {"tasks", true},
                                                     {"completed", true},
                                                     {"failed", true},
                                                     {"skipped", true},
                                                     {"created_ns", true},
                                                     {"finished_ns", true}}};
constexpr std::array<Column, 10> kTaskColumns = {{{"pipeline"},
                                                  {"task"},
                                                  {"state"},
                                                  {"attempt", true},
                                                  {"rescues", true},
                                                  {"executor"},
                                                  {"error"},
                                                  {"ready_ns", true},
                                                  {"started_ns", true},
                                                  {"finished_ns", true}}};

std::string task_namespace(const WorkflowImage& workflow, std::uint32_t task) {
  return workflow.name + "::" + workflow.tasks.at(task);
}

/// Rows are written while the store is read, so that no log is too long.
int inspect_events(const InspectOptions& options) {
  RowWriter writer(stdout, options.format, kEventColumns);
  const auto image = read_rocksdb_store(options.store, [&writer](const TransitionEvent& event) {
    writer.row(std::array<std::string, 9>{
        fmt::to_string(event.sequence), fmt::to_string(event.time_ns), event.pipeline->id.to_string(),
        task_namespace(*event.workflow, event.task), fmt::to_string(event.attempt),
        event.from ? std::string(to_string(*event.from)) : std::string(), std::string(to_string(event.to)),
        std::string(event.executor), std::string(to_string(event.reason))});
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

void write_tasks(const StoreImage& image, const TaskTimes& times, RowWriter& writer) {
  for (const auto& [number, pipeline] : image.pipelines()) {
    const WorkflowImage& workflow = image.workflows().at(pipeline.workflow_no);
    for (std::uint32_t i = 0; i < pipeline.tasks.size(); ++i) {
      const TaskImage& task = pipeline.tasks[i];
      const TaskTimes::Times at = times.of(number, i);
      writer.row(std::array<std::string, 10>{
          pipeline.id.to_string(), task_namespace(workflow, i), std::string(to_string(task.state)),
          fmt::to_string(task.attempt), fmt::to_string(task.rescues),
          task.key_no == 0 ? std::string() : image.keys().at(task.key_no), std::string(task.error),
          fmt::to_string(at.ready_ns), fmt::to_string(at.started_ns), fmt::to_string(at.finished_ns)});
    }
  }
}

}  // namespace

int inspect(const InspectOptions& options) {
  if (options.what == "events") return inspect_events(options);
  const bool one = options.what == "pipeline";
  const std::optional<Uuid> id = one ? Uuid::parse(options.pipeline) : std::nullopt;
  if (one != !options.pipeline.empty() || (one && !id)) {
    return fail({kBadInput, fmt::format("'{}' is no pipeline to inspect (accepted: pipeline ID, where "
                                        "`leat inspect pipelines` lists the IDs)",
                                        options.pipeline)});
  }
  TaskTimes times;
  const bool timed = one || options.what == "tasks";
  const auto image = timed ? read_rocksdb_store(options.store,
                                                [&](const TransitionEvent& event) {
                                                  if (!one || event.pipeline->id == *id) times.note(event);
                                                })
                           : read_rocksdb_store(options.store);
  if (!image) return fail(opening_failure(image.error()));
  if (one) return inspect_pipeline(*image, times, *id, options.store);
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
    write_tasks(*image, times, writer);
  }
  writer.finish();
  return kGood;
}

}  // namespace leat::tools
