// The two file forms: what they mean, and that each thing wrong in them is one line with its place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "duration_text.h"
#include "text_file.h"
#include "workflow_file_toml.h"
#include "workflow_file_wfformat.h"
#include "workflow_plan.h"

namespace leat::tools {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::expected<TomlFile, std::string> toml(std::string_view text) {
  return parse_toml("w.toml", text, TomlForm::Workflow);
}

/// A workflow of one task that consists of `body`.
std::string one_task(std::string_view body) {
  return "[workflow]\nname = \"w\"\n[[task]]\n" + std::string(body);
}

TaskOptions options_of(std::string_view body) {
  const auto file = toml(one_task("name = \"a\"\n" + std::string(body)));
  if (!file) {
    ADD_FAILURE() << file.error();
    return {};
  }
  return file->workflow->tasks.at(0).options;
}

TEST(DurationText, ReadsEveryUnit) {
  EXPECT_EQ(parse_duration("7ns"), 7ns);
  EXPECT_EQ(parse_duration("200us"), 200us);
  EXPECT_EQ(parse_duration("0ms"), 0ms);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("2m"), 120s);
  EXPECT_EQ(parse_duration("0.5h"), 30min);
}

TEST(DurationText, RefusesEverythingElse) {
  for (const char* text : {"", "s", "5", "-1s", "1 s", "1s ", " 1s", "1d", "1e3s", "nans", "infs", "1S",
                           "400000000h", "0x1s", "1.5.2s"}) {
    const auto duration = parse_duration(text);
    ASSERT_FALSE(duration.has_value()) << text;
    EXPECT_THAT(duration.error(), HasSubstr("accepted: ")) << text;
  }
}

TEST(DurationText, ShowsThreeDigits) {
  EXPECT_EQ(format_duration(0ns), "0");
  EXPECT_EQ(format_duration(999ns), "999 ns");
  EXPECT_EQ(format_duration(1234ns), "1.23 us");
  EXPECT_EQ(format_duration(56789us), "56.8 ms");
  EXPECT_EQ(format_duration(123456ms), "123 s");
}

TEST(WorkflowFileToml, ReadsNamesAndDefaults) {
  const auto file = toml(one_task("name = \"a\"\nrun = [\"true\"]\n"));
  ASSERT_TRUE(file.has_value()) << file.error();
  const WorkflowPlan& plan = *file->workflow;
  EXPECT_EQ(plan.tenant + "::" + plan.package + "::" + plan.name, "public::embedded::w");
  const TaskOptions& options = plan.tasks.at(0).options;
  EXPECT_EQ(options.config, R"({"run":["true"]})");
  EXPECT_EQ(options.retry, RetryPolicy{});
  EXPECT_EQ(options.timeout, 0ns);
  EXPECT_EQ(options.trigger.kind(), TriggerRule::Kind::AllSuccess);
  EXPECT_EQ(options.executor, "");
}

TEST(WorkflowFileToml, ReadsEveryOptionOfATask) {
  const TaskOptions options = options_of(R"(
busy = "200us"
timeout = "30s"
executor = "gpu"
retry = {max_attempts = 7, backoff = "linear", initial = "10ms", cap = "2s", jitter = false}
config = {model = "small", depth = 3, nested = {on = true}}
)");
  EXPECT_EQ(options.config, R"({"busy_ns":200000,"depth":3,"model":"small","nested":{"on":true}})");
  EXPECT_EQ(options.timeout, 30s);
  EXPECT_EQ(options.executor, "gpu");
  EXPECT_EQ(options.retry,
            (RetryPolicy{
                .max_attempts = 7, .backoff = Backoff::Linear, .initial = 10ms, .cap = 2s, .jitter = false}));
}

/// All that a policy may say.
constexpr std::string_view kWholeRetry = R"([task.retry]
max_attempts = 7
backoff = "fixed"
initial = "10ms"
multiplier = 1.5
base = 3.0
cap = "2s"
jitter = false
on = "transient_only"
patterns = ["deadlock", "lock timeout"]
max_age = "1h"
[[task.retry.classes]]
class = "Timeout"
max_attempts = 2
backoff = "linear"
initial = "1m"
multiplier = 2.0
base = 4.0
cap = "5m"
[[task.retry.classes]]
class = "Infrastructure"
)";

