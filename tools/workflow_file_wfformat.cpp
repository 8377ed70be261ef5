#include "workflow_file_wfformat.h"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

#include "duration_text.h"
#include "json_input.h"

namespace leat::tools {
namespace {

using Json = nlohmann::json;
using Indices = std::unordered_map<std::string_view, std::size_t>;

/// A value as a message quotes it: on one line, not for ever.
std::string quoted(const Json& value) {
  constexpr std::size_t kBytesMax = 80;
  std::string text = value.dump(-1, ' ', true);
  if (text.size() > kBytesMax) text = text.substr(0, kBytesMax) + "...";
  return text;
}

/// Reads one trace. Each step says nothing on success, or one line.
class WfFormatReader {
 public:
  WfFormatReader(const std::string& path, const Json& root) : path_(path), root_(root) {}

  std::expected<WorkflowPlan, std::string> read() {
    std::expected<void, std::string> step = read_names();
    if (step) step = read_tasks();
    if (step) step = read_edges();
    if (step) step = read_run_times();
    if (!step) return std::unexpected(std::move(step.error()));
    for (std::size_t i = 0; i < plan_.tasks.size(); ++i) {
      TaskOptions& options = plan_.tasks[i].options;
      options.config = Json{{"sleep_ns", run_times_[i].count()}}.dump();
    }
    return std::move(plan_);
  }

 private:
  std::unexpected<std::string> wrong(const std::string& pointer, std::string_view what) const {
    return std::unexpected(fmt::format("{}: {}: {}", path_, pointer.empty() ? "/" : pointer, what));
  }

  /// @return the value at `pointer`, or null where it is absent
  const Json* find(const std::string& pointer) const {
    const Json::json_pointer where(pointer);
    return root_.contains(where) ? &root_.at(where) : nullptr;
  }

  std::expected<void, std::string> read_names() {
    if (!root_.is_object()) return wrong("", "not an object (accepted: a WfFormat 1.5 workflow)");
    if (const Json* version = find("/schemaVersion"); version != nullptr && *version != "1.5") {
      return wrong("/schemaVersion", fmt::format("{} (accepted: \"1.5\")", quoted(*version)));
    }
    const std::string stem = std::filesystem::path(path_).stem().string();
    plan_.package = stem;
    plan_.name = stem;
    plan_.place = path_;
    if (const Json* name = find("/name")) {
      if (!name->is_string()) return wrong("/name", "not a string (accepted: the workflow's name)");
      if (!name->get_ref<const std::string&>().empty()) plan_.name = name->get<std::string>();
    }
    return {};
  }

  std::expected<void, std::string> read_tasks() {
    const Json* tasks = find(kTasks);
    if (tasks == nullptr || !tasks->is_array() || tasks->empty()) {
      return wrong(kTasks, "missing or empty (accepted: an array of tasks)");
    }
    for (std::size_t i = 0; i < tasks->size(); ++i) {
      const std::string place = fmt::format("{}/{}", kTasks, i);
      const Json& task = (*tasks)[i];
      const auto id = task.is_object() ? task.find("id") : task.end();
      if (!task.is_object() || id == task.end() || !id->is_string()) {
        return wrong(place + "/id", "missing or not a string (accepted: a string)");
      }
      const std::string& name = id->get_ref<const std::string&>();
      if (name.empty() || name.find("::") != std::string::npos) {
        return wrong(place + "/id", fmt::format("{} (accepted: a name without \"::\")", quoted(*id)));
      }
      if (!indices_.emplace(name, i).second) {
        return wrong(place + "/id",
                     fmt::format("{} is the id of another task too (accepted: unique ids)", quoted(*id)));
      }
      plan_.tasks.push_back({.name = name, .options = {}, .place = fmt::format("{}: {}", path_, place)});
    }
    return {};
  }

  /// Calls `visit` with the index of each task that the list `key` of task `task` names.
  template <class Visit>
  std::expected<void, std::string> each_named(std::size_t task, const char* key, const Visit& visit) {
    const Json& json = root_.at(Json::json_pointer(kTasks))[task];
    const auto list = json.find(key);
    if (list == json.end()) return {};
    const std::string place = fmt::format("{}/{}/{}", kTasks, task, key);
    if (!list->is_array()) return wrong(place, "not an array (accepted: an array of task ids)");
    for (std::size_t i = 0; i < list->size(); ++i) {
      const Json& id = (*list)[i];
      const auto named = id.is_string() ? indices_.find(id.get_ref<const std::string&>()) : indices_.end();
      if (named == indices_.end()) {
        return wrong(fmt::format("{}/{}", place, i),
                     fmt::format("{} is no task (accepted: an id of this file)", quoted(id)));
      }
      visit(named->second);
    }
    return {};
  }

  /// An edge counts whether the parent, the child or both tell of it.
  std::expected<void, std::string> read_edges() {
    std::vector<std::vector<std::size_t>> parents(plan_.tasks.size());
    for (std::size_t task = 0; task < parents.size(); ++task) {
      auto step = each_named(task, "parents", [&](std::size_t parent) { parents[task].push_back(parent); });
      if (step)
        step = each_named(task, "children", [&](std::size_t child) { parents[child].push_back(task); });
      if (!step) return step;
    }
    std::vector<std::size_t> seen_by(plan_.tasks.size(), plan_.tasks.size());
    for (std::size_t task = 0; task < parents.size(); ++task) {
      for (const std::size_t parent : parents[task]) {
        if (std::exchange(seen_by[parent], task) == task) continue;
        plan_.tasks[task].options.after.push_back(plan_.tasks[parent].name);
      }
    }
    return {};
  }

  /// Tasks without a record take no time.
  std::expected<void, std::string> read_run_times() {
    run_times_.resize(plan_.tasks.size());
    const std::string records_at = "/workflow/execution/tasks";
    const Json* records = find(records_at);
    if (records == nullptr) return {};
    if (!records->is_array()) return wrong(records_at, "not an array (accepted: an array of executions)");
    for (std::size_t i = 0; i < records->size(); ++i) {
      const Json& record = (*records)[i];
      const std::string place = fmt::format("{}/{}", records_at, i);
      const auto id = record.is_object() ? record.find("id") : record.end();
      if (!record.is_object() || id == record.end() || !id->is_string()) {
        return wrong(place + "/id", "missing or not a string (accepted: a task's id)");
      }
      const auto named = indices_.find(id->get_ref<const std::string&>());
      const auto seconds = record.find("runtimeInSeconds");
      if (named == indices_.end() || seconds == record.end()) continue;
      if (!seconds->is_number()) {
        return wrong(place + "/runtimeInSeconds", fmt::format("{} (accepted: a number)", quoted(*seconds)));
      }
      const auto duration = duration_of_seconds(seconds->get<double>());
      if (!duration) return wrong(place + "/runtimeInSeconds", duration.error());
      run_times_[named->second] = *duration;
    }
    return {};
  }

  static constexpr const char* kTasks = "/workflow/specification/tasks";

  const std::string& path_;
  const Json& root_;
  WorkflowPlan plan_;
  Indices indices_;  ///< by id; the views are into root_
  std::vector<std::chrono::nanoseconds> run_times_;
};

}  // namespace

std::expected<WorkflowPlan, std::string> parse_wfformat(const std::string& path, std::string_view text) {
  const auto root = parse_json_input(text);
  if (!root)
    return std::unexpected(fmt::format("{}: {} (accepted: a WfFormat 1.5 workflow)", path, root.error()));
  return WfFormatReader(path, *root).read();
}

}  // namespace leat::tools
