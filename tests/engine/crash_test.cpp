// Starts that die before the journal knows of them: a real process is killed by its own task.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "leat/leat.h"
#include "leat/store_reader.h"
#include "temporary_directory.h"

namespace leat {
namespace {

using namespace std::chrono_literals;

/// Writes all up to the first commit that somebody waits for, which makes the task Ready; then it keeps the
/// committer for ever, so that Running is never written.
class ShutStore final : public StateStore {
 public:
  ShutStore(std::unique_ptr<StateStore> store, std::atomic<bool>& shut)
      : store_(std::move(store)), shut_(shut) {}
  std::uint64_t epoch() const noexcept override { return store_->epoch(); }
  std::uint64_t next_sequence() const noexcept override { return store_->next_sequence(); }
  std::uint64_t journal_end() const noexcept override { return store_->journal_end(); }
  std::uint64_t journal_hash() const noexcept override { return store_->journal_hash(); }
  bool closed_cleanly() const noexcept override { return store_->closed_cleanly(); }
  InFlightBoard* board() noexcept override { return store_->board(); }
  std::expected<void, StoreError> replay(const Visitor& visit) override { return store_->replay(visit); }
  std::expected<void, StoreError> append(std::uint64_t first, std::uint64_t end,
                                         std::span<const std::byte> commit) override {
    while (shut_) ::pause();
    return store_->append(first, end, commit);
  }
  std::expected<void, StoreError> acknowledge(std::uint64_t end) override {
    auto done = store_->acknowledge(end);
    shut_ = true;
    return done;
  }
  std::expected<void, StoreError> sync() override { return store_->sync(); }
  std::expected<void, StoreError> close() override { return store_->close(); }

 private:
  std::unique_ptr<StateStore> store_;
  std::atomic<bool>& shut_;
};

/// What one life of a process does with a workflow of one task that kills it.
[[noreturn]] void live(const std::string& place, bool first) {
  static std::atomic<bool> shut{false};
  auto store = open_rocksdb_store(place);
  if (!store) ::_exit(2);
  auto runner = Runner::builder()
                    .state_store(std::make_unique<ShutStore>(std::move(*store), shut))
                    .log_sink([](Severity, std::string_view) {})
                    .build();
  const auto workflow = Workflow::builder("w").task("t", [](TaskContext&) { ::raise(SIGKILL); }).build();
  if (!runner || !runner->register_workflow(*workflow) || !runner->start()) ::_exit(3);
  if (first && !runner->submit_async(*workflow, {.durability = Durability::Process})) ::_exit(4);
  (void)runner->wait_idle(60s);  // the task is faster
  ::_exit(5);
}

TEST(Crash, AStartThatDiedBeforeItWasRecordedCountsAsARescue) {  // row 168
  const TemporaryDirectory directory;
  const std::string place = directory.path();
  for (int lives = 0; lives < 3; ++lives) {
    const pid_t child = ::fork();  // this process opens no store, so the child's threads are its own
    ASSERT_GE(child, 0);
    if (child == 0) live(place, lives == 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "status " << WEXITSTATUS(status);
    const auto image = read_rocksdb_store(place);
    ASSERT_TRUE(image) << image.error().message;
    ASSERT_EQ(image->pipelines().size(), 1U);
    const TaskImage& task = image->pipelines().begin()->second.tasks[0];
    EXPECT_EQ(task.state, TaskState::Ready) << "the journal knows nothing of the latest start";
    EXPECT_EQ(task.rescues, static_cast<std::uint32_t>(lives));
    EXPECT_EQ(task.attempt, 1U) << "a rescue is no attempt";
  }
  ASSERT_TRUE(std::filesystem::exists(place + "/BOARD"));
  auto runner = Runner::builder().database_url("rocksdb://" + place).build();
  ASSERT_TRUE(runner) << runner.error().message;
  const auto harmless = Workflow::builder("w").task("t", [](TaskContext&) {}).build();
  ASSERT_TRUE(runner->register_workflow(*harmless) && runner->start());
  ASSERT_TRUE(runner->wait_idle(60s));
  ASSERT_TRUE(runner->stop(60s));
  EXPECT_FALSE(std::filesystem::exists(place + "/BOARD")) << "an orderly stop leaves no trace";
}

}  // namespace
}  // namespace leat