TEST(WorkflowFileToml, ReadsAWholeRetryPolicy) {
  EXPECT_EQ(options_of("sleep = \"1s\"\n" + std::string(kWholeRetry)).retry,
            (RetryPolicy{.max_attempts = 7,
                         .backoff = Backoff::Fixed,
                         .initial = 10ms,
                         .multiplier = 1.5,
                         .base = 3.0,
                         .cap = 2s,
                         .jitter = false,
                         .on = RetryOn::TransientOnly,
                         .patterns = {"deadlock", "lock timeout"},
                         .classes = {{.error_class = TaskError::Class::Timeout,
                                      .max_attempts = 2,
                                      .backoff = Backoff::Linear,
                                      .initial = 1min,
                                      .multiplier = 2.0,
                                      .base = 4.0,
                                      .cap = 5min},
                                     {.error_class = TaskError::Class::Infrastructure}},
                         .max_age = 1h}));
}

TEST(WorkflowFileToml, RefusesAPolicyThatCannotBe) {
  for (const char* retry : {"on = 'sometimes'", "classes = [{class = 'timeout'}]", "classes = 3",
                            "classes = [{class = 'Task', jitter = true}]", "max_age = 3"}) {
    const auto file = toml(one_task("name = 'a'\nsleep = '1s'\nretry = {" + std::string(retry) + "}\n"));
    ASSERT_FALSE(file.has_value()) << retry;
    EXPECT_THAT(file.error(), testing::AllOf(StartsWith("w.toml:6:"), HasSubstr("accepted: "))) << retry;
  }
}

