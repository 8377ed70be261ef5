// The reserve: given back before a full disk is seen, and taken again.
#include "space_guard.h"

#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include <filesystem>
#include <string>

#include "temporary_directory.h"

namespace leat::test {
namespace {

class SpaceGuardTest : public testing::Test {
 protected:
  bool has_reserve() const { return std::filesystem::exists(directory_.path() / "RESERVE"); }

  TemporaryDirectory directory_ = TemporaryDirectory::without_device();
  SpaceGuard guard_{rocksdb::FileSystem::Default(), directory_.path().string()};
};

TEST_F(SpaceGuardTest, TheReserveHoldsTheLargestCommitAndAFullRing) {
  constexpr std::uint64_t kCommit = std::uint64_t{20} << 20;
  guard_.take_reserve(kCommit);
  EXPECT_GT(std::filesystem::file_size(directory_.path() / "RESERVE"), kCommit);
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

TEST_F(SpaceGuardTest, TheReserveIsTakenAgainWhereThereIsPlentyOfRoom) {
  const SpaceGuard::Space space = guard_.look();
  EXPECT_EQ(has_reserve(), space.free_bytes / 2 > space.gate_bytes);
}

}  // namespace
}  // namespace leat::test
