#include "run_input.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <random>
#include <string_view>
#include <utility>

#include "leat/router.h"
#include "leat/uuid.h"
#include "text_file.h"
#include "workflow_file_toml.h"
#include "workflow_file_wfformat.h"

namespace leat::tools {
namespace {

using Step = std::expected<void, std::string>;

std::expected<TomlFile, std::string> read_workflow_file(const std::string& path) {
  const std::filesystem::path suffix = std::filesystem::path(path).extension();
  if (suffix != ".toml" && suffix != ".json") {
    return std::unexpected(fmt::format("{}: unknown kind of file (accepted: .toml, .json)", path));
  }
  const auto text = read_text_file(path);
  if (!text) return std::unexpected(text.error());
  if (suffix == ".toml") return parse_toml(path, *text, TomlForm::Workflow);
  auto plan = parse_wfformat(path, *text);
  if (!plan) return std::unexpected(std::move(plan.error()));
  TomlFile file;
  file.workflow = std::move(*plan);
  return file;
}

/// Joins the executors and routes of several files.
class SettingsReader {
 public:
  Step add(TomlFile& file) {
    for (ExecutorPlan& plan : file.executors) {
      const auto known = std::ranges::find(executors_, plan.key, &ExecutorPlan::key);
      if (known == executors_.end()) {
        executors_.push_back(std::move(plan));
      } else if (known->max_concurrent != plan.max_concurrent || known->max_queued != plan.max_queued) {
        return std::unexpected(
            fmt::format("{}: executor '{}' has other limits at {} (accepted: the same, or --routes)",
                        plan.place, plan.key, known->place));
      }
    }
    RouteSection& routes = file.routes;
    if (routes.default_key) {
      if (default_key_ && *default_key_ != *routes.default_key) {
        return std::unexpected(fmt::format("{}: the default is '{}' at {} (accepted: the same, or --routes)",
                                           routes.default_place, *default_key_, default_place_));
      }
      default_key_ = std::move(routes.default_key);
      default_place_ = std::move(routes.default_place);
    }
    std::ranges::move(routes.rules, std::back_inserter(rules_));
    std::ranges::move(routes.places, std::back_inserter(places_));
    return {};
  }

  /// What the Router would refuse is refused here, with its place.
  Step check_rules() const {
    NamespaceTable names;
    RoutingConfig config(default_key_.value_or("default"));
    for (const RoutingRule& rule : rules_) config.with_rule(rule);
    const auto router = Router::make(config, names);
    if (router) return {};
    const RouteError& error = router.error();
    return std::unexpected(
        fmt::format("{}: {}", error.rule ? places_[*error.rule - 1] : default_place_, error.message));
  }

  /// Every key that anything leads to has an executor.
  Step check_keys(const std::vector<WorkflowPlan>& plans) const {
    if (default_key_ && !known(*default_key_)) return unknown(default_place_, *default_key_);
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      if (rules_[i].split.empty() && !known(rules_[i].key)) return unknown(places_[i], rules_[i].key);
      for (const Share& share : rules_[i].split) {
        if (!known(share.key)) return unknown(places_[i], share.key);
      }
    }
    for (const WorkflowPlan& plan : plans) {
      for (const TaskPlan& task : plan.tasks) {
        const std::string& key = task.options.executor;
        if (!key.empty() && !known(key)) return unknown(task.place, key);
      }
    }
    return {};
  }

  void move_to(RunSettings& settings) {
    settings.executors = std::move(executors_);
    settings.routing = RoutingConfig(default_key_.value_or("default"));
    for (RoutingRule& rule : rules_) settings.routing.with_rule(std::move(rule));
  }

 private:
  bool known(std::string_view key) const {
    return key == "default" || std::ranges::find(executors_, key, &ExecutorPlan::key) != executors_.end();
  }
  Step unknown(std::string_view place, std::string_view key) const {
    std::vector<std::string_view> keys = {"default"};
    for (const ExecutorPlan& plan : executors_) {
      if (plan.key != "default") keys.push_back(plan.key);
    }
    return std::unexpected(
        fmt::format("{}: unknown executor key '{}' (accepted: {})", place, key, fmt::join(keys, ", ")));
  }

  std::vector<ExecutorPlan> executors_;
  std::vector<RoutingRule> rules_;
  std::vector<std::string> places_;
  std::optional<std::string> default_key_;
  std::string default_place_;
};

std::string new_run_id() {
  std::random_device random;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto bits = [&random] { return std::uint64_t{random()} << 32 | random(); };
  constexpr std::uint32_t kCounterMask = 0xfff;
  return Uuid::make_v7(
             static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count()),
             static_cast<std::uint32_t>(bits()) & kCounterMask, bits())
      .to_string();
}

}  // namespace

std::expected<RunInput, std::string> read_run_input(const RunOptions& options) {
  std::vector<WorkflowPlan> plans;
  SettingsReader settings;
  Step step;
  for (const std::string& path : options.files) {
    auto file = read_workflow_file(path);
    if (!file) return std::unexpected(std::move(file.error()));
    plans.push_back(std::move(*file->workflow));
    if (!options.routes && step) step = settings.add(*file);
  }
  if (options.routes) {
    const auto text = read_text_file(*options.routes);
    if (!text) return std::unexpected(text.error());
    auto file = parse_toml(*options.routes, *text, TomlForm::RoutesOnly);
    if (!file) return std::unexpected(std::move(file.error()));
    step = settings.add(*file);
  }
  if (step) step = settings.check_rules();
  if (step) step = settings.check_keys(plans);
  if (!step) return std::unexpected(std::move(step.error()));

  RunInput input;
  settings.move_to(input.settings);
  input.settings.run_id = new_run_id();
  input.settings.workers = options.workers;
  input.settings.time_scale = options.time_scale;
  input.settings.durability = options.durability;
  input.settings.keep_events = options.keep_events;
  input.settings.keep_history = options.keep_history;
  input.settings.directory = std::filesystem::current_path().string();
  for (const WorkflowPlan& plan : plans) {
    auto workflow = build_workflow(plan, to_definition(plan, input.settings));
    if (!workflow) return std::unexpected(std::move(workflow.error()));
    for (const std::string& line : workflow->warnings()) fmt::print(stderr, "leat: {}\n", line);
    input.workflows.push_back(std::move(*workflow));
    input.deadlines.push_back(plan.deadline);
  }
  return input;
}

}  // namespace leat::tools
