// Building workflows: what is refused, and what a built one knows about its graph.
#include "leat/workflow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace leat {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using Code = WorkflowErrorCode;

void nothing(TaskContext&) {}

Workflow built(const Workflow::Builder& builder) {
  auto workflow = builder.build();
  if (!workflow) throw std::runtime_error(workflow.error().message);
  return *workflow;
}

/// @return the error of a workflow that must be refused
WorkflowError refused(const Workflow::Builder& builder) {
  const auto workflow = builder.build();
  EXPECT_FALSE(workflow);
  return workflow ? WorkflowError{} : workflow.error();
}

/// One task with these options, waiting for `a`.
WorkflowError refused_options(TaskOptions options) {
  options.after = {"a"};
  return refused(Workflow::builder("w").task("a", nothing).task("b", nothing, std::move(options)));
}

Workflow::Builder diamond() {
  auto builder = Workflow::builder("etl");
  builder.task("extract", nothing)
      .task("left", nothing, {.after = {"extract"}})
      .task("right", nothing, {.after = {"extract"}})
      .task("load", nothing, {.after = {"right", "left"}});
  return builder;
}

TEST(Workflow, NamesItselfAndItsTasks) {  // rows 45, 190, 192
  const Workflow workflow = built(diamond());
  EXPECT_EQ(workflow.tenant(), "public");
  EXPECT_EQ(workflow.package(), "embedded");
  EXPECT_EQ(workflow.name(), "etl");
  EXPECT_EQ(workflow.full_name(), "public::embedded::etl");
  EXPECT_EQ(workflow.tasks()[0].name, "extract");
  EXPECT_EQ(workflow.tasks()[3].namespace_name, "public::embedded::etl::load");
  EXPECT_EQ(built(diamond().tenant("t").package("p")).tasks()[1].namespace_name, "t::p::etl::left");
}

TEST(Workflow, KeepsDependenciesInDeclaredOrderAndSuccessorsAscending) {  // row 122
  const Workflow workflow = built(diamond());
  EXPECT_THAT(workflow.tasks()[3].after, ElementsAre(2, 1));
  EXPECT_THAT(workflow.tasks()[0].successors, ElementsAre(1, 2));
  EXPECT_THAT(workflow.tasks()[3].successors, ElementsAre());
  EXPECT_THAT(workflow.roots(), ElementsAre(0));
}

TEST(Workflow, FindsTasksByNameAndByNamespace) {
  const Workflow workflow = built(diamond());
  EXPECT_EQ(workflow.find("load"), 3u);
  EXPECT_EQ(workflow.find("public::embedded::etl::load"), 3u);
  EXPECT_EQ(workflow.find("public::embedded::other::load"), std::nullopt);
  EXPECT_EQ(workflow.find("public::embedded::etl"), std::nullopt);
  EXPECT_EQ(workflow.find(""), std::nullopt);
}

TEST(Workflow, KeepsWhatATaskWasGiven) {
  const RetryPolicy retry{.max_attempts = 7, .patterns = {"deadlock"}};
  const Workflow workflow = built(
      Workflow::builder("w").definition("text").task("a").task("b", nothing,
                                                               {.after = {"a"},
                                                                .retry = retry,
                                                                .timeout = 5s,
                                                                .trigger = TriggerRule::all_done(),
                                                                .executor = "gpu",
                                                                .config = R"({ "z": 1, "a": [ 2 ] })"}));
  EXPECT_EQ(workflow.definition(), "text");
  EXPECT_FALSE(workflow.tasks()[0].function);
  EXPECT_EQ(workflow.tasks()[0].config, "{}");
  EXPECT_EQ(workflow.tasks()[0].retry, RetryPolicy());
  const TaskDefinition& b = workflow.tasks()[1];
  EXPECT_TRUE(b.function);
  EXPECT_EQ(b.retry, retry);
  EXPECT_EQ(b.timeout, 5s);
  EXPECT_EQ(b.trigger, TriggerRule::all_done());
  EXPECT_EQ(b.executor, "gpu");
  EXPECT_EQ(b.config, R"({"a":[2],"z":1})");
}

TEST(Workflow, OutlivesItsBuilderAndItsCopies) {
  std::optional<Workflow> copy;
  {
    const Workflow workflow = built(diamond());
    copy = workflow;
  }
  EXPECT_EQ(copy->tasks()[0].namespace_name, "public::embedded::etl::extract");
  EXPECT_EQ(copy->find("right"), 2u);
}

