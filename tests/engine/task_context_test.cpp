// What a task function sees, and what of it is saved.
#include "leat/task_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "leat/workflow.h"

namespace leat {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Services for one task whose context is `stored`.
class FakeServices final : public ExecutorServices {
 public:
  std::expected<std::string, Error> load_context(const TaskReadyEvent&) const override {
    ++loads;
    return stored;
  }
  std::expected<void, Error> stage_context(const TaskReadyEvent&, std::string_view json) override {
    staged.emplace_back(json);
    return {};
  }
  const TaskFunction* find_task(const TaskReadyEvent&) const noexcept override { return nullptr; }
  const TaskFunction* find_task(Namespace) const override { return nullptr; }
  std::string_view task_config(Namespace) const override { return "{}"; }
  std::string_view task_config(const TaskReadyEvent&) const noexcept override {
    return R"({"table":"rows"})";
  }
  void capacity_changed() noexcept override {}
  bool has_slots() const noexcept override { return true; }
  bool stopping() const noexcept override { return false; }
  ExecutorMetrics metrics() const override { return {}; }

  std::expected<std::string, Error> stored = R"({"rows":3,"name":"alice"})";
  std::vector<std::string> staged;
  mutable int loads = 0;
};

class FakeControl final : public AttemptControl {
 public:
  std::stop_token stop_token() override { return stop.get_token(); }
  void append_output(std::string_view text) override { output += text; }

  std::stop_source stop;
  std::string output;
};

class TaskContexts : public testing::Test {
 protected:
  TaskContexts() { event_.task_namespace = *names_.intern("public::embedded::etl::extract"); }

  NamespaceTable names_;
  TaskReadyEvent event_{};
  FakeServices services_;
  FakeControl control_;
  TaskContext task_{event_, services_, &control_};
};

TEST_F(TaskContexts, KnowWhoTheyAre) {  // rows 1, 25
  EXPECT_EQ(task_.task_namespace(), "public::embedded::etl::extract");
  EXPECT_EQ(task_.task_name(), "extract");
  EXPECT_EQ(task_.attempt(), 1);
  EXPECT_TRUE(task_.is_last_attempt());
  EXPECT_EQ(task_.config(), R"({"table":"rows"})");
  EXPECT_EQ(&task_.event(), &event_);
}

TEST_F(TaskContexts, LoadOnceAtTheFirstLook) {
  EXPECT_EQ(services_.loads, 0);
  EXPECT_EQ(task_.get<std::int64_t>("rows"), 3);
  EXPECT_EQ(task_.get<std::string>("name"), "alice");
  EXPECT_EQ(services_.loads, 1);
}

TEST_F(TaskContexts, ThatNobodyLooksAtCostNothing) {
  EXPECT_TRUE(task_.save());
  EXPECT_EQ(services_.loads, 0);
  EXPECT_THAT(services_.staged, ElementsAre());
}

TEST_F(TaskContexts, ThatWereOnlyReadAreNotSaved) {
  EXPECT_TRUE(task_.get_json("rows"));
  EXPECT_TRUE(task_.save());
  EXPECT_THAT(services_.staged, ElementsAre());
}

TEST_F(TaskContexts, SaveAllTheyHold) {  // row 108
  task_.set("loaded", true);
  EXPECT_TRUE(task_.remove("name"));
  EXPECT_TRUE(task_.set_json("list", "[1]"));
  EXPECT_FALSE(task_.insert("rows", 4));
  EXPECT_TRUE(task_.update("rows", 5));
  EXPECT_TRUE(task_.save());
  EXPECT_THAT(services_.staged, ElementsAre(R"({"list":[1],"loaded":true,"rows":5})"));
}

TEST_F(TaskContexts, ThatCannotBeLoadedAreEmptyAndFailTheTask) {  // rows 24, 125, 126
  for (const auto& stored :
       {std::expected<std::string, Error>(R"({"rows":)"),
        std::expected<std::string, Error>(std::unexpected(Error{ErrorCode::Storage, "no disk"}))}) {
    services_.stored = stored;
    TaskContext task(event_, services_);
    EXPECT_EQ(task.get<std::int64_t>("rows"), std::nullopt);
    EXPECT_FALSE(task.load());
    task.set("rows", 1);
    const auto saved = task.save();
    ASSERT_FALSE(saved);
    EXPECT_THAT(saved.error().message, HasSubstr("cannot load the context: "));
  }
  EXPECT_THAT(services_.staged, ElementsAre());
}

TEST_F(TaskContexts, ThatGrewTooLargeFailTheTask) {
  task_.set("blob", std::string(kContextBytesMax, 'x'));
  const auto saved = task_.save();
  ASSERT_FALSE(saved);
  EXPECT_THAT(saved.error().message, HasSubstr("the limit is"));
  EXPECT_THAT(services_.staged, ElementsAre());
}

TEST_F(TaskContexts, TellOfTheWishToStop) {
  EXPECT_FALSE(task_.stop_requested());
  control_.stop.request_stop();
  EXPECT_TRUE(task_.stop_requested());
  EXPECT_TRUE(task_.stop_token().stop_requested());
}

TEST_F(TaskContexts, HandOutputOn) {
  task_.append_output("one ");
  task_.append_output("two");
  EXPECT_EQ(control_.output, "one two");
  TaskContext(event_, services_).append_output("into nothing");
}

TEST_F(TaskContexts, AreWhatAnyCallableTakes) {
  int calls = 0;
  const TaskFunction plain = make_task_function([&](TaskContext&) { ++calls; });
  EXPECT_TRUE(plain(task_));
  const TaskFunction failing = make_task_function([&](auto& task) -> std::expected<void, TaskError> {
    ++calls;
    if (task.attempt() == 1) return std::unexpected("boom");
    return {};
  });
  EXPECT_EQ(failing(task_).error().message, "boom");
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace leat
