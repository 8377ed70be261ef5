#include "again.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <utility>
#include <vector>

#include "exit_status.h"
#include "leat/store_reader.h"
#include "leat/uuid.h"
#include "leat/workflow_shape.h"
#include "session.h"
#include "signal_watch.h"
#include "workflow_plan.h"

namespace leat::tools {
namespace {

struct Known {
  Workflow workflow;
  RunSettings settings;
};

/// The workflow of a pipeline that the store still holds, and how it was run.
std::expected<Known, Failure> find_run(const std::string& store, const Uuid& id) {
  const auto image = read_rocksdb_store(store);
  if (!image) return std::unexpected(opening_failure(image.error()));
  for (const auto& [number, pipeline] : image->pipelines()) {
    if (pipeline.id != id) continue;
    const WorkflowImage& stored = image->workflows().at(pipeline.workflow_no);
    const std::string_view definition = split_definition(stored.definition).given;
    auto run = parse_definition(definition);
    if (!run) return std::unexpected(Failure{kBadInput, fmt::format("{}: {}", stored.name, run.error())});
    auto workflow = build_workflow(run->plan, std::string(definition));
    if (!workflow) {
      return std::unexpected(Failure{kStoreFailure, fmt::format("{}: {}", store, workflow.error())});
    }
    return Known{std::move(*workflow), std::move(run->settings)};
  }
  return std::unexpected(Failure{
      kBadInput, fmt::format("{}: no events of pipeline {} are there (accepted: one that `leat inspect "
                             "tasks` lists)",
                             store, id.to_string())});
}

}  // namespace

int again(const AgainOptions& options) {
  const auto id = Uuid::parse(options.pipeline);
  if (!id) {
    return fail(
        {kBadInput, fmt::format("'{}' is no pipeline (accepted: an ID that `leat inspect pipelines` lists)",
                                options.pipeline)});
  }
  const std::string store = std::filesystem::absolute(options.store).string();
  auto known = find_run(store, *id);
  if (!known) return fail(known.error());
  if (const auto entered = enter_directory(known->settings); !entered) return fail(entered.error());
  block_termination_signals();
  auto session = Session::open(known->settings, store);
  if (!session) return fail(session.error());
  Runner& runner = (*session)->runner();
  if (const auto registered = runner.register_workflow(known->workflow); !registered) {
    return fail(opening_failure(registered.error()));
  }
  if (const auto started = runner.start(); !started) return fail(opening_failure(started.error()));
  const auto begin = std::chrono::steady_clock::now();
  auto handle = options.redrive        ? runner.redrive(*id, options.task)
                : options.task.empty() ? runner.retry_failed(*id)
                                       : runner.restart_from(*id, options.task);
  if (!handle) {
    const bool store_failed = handle.error().code == ErrorCode::Storage;
    return fail({store_failed ? kStoreFailure : kBadInput, handle.error().message});
  }
  std::vector<SessionPipeline> pipelines;
  pipelines.push_back({.handle = std::move(*handle),
                       .workflow = std::string(known->workflow.full_name()),
                       .tasks = known->workflow.tasks().size()});
  return conclude((*session)->finish(std::move(pipelines), begin), options.json);
}

}  // namespace leat::tools
