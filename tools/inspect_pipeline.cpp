#include "inspect_pipeline.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "exit_status.h"
#include "json_input.h"
#include "leat/history.h"
#include "leat/route_analysis.h"
#include "leat/trigger_rule.h"
#include "leat/workflow_shape.h"
#include "workflow_plan.h"

namespace leat::tools {
namespace {

std::string date(std::int64_t time_ns) {
  using namespace std::chrono;
  const auto ms = time_point_cast<milliseconds>(system_clock::time_point(nanoseconds(time_ns)));
  return fmt::format("{:%F %T}Z", ms);
}

std::string seconds(std::int64_t from_ns, std::int64_t to_ns) {
  return fmt::format("{:.6f} s", static_cast<double>(to_ns - from_ns) / 1e9);
}

/// What a task's definition says of when and where it runs, as far as the store knows it.
struct TaskShape {
  std::vector<std::uint32_t> after = {};
  std::string trigger = {};   // JSON text; empty: not known
  std::string signal = {};    // that it waits for besides
  std::string executor = {};  // that it names
};

/// Of a store's workflow: what `leat run` said of it.
std::vector<TaskShape> shape_of(const WorkflowImage& workflow, const WorkflowPlan& plan) {
  std::vector<TaskShape> shapes(workflow.tasks.size());
  std::unordered_map<std::string_view, std::uint32_t> numbers;
  for (std::uint32_t i = 0; i < workflow.tasks.size(); ++i) numbers.emplace(workflow.tasks[i], i);
  for (const TaskPlan& task : plan.tasks) {
    const auto number = numbers.find(task.name);
    if (number == numbers.end()) continue;  // not the text of this workflow
    TaskShape& shape = shapes[number->second];
    shape.trigger = task.options.trigger.to_json();
    shape.signal = task.options.signal;
    shape.executor = task.options.executor;
    for (const std::string& name : task.options.after) {
      const auto dependency = numbers.find(name);
      if (dependency != numbers.end()) shape.after.push_back(dependency->second);
    }
  }
  return shapes;
}

/// The same of the shape that the store has of any workflow.
std::vector<TaskShape> shape_of(const WorkflowImage& workflow, std::string_view text) {
  std::vector<TaskShape> shapes(workflow.tasks.size());
  const auto json = parse_json_input(text);
  if (!json || !json->is_object() || !json->contains("tasks")) return shapes;
  const nlohmann::json& tasks = json->at("tasks");
  if (!tasks.is_array() || tasks.size() != shapes.size()) return shapes;
  try {
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      TaskShape& shape = shapes[i];
      shape.after = tasks[i].value("after", shape.after);
      shape.trigger = tasks[i].contains("trigger") ? tasks[i]["trigger"].dump() : TriggerRule().to_json();
      shape.signal = tasks[i].value("signal", shape.signal);
      shape.executor = tasks[i].value("executor", shape.executor);
      std::erase_if(shape.after, [&](std::uint32_t task) { return task >= shapes.size(); });
    }
  } catch (const nlohmann::json::exception&) {
    shapes.assign(shapes.size(), TaskShape());  // not the shape of this workflow
  }
  return shapes;
}

class PipelineTree {
 public:
  PipelineTree(const StoreImage& image, const TaskTimes& times, const PipelineImage& pipeline);
  void print() const;
  void print_json() const;

 private:
  std::optional<std::uint32_t> parent_of(std::uint32_t task) const;
  std::vector<std::uint32_t> open_dependencies(std::uint32_t task) const;
  std::string story_of(std::uint32_t task) const;
  std::string skipping(std::uint32_t task) const;
  std::string pause_of(std::uint32_t task) const;
  std::string executor_of(std::uint32_t task) const;
  std::string name_of(std::uint32_t task) const { return workflow_.name + "::" + workflow_.tasks[task]; }
  std::string after_start(std::int64_t time_ns) const {
    return time_ns == 0 ? "at a time that is forgotten" : "+" + seconds(pipeline_.created_ns, time_ns);
  }
  void print(std::uint32_t task, std::size_t depth) const;
  void print_kin() const;

