#include "resume.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "exit_status.h"
#include "leat/store_reader.h"
#include "leat/thread_executor.h"
#include "leat/uuid.h"
#include "leat/workflow_shape.h"
#include "session.h"
#include "signal_text.h"
#include "signal_watch.h"
#include "workflow_plan.h"

namespace leat::tools {
namespace {

/// Unfinished runs with equal settings: they share a Runner.
struct Group {
  RunSettings settings;
  std::vector<Workflow> workflows;
  std::map<Uuid, std::string> names;  ///< of the pipelines' workflows
};

struct Unfinished {
  std::map<std::string, Group> groups;  ///< by the text of their settings, so the order is always the same
  bool left_behind = false;             ///< a workflow whose definition is not ours to read
};

std::expected<Unfinished, Failure> find_unfinished(const std::string& store) {
  auto image = read_rocksdb_store(store);
  if (!image) return std::unexpected(opening_failure(image.error()));
  std::map<std::uint32_t, std::vector<Uuid>> unfinished;  // by workflow_no
  for (const auto& [number, pipeline] : image->pipelines()) {
    if (!is_terminal(pipeline.state)) unfinished[pipeline.workflow_no].push_back(pipeline.id);
  }
  Unfinished found;
  for (const auto& [number, pipelines] : unfinished) {
    const WorkflowImage& stored = image->workflows().at(number);
    const std::string_view definition = split_definition(stored.definition).given;
    auto run = parse_definition(definition);
    if (!run) {
      fmt::print(stderr, "leat: {} stays unfinished: {}\n", stored.name, run.error());
      found.left_behind = true;
      continue;
    }
    auto workflow = build_workflow(run->plan, std::string(definition));
    if (!workflow)
      return std::unexpected(Failure{kStoreFailure, fmt::format("{}: {}", store, workflow.error())});
    Group& group = found.groups[settings_text(run->settings)];
    group.settings = std::move(run->settings);
    for (const Uuid& id : pipelines) group.names.emplace(id, stored.name);
    group.workflows.push_back(std::move(*workflow));
  }
  return found;
}

std::expected<std::vector<SignalText>, Failure> parse_signals(const std::vector<std::string>& words,
                                                              const Unfinished& unfinished) {
  std::vector<SignalText> signals;
  for (const std::string& word : words) {
    auto signal = parse_signal(word);
    if (!signal) return std::unexpected(Failure{kBadInput, std::move(signal.error())});
    const bool known = std::ranges::any_of(
        unfinished.groups, [&](const auto& group) { return group.second.names.contains(signal->pipeline); });
    if (!known) {
      return std::unexpected(Failure{
          kBadInput, fmt::format("--signal {}: that pipeline is not unfinished here (accepted: those that "
                                 "`leat inspect pipelines` lists so)",
                                 word)});
    }
    signals.push_back(*std::move(signal));
  }
  return signals;
}

/// Sends all signals before anything is waited for: by a Runner to which nobody lends a thread, so that no task
/// begins.
std::expected<void, Failure> send(const Unfinished& unfinished, const std::vector<SignalText>& signals,
                                  const std::string& store) {
  if (signals.empty()) return {};
  Runner::Builder builder = Runner::builder();
  builder.database_url("rocksdb://" + store).lent_threads();
  std::set<std::string> keys;
  for (const auto& [text, group] : unfinished.groups) {
    for (const ExecutorPlan& plan : group.settings.executors) keys.insert(plan.key);
  }
  for (const std::string& key : keys) builder.register_executor(key, std::make_shared<ThreadTaskExecutor>());
  auto runner = builder.build();
  if (!runner) return std::unexpected(opening_failure(runner.error()));
  for (const auto& [text, group] : unfinished.groups) {
    for (const Workflow& workflow : group.workflows) {
      if (const auto known = runner->register_workflow(workflow); !known)
        return std::unexpected(opening_failure(known.error()));
    }
  }
  if (const auto started = runner->start(); !started)
    return std::unexpected(opening_failure(started.error()));
  for (const SignalText& signal : signals) {
    if (const auto sent = runner->signal(signal.pipeline, signal.name, signal.value); !sent)
      return std::unexpected(Failure{kBadInput, fmt::format("--signal: {}", sent.error().message)});
  }
  if (const auto stopped = runner->stop(std::chrono::nanoseconds(0)); !stopped)
    return std::unexpected(Failure{kStoreFailure, stopped.error().message});
  return {};
}

/// Carries one group on in its own directory, with its own executors and routes.
std::expected<SessionOutcome, Failure> carry_on(const Group& group, const std::string& store) {
  if (auto entered = enter_directory(group.settings); !entered) return std::unexpected(entered.error());
  auto session = Session::open(group.settings, store, Severity::Info);
  if (!session) return std::unexpected(session.error());
  Runner& runner = (*session)->runner();
  const auto begin = std::chrono::steady_clock::now();
  for (const Workflow& workflow : group.workflows) {
    if (const auto known = runner.register_workflow(workflow); !known) {
      return std::unexpected(opening_failure(known.error()));
    }
  }
  if (const auto started = runner.start(); !started) return std::unexpected(opening_failure(started.error()));
  std::vector<SessionPipeline> pipelines;
  for (const PipelineHandle& handle : runner.resumed()) {
    const auto name = group.names.find(handle.id());
    if (name == group.names.end()) continue;
    pipelines.push_back({.handle = handle, .workflow = name->second, .tasks = handle.task_states().size()});
  }
  return (*session)->finish(std::move(pipelines), begin);
}

}  // namespace

int resume(const ResumeOptions& options) {
  const std::string store = std::filesystem::absolute(options.store).string();
  auto found = find_unfinished(store);
  if (!found) return fail(found.error());
  if (found->groups.empty() && !found->left_behind)
    fmt::print(stderr, "leat: {}: nothing to resume\n", options.store);
  const auto signals = parse_signals(options.signals, *found);
  if (!signals) return fail(signals.error());
  if (const auto sent = send(*found, *signals, store); !sent) return fail(sent.error());
  block_termination_signals();
  SessionOutcome all;
  for (auto& [text, group] : found->groups) {
    if (!options.keep_events.empty()) group.settings.keep_events = options.keep_events;
    if (!options.keep_history.empty()) group.settings.keep_history = options.keep_history;
    auto outcome = carry_on(group, store);
    if (!outcome) return fail(outcome.error());
    all.report.add(std::move(outcome->report));
    all.signal = outcome->signal;
    all.store_error = std::move(outcome->store_error);
    if (all.signal != 0 || !all.store_error.empty()) break;
  }
  const int status = conclude(all, options.json);
  return status == kGood && found->left_behind ? kFailed : status;
}

}  // namespace leat::tools
