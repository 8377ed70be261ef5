#include "inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>

#include "exit_status.h"
#include "inspect_events.h"
#include "inspect_pipeline.h"
#include "leat/history.h"
#include "leat/schedule.h"
#include "leat/store_reader.h"
#include "leat/uuid.h"
#include "task_times.h"

namespace leat::tools {
namespace {

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

constexpr std::array<Column, 4> kPauseColumns = {{{"scope"}, {"what"}, {"since_ns", true}, {"reason"}}};
constexpr std::array<Column, 10> kScheduleColumns = {{{"schedule"},
                                                      {"workflow"},
                                                      {"cron"},
                                                      {"time_zone"},
                                                      {"overlap"},
                                                      {"misfire"},
                                                      {"paused", true},
                                                      {"last_ns", true},
                                                      {"cursor_ns", true},
                                                      {"queued_ns", true}}};

constexpr std::array<Column, 6> kQuarantineColumns = {
    {{"pipeline"}, {"task"}, {"attempt", true}, {"rescues", true}, {"since_ns", true}, {"error"}}};

std::string task_namespace(const WorkflowImage& workflow, std::uint32_t task) {
  return workflow.name + "::" + workflow.tasks.at(task);
}

/// Finished pipelines that the history alone remembers, since their events are gone.
///
/// @param image  what else is shown; null: nothing
/// @return       how many were written
std::expected<std::size_t, StoreError> write_history(const InspectOptions& options,
                                                     const InspectFilter& filter, const StoreImage* image,
                                                     RowWriter& writer) {
  std::set<Uuid> known;
  if (image != nullptr) {
    for (const auto& [number, pipeline] : image->pipelines()) known.insert(pipeline.id);
  }
  std::size_t rows = 0;
  auto done = read_rocksdb_history(
      options.store, filter.query(), [&](const PipelineSummary& summary, std::string_view workflow) {
        if (known.contains(summary.id)) return;
        ++rows;
        writer.row(std::array<std::string, 9>{
            summary.id.to_string(), std::string(workflow), std::string(to_string(summary.state)),
            fmt::to_string(summary.tasks), fmt::to_string(summary.completed), fmt::to_string(summary.failed),
            fmt::to_string(summary.skipped), fmt::to_string(summary.created_ns),
            fmt::to_string(summary.finished_ns)});
      });
  if (!done) return std::unexpected(std::move(done.error()));
  return rows;
}

void write_pipelines(const StoreImage& image, const InspectFilter& filter, RowWriter& writer) {
  for (const auto& [number, pipeline] : image.pipelines()) {
    const bool shown = filter.shows(pipeline.id) && filter.shows(pipeline.state);
    if (!shown || !filter.shows_time(pipeline.finished_ns)) continue;
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

void write_tasks(const StoreImage& image, const TaskTimes& times, const InspectFilter& filter,
                 RowWriter& writer) {
  for (const auto& [number, pipeline] : image.pipelines()) {
    if (!filter.shows(pipeline.id)) continue;
    const WorkflowImage& workflow = image.workflows().at(pipeline.workflow_no);
    for (std::uint32_t i = 0; i < pipeline.tasks.size(); ++i) {
      const TaskImage& task = pipeline.tasks[i];
      const TaskTimes::Times at = times.of(number, i);
      if (!filter.shows(task.state) || !filter.shows_time(at.finished_ns)) continue;
      writer.row(std::array<std::string, 10>{
          pipeline.id.to_string(), task_namespace(workflow, i), std::string(to_string(task.state)),
          fmt::to_string(task.attempt), fmt::to_string(task.rescues),
          task.key_no == 0 ? std::string() : image.keys().at(task.key_no), std::string(task.error),
          fmt::to_string(at.ready_ns), fmt::to_string(at.started_ns), fmt::to_string(at.finished_ns)});
    }
  }
}

int inspect_pauses(const InspectOptions& options) {
  const auto image = read_rocksdb_store(options.store);
  if (!image) return fail(opening_failure(image.error()));
  RowWriter writer(stdout, options.format, kPauseColumns);
  constexpr std::array<std::string_view, 3> kScopes = {"executor", "namespaces", "pipeline"};
  for (const auto& [place, pause] : image->pauses()) {
    writer.row(std::array<std::string, 4>{std::string(kScopes.at(static_cast<std::size_t>(place.first))),
                                          place.second, fmt::to_string(pause.since_ns), pause.reason});
  }
  writer.finish();
  return kGood;
}

int inspect_quarantine(const StoreImage& image, const InspectFilter& filter, RowFormat format) {
  RowWriter writer(stdout, format, kQuarantineColumns);
  for (const auto& [place, task] : image.quarantine()) {
    if (!filter.shows(place.first) || !filter.shows_time(task.since_ns)) continue;
    writer.row(std::array<std::string, 6>{place.first.to_string(), task.task, fmt::to_string(task.attempt),
                                          fmt::to_string(task.rescues), fmt::to_string(task.since_ns),
                                          task.error});
  }
  writer.finish();
  return kGood;
}

int inspect_schedules(const StoreImage& image, RowFormat format) {
  RowWriter writer(stdout, format, kScheduleColumns);
  for (const auto& [name, schedule] : image.schedules()) {
    const auto definition = ScheduleDefinition::parse(schedule.definition);
    if (!definition)
      return fail({kStoreFailure, fmt::format("schedule '{}': {}", name, definition.error().message)});
    const ScheduleOptions& options = definition->options;
    writer.row(std::array<std::string, 10>{
        name, definition->workflow, options.cron, options.time_zone, std::string(to_string(options.overlap)),
        std::string(to_string(options.misfire)), fmt::to_string(schedule.paused),
        fmt::to_string(schedule.last_ns), fmt::to_string(schedule.cursor_ns),
        fmt::to_string(schedule.queued_ns)});
  }
  writer.finish();
  return kGood;
}

}  // namespace

int inspect(const InspectOptions& options) {
  const bool one = options.what == "pipeline";
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto filter = InspectFilter::make(options.words, options.what, std::chrono::nanoseconds(now).count());
  if (!filter) return fail({kBadInput, filter.error()});
  const std::optional<Uuid> id = one ? Uuid::parse(options.pipeline) : std::nullopt;
  if (one != !options.pipeline.empty() || (one && !id)) {
    return fail({kBadInput, fmt::format("'{}' is no pipeline to inspect (accepted: pipeline ID, where "
                                        "`leat inspect pipelines` lists the IDs)",
                                        options.pipeline)});
  }
  if (one && options.format == RowFormat::Csv)
    return fail({kBadInput, "one pipeline is no rows (accepted: --format table, which is a tree, or json)"});
  if (options.what == "events") return inspect_events(options, *filter);
  if (options.what == "pauses") return inspect_pauses(options);
  const bool pipelines = options.what == "pipelines";
  RowWriter writer(
      stdout, options.format,
      pipelines ? std::span<const Column>(kPipelineColumns) : std::span<const Column>(kTaskColumns));
  if (pipelines && filter->query().id) {
    // A finished one is found by its identifier, without a look at all that the store holds.
    const auto rows = write_history(options, *filter, nullptr, writer);
    if (!rows) return fail(opening_failure(rows.error()));
    if (*rows > 0) {
      writer.finish();
      return kGood;
    }
  }
  TaskTimes times;
  const bool timed = one || options.what == "tasks";
  const auto image = timed ? read_rocksdb_store(options.store,
                                                [&](const TransitionEvent& event) {
                                                  if (!one || event.pipeline->id == *id) times.note(event);
                                                })
                           : read_rocksdb_store(options.store);
  if (!image) return fail(opening_failure(image.error()));
  if (options.what == "quarantine") return inspect_quarantine(*image, *filter, options.format);
  if (options.what == "schedules") return inspect_schedules(*image, options.format);
  if (one) return inspect_pipeline(*image, times, *id, options.store, options.format);
  if (pipelines) {
    if (auto written = write_history(options, *filter, &*image, writer); !written) {
      return fail(opening_failure(written.error()));
    }
    write_pipelines(*image, *filter, writer);
  } else {
    write_tasks(*image, times, *filter, writer);
  }
  writer.finish();
  return kGood;
}

}  // namespace leat::tools
