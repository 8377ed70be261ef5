// The reserve: given back before a full disk is seen, and taken again.
#include "space_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "private_mount.h"
#include "temporary_directory.h"

namespace leat::test {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

class SpaceGuardTest : public testing::Test {
 protected:
  bool has_reserve() const { return std::filesystem::exists(directory_.path() / "RESERVE"); }

  /// Finds the device full once.
  void give_up_reserve() {
    bool full = true;
    const auto once = [&full] {
      return std::exchange(full, false) ? rocksdb::IOStatus::NoSpace("full") : rocksdb::IOStatus::OK();
    };
    EXPECT_TRUE(guard_.guarded(1, once, [] { return true; }).ok());
    EXPECT_FALSE(has_reserve());
  }

  TemporaryDirectory directory_ = TemporaryDirectory::without_device();
  SpaceGuard guard_{rocksdb::FileSystem::Default(), directory_.path().string()};
};

TEST_F(SpaceGuardTest, TheReserveHoldsTheLargestCommitAFullRingAndAWriteBuffer) {
  constexpr std::uint64_t kCommit = 20 * kMiB;
  guard_.take_reserve(kCommit);
  const std::uint64_t sixteenth = std::filesystem::space(directory_.path()).capacity / 16;
  EXPECT_EQ(std::filesystem::file_size(directory_.path() / "RESERVE"),
            std::min(kCommit + 16 * kMiB + 32 * kMiB, sixteenth));
  guard_.drop_reserve();
  EXPECT_FALSE(has_reserve());
}

TEST_F(SpaceGuardTest, ACallThatFindsNoSpaceIsTriedAgainWithoutTheReserve) {
  guard_.take_reserve(0);
  int calls = 0;
  const auto full_while_reserved = [&] {
    ++calls;
    return has_reserve() ? rocksdb::IOStatus::NoSpace("full") : rocksdb::IOStatus::OK();
  };
  EXPECT_TRUE(guard_.guarded(1, full_while_reserved, [] { return true; }).ok());
  EXPECT_EQ(calls, 2);
}

TEST_F(SpaceGuardTest, ACallThatWasCarriedOutInPartIsNotTriedAgain) {
  guard_.take_reserve(0);
  int calls = 0;
  const auto full = [&] {
    ++calls;
    return rocksdb::IOStatus::NoSpace("full");
  };
  EXPECT_TRUE(guard_.guarded(1, full, [] { return false; }).IsNoSpace());
  EXPECT_EQ(calls, 1);
}

TEST_F(SpaceGuardTest, WhatWasGivenUpIsNotTakenAgainByTheNextCommit) {
  guard_.take_reserve(0);
  give_up_reserve();
  guard_.take_reserve(kMiB);
  EXPECT_FALSE(has_reserve());
}

TEST_F(SpaceGuardTest, TheReserveIsTakenAgainWhereThereIsPlentyOfRoom) {
  guard_.take_reserve(0);
  give_up_reserve();
  const SpaceGuard::Space space = guard_.look();
  EXPECT_EQ(has_reserve(), space.free_bytes / 2 > space.gate_bytes);
}

TEST_F(SpaceGuardTest, AReserveThatNobodyKnewOfIsRoomAllTheSame) {
  std::ofstream(directory_.path() / "RESERVE") << std::string(4096, 'r');
  give_up_reserve();
}

/// On a device of which the test says how much is free.
class SpaceGuardLooks : public testing::Test {
 protected:
  void SetUp() override { guard_.take_reserve(0); }
  void write(std::uint64_t bytes) {
    EXPECT_TRUE(guard_
                    .guarded(
                        bytes, [] { return rocksdb::IOStatus::OK(); }, [] { return true; })
                    .ok());
  }
  bool has_reserve() const { return std::filesystem::exists(directory_.path() / "RESERVE"); }

  static constexpr std::int64_t kMs = 1'000'000;
  std::uint64_t free_bytes_ = 1024 * kMiB;
  std::int64_t now_ns_ = 0;
  int looks_ = 0;
  TemporaryDirectory directory_ = TemporaryDirectory::without_device();
  SpaceGuard guard_{
      rocksdb::FileSystem::Default(),
      directory_.path().string(),
      {.free_bytes = [this] { return ++looks_, free_bytes_; }, .steady_ns = [this] { return now_ns_; }}};
};

TEST_F(SpaceGuardLooks, AreFewWhereThereIsPlentyOfRoom) {
  for (int i = 0; i < 1'000; ++i) write(4'000);
  EXPECT_EQ(looks_, 1);
}

TEST_F(SpaceGuardLooks, AreOneForEachWriteWhereThereIsNotPlenty) {
  free_bytes_ = 200 * kMiB;
  for (int i = 0; i < 10; ++i) write(4'000);
  EXPECT_EQ(looks_, 10);
}

TEST_F(SpaceGuardLooks, FindADeviceThatOthersHaveFilledAFewMillisecondsLater) {
  write(4'000);
  free_bytes_ = 0;
  now_ns_ += 5 * kMs;
  write(4'000);
  EXPECT_FALSE(has_reserve());
}

TEST_F(SpaceGuardLooks, FindADeviceThatWritesHaveFilledWithoutAClock) {
  write(4'000);
  free_bytes_ = 10 * kMiB;
  write(12 * kMiB);
  write(12 * kMiB);
  EXPECT_FALSE(has_reserve());
}

std::uint64_t free_bytes(const std::filesystem::path& place) {
  struct statvfs status {};
  EXPECT_EQ(::statvfs(place.c_str(), &status), 0);
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

/// Leaves less room on an ext4 than a reserve needs, and asks for one. Never returns.
[[noreturn]] void ask_for_too_much(const std::filesystem::path& place, const std::filesystem::path& image) {
  if (!mount_ext4(image, place, 64 * kMiB)) ::_exit(kMountRefused);
  const int fd = ::open((place / "ballast").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  EXPECT_EQ(::fallocate(fd, 0, 0, static_cast<off_t>(free_bytes(place) - 2 * kMiB)), 0);
  ::close(fd);
  const std::uint64_t before = free_bytes(place);
  SpaceGuard guard(rocksdb::FileSystem::Default(), place);
  guard.take_reserve(0);
  EXPECT_GE(free_bytes(place) + kMiB / 8, before);
  EXPECT_FALSE(std::filesystem::exists(place / "RESERVE"));
  ::_exit(testing::Test::HasFailure() ? 1 : 0);
}

TEST(SpaceGuardOnExt4, AReserveForWhichThereIsNoRoomTakesNone) {
  const TemporaryDirectory place;
  const TemporaryDirectory images = TemporaryDirectory::without_device();
  const pid_t child = ::fork();  // the mount belongs to the child alone and goes with it
  ASSERT_GE(child, 0);
  if (child == 0) ask_for_too_much(place.path(), images.path() / "ext4");
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kMountRefused) GTEST_SKIP() << "an ext4 in a file is not permitted here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace leat::test