  std::size_t width_ = 0;  // of the longest name
  const StoreImage& image_;
  const TaskTimes& times_;
  const PipelineImage& pipeline_;
  const WorkflowImage& workflow_;
  std::vector<TaskShape> shapes_;        // by task
  std::optional<RoutingConfig> routes_;  // where tasks go that name no executor, if that is known
  std::vector<std::vector<std::uint32_t>> children_;  // by task
  std::vector<std::uint32_t> roots_;
};

PipelineTree::PipelineTree(const StoreImage& image, const TaskTimes& times, const PipelineImage& pipeline)
    : image_(image),
      times_(times),
      pipeline_(pipeline),
      workflow_(image.workflows().at(pipeline.workflow_no)),
      children_(pipeline.tasks.size()) {
  const StoredDefinition definition = split_definition(workflow_.definition);
  const auto run = parse_definition(definition.given);
  if (run) routes_ = run->settings.routing;
  shapes_ = run ? shape_of(workflow_, run->plan) : shape_of(workflow_, definition.shape);
  for (std::uint32_t task = 0; task < pipeline.tasks.size(); ++task) {
    const auto parent = parent_of(task);
    (parent ? children_[*parent] : roots_).push_back(task);
    width_ = std::max(width_, workflow_.tasks[task].size() + 8);
  }
}

std::optional<std::uint32_t> PipelineTree::parent_of(std::uint32_t task) const {
  if (const auto released_by = times_.of(pipeline_.pipeline_no, task).released_by) return released_by;
  if (pipeline_.tasks[task].state != TaskState::NotStarted) return std::nullopt;
  const std::vector<std::uint32_t> open = open_dependencies(task);
  return open.empty() ? std::nullopt : std::optional(open.front());
}

std::vector<std::uint32_t> PipelineTree::open_dependencies(std::uint32_t task) const {
  std::vector<std::uint32_t> open;
  std::ranges::copy_if(shapes_[task].after, std::back_inserter(open), [this](std::uint32_t dependency) {
    return !is_terminal(pipeline_.tasks[dependency].state);
  });
  return open;
}

/// The key that the task goes to, or went to last; empty: the store does not know it.
std::string PipelineTree::executor_of(std::uint32_t task) const {
  const auto key = image_.keys().find(pipeline_.tasks[task].key_no);
  if (key != image_.keys().end()) return key->second;
  if (!shapes_[task].executor.empty()) return shapes_[task].executor;
  const auto route = routes_ ? explain(*routes_, name_of(task)) : std::unexpected(RouteError());
  return route ? route->destination : std::string();
}

/// What an operator has paused that holds a Ready task; empty: nothing.
std::string PipelineTree::pause_of(std::uint32_t task) const {
  const auto because = [](std::string what, const PauseImage& pause) {
    return what + (pause.reason.empty() ? "" : ": ") + pause.reason;
  };
  const std::string executor = executor_of(task);
  for (const auto& [place, pause] : image_.pauses()) {
    const auto& [scope, what] = place;
    if (scope == PauseScope::Pipeline && what == pipeline_.id.to_string())
      return because("its pipeline is paused", pause);
    if (scope == PauseScope::ExecutorKey && what == executor)
      return because(fmt::format("executor '{}' is paused", what), pause);
    if (scope != PauseScope::Namespaces) continue;
    const auto matched = explain(RoutingConfig("open").with_rule(what, "paused"), name_of(task));
    if (matched && matched->winner)
      return because(fmt::format("its namespace is paused by '{}'", what), pause);
  }
  return {};
}

/// Which rule was false, and by which dependencies.
std::string PipelineTree::skipping(std::uint32_t task) const {
  const TaskShape& shape = shapes_[task];
  if (shape.trigger.empty()) return "its trigger rule was false";
  std::string text = fmt::format("its trigger rule {} was false", shape.trigger);
  for (std::size_t i = 0; i < shape.after.size(); ++i) {
    constexpr std::size_t kNamed = 10;
    if (i == kNamed) return text + fmt::format(", and {} more", shape.after.size() - i);
    text += fmt::format("{}{} is {}", i == 0 ? ": " : ", ", workflow_.tasks[shape.after[i]],
                        to_string(pipeline_.tasks[shape.after[i]].state));
  }
  return text;
}

std::string PipelineTree::story_of(std::uint32_t number) const {
  const TaskImage& task = pipeline_.tasks[number];
  const TaskTimes::Times at = times_.of(pipeline_.pipeline_no, number);
  const auto key = image_.keys().find(task.key_no);
  const std::string attempt =
      fmt::format("attempt {}{}", task.attempt, key == image_.keys().end() ? "" : " on " + key->second);
  switch (task.state) {
    case TaskState::NotStarted: {
      std::vector<std::string_view> names;
      for (const std::uint32_t open : open_dependencies(number)) names.push_back(workflow_.tasks[open]);
      const std::string& signal = shapes_[number].signal;
      const std::string text = "the signal " + signal;
      if (!signal.empty() && !pipeline_.traits->signals.contains(signal)) names.push_back(text);
      return names.empty() ? "waits for what it depends on"
                           : fmt::format("waits for {}", fmt::join(names, ", "));
    }
    case TaskState::Ready:
      if (const std::string pause = pause_of(number); !pause.empty()) return pause;
      if (task.retry_at_ns != 0) {
        return fmt::format("attempt {} is due at {}: {}", task.attempt, date(task.retry_at_ns),
                           std::string_view(task.error));
      }
      return fmt::format("waits for its executor since {}", after_start(at.ready_ns));
    case TaskState::Running:
      return fmt::format("{} since {}", attempt, after_start(at.started_ns));
    case TaskState::Completed:
    case TaskState::Failed:
      if (at.started_ns == 0)
        return fmt::format("{}{}{}", attempt, task.error.empty() ? "" : ": ", std::string_view(task.error));
      return fmt::format("{} from {}, ran {}{}{}", attempt, after_start(at.started_ns),
                         seconds(at.started_ns, at.finished_ns), task.error.empty() ? "" : ": ",
                         std::string_view(task.error));
    case TaskState::Skipped:
      return skipping(number);
    case TaskState::Cancelled:
      return "with its pipeline";
  }
  return {};
}

void PipelineTree::print(std::uint32_t task, std::size_t depth) const {
  const std::string name = std::string(2 * depth, ' ') + workflow_.tasks[task];
  fmt::print("{:<{}}  {:<10}  {}\n", name, width_, to_string(pipeline_.tasks[task].state), story_of(task));
}

/// Whose child it is, and its own ones with theirs: they are as deep as kChildDepthMax.
void PipelineTree::print_kin() const {
  const ParentImage& parent = pipeline_.traits->parent;
  if (!parent.empty()) fmt::print("child {} of {}\n", parent.name, parent.pipeline.to_string());
  std::multimap<Uuid, const PipelineImage*> children;
  for (const auto& [number, pipeline] : image_.pipelines()) {
    if (!pipeline.traits->parent.empty()) children.emplace(pipeline.traits->parent.pipeline, &pipeline);
  }
  const auto print_of = [&](const auto& self, const PipelineImage& of, std::size_t depth) -> void {
    const auto [first, last] = children.equal_range(of.id);
    for (auto child = first; child != last; ++child) {
      const PipelineImage& pipeline = *child->second;
      fmt::print("{}child {}: {} {} {}\n", std::string(2 * depth, ' '), pipeline.traits->parent.name,
                 pipeline.id.to_string(), image_.workflows().at(pipeline.workflow_no).name,
                 to_string(pipeline.state));
      if (depth < kChildDepthMax) self(self, pipeline, depth + 1);
    }
  };
  print_of(print_of, pipeline_, 0);
}

void PipelineTree::print() const {
  fmt::print("{} {}\n{}, created {}", pipeline_.id.to_string(), workflow_.name, to_string(pipeline_.state),
             date(pipeline_.created_ns));
  if (pipeline_.finished_ns != 0) fmt::print(", finished {}", after_start(pipeline_.finished_ns));
  fmt::print("\n");
  for (const auto& [name, value] : pipeline_.traits->signals) fmt::print("signal {}: {}\n", name, value);
  print_kin();
  // Depth first, without recursion: a chain may be as long as a workflow is.
  std::vector<std::pair<std::uint32_t, std::size_t>> rest;
  const auto push = [&rest](const std::vector<std::uint32_t>& tasks, std::size_t depth) {
    for (auto task = tasks.rbegin(); task != tasks.rend(); ++task) rest.emplace_back(*task, depth);
  };
  push(roots_, 0);
  while (!rest.empty()) {
    const auto [task, depth] = rest.back();
    rest.pop_back();
    print(task, depth);
    push(children_[task], depth + 1);
  }
}

void PipelineTree::print_json() const {
  using Json = nlohmann::ordered_json;
  Json json = {{"pipeline", pipeline_.id.to_string()},
               {"workflow", workflow_.name},
               {"state", to_string(pipeline_.state)},
               {"created_ns", pipeline_.created_ns},
               {"finished_ns", pipeline_.finished_ns}};
  const ParentImage& parent = pipeline_.traits->parent;
  if (!parent.empty()) json["child_of"] = {{"pipeline", parent.pipeline.to_string()}, {"name", parent.name}};
  if (const std::string& key = pipeline_.traits->concurrency_key; !key.empty()) json["concurrency_key"] = key;
  if (pipeline_.traits->deadline_ns != 0) json["deadline_ns"] = pipeline_.traits->deadline_ns;
  json["signals"] = Json::object();
  for (const auto& [name, value] : pipeline_.traits->signals)
    json["signals"][name] = Json::parse(value, nullptr, false);
  json["tasks"] = Json::array();
  for (std::uint32_t i = 0; i < pipeline_.tasks.size(); ++i) {
    const TaskImage& task = pipeline_.tasks[i];
    const TaskTimes::Times at = times_.of(pipeline_.pipeline_no, i);
    Json after = Json::array();
    for (const std::uint32_t dependency : shapes_[i].after) after.push_back(workflow_.tasks[dependency]);
    json["tasks"].push_back({{"task", workflow_.tasks[i]},
                             {"state", to_string(task.state)},
                             {"attempt", task.attempt},
                             {"rescues", task.rescues},
                             {"executor", executor_of(i)},
                             {"error", std::string_view(task.error)},
                             {"after", std::move(after)},
                             {"ready_ns", at.ready_ns},
                             {"started_ns", at.started_ns},
                             {"finished_ns", at.finished_ns},
                             {"story", story_of(i)}});
  }
  fmt::print("{}\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void print_json(const PipelineSummary& summary, std::string_view workflow) {
  const nlohmann::ordered_json json = {{"pipeline", summary.id.to_string()},
                                       {"workflow", workflow},
                                       {"state", to_string(summary.state)},
                                       {"created_ns", summary.created_ns},
                                       {"finished_ns", summary.finished_ns},
                                       {"completed", summary.completed},
                                       {"failed", summary.failed},
                                       {"skipped", summary.skipped},
                                       {"error", summary.error}};
  fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

/// Of a pipeline whose events are gone.
int print_summary(const Uuid& id, const std::string& store, RowFormat format) {
  bool found = false;
  const auto read =
      read_rocksdb_history(store, {.id = id}, [&](const PipelineSummary& summary, std::string_view workflow) {
        found = true;
        if (format == RowFormat::Json) return print_json(summary, workflow);
        fmt::print(
            "{} {}\n{}, created {}, finished +{}\nits {} tasks are forgotten: {} completed, {} failed, {} "
            "skipped\n",
            summary.id.to_string(), workflow, to_string(summary.state), date(summary.created_ns),
            seconds(summary.created_ns, summary.finished_ns), summary.tasks, summary.completed,
            summary.failed, summary.skipped);
      });
  if (!read) return fail(opening_failure(read.error()));
  if (found) return kGood;
  return fail(
      {kBadInput,
       fmt::format("{} remembers no pipeline {} (accepted: those that `leat inspect pipelines` lists)", store,
                   id.to_string())});
}

}  // namespace

int inspect_pipeline(const StoreImage& image, const TaskTimes& times, const Uuid& id,
                     const std::string& store, RowFormat format) {
  const auto found =
      std::ranges::find_if(image.pipelines(), [&id](const auto& entry) { return entry.second.id == id; });
  if (found == image.pipelines().end()) return print_summary(id, store, format);
  const PipelineTree tree(image, times, found->second);
  format == RowFormat::Json ? tree.print_json() : tree.print();
  return kGood;
}

}  // namespace leat::tools