TEST(WorkflowFileToml, LetsATaskDropToMemoryAndNoFurther) {
  EXPECT_EQ(options_of("sleep = \"1s\"\n").durability, std::nullopt);
  EXPECT_EQ(options_of("sleep = \"1s\"\ndurability = \"memory\"\n").durability, Durability::Memory);
  const auto refused = toml(one_task("name = \"a\"\nsleep = \"1s\"\ndurability = \"disk\"\n"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("accepted: \"memory\"; else it has the run's"));
}

TEST(WorkflowFileToml, ReadsTriggersAsWordsAndTables) {
  EXPECT_EQ(options_of("sleep = \"1s\"\ntrigger = \"all_done\"").trigger, TriggerRule::all_done());
  EXPECT_EQ(options_of("sleep = \"1s\"\ntrigger = \"none_failed\"").trigger, TriggerRule::none_failed());
  EXPECT_EQ(
      options_of(
          "sleep = \"1s\"\ntrigger = {type = \"Any\", conditions = [{type = \"TaskFailed\", task_name = "
          "\"b\"}]}")
          .trigger,
      TriggerRule::any({TriggerRule::task_failed("b")}));
}

TEST(WorkflowFileToml, ReadsExecutorsWithTheirPlaces) {
  const auto file =
      toml("[executors.gpu]\nkind = \"thread\"\nmax_concurrent = 2\n[executors.io]\nmax_queued = 0\n" +
           one_task("name = \"a\"\nsleep = \"1s\"\n"));
  ASSERT_TRUE(file.has_value()) << file.error();
  ASSERT_EQ(file->executors.size(), 2);
  EXPECT_EQ(file->executors[0].key, "gpu");
  EXPECT_EQ(file->executors[0].max_concurrent, 2);
  EXPECT_EQ(file->executors[0].max_queued, 1024);
  EXPECT_THAT(file->executors[0].place, StartsWith("w.toml:1:"));
  EXPECT_EQ(file->executors[1].key, "io");
  EXPECT_EQ(file->executors[1].max_concurrent, 0);
  EXPECT_EQ(file->executors[1].max_queued, 0);
}

struct BadToml {
  const char* text;
  const char* place;
  const char* said;
};

class BadTomlTest : public testing::TestWithParam<BadToml> {};

TEST_P(BadTomlTest, IsOneLineWithItsPlace) {
  const auto file = toml(GetParam().text);
  ASSERT_FALSE(file.has_value());
  EXPECT_THAT(file.error(), StartsWith(GetParam().place));
  EXPECT_THAT(file.error(), HasSubstr(GetParam().said));
  EXPECT_EQ(file.error().find('\n'), std::string::npos) << file.error();
}

constexpr const char* kAfter = "[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='1s'\nafter=['b']";
INSTANTIATE_TEST_SUITE_P(
    WorkflowFileToml, BadTomlTest,
    testing::Values(
        BadToml{"[workflow\n", "w.toml:1:", ""},
        BadToml{"", "w.toml:", "no name (accepted: [workflow] with name"},
        BadToml{"[workflow]\ntenant='t'\n", "w.toml:1:1: ", "no name"},
        BadToml{"[workflow]\nname='w'\n", "w.toml:", "no tasks (accepted: [[task]]"},
        BadToml{"[workflow]\nname=7\n", "w.toml:2:6: ", "'name' is of another type (accepted: a string)"},
        BadToml{"[workflow]\nname='w'\nowner='me'\n", "w.toml:3:1: ",
                "unknown key 'owner' in [workflow] (accepted: name, tenant, package, deadline)"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nslep='1s'\n",
                "w.toml:5:1: ", "unknown key 'slep' in [[task]] (accepted: name, after, run"},
        BadToml{"[tasks]\n", "w.toml:1:2: ", "unknown key 'tasks' in the file (accepted: workflow, task"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nsleep='1s'\n", "w.toml:3:1: ", "a task has no name"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\n",
                "w.toml:3:1: ", "has nothing to do (accepted: one of run, sleep, busy)"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='1s'\nrun=['x']\n",
                "w.toml:3:1: ", "too much to do"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='1 s'\n",
                "w.toml:5:7: ", "accepted: a number and ns, us, ms, s, m or h"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nsleep=3\n",
                "w.toml:5:7: ", "accepted: a duration"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nrun=[]\n", "w.toml:5:5: ", "'run' is empty"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nrun=['x', 3]\n",
                "w.toml:5:11: ", "more than strings"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nrun='x'\n", "w.toml:5:5: ", "'run' is no array"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='1s'\n[[task]]\nname='a'\nsleep='1s'\n",
                "w.toml:7:6: ", "a second task 'a'"},
        BadToml{kAfter, "w.toml:6:8: ", "waits for 'b', which is not in the workflow (accepted: a)"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='1s'\nretry={attempts=3}\n",
                "w.toml:6:8: ", "unknown key 'attempts' in retry (accepted: max_attempts, backoff"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='1s'\nretry={max_attempts=0}\n",
                "w.toml:6:21: ", "'max_attempts' is 0 (accepted: 1 to 1000000)"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='1s'\nretry={backoff='slow'}\n",
                "w.toml:6:16: ", "accepted: \"fixed\", \"linear\", \"exponential\""},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='1s'\ntrigger='sometimes'\n",
                "w.toml:6:9: ", "all_success"},
        BadToml{"[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='1s'\nconfig={run=1}\n",
                "w.toml:6:8: ", "'config' holds 'run'"},
        BadToml{"[executors.x]\nkind='gpu'\n",
                "w.toml:2:6: ", "kind \"gpu\" is unknown (accepted: \"thread\")"},
        BadToml{"[executors.x]\nmax_concurrent=0\n", "w.toml:2:16: ", "accepted: 1 to"},
        BadToml{"[executors]\nx=3\n", "w.toml:2:3: ", "'x' is no executor"}));

TEST(WorkflowFileToml, RefusesATableNamedBySomethingElseThanAKey) {
  const auto file = toml("[!]");
  ASSERT_FALSE(file.has_value());
  EXPECT_THAT(file.error(), StartsWith("w.toml:1:2: "));
  EXPECT_FALSE(toml("a = 1\u00ba").has_value());
}

