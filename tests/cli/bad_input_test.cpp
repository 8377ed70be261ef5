// Bad input: exit status 2, one line that names file, place and what is accepted, nothing on standard output
// and nothing written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "command_line.h"

namespace leat::tests {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct BadCase {
  const char* name;
  std::vector<std::string> words;
  std::vector<std::string> said;
};

std::ostream& operator<<(std::ostream& out, const BadCase& bad) {
  return out << bad.name;
}

class BadInputTest : public CommandLineTest, public testing::WithParamInterface<BadCase> {
 protected:
  BadInputTest() {
    write_file("good.toml", "[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='0s'\n");
    write_file(
        "cycle.toml",
        "[workflow]\nname='w'\n[[task]]\nname='a'\nafter=['b']\nsleep='0s'\n[[task]]\nname='b'\nafter=['a']\n"
        "sleep='0s'\n");
    write_file("twice.toml",
               "[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='0s'\n[[task]]\nname='a'\nsleep='0s'\n");
    write_file("parent.toml", "[workflow]\nname='w'\n[[task]]\nname='a'\nafter=['x']\nsleep='0s'\n");
    write_file("key.toml", "[workflow]\nname='w'\nowner='me'\n[[task]]\nname='a'\nsleep='0s'\n");
    write_file("pin.toml", "[workflow]\nname='w'\n[[task]]\nname='a'\nexecutor='gpu'\nsleep='0s'\n");
    write_file(
        "route.toml",
        "[[route]]\npattern='**'\nexecutor='gpu'\n[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='0s'\n");
    write_file("pattern.toml",
               "[[route]]\npattern='a::::b'\nexecutor='default'\n[workflow]\nname='w'\n[[task]]\nname='a'"
               "\nsleep='0s'\n");
    write_file("syntax.toml", "[workflow\n");
    write_file("name.toml", "[workflow]\nname='w'\n[[task]]\nname='a::b'\nsleep='0s'\n");
    write_file("cycle.json", R"({"workflow":{"specification":{"tasks":[
      {"id":"a","parents":["b"]},{"id":"b","parents":["a"]}]}}})");
    write_file("twice.json", R"({"workflow":{"specification":{"tasks":[{"id":"a"},{"id":"a"}]}}})");
    write_file("syntax.json", "{\"name\": ]");
    write_file("empty.json", "");
    write_file("limits1.toml",
               "[executors.io]\nmax_concurrent=1\n[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='0s'\n");
    write_file("limits2.toml",
               "[executors.io]\nmax_concurrent=2\n[workflow]\nname='w'\n[[task]]\nname='a'\nsleep='0s'\n");
    write_file("not_a_store", "text");
  }
};

TEST_P(BadInputTest, IsOneLineAndNothingIsWritten) {
  const std::vector<std::string> before = files();
  const CommandResult result = leat(GetParam().words);
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, StartsWith("leat: "));
  EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
  for (const std::string& part : GetParam().said) EXPECT_THAT(result.err, HasSubstr(part));
  EXPECT_EQ(files(), before);
}

