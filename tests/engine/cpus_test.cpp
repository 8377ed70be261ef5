// What control groups leave a process of the CPUs: trees of files as the kernel shows them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "cpus.h"
#include "temporary_directory.h"

namespace leat {
namespace {

/// The files that a process sees.
class Quota : public testing::Test {
 protected:
  void process_is_in(const std::string& lines) { write("/proc/self/cgroup", lines); }
  void write(const std::string& file, const std::string& text) {
    const std::filesystem::path path = directory_.path() + file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  }
  std::optional<double> cpus() const { return quota_cpus(directory_.path()); }

 private:
  const TemporaryDirectory directory_;
};

TEST_F(Quota, IsThatOfTheProcesssOwnGroup) {
  process_is_in("0::/system.slice/leat.service");
  write("/sys/fs/cgroup/system.slice/leat.service/cpu.max", "150000 100000");
  EXPECT_EQ(cpus(), 1.5);
}

TEST_F(Quota, IsTheSmallestFromTheGroupUpToTheRoot) {
  process_is_in("0::/a/b/c");
  write("/sys/fs/cgroup/a/b/c/cpu.max", "400000 100000");
  write("/sys/fs/cgroup/a/b/cpu.max", "max 100000");
  write("/sys/fs/cgroup/a/cpu.max", "200000 100000");
  EXPECT_EQ(cpus(), 2);
  write("/sys/fs/cgroup/cpu.max", "50000 100000");  // there is one in a namespace of groups
  EXPECT_EQ(cpus(), 0.5);
}

TEST_F(Quota, InAContainerThatShowsTheHostsPathIsThatOfTheMount) {
  process_is_in("0::/docker/0123456789abcdef");
  write("/sys/fs/cgroup/cpu.max", "300000 100000");
  EXPECT_EQ(cpus(), 3);
  process_is_in("0::/../../elsewhere");
  EXPECT_EQ(cpus(), 3);
}

TEST_F(Quota, OfVersion1IsQuotaByPeriod) {
  process_is_in("5:cpuset:/x\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc");
  write("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "250000");
  write("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000");
  write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1");
  write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000");
  EXPECT_EQ(cpus(), 2.5);
}

TEST_F(Quota, IsFoundWhereBothVersionsStandSideBySide) {
  process_is_in("1:cpu:/one\n0::/two");
  write("/sys/fs/cgroup/unified/two/cpu.max", "400000 100000");
  write("/sys/fs/cgroup/cpu/one/cpu.cfs_quota_us", "700000");
  write("/sys/fs/cgroup/cpu/one/cpu.cfs_period_us", "100000");
  EXPECT_EQ(cpus(), 4);
}

TEST_F(Quota, IsNoneWhereNothingSaysSo) {
  EXPECT_EQ(cpus(), std::nullopt);
  process_is_in("0::/");
  write("/sys/fs/cgroup/cpu.max", "max 100000");
  EXPECT_EQ(cpus(), std::nullopt);
  process_is_in("nonsense\n0::\n0");
  write("/sys/fs/cgroup/cpu.max", "");
  EXPECT_EQ(cpus(), std::nullopt);
}

TEST(UsableCpus, AreNoMoreThanTheMaskHas) {
  EXPECT_GE(usable_cpus(), 1U);
  EXPECT_LE(usable_cpus(), process_cpus().size());
}

}  // namespace
}  // namespace leat