TEST(WorkflowFileToml, RefusesAKeyOfTooManyParts) {
  const auto dotted = [](std::size_t parts) {
    std::string key = "a";
    for (std::size_t i = 1; i < parts; ++i) key += i % 2 == 0 ? ".a" : ".\"b.c\"";
    return key;
  };
  EXPECT_EQ(options_of("sleep = \"1s\"\nconfig = {" + dotted(16) + " = 1}").config.substr(0, 10),
            R"({"a":{"b.c)");
  for (const std::size_t parts : {17, 300'000}) {
    const auto file = toml(one_task("name = \"a\" # " + dotted(30) + "\n[" + dotted(parts) + "]"));
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error(), "w.toml:5:1: a key of more than 16 parts (accepted: up to 16)");
  }
}

TEST(WorkflowFileToml, ReadsDotsInStringsAsText) {
  const std::string dots(100, '.');
  const auto options =
      options_of("run = [\"a\\\"" + dots + "\", '" + dots + "', \"\"\"\n" + dots + "\"\"\"]");
  EXPECT_EQ(options.config, R"({"run":["a\")" + dots + R"(",")" + dots + R"(",")" + dots + R"("]})");
}

TEST(WorkflowFileToml, ShowsACycleAsAPathAtTheFirstTaskOfIt) {
  const auto file = toml(
      "[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='1s'\nafter=['b']\n[[task]]\nname='b'\nsleep='1s'"
      "\nafter=['a']\n");
  ASSERT_TRUE(file.has_value()) << file.error();
  const auto workflow = build_workflow(*file->workflow, "{}");
  ASSERT_FALSE(workflow.has_value());
  EXPECT_THAT(workflow.error(), testing::MatchesRegex("w\\.toml:[37]:1: .*(a.*b.*a|b.*a.*b).*"));
}

constexpr std::string_view kDiamond =
    R"({"name":"d","schemaVersion":"1.5","workflow":{"specification":{"tasks":[
 {"id":"top","parents":[],"children":["left","right"]},
 {"id":"left","parents":["top"],"children":[]},
 {"id":"right","parents":[],"children":["join"]},
 {"id":"join","parents":["left"],"children":[]}]},
 "execution":{"tasks":[{"id":"left","runtimeInSeconds":1.5},{"id":"join","runtimeInSeconds":2}]}}})";

TEST(WorkflowFileWfFormat, HonoursParentsAndChildren) {
  const auto plan = parse_wfformat("dir/stem.v2.json", kDiamond);
  ASSERT_TRUE(plan.has_value()) << plan.error();
  EXPECT_EQ(plan->package, "stem.v2");
  EXPECT_EQ(plan->name, "d");
  ASSERT_EQ(plan->tasks.size(), 4);
  EXPECT_THAT(plan->tasks[0].options.after, ElementsAre());
  EXPECT_THAT(plan->tasks[1].options.after, ElementsAre("top"));
  EXPECT_THAT(plan->tasks[2].options.after, ElementsAre("top"));
  EXPECT_THAT(plan->tasks[3].options.after, testing::UnorderedElementsAre("left", "right"));
}

TEST(WorkflowFileWfFormat, SleepsForTheRecordedRunTimes) {
  const auto plan = parse_wfformat("d.json", kDiamond);
  ASSERT_TRUE(plan.has_value()) << plan.error();
  EXPECT_EQ(plan->tasks[0].options.config, R"({"sleep_ns":0})");
  EXPECT_EQ(plan->tasks[1].options.config, R"({"sleep_ns":1500000000})");
  EXPECT_EQ(plan->tasks[3].options.config, R"({"sleep_ns":2000000000})");
}

TEST(WorkflowFileWfFormat, TakesTheFilesStemWhereTheWorkflowHasNoName) {
  const auto plan = parse_wfformat("a.json", R"({"workflow":{"specification":{"tasks":[{"id":"t"}]}}})");
  ASSERT_TRUE(plan.has_value()) << plan.error();
  EXPECT_EQ(plan->name, "a");
}

