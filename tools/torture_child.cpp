#include "torture_child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

namespace leat::tools {
namespace {

using SteadyClock = std::chrono::steady_clock;

std::vector<std::string> words_of(const TortureLifeOptions& life) {
  std::vector<std::string> words = {"leat",     "torture-life", "--store",
                                    life.store, "--seed",       std::to_string(life.seed)};
  if (!life.die_at.empty())
    words.insert(words.end(), {"--die-at", life.die_at, "--die-after", std::to_string(life.die_after)});
  if (!life.trouble.empty()) words.insert(words.end(), {"--trouble", life.trouble});
  if (life.hours != 0) words.push_back("--hours=" + std::to_string(life.hours));
  if (life.drain) words.push_back("--drain");
  return words;
}

}  // namespace

TortureChild::TortureChild(const std::string& program, const TortureLifeOptions& life) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
  pipe_ = ends[0];
  std::vector<std::string> words = words_of(life);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], kTortureReportFd);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  if (::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environ) != 0) pid_ = -1;
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
}

TortureChild::~TortureChild() {
  if (pipe_ >= 0) ::close(pipe_);
}

void TortureChild::signal(int number) const noexcept {
  ::kill(pid_, number);
}

bool TortureChild::listen(const Hear& hear, SteadyClock::time_point until) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - SteadyClock::now());
    pollfd ready{pipe_, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0) return false;
    std::array<char, 4096> bytes;
    const ssize_t count = ::read(pipe_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    for (ssize_t i = 0; i < count; ++i) {
      part_[part_size_++] = bytes[static_cast<std::size_t>(i)];
      if (part_size_ < part_.size()) continue;
      TortureReport said;
      std::memcpy(&said, part_.data(), sizeof said);
      hear(said);
      part_size_ = 0;
    }
  }
}

int TortureChild::wait() const {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? kTortureDeadly + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace leat::tools
