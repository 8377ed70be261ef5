#include "inspect_pipeline.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "exit_status.h"
#include "leat/history.h"
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

class PipelineTree {
 public:
  PipelineTree(const StoreImage& image, const TaskTimes& times, const PipelineImage& pipeline);
  void print() const;

 private:
  std::optional<std::uint32_t> parent_of(std::uint32_t task) const;
  std::vector<std::uint32_t> open_dependencies(std::uint32_t task) const;
  std::string story_of(std::uint32_t task) const;
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
  std::vector<std::vector<std::uint32_t>> dependencies_;  // by task; empty: the store does not know them
  std::vector<std::string> signals_;                      // by task: what it waits for besides; as above
  std::vector<std::vector<std::uint32_t>> children_;      // by task
  std::vector<std::uint32_t> roots_;
};

PipelineTree::PipelineTree(const StoreImage& image, const TaskTimes& times, const PipelineImage& pipeline)
    : image_(image),
      times_(times),
      pipeline_(pipeline),
      workflow_(image.workflows().at(pipeline.workflow_no)),
      dependencies_(pipeline.tasks.size()),
      signals_(pipeline.tasks.size()),
      children_(pipeline.tasks.size()) {
  if (const auto run = parse_definition(workflow_.definition)) {
    std::unordered_map<std::string_view, std::uint32_t> numbers;
    for (std::uint32_t i = 0; i < workflow_.tasks.size(); ++i) numbers.emplace(workflow_.tasks[i], i);
    for (const TaskPlan& task : run->plan.tasks) {
      const auto number = numbers.find(task.name);
      if (number != numbers.end()) signals_[number->second] = task.options.signal;
      for (const std::string& name : task.options.after) {
        const auto dependency = numbers.find(name);
        if (number == numbers.end() || dependency == numbers.end())
          continue;  // not the text of this workflow
        dependencies_[number->second].push_back(dependency->second);
      }
    }
  }
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
  std::ranges::copy_if(dependencies_[task], std::back_inserter(open), [this](std::uint32_t dependency) {
    return !is_terminal(pipeline_.tasks[dependency].state);
  });
  return open;
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
      const std::string& signal = signals_[number];
      const std::string text = "the signal " + signal;
      if (!signal.empty() && !pipeline_.traits->signals.contains(signal)) names.push_back(text);
      return names.empty() ? "waits for what it depends on"
                           : fmt::format("waits for {}", fmt::join(names, ", "));
    }
    case TaskState::Ready:
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
      return "its trigger rule was false";
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

/// Of a pipeline whose events are gone.
int print_summary(const Uuid& id, const std::string& store) {
  bool found = false;
  const auto read =
      read_rocksdb_history(store, {.id = id}, [&](const PipelineSummary& summary, std::string_view workflow) {
        found = true;
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
                     const std::string& store) {
  const auto found =
      std::ranges::find_if(image.pipelines(), [&id](const auto& entry) { return entry.second.id == id; });
  if (found == image.pipelines().end()) return print_summary(id, store);
  PipelineTree(image, times, found->second).print();
  return kGood;
}

}  // namespace leat::tools
