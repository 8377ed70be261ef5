#include "workflow_file_toml.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "duration_text.h"
#include "rules_toml.h"

namespace leat::tools {
namespace {

using Json = nlohmann::json;
using Step = std::expected<void, std::string>;
using Keys = std::initializer_list<std::string_view>;

constexpr std::uint32_t kExecutorLimitMax = 1'000'000;

/// A TOML value in JSON; dates and the like become strings.
Json json_of(const toml::node& node) {
  std::ostringstream text;
  node.visit([&text](const auto& value) { text << toml::json_formatter{value}; });
  return Json::parse(text.str(), nullptr, false);
}

/// Reads one file. Each step says nothing on success, or one line.
class TomlReader {
 public:
  TomlReader(const std::string& path, const toml::table& root) : path_(path), root_(root) {}

  std::expected<TomlFile, std::string> read(TomlForm form) {
    Step step = form == TomlForm::Workflow
                    ? only(root_, "the file", {"workflow", "task", "executors", "routing", "route"})
                    : only(root_, "a file of routes", {"executors", "routing", "route"});
    if (step) step = read_executors();
    if (step) step = read_routes();
    if (step && form == TomlForm::Workflow) step = read_workflow();
    if (step && form == TomlForm::Workflow) step = read_tasks();
    if (step && form == TomlForm::Workflow) step = check_dependencies();
    if (!step) return std::unexpected(std::move(step.error()));
    return std::move(file_);
  }

 private:
  std::string place(const toml::source_position& at) const {
    return fmt::format("{}:{}:{}", path_, at.line, at.column);
  }
  std::unexpected<std::string> wrong(const toml::node& node, std::string_view what) const {
    return std::unexpected(fmt::format("{}: {}", place(node.source().begin), what));
  }

  Step only(const toml::table& table, std::string_view where, Keys accepted) const {
    return accept_only(table, where, accepted, path_);
  }

  /// Reads table[key] into `out` where it is present.
  template <class T>
  Step get(const toml::table& table, std::string_view key, std::string_view accepted, T& out) const {
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    const auto value = node->value_exact<T>();
    if (!value) return wrong(*node, fmt::format("'{}' is of another type (accepted: {})", key, accepted));
    out = *value;
    return {};
  }

  Step get_duration(const toml::table& table, std::string_view key, std::chrono::nanoseconds& out) const {
    std::string text;
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    Step step = get(table, key, "a duration like \"1.5s\"; units ns, us, ms, s, m, h", text);
    if (!step) return step;
    const auto duration = parse_duration(text);
    if (!duration) return wrong(*node, fmt::format("'{}': {}", key, duration.error()));
    out = *duration;
    return {};
  }

  Step get_count(const toml::table& table, std::string_view key, std::uint32_t lowest, std::uint32_t highest,
                 std::uint32_t& out) const {
    std::int64_t count = out;
    const std::string accepted = fmt::format("{} to {}", lowest, highest);
    Step step = get(table, key, accepted, count);
    if (!step) return step;
    if (const toml::node* node = table.get(key); node != nullptr && (count < lowest || count > highest)) {
      return wrong(*node, fmt::format("'{}' is {} (accepted: {})", key, count, accepted));
    }
    out = static_cast<std::uint32_t>(count);
    return {};
  }

  Step get_strings(const toml::table& table, std::string_view key, std::vector<std::string>& out) const {
    const toml::node* node = table.get(key);
    if (node == nullptr) return {};
    const toml::array* array = node->as_array();
    if (array == nullptr)
      return wrong(*node, fmt::format("'{}' is no array (accepted: an array of strings)", key));
    for (const toml::node& item : *array) {
      const auto text = item.value_exact<std::string>();
      if (!text)
        return wrong(item, fmt::format("'{}' holds more than strings (accepted: an array of strings)", key));
      out.push_back(*text);
    }
    return {};
  }

  /// The table at root_[key]; null where it is absent.
  std::expected<const toml::table*, std::string> section(std::string_view key) const {
    const toml::node* node = root_.get(key);
    if (node == nullptr) return nullptr;
    if (!node->is_table()) return wrong(*node, fmt::format("'{}' is no table (accepted: [{}])", key, key));
    return node->as_table();
  }

