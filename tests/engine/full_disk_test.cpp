// A Runner on a disk that fills up, or cannot be written: a small tmpfs, mounted where nobody else sees it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "leat/leat.h"
#include "leat/store_reader.h"
#include "leat/store_verifier.h"
#include "temporary_directory.h"

namespace leat {
namespace {

using namespace std::chrono_literals;

constexpr int kSkipped = 77;  // the child's exit status

bool mount_privately(const std::string& place, const char* size) {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", place.c_str(), "tmpfs", 0, size) == 0;
}

/// Takes all that is free, to the last page.
void fill(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  const std::string piece(std::size_t{64} << 10, 'b');
  for (std::size_t size = piece.size(); size > 0; size /= 2) {
    while (::write(fd, piece.data(), size) > 0) {
    }
  }
  ::close(fd);
}

/// Fills the disk under a Runner with a running task, and makes room again. Never returns.
[[noreturn]] void run_child(const std::string& place) {
  ::mkdir(place.c_str(), 0755);
  if (!mount_privately(place, "size=96m")) ::_exit(kSkipped);
  const std::string ballast = place + "/ballast";
  std::atomic<bool> hold{true};
  const auto held = Workflow::builder("held")
                        .task("t",
                              [&hold](TaskContext& task) {
                                task.set("rows", 3);
                                while (hold) std::this_thread::yield();
                              })
                        .build();
  const auto quick = Workflow::builder("quick").task("t", [](TaskContext&) {}).build();
  std::size_t acknowledged = 0;
  {
    auto runner = Runner::builder().database_url("rocksdb://" + place + "/store").workers(4).build();
    if (!runner || !runner->start()) ::_exit(2);
    EXPECT_EQ(runner->store_condition().health, StoreHealth::Healthy);
    std::vector<PipelineHandle> running;
    for (int i = 0; i < 2; ++i) running.push_back(*runner->submit(*held));
    acknowledged += running.size();
    fill(ballast);

    // What is asked for while a look is due may still be taken.
    std::expected<PipelineHandle, Error> handle = runner->submit(*quick);
    for (int i = 0; handle && i < 100'000; ++i, handle = runner->submit(*quick)) ++acknowledged;
    EXPECT_FALSE(handle);
    if (!handle) {
      EXPECT_EQ(handle.error().code, ErrorCode::Storage);
      EXPECT_NE(handle.error().message.find("nothing new is admitted"), std::string::npos)
          << handle.error().message;
    }
    EXPECT_EQ(runner->store_condition().health, StoreHealth::ReadOnly);
    EXPECT_TRUE(runner->health()) << "it is not Failed";

    hold = false;
    for (PipelineHandle& pipeline : running) {
      const auto result = pipeline.wait(30s);
      EXPECT_TRUE(result) << result.error().message;
      if (!result) continue;
      EXPECT_EQ(result->state, PipelineState::Completed) << "what was admitted ends on a full disk";
    }

    std::filesystem::remove(ballast);
    handle = runner->submit(*quick);
    EXPECT_TRUE(handle) << handle.error().message;
    acknowledged += handle ? 1 : 0;
    EXPECT_EQ(runner->store_condition().health, StoreHealth::Healthy);
    const auto stopped = runner->stop(30s);
    EXPECT_TRUE(stopped) << stopped.error().message;
  }
  const auto image = read_rocksdb_store(place + "/store");
  EXPECT_TRUE(image) << image.error().message;
  EXPECT_EQ(image ? image->pipelines().size() : 0, acknowledged);
  EXPECT_FALSE(std::filesystem::exists(place + "/store/RESERVE")) << "an orderly end gives it back";
  ::_exit(testing::Test::HasFailure() ? 1 : 0);
}

/// Leaves a store with work, makes its file system read-only, and takes it up again once it can be written.
/// Never returns.
[[noreturn]] void remount_child(const std::string& place) {
  ::mkdir(place.c_str(), 0755);
  if (!mount_privately(place, "size=96m")) ::_exit(kSkipped);
  const std::string store = place + "/store";
  std::atomic<bool> hold{true};
  const auto work = Workflow::builder("work")
                        .task("t",
                              [&hold](TaskContext& task) {
                                while (hold && !task.stop_requested()) std::this_thread::yield();
                              })
                        .build();
  const auto open = [&store] { return Runner::builder().database_url("rocksdb://" + store).build(); };
  {
    auto runner = open();
    if (!runner || !runner->start() || !runner->submit(*work)) ::_exit(2);
    EXPECT_NE(::mount(nullptr, place.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0)
        << "a store is open";
    EXPECT_TRUE(runner->stop(0s));
  }
  if (::mount(nullptr, place.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0) ::_exit(3);
  const auto refused = open();
  EXPECT_FALSE(refused);
  if (!refused) {
    EXPECT_NE(refused.error().message.find("Read-only file system"), std::string::npos)
        << refused.error().message;
  }
  const auto image = read_rocksdb_store(store);
  EXPECT_TRUE(image && image->pipelines().size() == 1) << "readers need no writing";
  const auto findings = verify_rocksdb_store(store);
  EXPECT_TRUE(findings && findings->empty());

  if (::mount(nullptr, place.c_str(), nullptr, MS_REMOUNT, nullptr) != 0) ::_exit(4);
  hold = false;
  auto runner = open();
  if (!runner || !runner->register_workflow(*work) || !runner->start()) ::_exit(5);
  const auto resumed = runner->resumed();
  EXPECT_EQ(resumed.size(), 1U);
  for (const PipelineHandle& pipeline : resumed) {
    const auto result = pipeline.wait(30s);
    EXPECT_TRUE(result && result->state == PipelineState::Completed);
  }
  EXPECT_TRUE(runner->stop(30s));
  ::_exit(testing::Test::HasFailure() ? 1 : 0);
}

/// Runs `program` in a process of its own: the mount belongs to it alone and goes with it.
void expect_child(void (*program)(const std::string& place)) {
  const TemporaryDirectory directory;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) program(directory.path());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kSkipped) GTEST_SKIP() << "a private mount is not permitted here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(FullDisk, NothingNewIsAdmittedWhatRunsEndsAndWorkGoesOnWithRoom) {
  expect_child(run_child);
}

TEST(ReadOnlyDisk, IsRefusedToWritersOpenToReadersAndTakenUpOnceItCanBeWritten) {
  expect_child(remount_child);
}

}  // namespace
}  // namespace leat