struct BadJson {
  const char* text;
  const char* said;
};

class BadWfFormatTest : public testing::TestWithParam<BadJson> {};

TEST_P(BadWfFormatTest, IsOneLineWithItsPlace) {
  const auto plan = parse_wfformat("f.json", GetParam().text);
  ASSERT_FALSE(plan.has_value());
  EXPECT_THAT(plan.error(), StartsWith(GetParam().said));
  EXPECT_THAT(plan.error(), HasSubstr("accepted: "));
  EXPECT_EQ(plan.error().find('\n'), std::string::npos) << plan.error();
}

INSTANTIATE_TEST_SUITE_P(
    WorkflowFileWfFormat, BadWfFormatTest,
    testing::Values(
        BadJson{"", "f.json: byte 1: not JSON"}, BadJson{"{\"name\": ", "f.json: byte "},
        BadJson{"[]", "f.json: /: not an object"}, BadJson{"1e999", "f.json: a number that no double holds"},
        BadJson{R"({"schemaVersion":"1.4"})", "f.json: /schemaVersion: \"1.4\" (accepted: \"1.5\")"},
        BadJson{R"({"name":3})", "f.json: /name: not a string"},
        BadJson{"{}", "f.json: /workflow/specification/tasks: missing or empty"},
        BadJson{R"({"workflow":{"specification":{"tasks":[]}}})",
                "f.json: /workflow/specification/tasks: missing or empty"},
        BadJson{R"({"workflow":3})", "f.json: /workflow/specification/tasks: missing or empty"},
        BadJson{R"({"workflow":{"specification":{"tasks":[3]}}})",
                "f.json: /workflow/specification/tasks/0/id: "},
        BadJson{R"({"workflow":{"specification":{"tasks":[{"id":7}]}}})",
                "f.json: /workflow/specification/tasks/0/id: missing or not a string"},
        BadJson{R"({"workflow":{"specification":{"tasks":[{"id":"a::b"}]}}})",
                "f.json: /workflow/specification/tasks/0/id: \"a::b\" (accepted: a name without \"::\")"},
        BadJson{R"({"workflow":{"specification":{"tasks":[{"id":"a"},{"id":"a"}]}}})",
                "f.json: /workflow/specification/tasks/1/id: \"a\" is the id of another task too"},
        BadJson{R"({"workflow":{"specification":{"tasks":[{"id":"a","parents":["x"]}]}}})",
                "f.json: /workflow/specification/tasks/0/parents/0: \"x\" is no task"},
        BadJson{R"({"workflow":{"specification":{"tasks":[{"id":"a","children":[1]}]}}})",
                "f.json: /workflow/specification/tasks/0/children/0: 1 is no task"},
        BadJson{R"({"workflow":{"specification":{"tasks":[{"id":"a","parents":"x"}]}}})",
                "f.json: /workflow/specification/tasks/0/parents: not an array"},
        BadJson{
            R"({"workflow":{"specification":{"tasks":[{"id":"a"}]},
                    "execution":{"tasks":[{"id":"a","runtimeInSeconds":-1}]}}})",
            "f.json: /workflow/execution/tasks/0/runtimeInSeconds: "},
        BadJson{
            R"({"workflow":{"specification":{"tasks":[{"id":"a"}]},
                    "execution":{"tasks":[{"id":"a","runtimeInSeconds":"1"}]}}})",
            "f.json: /workflow/execution/tasks/0/runtimeInSeconds: "}));

TEST(WorkflowFileWfFormat, RefusesWhatIsNestedTooDeep) {
  const auto nested = [](std::size_t depth) {
    return R"({"name":"d","more":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') +
           R"(,"workflow":{"specification":{"tasks":[{"id":"t"}]}}})";
  };
  EXPECT_TRUE(parse_wfformat("d.json", nested(128)).has_value());
  for (const std::size_t depth : {129, 1'000'000}) {
    const auto plan = parse_wfformat("d.json", nested(depth));
    ASSERT_FALSE(plan.has_value());
    EXPECT_THAT(plan.error(), StartsWith("d.json: nested deeper than 128 levels (accepted: "));
  }
}