  Step read_executors() {
    const auto executors = section("executors");
    if (!executors) return std::unexpected(executors.error());
    if (*executors == nullptr) return {};
    for (const auto& [key, node] : **executors) {
      const std::string where = fmt::format("[executors.{}]", key.str());
      const toml::table* table = node.as_table();
      if (table == nullptr || key.str().empty()) {
        return wrong(node, fmt::format("'{}' is no executor (accepted: [executors.KEY])", key.str()));
      }
      ExecutorPlan plan{.key = std::string(key.str()), .place = place(key.source().begin)};
      std::string kind = "thread";
      Step step = only(*table, where, {"kind", "max_concurrent", "max_queued"});
      if (step) step = get(*table, "kind", "\"thread\"", kind);
      if (step && kind != "thread") {
        step = wrong(*table->get("kind"), fmt::format("kind \"{}\" is unknown (accepted: \"thread\")", kind));
      }
      if (step) step = get_count(*table, "max_concurrent", 1, kExecutorLimitMax, plan.max_concurrent);
      if (step) step = get_count(*table, "max_queued", 0, kExecutorLimitMax, plan.max_queued);
      if (!step) return step;
      file_.executors.push_back(std::move(plan));
    }
    return {};
  }

  Step read_routes() {
    auto routes = read_route_section(root_, path_);
    if (!routes) return std::unexpected(std::move(routes.error()));
    file_.routes = std::move(*routes);
    return {};
  }

  Step read_workflow() {
    const auto workflow = section("workflow");
    if (!workflow) return std::unexpected(workflow.error());
    if (*workflow == nullptr || (*workflow)->get("name") == nullptr) {
      return wrong(*workflow == nullptr ? static_cast<const toml::node&>(root_) : **workflow,
                   "the workflow has no name (accepted: [workflow] with name = \"...\")");
    }
    WorkflowPlan plan;
    plan.place = place((*workflow)->source().begin);
    Step step = only(**workflow, "[workflow]", {"name", "tenant", "package", "deadline"});
    if (step) step = get(**workflow, "name", "a string", plan.name);
    if (step) step = get(**workflow, "tenant", "a string", plan.tenant);
    if (step) step = get(**workflow, "package", "a string", plan.package);
    if (step) step = get_duration(**workflow, "deadline", plan.deadline);
    if (step) file_.workflow = std::move(plan);
    return step;
  }

  Step read_tasks() {
    const toml::node* node = root_.get("task");
    const toml::array* tasks = node != nullptr ? node->as_array() : nullptr;
    if (tasks == nullptr || tasks->empty()) {
      return wrong(node != nullptr ? *node : root_,
                   "the workflow has no tasks (accepted: [[task]], once or more)");
    }
    for (const toml::node& item : *tasks) {
      if (!item.is_table()) return wrong(item, "not a task (accepted: [[task]], once or more)");
      if (Step step = read_task(*item.as_table()); !step) return step;
    }
    return {};
  }

