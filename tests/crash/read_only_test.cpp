// Lives of `leat torture` on a file system that the kernel makes read-only beneath them, as it does after an error
// of the device. It is mounted where nobody else sees it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "../engine/seed.h"
#include "../storage/private_mount.h"
#include "../storage/temporary_directory.h"
#include "exit_status.h"
#include "leat/store_verifier.h"
#include "torture_child.h"
#include "torture_ledger.h"
#include "torture_plan.h"

namespace leat::tools {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr int kRounds = 5;
constexpr auto kLongestLife = 60s;  // that ends by itself

/// An ext4 that can be told to have found an error. What it had not synced by then may be lost with it.
class FailingDevice {
 public:
  explicit FailingDevice(const std::filesystem::path& directory)
      : image_(directory / "image"), place_(directory / "mounted") {
    std::filesystem::create_directory(place_);
    std::ofstream(image_).close();
    std::filesystem::resize_file(image_, std::uintmax_t{128} << 20);
  }

  /// @return false where that is not permitted
  bool make() const {
    return test::leave_mounts() && test::succeeds({"mkfs.ext4", "-q", "-F", "-m", "0", image_}) && mount() &&
           std::filesystem::exists(switch_of(place_));
  }
  bool mount() const { return test::succeeds({"mount", "-o", "loop,errors=remount-ro", image_, place_}); }
  /// From here on it is read-only, for whoever has a file open as well.
  void fail() const { std::ofstream(switch_of(place_)) << "on purpose" << std::flush; }
  bool is_read_only() const {
    const int fd = ::open((place_ / "probe").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    const bool refused = fd < 0 && errno == EROFS;
    if (fd >= 0) ::close(fd);
    return refused;
  }
  /// As an operator does: unmounted, checked, mounted again.
  bool mend() const {
    if (::umount2(place_.c_str(), 0) != 0) return false;
    static_cast<void>(test::succeeds(
        {"sh", "-c", "e2fsck -p \"$0\" > /dev/null", image_}));  // its status tells that it had to mend
    return mount();
  }
  std::string store() const { return place_ / "store"; }

 private:
  static std::filesystem::path switch_of(const std::filesystem::path& place) {
    struct stat of_place = {};
    if (::stat(place.c_str(), &of_place) != 0) return {};
    std::error_code error;
    const auto device =
        std::filesystem::read_symlink("/sys/dev/block/" + std::to_string(major(of_place.st_dev)) + ":" +
                                          std::to_string(minor(of_place.st_dev)),
                                      error);
    return std::filesystem::path("/sys/fs/ext4") / device.filename() / "trigger_fs_error";
  }

  const std::filesystem::path image_, place_;
};

/// The lives of one store, and what they told of level Disk.
class Lives {
 public:
  explicit Lives(const FailingDevice& device) : device_(device) {}

  /// Fails the device beneath a life that has told of so much, and kills that later unless it ends before.
  void fail_beneath(std::uint64_t acknowledged, std::chrono::milliseconds kill_after) {
    TortureChild child(LEAT_TOOL, {.store = device_.store(), .seed = ++seed_});
    ASSERT_TRUE(child.born());
    const std::uint64_t enough = ledger_.acknowledgements() + acknowledged;
    while (ledger_.acknowledgements() < enough)
      ASSERT_FALSE(child.listen(hear_, SteadyClock::now() + 5ms)) << "it has ended with " << child.wait();
    device_.fail();
    ASSERT_TRUE(device_.is_read_only());
    if (!child.listen(hear_, SteadyClock::now() + kill_after)) child.signal(SIGKILL);
    child.listen(hear_, SteadyClock::now() + kLongestLife);
    const int status = child.wait();
    EXPECT_TRUE(status == kTortureDeadly + SIGKILL || status == kStoreFailure || status == kBadInput)
        << status;
  }
  /// @return its status; it has to end by itself
  int live_to_its_end(bool drain) {
    TortureChild child(
        LEAT_TOOL,
        {.store = device_.store(), .seed = ++seed_, .hours = drain ? kTortureHoursOfAll : 0, .drain = drain});
    const bool silent = child.listen(hear_, SteadyClock::now() + kLongestLife);
    if (!silent) child.signal(SIGKILL);
    return child.wait();
  }
  TortureLedger& ledger() { return ledger_; }

 private:
  const FailingDevice& device_;
  TortureLedger ledger_;
  std::uint64_t seed_ = 0;
  const TortureChild::Hear hear_ = [this](const TortureReport& said) {
    const bool told =
        said.kind == TortureReport::Kind::Acknowledged || said.kind == TortureReport::Kind::Ended;
    if (!told || said.level == Durability::Disk) ledger_.hear(said);
  };
};

void fail_and_mend(const FailingDevice& device) {
  std::mt19937_64 random = seeded_generator();
  Lives lives(device);
  for (int round = 0; round < kRounds && !testing::Test::HasFailure(); ++round) {
    lives.fail_beneath(1 + random() % 40, std::chrono::milliseconds(random() % 100));
    const int refused = lives.live_to_its_end(false);
    EXPECT_TRUE(refused == kBadInput || refused == kStoreFailure) << refused;
    ASSERT_TRUE(device.mend());
    EXPECT_THAT(lives.ledger().check(device.store()), testing::IsEmpty());
  }
  EXPECT_EQ(lives.live_to_its_end(true), kGood);
  EXPECT_THAT(lives.ledger().check(device.store()), testing::IsEmpty());
  EXPECT_THAT(lives.ledger().check_ended(), testing::IsEmpty());
  const auto findings = verify_rocksdb_store(device.store());
  ASSERT_TRUE(findings) << findings.error().message;
  EXPECT_THAT(*findings, testing::IsEmpty());
}

TEST(TortureReadOnly, LosesNothingThatWasOnTheDiskAndEndsItOnceTheDeviceIsMended) {
  const test::TemporaryDirectory directory;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // the mounts are its own, and go with it
    const FailingDevice device(directory.path());
    if (!device.make()) ::_exit(test::kMountRefused);
    fail_and_mend(device);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  if (WEXITSTATUS(status) == test::kMountRefused)
    GTEST_SKIP() << "a private mount of an ext4 that can be told to fail is not permitted here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace leat::tools
