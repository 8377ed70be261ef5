// Typed results: values of what an ended pipeline, or one of its tasks, left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "behaviours.h"
#include "leat/json.h"

namespace leat::behaviours {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Results : public testing::Test {
 protected:
  /// first -> last, which fails where it is told to.
  PipelineHandle run_it(bool fails) {
    const auto workflow = Workflow::builder("w")
                              .version_tag(fails ? "fails" : "")
                              .task("first",
                                    [](TaskContext& task) {
                                      task.set("rows", std::int64_t{3'000'000'000});
                                      ASSERT_TRUE(task.set_json("names", R"(["a","b"])"));
                                    })
                              .task("last",
                                    [fails](TaskContext& task) -> std::expected<void, TaskError> {
                                      task.set("ratio", 0.5);
                                      task.set("good", true);
                                      if (fails) return std::unexpected("no luck");
                                      return {};
                                    },
                                    {.after = {"first"}, .retry = kOnce})
                              .build();
    return *runner_.submit(*workflow);
  }

  Runner runner_ = make_started_runner();
};

/// @return the code's name; "" where there is a value
template <class T>
std::string code_of(const std::expected<T, Error>& result) {
  return result ? std::string() : std::string(to_string(result.error().code));
}

TEST_F(Results, AreReadAsTheTypeThatIsAskedFor) {
  const PipelineHandle handle = run_it(false);
  EXPECT_EQ(*handle.result<std::int64_t>("rows"), 3'000'000'000);
  EXPECT_EQ(*handle.result<double>("rows"), 3e9);
  EXPECT_EQ(*handle.result<double>("ratio"), 0.5);
  EXPECT_EQ(*handle.result<bool>("good"), true);
  EXPECT_THAT(*handle.result<std::vector<std::string>>("names"), ElementsAre("a", "b"));
  EXPECT_EQ(handle.result<nlohmann::json>("names")->size(), 2U);
}

TEST_F(Results, OfAnotherTypeAreAnError) {
  const PipelineHandle handle = run_it(false);
  EXPECT_EQ(code_of(handle.result<std::int32_t>("rows")), "WrongType") << "too large";
  EXPECT_EQ(code_of(handle.result<std::int64_t>("ratio")), "WrongType") << "a fraction";
  EXPECT_EQ(code_of(handle.result<std::int64_t>("good")), "WrongType");
  EXPECT_EQ(code_of(handle.result<bool>("rows")), "WrongType");
  EXPECT_EQ(code_of(handle.result<double>("good")), "WrongType");
  EXPECT_EQ(code_of(handle.result<std::string>("rows")), "WrongType");
  EXPECT_EQ(code_of(handle.result<std::vector<int>>("names")), "WrongType");
  EXPECT_THAT(handle.result<std::string>("rows").error().message, HasSubstr("'rows' is a number"));
}

TEST_F(Results, ThatAreNotThereAreNotFound) {
  const PipelineHandle handle = run_it(false);
  EXPECT_EQ(code_of(handle.result<std::int64_t>("row")), "NotFound");
  EXPECT_EQ(code_of(handle.result_of<std::int64_t>("frist", "rows")), "NotFound");
  EXPECT_EQ(code_of(handle.result_of<double>("first", "ratio")), "NotFound") << "a later task's";
}

TEST_F(Results, OfATaskAreThereThoughAnotherFailed) {
  const PipelineHandle handle = run_it(true);
  EXPECT_EQ(code_of(handle.result<std::int64_t>("rows")), "InvalidState");
  EXPECT_EQ(*handle.result_of<std::int64_t>("first", "rows"), 3'000'000'000);
  EXPECT_EQ(code_of(handle.result_of<bool>("last", "good")), "InvalidState");
}

TEST_F(Results, AreWaitedForNoLongerThanIsSaid) {
  std::atomic<bool> open = false;
  const auto workflow = Workflow::builder("v").task("t", [&](TaskContext&) { open.wait(false); }).build();
  const auto handle = runner_.submit(*workflow);
  EXPECT_EQ(code_of(handle->result<bool>("x", 1ms)), "Timeout");
  EXPECT_EQ(code_of(handle->context_of("t")), "InvalidState");
  open = true;
  open.notify_all();
  ASSERT_TRUE(handle->wait(kLong));
}

}  // namespace
}  // namespace leat::behaviours
