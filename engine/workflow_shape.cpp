#include "workflow_shape.h"

#include <cstddef>
#include <nlohmann/json.hpp>

#include "leat/workflow_shape.h"

namespace leat {
namespace {

constexpr std::size_t kShapeBytesMax = std::size_t{1} << 20;
// About what a task, and a dependency, take.
constexpr std::size_t kTaskBytes = 12, kEdgeBytes = 6;

nlohmann::json shape_of(const Workflow& workflow, const TaskDefinition& task) {
  nlohmann::json json = nlohmann::json::object();
  if (!task.after.empty()) json["after"] = task.after;
  if (task.trigger != TriggerRule()) json["trigger"] = nlohmann::json::parse(task.trigger.to_json());
  if (task.signal) json["signal"] = workflow.signals()[*task.signal].name;
  if (!task.executor.empty()) json["executor"] = task.executor;
  return json;
}

}  // namespace

std::string definition_to_store(const Workflow& workflow) {
  std::string text(workflow.definition());
  std::size_t bytes = 0;
  for (const TaskDefinition& task : workflow.tasks()) bytes += kTaskBytes + kEdgeBytes * task.after.size();
  if (bytes > kShapeBytesMax) return text;
  auto tasks = nlohmann::json::array();
  bool says_something = false;
  for (const TaskDefinition& task : workflow.tasks()) {
    tasks.push_back(shape_of(workflow, task));
    says_something = says_something || !tasks.back().empty();
  }
  if (!says_something) return text;
  const nlohmann::json shape = {{"leat_shape", 1}, {"tasks", std::move(tasks)}};
  const std::string shape_text = shape.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (shape_text.size() > kShapeBytesMax) return text;
  return text + '\0' + shape_text;
}

}  // namespace leat