  Step read_task(const toml::table& table) {
    TaskPlan task;
    task.place = place(table.source().begin);
    Step step = only(table, "[[task]]",
                     {"name", "after", "run", "sleep", "busy", "timeout", "queue_timeout", "total_timeout",
                      "rescues_max", "durability", "executor", "retry", "trigger", "signal", "signal_timeout",
                      "config"});
    if (step) step = get(table, "name", "a string", task.name);
    if (!step) return step;
    if (task.name.empty()) return wrong(table, "a task has no name (accepted: name = \"...\")");
    if (!indices_.emplace(task.name, tables_.size()).second) {
      return wrong(*table.get("name"),
                   fmt::format("a second task '{}' (accepted: each name once)", task.name));
    }
    step = get_strings(table, "after", task.options.after);
    if (step) step = get_duration(table, "timeout", task.options.timeout);
    if (step) step = get_duration(table, "queue_timeout", task.options.queue_timeout);
    if (step) step = get_duration(table, "total_timeout", task.options.total_timeout);
    if (step) step = get(table, "signal", "a signal's name", task.options.signal);
    if (step) step = get_duration(table, "signal_timeout", task.options.signal_timeout);
    if (step) step = get_count(table, "rescues_max", 0, 1'000, task.options.rescues_max);
    if (step) step = get(table, "executor", "an executor key", task.options.executor);
    if (step) step = read_durability(table, task.options.durability);
    if (step) step = read_retry(table, task.options.retry);
    if (step) step = read_trigger(table, task.options.trigger);
    if (step) step = read_work(table, task);
    if (!step) return step;
    tables_.push_back(&table);
    file_.workflow->tasks.push_back(std::move(task));
    return {};
  }

  /// One of run, sleep and busy; it lands in the task's config, where its executor finds it.
  Step read_work(const toml::table& table, TaskPlan& task) const {
    Json config = Json::object();
    if (const toml::node* node = table.get("config")) {
      if (!node->is_table()) return wrong(*node, "'config' is no table (accepted: config = {...})");
      config = json_of(*node);
      for (const std::string_view taken : {"run", "sleep_ns", "busy_ns"}) {
        if (!config.contains(taken)) continue;
        return wrong(*node,
                     fmt::format("'config' holds '{}' (accepted: keys but run, sleep_ns, busy_ns)", taken));
      }
    }
    const int kinds = table.contains("run") + table.contains("sleep") + table.contains("busy");
    if (kinds != 1) {
      return wrong(table, fmt::format("task '{}' has {} (accepted: one of run, sleep, busy)", task.name,
                                      kinds == 0 ? "nothing to do" : "too much to do"));
    }
    std::vector<std::string> command;
    std::chrono::nanoseconds duration{0};
    Step step = get_strings(table, "run", command);
    if (step) step = get_duration(table, "sleep", duration);
    if (step) step = get_duration(table, "busy", duration);
    if (!step) return step;
    if (table.contains("run")) {
      if (command.empty() || command.front().empty()) {
        return wrong(*table.get("run"), "'run' is empty (accepted: [\"program\", \"argument\", ...])");
      }
      config["run"] = command;
    } else {
      config[table.contains("sleep") ? "sleep_ns" : "busy_ns"] = duration.count();
    }
    task.options.config = config.dump();
    return {};
  }

  Step read_retry(const toml::table& task, RetryPolicy& retry) const {
    const toml::node* node = task.get("retry");
    if (node == nullptr) return {};
    const toml::table* table = node->as_table();
    if (table == nullptr) return wrong(*node, "'retry' is no table (accepted: {max_attempts = 3, ...})");
    std::string on(to_string(retry.on));
    Step step = only(*table, "retry",
                     {"max_attempts", "backoff", "initial", "multiplier", "base", "cap", "jitter", "on",
                      "patterns", "max_age", "classes"});
    if (step) step = read_attempts(*table, retry);
    if (step) step = get(*table, "jitter", "true, false", retry.jitter);
    if (step) step = get(*table, "on", "\"all\", \"transient_only\", \"never\"", on);
    if (step) step = get_strings(*table, "patterns", retry.patterns);
    if (step) step = get_duration(*table, "max_age", retry.max_age);
    if (step) step = read_classes(*table, retry.classes);
    if (!step) return step;
    const auto known = parse_retry_on(on);
    if (!known) {
      return wrong(*table->get("on"),
                   fmt::format("on \"{}\" is unknown (accepted: \"all\", \"transient_only\", \"never\")", on));
    }
    retry.on = *known;
    return {};
  }

  /// What a policy and its part for one class share.
  template <class Policy>
  Step read_attempts(const toml::table& table, Policy& policy) const {
    auto attempts = static_cast<std::uint32_t>(policy.max_attempts);
    std::string backoff(to_string(policy.backoff));
    Step step = get_count(table, "max_attempts", 1, 1'000'000, attempts);
    if (step) step = get(table, "backoff", "\"fixed\", \"linear\", \"exponential\"", backoff);
    if (step) step = get_duration(table, "initial", policy.initial);
    if (step) step = get_duration(table, "cap", policy.cap);
    if (step) step = get(table, "multiplier", "a number with a point, from 0.0", policy.multiplier);
    if (step) step = get(table, "base", "a number with a point, from 0.0", policy.base);
    if (!step) return step;
    policy.max_attempts = static_cast<std::int32_t>(attempts);
    const auto known = parse_backoff(backoff);
    if (!known) {
      return wrong(*table.get("backoff"),
                   fmt::format("backoff \"{}\" is unknown (accepted: \"fixed\", \"linear\", \"exponential\")",
                               backoff));
    }
    policy.backoff = *known;
    return {};
  }

  Step read_classes(const toml::table& retry, std::vector<ClassRetry>& classes) const {
    const toml::node* node = retry.get("classes");
    if (node == nullptr) return {};
    const toml::array* array = node->as_array();
    if (array == nullptr) return wrong(*node, "'classes' is no array (accepted: [{class = \"Timeout\", ...}])");
    for (const toml::node& item : *array) {
      const toml::table* table = item.as_table();
      if (table == nullptr) return wrong(item, "a class is no table (accepted: {class = \"Timeout\", ...})");
      ClassRetry own;
      std::string name;
      Step step = only(*table, "a class of retry",
                       {"class", "max_attempts", "backoff", "initial", "multiplier", "base", "cap"});
      if (step) step = get(*table, "class", "a class of errors", name);
      if (step) step = read_attempts(*table, own);
      if (!step) return step;
      const auto known = parse_error_class(name);
      if (!known) {
        return wrong(item, fmt::format("class \"{}\" is unknown (accepted: \"Task\", \"Timeout\", "
                                       "\"Transient\", \"Validation\", \"Infrastructure\", "
                                       "\"TaskNotFound\", \"Unknown\")",
                                       name));
      }
      own.error_class = *known;
      classes.push_back(own);
    }
    return {};
  }

  Step read_durability(const toml::table& task, std::optional<Durability>& durability) const {
    std::string word;
    if (Step step = get(task, "durability", "\"memory\"", word); !step || word.empty()) return step;
    durability = parse_durability(word);
    if (durability == Durability::Memory) return {};
    return wrong(
        *task.get("durability"),
        fmt::format("durability \"{}\" is none of a task's (accepted: \"memory\"; else it has the run's)",
                    word));
  }

  Step read_trigger(const toml::table& task, TriggerRule& trigger) const {
    const toml::node* node = task.get("trigger");
    if (node == nullptr) return {};
    if (!node->is_string() && !node->is_table()) {
      return wrong(
          *node,
          "'trigger' is neither word nor table (accepted: \"all_success\", \"all_done\", \"one_success\", "
          "\"none_failed\", {type = ...})");
    }
    auto rule = TriggerRule::parse(node->is_string() ? **node->as_string() : json_of(*node).dump());
    if (!rule) return wrong(*node, rule.error().message);
    trigger = std::move(*rule);
    return {};
  }

  /// What a task waits for must exist; the place is that of the name.
  Step check_dependencies() const {
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      const TaskPlan& task = file_.workflow->tasks[i];
      for (std::size_t k = 0; k < task.options.after.size(); ++k) {
        const std::string& name = task.options.after[k];
        if (indices_.contains(name)) continue;
        return wrong(*tables_[i]->get("after")->as_array()->get(k),
                     fmt::format("task '{}' waits for '{}', which is not in the workflow (accepted: {})",
                                 task.name, name, task_names()));
      }
    }
    return {};
  }

  std::string task_names() const {
    constexpr std::size_t kShownMax = 10;
    std::vector<std::string_view> names;
    for (const TaskPlan& task : file_.workflow->tasks) {
      names.push_back(names.size() < kShownMax ? std::string_view(task.name) : "...");
      if (names.size() > kShownMax) break;
    }
    return fmt::format("{}", fmt::join(names, ", "));
  }

  const std::string& path_;
  const toml::table& root_;
  TomlFile file_;
  std::unordered_map<std::string, std::size_t> indices_;  ///< of tasks, by name
  std::vector<const toml::table*> tables_;                ///< of tasks, in the plan's order
};

}  // namespace

std::expected<TomlFile, std::string> parse_toml(const std::string& path, std::string_view text,
                                                TomlForm form) {
  const auto parsed = parse_toml_input(path, text);
  if (!parsed) return std::unexpected(parsed.error());
  return TomlReader(path, *parsed).read(form);
}

}  // namespace leat::tools
