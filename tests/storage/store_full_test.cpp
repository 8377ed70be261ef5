// The store on a device that fills up: a small tmpfs, mounted where nobody else sees it.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "journal_writer.h"
#include "leat/state_store.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

constexpr int kSkipped = 77;  // the child's exit status

/// Gives this process a mount table of its own with a tmpfs at `place`. @return false where that is not
/// permitted
bool mount_privately(const std::filesystem::path& place, const char* size) {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", place.c_str(), "tmpfs", 0, size) == 0;
}

/// Fills the store; @return how many commits were acknowledged, and expects the refusal to be DiskFull
std::uint64_t fill(const std::string& store_path, std::size_t commit_bytes) {
  auto store = open_rocksdb_store(store_path);
  EXPECT_TRUE(store) << store.error().message;
  if (!store) return 0;
  JournalWriter writer(**store);
  const std::string output(commit_bytes, 'o');
  for (std::uint64_t number = 1;; ++number) {
    auto done = writer.append(TransitionGroup(0, TaskEnded{.pipeline_no = number, .output = output}));
    if (done) done = writer.sync();
    if (done) continue;
    EXPECT_EQ(done.error().code, StoreErrorCode::DiskFull) << done.error().message;
    return number - 1;
  }
}

struct Device {
  const char* size;
  std::size_t commit_bytes;
};

/// Fills a device of that size, makes it larger, and looks for what was acknowledged. Never returns.
[[noreturn]] void run_child(const TemporaryDirectory& directory, const Device& device) {
  if (!mount_privately(directory.path(), device.size)) ::_exit(kSkipped);
  const std::uint64_t acknowledged = fill(directory.store(), device.commit_bytes);
  EXPECT_GT(acknowledged, 1U);
  EXPECT_EQ(::mount("tmpfs", directory.path().c_str(), "tmpfs", MS_REMOUNT, "size=256m"), 0);
  auto store = open_rocksdb_store(directory.store());
  EXPECT_TRUE(store) << store.error().message;
  std::uint64_t found = 0;
  if (store) {
    EXPECT_TRUE((*store)->replay([&found](std::uint64_t, std::span<const std::byte>) {
      ++found;
      return std::expected<void, StoreError>();
    }));
  }
  EXPECT_GE(found, acknowledged);
  ::_exit(testing::Test::HasFailure() ? 1 : 0);
}

class StoreFull : public testing::TestWithParam<Device> {};

TEST_P(StoreFull, NeitherAbortsNorLosesWhatItAcknowledged) {
  const TemporaryDirectory directory;
  const pid_t child = ::fork();  // the mount belongs to the child alone and goes with it
  ASSERT_GE(child, 0);
  if (child == 0) run_child(directory, GetParam());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kSkipped) GTEST_SKIP() << "a private mount is not permitted here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Full while the log grows; where a large commit no longer fits; while tables are written beside the logs.
INSTANTIATE_TEST_SUITE_P(Sizes, StoreFull,
                         testing::Values(Device{"size=2m", 500}, Device{"size=12m", 50'000},
                                         Device{"size=12m", 3'000'000}, Device{"size=48m", 100'000},
                                         Device{"size=90m", 1'000'000}),
                         [](const auto& one) {
                           return std::string(one.param.size).substr(5) + "_" +
                                  std::to_string(one.param.commit_bytes);
                         });

}  // namespace
}  // namespace leat::test