TEST(WorkflowFileWfFormat, ReadsRealTraces) {
  const char* shared = std::getenv("LEAT_SHARED_DIR");
  const std::filesystem::path folder =
      std::filesystem::path(shared != nullptr ? shared : "") / "data/wfinstances";
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "no traces at " << folder;
  std::size_t tasks = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    const auto text = read_text_file(entry.path().string());
    ASSERT_TRUE(text.has_value()) << text.error();
    const auto plan = parse_wfformat(entry.path().string(), *text);
    ASSERT_TRUE(plan.has_value()) << plan.error();
    const auto workflow = build_workflow(*plan, "{}");
    ASSERT_TRUE(workflow.has_value()) << workflow.error();
    tasks += workflow->tasks().size();
  }
  EXPECT_EQ(tasks, 208 + 303 + 263 + 5 + 10 + 103 + 1738 + 197 + 26 + 301);
}

TEST(WorkflowPlan, ADefinitionBuildsTheSameWorkflowAgain) {
  const auto file = toml(one_task(R"(name = "a"
run = ["sh", "-c", "exit 0"]
timeout = "30s"
executor = "gpu"
trigger = {type = "All", conditions = []}
config = {env = {A = "ä\nb"}}
)" + std::string(kWholeRetry) + R"([[task]]
name = "b"
after = ["a"]
sleep = "1.5s"
signal = "approved"
signal_timeout = "2h"
)"));
  ASSERT_TRUE(file.has_value()) << file.error();
  RunSettings settings;
  settings.run_id = "r";
  settings.routing =
      RoutingConfig("gpu").with_rule("*::b", "io").with_rule(RoutingRule("**", {{"a", 90}, {"b", 10}}));
  settings.executors = {{.key = "gpu", .max_concurrent = 2, .max_queued = 3, .place = {}}};
  settings.workers = 5;
  settings.time_scale = 0.1;
  settings.durability = Durability::Process;
  settings.directory = "/some/where";
  const std::string definition = to_definition(*file->workflow, settings);

  const auto stored = parse_definition(definition);
  ASSERT_TRUE(stored.has_value()) << stored.error();
  EXPECT_EQ(to_definition(stored->plan, stored->settings), definition);
  const auto first = build_workflow(*file->workflow, definition);
  const auto again = build_workflow(stored->plan, definition);
  ASSERT_TRUE(first.has_value()) << first.error();
  ASSERT_TRUE(again.has_value()) << again.error();
  EXPECT_EQ(first->version(), again->version());
}

TEST(WorkflowPlan, SettingsOfTwoRunsAreEqualWhereOnlyTheirIdsDiffer) {
  RunSettings a;
  RunSettings b;
  a.run_id = "1";
  b.run_id = "2";
  EXPECT_EQ(settings_text(a), settings_text(b));
  b.time_scale = 2;
  EXPECT_NE(settings_text(a), settings_text(b));
}

TEST(WorkflowPlan, RefusesAForeignDefinition) {
  for (const char* text :
       {"", "{}", "[]", "x", R"({"leat_run":2})", R"({"leat_run":1})", R"({"leat_run":"1"})",
        R"({"leat_run":1,"run_id":"r","tenant":3})", R"({"leat_run":1e999})"}) {
    EXPECT_FALSE(parse_definition(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_definition(R"({"leat_run":)" + std::string(1'000'000, '[')).has_value());
}

TEST(TextFile, NamesTheFileAndWhatIsAccepted) {
  const auto missing = read_text_file("/leat/no/such/file.toml");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(
      missing.error(),
      "/leat/no/such/file.toml: No such file or directory (accepted: a readable file of at most 64 MiB)");
  const auto directory = read_text_file("/");
  ASSERT_FALSE(directory.has_value());
  EXPECT_THAT(directory.error(), StartsWith("/: Is a directory"));
}

}  // namespace
}  // namespace leat::tools
