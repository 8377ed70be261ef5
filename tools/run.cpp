#include "run.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <utility>

#include "exit_status.h"
#include "session.h"
#include "signal_watch.h"

namespace leat::tools {
namespace {

void mention_unfinished(const Runner& runner) {
  std::size_t pipelines = 0;
  for (const UnfinishedWorkflow& workflow : runner.unfinished()) pipelines += workflow.pipelines;
  if (pipelines == 0) return;
  fmt::print(stderr, "leat: {} unfinished {} of earlier runs left waiting (`leat resume` carries on)\n",
             pipelines, pipelines == 1 ? "pipeline" : "pipelines");
}

/// Submits everything. @return the pipelines, or what the Runner refused
std::expected<std::vector<SessionPipeline>, Error> submit_all(Runner& runner, const RunInput& input,
                                                              std::uint32_t repeat) {
  std::vector<SessionPipeline> pipelines;
  for (std::uint32_t round = 0; round < repeat; ++round) {
    for (std::size_t i = 0; i < input.workflows.size(); ++i) {
      const Workflow& workflow = input.workflows[i];
      SubmitOptions how{.durability = input.settings.durability};
      if (input.deadlines[i].count() > 0)
        how.deadline = std::chrono::system_clock::now() + input.deadlines[i];
      auto handle = runner.submit_async(workflow, std::move(how));
      if (!handle) return std::unexpected(std::move(handle.error()));
      pipelines.push_back({.handle = std::move(*handle),
                           .workflow = std::string(workflow.full_name()),
                           .tasks = workflow.tasks().size()});
    }
  }
  return pipelines;
}

}  // namespace

int run(const RunOptions& options) {
  if (options.durability == Durability::Memory && options.store) {
    return fail({kBadInput, "--store: --durability memory writes no store (accepted: process, disk)"});
  }
  auto input = read_run_input(options);
  if (!input) return fail({kBadInput, input.error()});
  block_termination_signals();
  const std::string store =
      options.durability == Durability::Memory ? "" : options.store.value_or("./leat.db");
  auto session = Session::open(input->settings, store);
  if (!session) return fail(session.error());
  Runner& runner = (*session)->runner();
  mention_unfinished(runner);
  if (const auto started = runner.start(); !started) return fail(opening_failure(started.error()));

  const auto begin = std::chrono::steady_clock::now();
  auto pipelines = submit_all(runner, *input, options.repeat);
  if (!pipelines) {
    const bool store_failed = pipelines.error().code == ErrorCode::Storage;
    return fail({store_failed ? kStoreFailure : kBadInput, pipelines.error().message});
  }
  return conclude((*session)->finish(std::move(*pipelines), begin), options.json);
}

}  // namespace leat::tools