INSTANTIATE_TEST_SUITE_P(
    CommandLine, BadInputTest,
    testing::Values(
        BadCase{"NoCommand", {}, {"accepted: run, resume, inspect, verify, torture, route, retry, redrive"}},
        BadCase{"UnknownCommand", {"walk"}, {"accepted: "}},
        BadCase{"NoFile", {"run"}, {"files", "accepted: "}},
        BadCase{"UnknownOption", {"run", "good.toml", "--fast"}, {"--fast", "accepted: ", "--store"}},
        BadCase{
            "BadDurability", {"run", "good.toml", "--durability", "paper"}, {"memory", "process", "disk"}},
        BadCase{
            "BadScale", {"run", "good.toml", "--time-scale", "-1"}, {"--time-scale", "accepted: 0 or more"}},
        BadCase{"NotANumberScale", {"run", "good.toml", "--time-scale", "nan"}, {"accepted: 0 or more"}},
        BadCase{"BadWorkers", {"run", "good.toml", "--workers", "0"}, {"--workers"}},
        BadCase{"BadRepeat", {"run", "good.toml", "--repeat", "0"}, {"--repeat"}},
        BadCase{"MemoryWithStore",
                {"run", "good.toml", "--durability", "memory", "--store", "s"},
                {"--store", "accepted: process, disk"}},
        BadCase{
            "MissingFile", {"run", "missing.toml"}, {"missing.toml: No such file or directory (accepted: "}},
        BadCase{"SecondFileMissing", {"run", "good.toml", "missing.json"}, {"missing.json: No such file"}},
        BadCase{"UnknownSuffix", {"run", "not_a_store"}, {"not_a_store: ", "accepted: .toml, .json"}},
        BadCase{"TomlSyntax", {"run", "syntax.toml"}, {"syntax.toml:1:"}},
        BadCase{"JsonSyntax", {"run", "syntax.json"}, {"syntax.json: byte 10: not JSON (accepted: "}},
        BadCase{"EmptyJson", {"run", "empty.json"}, {"empty.json: byte 1"}},
        BadCase{"TomlCycle", {"run", "cycle.toml"}, {"cycle.toml:3:1: ", "a -> b -> a"}},
        BadCase{"JsonCycle", {"run", "cycle.json"}, {"cycle.json: /workflow/specification/tasks/", " -> "}},
        BadCase{"TomlDuplicate", {"run", "twice.toml"}, {"twice.toml:7:6: ", "'a'", "accepted: "}},
        BadCase{"JsonDuplicate", {"run", "twice.json"}, {"twice.json: /workflow/specification/tasks/1/id: "}},
        BadCase{"UnknownParent", {"run", "parent.toml"}, {"parent.toml:5:8: ", "'x'", "accepted: a"}},
        BadCase{"UnknownKey",
                {"run", "key.toml"},
                {"key.toml:3:1: ", "'owner'", "accepted: name, tenant, package, deadline"}},
        BadCase{
            "UnknownPinnedExecutor", {"run", "pin.toml"}, {"pin.toml:3:1: ", "'gpu'", "accepted: default"}},
        BadCase{
            "UnknownRoutedExecutor", {"run", "route.toml"}, {"route.toml:2:", "'gpu'", "accepted: default"}},
        BadCase{"BadPattern", {"run", "pattern.toml"}, {"pattern.toml:2:"}},
        BadCase{"BadTaskName", {"run", "name.toml"}, {"name.toml:3:1: ", "\"::\""}},
        BadCase{"ClashingLimits",
                {"run", "limits1.toml", "limits2.toml"},
                {"limits2.toml:1:", "limits1.toml:1:"}},
        BadCase{"WorkflowAsRoutes",
                {"run", "good.toml", "--routes", "good.toml"},
                {"good.toml:3:3: ", "accepted: "}},
        BadCase{"MissingRoutes", {"run", "good.toml", "--routes", "none.toml"}, {"none.toml: No such file"}},
        BadCase{"StoreIsAFile", {"run", "good.toml", "--store", "not_a_store"}, {"not_a_store"}},
        BadCase{"StoreParentMissing", {"run", "good.toml", "--store", "no/such/place"}, {"no/such/place"}},
        BadCase{"StoreNotWritable", {"run", "good.toml", "--store", "/proc/leat.db"}, {"/proc/leat.db"}},
        BadCase{"InspectNoStore", {"inspect", "--store", "none"}, {"none"}},
        BadCase{"InspectWhat", {"inspect", "everything"}, {"pipelines", "tasks", "events"}},
        BadCase{"InspectFormat", {"inspect", "--format", "xml"}, {"table", "csv", "json"}},
        BadCase{"InspectState", {"inspect", "--state", "Broken"}, {"--state", "Pending, Running, Completed"}},
        BadCase{"InspectSince", {"inspect", "--since", "noon"}, {"--since", "accepted: 2026-11-23"}},
        BadCase{"InspectPipeline", {"inspect", "--pipeline", "7"}, {"--pipeline", "accepted: an ID"}},
        BadCase{"KeepEvents",
                {"run", "good.toml", "--keep-events", "7 days"},
                {"--keep-events", "accepted: all"}},
        BadCase{"ResumeNoStore", {"resume", "--store", "none"}, {"none"}},
        BadCase{"ResumeNotAStore", {"resume", "--store", "."}, {""}}),
    [](const auto& bad) { return std::string(bad.param.name); });

}  // namespace
}  // namespace leat::tests
