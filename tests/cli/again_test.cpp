// `leat retry`, `leat redrive` and `leat inspect quarantine`: tasks of pipelines that earlier commands ran.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "command_line.h"

namespace leat::tests {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class AgainTest : public CommandLineTest {
 protected:
  /// b does what `command` says until the file ok is there.
  std::string chain(const std::string& command) {
    return write_file("w.toml", R"(
[workflow]
name = "w"
[[task]]
name = "a"
run = ["sh", "-c", "echo a >> ran"]
[[task]]
name = "b"
after = ["a"]
run = ["sh", "-c", "test -e ok || )" +
                                    command +
                                    R"("]
retry = {max_attempts = 1}
rescues_max = 0
)");
  }
  std::string pipeline() { return inspect("pipelines").at(0).at("pipeline"); }
};

TEST_F(AgainTest, RetriesWhatFailedInAnEarlierCommand) {
  EXPECT_EQ(leat({"run", chain("exit 3")}).status, 1);
  const std::string failed = pipeline();
  EXPECT_EQ(leat({"retry", failed}).status, 1) << "it fails again";
  write_file("ok", "");
  const CommandResult again = leat({"retry", failed, "--json"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("\"completed\":1"));
  EXPECT_EQ(read_file("ran"), "a\n") << "what was done stays done";
  EXPECT_EQ(leat({"retry", failed, "--from", "a"}).status, 0);
  EXPECT_EQ(read_file("ran"), "a\na\n");
}

TEST_F(AgainTest, RefusesWhatIsNotThere) {
  write_file("ok", "");
  EXPECT_EQ(leat({"run", chain("exit 3")}).status, 0);
  const std::string completed = pipeline();
  EXPECT_EQ(leat({"retry", completed}).status, 2) << "nothing failed";
  EXPECT_EQ(leat({"retry", completed, "--from", "c"}).status, 2);
  EXPECT_EQ(leat({"redrive", completed, "b"}).status, 2);
  EXPECT_EQ(leat({"retry", "018bcfe5-6800-7001-8000-000000000001"}).status, 2);
  EXPECT_EQ(leat({"retry", "b"}).status, 2);
}

TEST_F(AgainTest, RedrivesATaskThatKilledItsProcess) {
  EXPECT_NE(leat({"run", chain("kill -9 $PPID")}).status, 0);
  EXPECT_EQ(leat({"resume"}).status, 1);
  const auto tasks = inspect("quarantine");
  ASSERT_THAT(tasks, SizeIs(1));
  EXPECT_EQ(tasks[0].at("pipeline"), pipeline());
  EXPECT_EQ(tasks[0].at("task"), "public::embedded::w::b");
  EXPECT_EQ(tasks[0].at("rescues"), "0");
  EXPECT_THAT(tasks[0].at("error"), HasSubstr("ABANDONED"));
  write_file("ok", "");
  const CommandResult again = leat({"redrive", pipeline(), "b"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(inspect("quarantine"), IsEmpty());
  EXPECT_EQ(leat({"verify"}).status, 0);
}

}  // namespace
}  // namespace leat::tests
