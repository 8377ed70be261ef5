// `leat verify` as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "command_line.h"

namespace leat::tests {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

class VerifyTest : public CommandLineTest {
 protected:
  void run_one() {
    const std::string file = write_file("w.toml", "[workflow]\nname='w'\n[[task]]\nname='t'\nsleep='0s'\n");
    ASSERT_EQ(leat({"run", file}).status, 0);
  }
  void flip(const std::string& name, std::size_t at) {
    std::string bytes = read_file(name);
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
    write_file(name, bytes);
  }
};

TEST_F(VerifyTest, AWholeStoreIsGood) {
  run_one();
  const CommandResult result = leat({"verify"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "./leat.db: whole\n");
}

TEST_F(VerifyTest, DamageIsNamedAndExitsWithOne) {
  run_one();
  flip("leat.db/CURRENT", 3);
  const CommandResult result = leat({"verify", "--store", "leat.db", "--json"});
  EXPECT_EQ(result.status, 1);
  const Json report = Json::parse(result.out);
  EXPECT_EQ(report["whole"], false);
  EXPECT_EQ(report["findings"][0]["code"], "Damaged");
  EXPECT_THAT(report["findings"][0]["message"].get<std::string>(), HasSubstr("CURRENT"));
}

TEST_F(VerifyTest, RepairSaysWhatItRebuilt) {
  run_one();
  std::filesystem::remove(directory() / "leat.db/CURRENT");
  const CommandResult result = leat({"verify", "--repair"});
  EXPECT_EQ(result.status, 0) << result.out;
  EXPECT_THAT(result.out, HasSubstr("repaired: CURRENT"));
  EXPECT_EQ(leat({"resume"}).status, 0);
}

TEST_F(VerifyTest, WorksBesideALiveRunButDoesNotRepairIt) {
  const std::string file = write_file("w.toml", "[workflow]\nname='w'\n[[task]]\nname='t'\nsleep='1000s'\n");
  Running run = start({"run", file});
  wait_for_events([](const auto& events) { return !events.empty() && events.back().at("to") == "Running"; });
  const CommandResult beside = leat({"verify"});
  EXPECT_EQ(beside.status, 0) << beside.out << beside.err;
  const CommandResult refused = leat({"verify", "--repair"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("open in another process"));
  ::kill(run.pid(), SIGKILL);
  run.wait();
  EXPECT_EQ(leat({"verify"}).status, 0) << "a crash is no damage";
}

TEST_F(VerifyTest, NoStoreIsBadInput) {
  const CommandResult result = leat({"verify", "--store", "nowhere"});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("there is no store"));
}

}  // namespace
}  // namespace leat::tests
