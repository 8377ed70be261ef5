#include "workflow_plan.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "duration_text.h"
#include "json_input.h"

namespace leat::tools {
namespace {

using Json = nlohmann::json;

constexpr int kDefinitionFormat = 1;

/// What a policy and its part for one class share.
template <class Policy>
Json attempts_json(const Policy& policy) {
  Json json = {{"max_attempts", policy.max_attempts},
               {"backoff", to_string(policy.backoff)},
               {"initial_ns", policy.initial.count()},
               {"cap_ns", policy.cap.count()}};
  if (policy.multiplier != Policy().multiplier) json["multiplier"] = policy.multiplier;
  if (policy.base != Policy().base) json["base"] = policy.base;
  return json;
}

template <class Policy>
void take_attempts(const Json& json, Policy& policy) {
  policy.max_attempts = json.at("max_attempts").get<std::int32_t>();
  policy.backoff = parse_backoff(json.at("backoff").get<std::string>()).value_or(Backoff::Exponential);
  policy.initial = std::chrono::nanoseconds(json.at("initial_ns").get<std::int64_t>());
  policy.cap = std::chrono::nanoseconds(json.at("cap_ns").get<std::int64_t>());
  policy.multiplier = json.value("multiplier", policy.multiplier);
  policy.base = json.value("base", policy.base);
}

Json retry_json(const RetryPolicy& retry) {
  Json json = attempts_json(retry);
  json["jitter"] = retry.jitter;
  if (retry.on != RetryPolicy().on) json["on"] = to_string(retry.on);
  if (!retry.patterns.empty()) json["patterns"] = retry.patterns;
  if (retry.max_age.count() != 0) json["max_age_ns"] = retry.max_age.count();
  for (const ClassRetry& own : retry.classes) {
    Json of_class = attempts_json(own);
    of_class["class"] = to_string(own.error_class);
    json["classes"].push_back(std::move(of_class));
  }
  return json;
}

RetryPolicy retry_of(const Json& json) {
  RetryPolicy retry;
  take_attempts(json, retry);
  retry.jitter = json.at("jitter").get<bool>();
  retry.on = parse_retry_on(json.value("on", std::string())).value_or(retry.on);
  retry.patterns = json.value("patterns", retry.patterns);
  retry.max_age = std::chrono::nanoseconds(json.value("max_age_ns", std::int64_t{0}));
  for (const Json& of_class : json.value("classes", Json::array())) {
    ClassRetry& own = retry.classes.emplace_back();
    take_attempts(of_class, own);
    own.error_class = parse_error_class(of_class.at("class").get<std::string>()).value_or(own.error_class);
  }
  return retry;
}

Json task_json(const TaskPlan& task) {
  Json json = {{"name", task.name}, {"config", Json::parse(task.options.config)}};
  // What has its default is left out: a definition of a thousand plain tasks stays small.
  if (!task.options.after.empty()) json["after"] = task.options.after;
  if (task.options.retry != RetryPolicy{}) json["retry"] = retry_json(task.options.retry);
  if (task.options.timeout.count() != 0) json["timeout_ns"] = task.options.timeout.count();
  if (task.options.queue_timeout.count() != 0) json["queue_timeout_ns"] = task.options.queue_timeout.count();
  if (task.options.total_timeout.count() != 0) json["total_timeout_ns"] = task.options.total_timeout.count();
  if (!task.options.signal.empty()) json["signal"] = task.options.signal;
  if (task.options.signal_timeout.count() != 0)
    json["signal_timeout_ns"] = task.options.signal_timeout.count();
  if (task.options.rescues_max != TaskOptions().rescues_max) json["rescues_max"] = task.options.rescues_max;
  if (task.options.trigger.kind() != TriggerRule::Kind::AllSuccess) {
    json["trigger"] = task.options.trigger.to_json();
  }
  if (!task.options.executor.empty()) json["executor"] = task.options.executor;
  if (task.options.durability) json["durability"] = to_string(*task.options.durability);
  return json;
}

TaskPlan task_of(const Json& json) {
  TaskPlan task;
  task.name = json.at("name").get<std::string>();
  task.options.config = json.at("config").dump();
  task.options.after = json.value("after", std::vector<std::string>{});
  if (json.contains("retry")) task.options.retry = retry_of(json.at("retry"));
  const auto time = [&](const char* key) {
    return std::chrono::nanoseconds(json.value(key, std::int64_t{0}));
  };
  task.options.timeout = time("timeout_ns");
  task.options.queue_timeout = time("queue_timeout_ns");
  task.options.total_timeout = time("total_timeout_ns");
  task.options.signal = json.value("signal", std::string());
  task.options.signal_timeout = time("signal_timeout_ns");
  task.options.rescues_max = json.value("rescues_max", TaskOptions().rescues_max);
  if (json.contains("trigger")) {
    auto rule = TriggerRule::parse(json.at("trigger").get<std::string>());
    if (rule) task.options.trigger = std::move(*rule);
  }
  task.options.executor = json.value("executor", std::string());
  if (json.contains("durability"))
    task.options.durability = parse_durability(json.at("durability").get<std::string>());
  return task;
}

Json rule_json(const RoutingRule& rule) {
  if (rule.split.empty()) return {{"pattern", rule.pattern}, {"executor", rule.key}};
  Json shares = Json::array();
  for (const Share& share : rule.split) shares.push_back({share.key, share.percent});
  return {{"pattern", rule.pattern}, {"split", std::move(shares)}};
}

RoutingRule rule_of(const Json& json) {
  if (!json.contains("split")) {
    return {json.at("pattern").get<std::string>(), json.at("executor").get<std::string>()};
  }
  std::vector<Share> shares;
  for (const Json& share : json.at("split")) {
    shares.push_back({share.at(0).get<std::string>(), share.at(1).get<std::uint32_t>()});
  }
  return {json.at("pattern").get<std::string>(), std::move(shares)};
}

Json settings_json(const RunSettings& settings) {
  Json rules = Json::array();
  for (const RoutingRule& rule : settings.routing.rules()) rules.push_back(rule_json(rule));
  Json executors = Json::array();
  for (const ExecutorPlan& executor : settings.executors) {
    executors.push_back({{"key", executor.key},
                         {"max_concurrent", executor.max_concurrent},
                         {"max_queued", executor.max_queued}});
  }
  Json json = {{"default", settings.routing.default_key()},
               {"routes", std::move(rules)},
               {"executors", std::move(executors)},
               {"workers", settings.workers},
               {"time_scale", settings.time_scale},
               {"durability", to_string(settings.durability)},
               {"directory", settings.directory}};
  if (!settings.keep_events.empty()) json["keep_events"] = settings.keep_events;
  if (!settings.keep_history.empty()) json["keep_history"] = settings.keep_history;
  return json;
}

RunSettings settings_of(const Json& json) {
  RunSettings settings;
  settings.routing = RoutingConfig(json.at("default").get<std::string>());
  for (const Json& rule : json.at("routes")) settings.routing.with_rule(rule_of(rule));
  for (const Json& executor : json.at("executors")) {
    settings.executors.push_back({.key = executor.at("key").get<std::string>(),
                                  .max_concurrent = executor.at("max_concurrent").get<std::uint32_t>(),
                                  .max_queued = executor.at("max_queued").get<std::uint32_t>(),
                                  .place = {}});
  }
  settings.workers = json.at("workers").get<std::uint32_t>();
  settings.time_scale = json.at("time_scale").get<double>();
  settings.durability = parse_durability(json.at("durability").get<std::string>()).value_or(Durability::Disk);
  settings.directory = json.at("directory").get<std::string>();
  settings.keep_events = json.value("keep_events", std::string());
  settings.keep_history = json.value("keep_history", std::string());
  return settings;
}

/// File names are bytes; what is not UTF-8 in them must not stop a run.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// The place of the task that `error` is about, else the workflow's. The message quotes it ('a'), or shows it
/// as the first of a cycle (": a -> b -> a").
const std::string& place_of(const WorkflowPlan& plan, const WorkflowError& error) {
  const bool cycle = error.code == WorkflowErrorCode::CyclicDependency;
  const TaskPlan* first = nullptr;
  std::size_t found = std::string::npos;
  for (const TaskPlan& task : plan.tasks) {
    const std::size_t at =
        error.message.find(cycle ? fmt::format(": {} -> ", task.name) : fmt::format("'{}'", task.name));
    if (at < found) {
      found = at;
      first = &task;
    }
  }
  return first != nullptr ? first->place : plan.place;
}

}  // namespace

std::string to_definition(const WorkflowPlan& plan, const RunSettings& settings) {
  Json tasks = Json::array();
  for (const TaskPlan& task : plan.tasks) tasks.push_back(task_json(task));
  // With the run's id, each run has workflow versions of its own: it never
  // carries an earlier one on by accident.
  return text_of({{"leat_run", kDefinitionFormat},
                  {"run_id", settings.run_id},
                  {"tenant", plan.tenant},
                  {"package", plan.package},
                  {"name", plan.name},
                  {"tasks", std::move(tasks)},
                  {"settings", settings_json(settings)}});
}

std::expected<StoredRun, std::string> parse_definition(std::string_view definition) {
  const auto parsed = parse_json_input(definition);
  if (!parsed || !parsed->is_object() || !parsed->contains("leat_run") ||
      parsed->at("leat_run") != kDefinitionFormat) {
    return std::unexpected("its definition is not one of `leat run`");
  }
  const Json& json = *parsed;
  try {
    StoredRun run;
    run.plan.tenant = json.at("tenant").get<std::string>();
    run.plan.package = json.at("package").get<std::string>();
    run.plan.name = json.at("name").get<std::string>();
    for (const Json& task : json.at("tasks")) run.plan.tasks.push_back(task_of(task));
    run.settings = settings_of(json.at("settings"));
    run.settings.run_id = json.at("run_id").get<std::string>();
    return run;
  } catch (const Json::exception& error) {
    return std::unexpected(fmt::format("its definition is damaged: {}", error.what()));
  }
}

std::string settings_text(const RunSettings& settings) {
  return text_of(settings_json(settings));
}

std::expected<Workflow, std::string> build_workflow(const WorkflowPlan& plan, std::string definition) {
  Workflow::Builder builder(plan.name);
  builder.tenant(plan.tenant).package(plan.package).definition(std::move(definition));
  for (const TaskPlan& task : plan.tasks) builder.task(task.name, task.options);
  auto workflow = builder.build();
  if (!workflow) {
    const WorkflowError& error = workflow.error();
    const bool cycle = error.code == WorkflowErrorCode::CyclicDependency;
    return std::unexpected(fmt::format("{}: {}{}", place_of(plan, error), error.message,
                                       cycle ? " (accepted: an order without a cycle)" : ""));
  }
  return std::move(*workflow);
}

}  // namespace leat::tools