TEST(Workflow, BuilderMayBuildTwice) {
  auto builder = diamond();
  const Workflow first = built(builder);
  EXPECT_EQ(built(builder).version(), first.version());
  EXPECT_EQ(built(builder.task("more", nothing)).tasks().size(), 5u);
  EXPECT_EQ(first.tasks().size(), 4u);
}

TEST(WorkflowErrors, Cycle) {  // row 181
  const auto error = refused(Workflow::builder("w")
                                 .task("free", nothing)
                                 .task("b", nothing, {.after = {"a", "free"}})
                                 .task("a", nothing, {.after = {"c"}})
                                 .task("c", nothing, {.after = {"b"}})
                                 .task("behind", nothing, {.after = {"a"}}));
  EXPECT_EQ(error.code, Code::CyclicDependency);
  EXPECT_THAT(error.message, HasSubstr("b -> c -> a -> b"));  // b runs before c, c before a, a before b
}

TEST(WorkflowErrors, CycleSeenFromATaskBehindIt) {
  const auto error = refused(Workflow::builder("w")
                                 .task("behind", nothing, {.after = {"x"}})
                                 .task("x", nothing, {.after = {"y"}})
                                 .task("y", nothing, {.after = {"x"}}));
  EXPECT_THAT(error.message, HasSubstr(": x -> y -> x"));
}

TEST(WorkflowErrors, ATaskThatWaitsForItself) {
  const auto error = refused(Workflow::builder("w").task("a", nothing, {.after = {"a"}}));
  EXPECT_EQ(error.code, Code::CyclicDependency);
  EXPECT_THAT(error.message, HasSubstr("a -> a"));
}

TEST(WorkflowErrors, LongCyclesAreShortened) {
  auto builder = Workflow::builder("w");
  constexpr int kTasks = 100'000;
  for (int i = 0; i < kTasks; ++i) {
    builder.task(std::to_string(i), nothing, {.after = {std::to_string((i + kTasks - 1) % kTasks)}});
  }
  const auto error = refused(builder);
  EXPECT_EQ(error.code, Code::CyclicDependency);
  EXPECT_THAT(error.message, HasSubstr("0 -> 1 -> 2"));
  EXPECT_THAT(error.message, HasSubstr("... (100000 tasks)"));
  EXPECT_LT(error.message.size(), 400u);
}

TEST(WorkflowErrors, DuplicateTask) {  // row 182
  const auto error = refused(Workflow::builder("w").task("a", nothing).task("a", nothing));
  EXPECT_EQ(error.code, Code::DuplicateTask);
  EXPECT_THAT(error.message, HasSubstr("'a'"));
}

TEST(WorkflowErrors, Empty) {  // row 183
  EXPECT_EQ(refused(Workflow::builder("w")).code, Code::EmptyWorkflow);
}

TEST(WorkflowErrors, MissingDependencyNamesBoth) {  // rows 49, 184
  const auto error = refused(Workflow::builder("w").task("load", nothing, {.after = {"extrct"}}));
  EXPECT_EQ(error.code, Code::MissingDependency);
  EXPECT_THAT(error.message, HasSubstr("'load' waits for 'extrct'"));
}

TEST(WorkflowErrors, DuplicateDependency) {
  EXPECT_EQ(refused(Workflow::builder("w").task("a", nothing).task("b", nothing, {.after = {"a", "a"}})).code,
            Code::DuplicateDependency);
}

TEST(WorkflowErrors, Names) {  // rows 191, 193
  for (const char* name : {"", "a::b", "::", ":a", "a:", ":"}) {
    EXPECT_EQ(refused(Workflow::builder("w").task(name, nothing)).code, Code::InvalidName) << name;
    EXPECT_EQ(refused(Workflow::builder(name).task("a", nothing)).code, Code::InvalidName) << name;
    EXPECT_EQ(refused(Workflow::builder("w").tenant(name).task("a", nothing)).code, Code::InvalidName)
        << name;
    EXPECT_EQ(refused(Workflow::builder("w").package(name).task("a", nothing)).code, Code::InvalidName)
        << name;
  }
  EXPECT_TRUE(Workflow::builder("w").task("a:b", nothing).build());
}

TEST(WorkflowErrors, NamespacesOfMoreThan512Bytes) {
  const std::size_t prefix = std::string_view("public::embedded::w::").size();
  EXPECT_TRUE(Workflow::builder("w").task(std::string(512 - prefix, 'x'), nothing).build());
  const auto error = refused(Workflow::builder("w").task(std::string(513 - prefix, 'x'), nothing));
  EXPECT_EQ(error.code, Code::InvalidName);
  EXPECT_THAT(error.message, HasSubstr("513 bytes, the limit is 512"));
  EXPECT_LT(error.message.size(), 300u);
}

