// A workflow's version: the same for the same content, another for any other.
#include <gtest/gtest.h>

#include <set>

#include "leat/workflow.h"

namespace leat {
namespace {

using namespace std::chrono_literals;

void nothing(TaskContext&) {}

std::uint64_t version(const Workflow::Builder& builder) {
  const auto workflow = builder.build();
  EXPECT_TRUE(workflow) << workflow.error().message;
  return workflow ? workflow->version() : 0;
}

std::uint64_t version_with(TaskOptions options) {
  options.after.insert(options.after.begin(), "a");
  return version(
      Workflow::builder("w").task("a", nothing).task("c", nothing).task("b", nothing, std::move(options)));
}

TEST(WorkflowVersion, IsTheSameForTheSameContent) {  // row 189
  EXPECT_EQ(version_with({.timeout = 1s}), version_with({.timeout = 1000ms}));
  EXPECT_EQ(version_with({.config = R"({"a":1,"b":2})"}), version_with({.config = R"({ "b": 2, "a": 1 })"}));
  EXPECT_EQ(version_with({.trigger = *TriggerRule::parse("all_done")}),
            version_with({.trigger = TriggerRule::all_done()}));
}

TEST(WorkflowVersion, IsAnotherForEveryDifference) {
  const std::vector<std::uint64_t> versions = {
      version_with({}),
      version_with({.after = {"c"}}),
      version_with({.retry = {.max_attempts = 4}}),
      version_with({.retry = {.backoff = Backoff::Linear}}),
      version_with({.retry = {.initial = 2s}}),
      version_with({.retry = {.multiplier = 2.0}}),
      version_with({.retry = {.base = 3.0}}),
      version_with({.retry = {.cap = 61s}}),
      version_with({.retry = {.jitter = false}}),
      version_with({.retry = {.on = RetryOn::Never}}),
      version_with({.retry = {.patterns = {"x"}}}),
      version_with({.retry = {.patterns = {"x", "y"}}}),
      version_with({.retry = {.patterns = {"xy"}}}),
      version_with({.timeout = 1s}),
      version_with({.queue_timeout = 1s}),
      version_with({.total_timeout = 1s}),
      version_with({.trigger = TriggerRule::all_done()}),
      version_with({.trigger = TriggerRule::task_failed("a")}),
      version_with({.executor = "gpu"}),
      version_with({.config = "[]"}),
      version_with({.config = "\"gpu\""}),
  };
  EXPECT_EQ(std::set(versions.begin(), versions.end()).size(), versions.size());
}

TEST(WorkflowVersion, IsAnotherForEveryName) {
  const auto named = [](const char* tenant, const char* package, const char* name, const char* task) {
    return Workflow::builder(name).tenant(tenant).package(package).task(task, nothing);
  };
  const std::set<std::uint64_t> versions = {
      version(named("t", "p", "w", "a")),
      version(named("u", "p", "w", "a")),
      version(named("t", "q", "w", "a")),
      version(named("t", "p", "v", "a")),
      version(named("t", "p", "w", "b")),
      version(named("tp", "p", "w", "a")),
      version(named("t", "p", "wa", "a")),
      version(named("t", "p", "w", "a").version_tag("1")),
      version(named("t", "p", "w", "a").definition("1")),
      version(Workflow::builder("w").tenant("t").package("p").task("a", nothing).task("b", nothing)),
      version(Workflow::builder("w").tenant("t").package("p").task("b", nothing).task("a", nothing)),
  };
  EXPECT_EQ(versions.size(), 11u);
}

TEST(WorkflowVersion, DependsOnTheOrderOfDependencies) {  // it decides how contexts merge
  const auto after = [](std::vector<std::string> names) {
    return version(
        Workflow::builder("w").task("a", nothing).task("b", nothing).task("c", nothing, {.after = names}));
  };
  EXPECT_NE(after({"a", "b"}), after({"b", "a"}));
}

TEST(WorkflowVersion,
     IsStableAcrossBuilds) {  // stored with pipelines: whoever changes it renames the encoding
  const auto builder = Workflow::builder("etl")
                           .task("extract", nothing)
                           .task("load", nothing,
                                 {.after = {"extract"},
                                  .retry = {.max_attempts = 5, .patterns = {"deadlock"}},
                                  .timeout = 30s,
                                  .trigger = TriggerRule::none_failed(),
                                  .executor = "db",
                                  .config = R"({"table":"rows"})"});
  EXPECT_EQ(version(builder), 10698181409366581072u);
}

}  // namespace
}  // namespace leat
