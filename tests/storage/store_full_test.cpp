// The store on a device that fills up: a small one, mounted where nobody else sees it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "journal_writer.h"
#include "leat/state_store.h"
#include "private_mount.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

struct Device {
  const char* name;
  const char* tmpfs;  // its size; null: an ext4 of 64 MiB
  std::size_t commit_bytes;
};

/// What came of filling a store.
struct Filled {
  std::uint64_t acknowledged = 0;   // commits
  std::uint64_t after_reserve = 0;  // of them: since the reserve was given up
  bool begins_with_reserve = false;
  bool ends_with_reserve = false;
};

/// Fills the store, and expects the refusal to be DiskFull.
Filled fill(const std::string& store_path, std::size_t commit_bytes) {
  Filled filled;
  auto store = open_rocksdb_store(store_path);
  EXPECT_TRUE(store) << store.error().message;
  if (!store) return filled;
  const auto has_reserve = [&] { return std::filesystem::exists(store_path + "/RESERVE"); };
  filled.begins_with_reserve = has_reserve();
  JournalWriter writer(**store);
  const std::string output(commit_bytes, 'o');
  for (std::uint64_t number = 1;; ++number) {
    auto done = writer.append(TransitionGroup(0, TaskEnded{.pipeline_no = number, .output = output}));
    if (done) done = writer.sync();
    filled.ends_with_reserve = has_reserve();
    if (done) {
      ++filled.acknowledged;
      filled.after_reserve += filled.ends_with_reserve ? 0 : 1;
      continue;
    }
    EXPECT_EQ(done.error().code, StoreErrorCode::DiskFull) << done.error().message;
    return filled;
  }
}

/// Mounts the device at the directory, with as much taken as make_room() gives.
bool mount(const TemporaryDirectory& directory, const TemporaryDirectory& images, const Device& device) {
  if (device.tmpfs != nullptr) return mount_tmpfs(directory.path(), device.tmpfs);
  if (!mount_ext4(images.path() / "ext4", directory.path(), 64 * kMiB)) return false;
  const int fd = ::open((directory.path() / "ballast").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  const bool taken = ::fallocate(fd, 0, 0, 32 * kMiB) == 0;
  ::close(fd);
  return taken;
}

void make_room(const TemporaryDirectory& directory, const Device& device) {
  if (device.tmpfs == nullptr) {
    EXPECT_TRUE(std::filesystem::remove(directory.path() / "ballast"));
  } else {
    EXPECT_EQ(::mount("tmpfs", directory.path().c_str(), "tmpfs", MS_REMOUNT, "size=256m"), 0);
  }
}

/// Fills a device, makes room, and looks for what was acknowledged. Never returns.
[[noreturn]] void run_child(const TemporaryDirectory& directory, const TemporaryDirectory& images,
                            const Device& device) {
  if (!mount(directory, images, device)) ::_exit(kMountRefused);
  const Filled filled = fill(directory.store(), device.commit_bytes);
  EXPECT_GT(filled.acknowledged, 1U);
  EXPECT_TRUE(filled.begins_with_reserve);
  EXPECT_FALSE(filled.ends_with_reserve) << "it is given up before a write may fail";
  // A sixteenth of the device, less what is lost to its blocks: many small commits, not one that is large.
  if (device.commit_bytes <= 5000) {
    EXPECT_GT(filled.after_reserve, 20U);
  }
  make_room(directory, device);
  auto store = open_rocksdb_store(directory.store());
  EXPECT_TRUE(store) << store.error().message;
  std::uint64_t found = 0;
  if (store) {
    EXPECT_TRUE((*store)->replay([&found](std::uint64_t, std::span<const std::byte>) {
      ++found;
      return std::expected<void, StoreError>();
    }));
  }
  EXPECT_GE(found, filled.acknowledged);
  ::_exit(testing::Test::HasFailure() ? 1 : 0);
}

/// Does so in a process of its own, to which the mount belongs alone, and with which it goes.
void fill_and_look(const Device& device) {
  const TemporaryDirectory directory;
  const TemporaryDirectory images = TemporaryDirectory::without_device();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) run_child(directory, images, device);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == kMountRefused) GTEST_SKIP() << "a private mount is not permitted here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(StoreFull, GivesItsReserveUpBeforeAWriteFails) {
  fill_and_look({"2m_500", "size=2m", 500});
}

class StoreFullOn : public testing::TestWithParam<Device> {};

TEST_P(StoreFullOn, NeitherAbortsNorLosesWhatItAcknowledged) {
  fill_and_look(GetParam());
}

// Full while the log grows; where a large commit no longer fits; while tables are written beside the logs.
INSTANTIATE_TEST_SUITE_P(
    Devices, StoreFullOn,
    testing::Values(Device{"12m_50000", "size=12m", 50'000}, Device{"12m_3000000", "size=12m", 3'000'000},
                    Device{"48m_100000", "size=48m", 100'000}, Device{"90m_1000000", "size=90m", 1'000'000},
                    Device{"ext4_5000", nullptr, 5000}, Device{"ext4_100000", nullptr, 100'000}),
    [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace leat::test