TEST(WorkflowErrors, RetryPoliciesThatCannotBe) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  EXPECT_THAT(refused_options({.retry = {.max_attempts = 0}}).message, HasSubstr("'b': retry: max_attempts"));
  EXPECT_EQ(refused_options({.retry = {.initial = -1s}}).code, Code::InvalidOption);
  EXPECT_EQ(refused_options({.retry = {.multiplier = -1.0}}).code, Code::InvalidOption);
  EXPECT_EQ(refused_options({.retry = {.base = kInfinite}}).code, Code::InvalidOption);
  EXPECT_EQ(refused_options({.retry = {.cap = -1s}}).code, Code::InvalidOption);
  EXPECT_EQ(refused_options({.retry = {.patterns = {""}}}).code, Code::InvalidOption);
}

TEST(WorkflowErrors, TimeoutsAndConfigsThatCannotBe) {
  EXPECT_EQ(refused_options({.timeout = -1ns}).code, Code::InvalidOption);
  EXPECT_THAT(refused_options({.config = "{"}).message, HasSubstr("'b': config: no JSON at byte"));
  EXPECT_EQ(refused_options({.config = ""}).code, Code::InvalidOption);
  EXPECT_THAT(refused_options({.config = std::string(kContextBytesMax + 1, ' ')}).message,
              HasSubstr("the limit is"));
}

TEST(WorkflowErrors, TriggerRulesAboutOtherTasks) {
  const auto about = [](std::string name) {
    return Workflow::builder("w")
        .task("a", nothing)
        .task("other", nothing)
        .task("b", nothing,
              {.after = {"a"}, .trigger = TriggerRule::any({TriggerRule::task_success(std::move(name))})})
        .build();
  };
  EXPECT_TRUE(about("a"));
  EXPECT_TRUE(about("public::embedded::w::a"));
  for (const char* name : {"other", "b", "nobody", ""}) {
    const auto workflow = about(name);
    ASSERT_FALSE(workflow) << name;
    EXPECT_EQ(workflow.error().code, Code::InvalidTrigger);
    EXPECT_THAT(workflow.error().message, HasSubstr("not one of its dependencies"));
  }
}

TEST(WorkflowErrors, TriggerRulesNestedTooDeep) {
  TriggerRule rule;
  for (std::size_t i = 0; i < kTriggerDepthMax; ++i) rule = TriggerRule::all({rule});
  EXPECT_EQ(refused_options({.trigger = rule}).code, Code::InvalidTrigger);
}

TEST(WorkflowGraph, TopologicalOrder) {  // row 185
  const Workflow workflow = built(Workflow::builder("w")
                                      .task("t3", nothing, {.after = {"t1", "t2"}})
                                      .task("t2", nothing, {.after = {"t1"}})
                                      .task("t1", nothing));
  EXPECT_THAT(workflow.topological_order(), ElementsAre(2, 1, 0));
}

TEST(WorkflowGraph, Levels) {  // row 186
  const Workflow workflow = built(Workflow::builder("w")
                                      .task("t1", nothing)
                                      .task("t2", nothing)
                                      .task("t3", nothing, {.after = {"t1", "t2"}})
                                      .task("t4", nothing, {.after = {"t3"}}));
  EXPECT_THAT(workflow.levels(), ElementsAre(ElementsAre(0, 1), ElementsAre(2), ElementsAre(3)));
}

TEST(WorkflowGraph, Parallel) {  // row 187
  const Workflow workflow = built(
      Workflow::builder("w").task("t1", nothing).task("t2", nothing).task("t3", nothing, {.after = {"t1"}}));
  EXPECT_TRUE(workflow.are_parallel(0, 1));
  EXPECT_FALSE(workflow.are_parallel(0, 2));
  EXPECT_FALSE(workflow.are_parallel(2, 0));
  EXPECT_TRUE(workflow.are_parallel(1, 2));
  EXPECT_FALSE(workflow.are_parallel(1, 1));
}

TEST(WorkflowGraph, Subgraph) {  // row 188
  const Workflow workflow = built(
      Workflow::builder("w").task("t1", nothing).task("t2", nothing, {.after = {"t1"}}).task("t3", nothing));
  EXPECT_THAT(workflow.subgraph(1), ElementsAre(0, 1));
  EXPECT_THAT(workflow.subgraph(2), ElementsAre(2));
}

TEST(WorkflowNames, OfErrorsAreTheEnumerators) {
  EXPECT_EQ(to_string(Code::EmptyWorkflow), "EmptyWorkflow");
  EXPECT_EQ(to_string(Code::LimitExceeded), "LimitExceeded");
}

}  // namespace
}  // namespace leat
