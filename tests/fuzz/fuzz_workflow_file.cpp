// libFuzzer: any bytes as a file that leat reads, the first one saying of which kind: TOML, ROUTES.toml,
// rules, WfFormat, or the definition that a store keeps. What is accepted is built, and written down and read
// again as the same.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "leat/router.h"
#include "rules_file.h"
#include "workflow_file_toml.h"
#include "workflow_file_wfformat.h"
#include "workflow_plan.h"

namespace leat::tools {
namespace {

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz_workflow_file: %s\n", what);
  std::abort();
}

/// A message is one line that names the file.
void check(const std::string& message) {
  require(message.find("f.x") != std::string::npos, "a message without its file");
}

void keep(const WorkflowPlan& plan, const RunSettings& settings) {
  const std::string definition = to_definition(plan, settings);
  const auto built = build_workflow(plan, definition);
  const auto again = parse_definition(definition);
  require(again.has_value(), "what is written is not read");
  require(to_definition(again->plan, again->settings) == definition, "a definition is not stable");
  if (built) require(build_workflow(again->plan, definition).has_value(), "a stored workflow is not built");
}

void read_workflow(std::string_view text) {
  const auto file = parse_toml("f.x", text, TomlForm::Workflow);
  if (!file) return check(file.error());
  RunSettings settings;
  settings.executors = file->executors;
  for (const RoutingRule& rule : file->routes.rules) settings.routing.with_rule(rule);
  keep(*file->workflow, settings);
}

void read_rules(std::string_view text) {
  const auto file = parse_rules_toml("f.x", text);
  if (!file) return check(file.error());
  NamespaceTable names;
  const auto router = Router::make(file->config(), names);
  if (!router) return check(file->located(router.error()));
  (void)(*router)->resolve("a::b::c::d", 7);
}

}  // namespace
}  // namespace leat::tools

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace leat::tools;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] == 'w') {
    read_workflow(text);
  } else if (data[0] == 'r') {
    read_rules(text);
  } else if (data[0] == 't') {
    if (const auto file = parse_toml("f.x", text, TomlForm::RoutesOnly); !file) check(file.error());
  } else if (data[0] == 'j') {
    const auto plan = parse_wfformat("f.x", text);
    plan ? keep(*plan, RunSettings()) : check(plan.error());
  } else if (const auto run = parse_definition(text)) {
    keep(run->plan, run->settings);
  }
  return 0;
}
