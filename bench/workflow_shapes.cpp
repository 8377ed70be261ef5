#include "workflow_shapes.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bench_runner.h"
#include "tally.h"

namespace leat::bench {
namespace {

void count_task(TaskContext& /*task*/) {
  Tally::add_one();
}

Workflow build(const Workflow::Builder& builder) {
  return take(builder.build(), "workflow");
}

/// A task's number as a name.
std::string numbered(std::string_view stem, std::size_t number) {
  return std::string(stem) + "_" + std::to_string(number);
}

NamedWorkflow read_wfformat(const std::filesystem::path& file) {
  std::ifstream stream(file);
  const auto root = nlohmann::json::parse(stream);
  Workflow::Builder builder(file.stem().string());
  const auto& tasks = root.at("workflow").at("specification").at("tasks");
  const auto names = [](const nlohmann::json& task, const char* list) {
    return task.value(list, std::vector<std::string>());
  };
  // An edge may be told at either end, or at both.
  std::map<std::string, std::set<std::string>> parents;
  for (const auto& task : tasks) {
    const auto id = task.at("id").get<std::string>();
    for (const std::string& parent : names(task, "parents")) parents[id].insert(parent);
    for (const std::string& child : names(task, "children")) parents[child].insert(id);
  }
  for (const auto& task : tasks) {
    const auto id = task.at("id").get<std::string>();
    builder.task(id, &count_task, {.after = {parents[id].begin(), parents[id].end()}});
  }
  return {.name = file.stem().string(), .workflow = build(builder)};
}

/// Montage, `width` images wide: project each, fit each to its neighbours, one model of the background,
/// correct each, then a short tail. About 5 x width tasks.
NamedWorkflow make_montage(std::size_t width) {
  Workflow::Builder builder("montage");
  std::vector<std::string> fits;
  for (std::size_t i = 0; i < width; ++i) builder.task(numbered("project", i), &count_task);
  for (std::size_t i = 0; i < width; ++i) {
    for (const std::size_t step : {1, 2, 3}) {
      const std::size_t neighbour = (i + step) % width;
      fits.push_back(numbered("fit", fits.size()));
      builder.task(fits.back(), &count_task,
                   {.after = {numbered("project", i), numbered("project", neighbour)}});
    }
  }
  builder.task("concat", &count_task, {.after = fits});
  builder.task("model", &count_task, {.after = {"concat"}});
  std::vector<std::string> corrected;
  for (std::size_t i = 0; i < width; ++i) {
    corrected.push_back(numbered("background", i));
    builder.task(corrected.back(), &count_task, {.after = {numbered("project", i), "model"}});
  }
  builder.task("table", &count_task, {.after = corrected});
  builder.task("add", &count_task, {.after = {"table"}});
  builder.task("view", &count_task, {.after = {"add"}});
  return {.name = "generated-montage", .workflow = build(builder)};
}

}  // namespace

Workflow make_diamond() {
  return build(Workflow::builder("diamond")
                   .task("setup", &count_task)
                   .task("left", &count_task, {.after = {"setup"}})
                   .task("middle", &count_task, {.after = {"setup"}})
                   .task("right", &count_task, {.after = {"setup"}})
                   .task("merge", &count_task, {.after = {"left", "middle", "right"}}));
}

Workflow make_chain(std::size_t length) {
  Workflow::Builder builder("chain");
  for (std::size_t i = 0; i < length; ++i) {
    TaskOptions options;
    if (i > 0) options.after.push_back(numbered("link", i - 1));
    builder.task(numbered("link", i), &count_task, std::move(options));
  }
  return build(builder);
}

Workflow make_fan_out(std::size_t width) {
  Workflow::Builder builder("fan_out");
  builder.task("split", &count_task);
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < width; ++i) {
    parts.push_back(numbered("part", i));
    builder.task(parts.back(), &count_task, {.after = {"split"}});
  }
  return build(builder.task("join", &count_task, {.after = std::move(parts)}));
}

std::vector<NamedWorkflow> load_workflow_instances() {
  std::vector<NamedWorkflow> instances;
  if (const char* shared = std::getenv("LEAT_SHARED_DIR"); shared != nullptr) {
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(shared) / "data/wfinstances")) {
      if (entry.path().extension() == ".json") instances.push_back(read_wfformat(entry.path()));
    }
    std::sort(instances.begin(), instances.end(),
              [](const NamedWorkflow& a, const NamedWorkflow& b) { return a.name < b.name; });
  }
  if (instances.empty()) instances.push_back(make_montage(345));  // 1,730 tasks
  return instances;
}

}  // namespace leat::bench
