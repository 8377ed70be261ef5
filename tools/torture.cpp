#include "torture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>
#include <random>
#include <thread>
#include <vector>

#include "exit_status.h"
#include "leat/store_verifier.h"
#include "torture_ledger.h"
#include "torture_points.h"

namespace leat::tools {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

constexpr int kLivesOfAStore = 40;  // then a new one, so that a check stays short
constexpr auto kLongestLife = 20s;  // a life that does not die by then has come to a stand
constexpr int kDeadly = 128;        // exit statuses from here on: ended by a signal

/// How one life shall go.
struct Plan {
  std::string point = {};  // dies there by its own hand; empty: is killed from outside
  std::uint32_t passes = 1;
  std::string trouble = {};
  std::chrono::microseconds kill_after{0};  // from its birth
  std::chrono::milliseconds freeze{0};      // SIGSTOP for so long, before that
  bool clean = false;                       // SIGTERM instead
};

Plan make_plan(std::mt19937_64& random) {
  const auto pick = [&random](std::size_t count) { return static_cast<std::size_t>(random() % count); };
  Plan plan;
  plan.kill_after = std::chrono::microseconds(1000 + pick(random() % 4 == 0 ? 30'000 : 300'000));
  switch (pick(8)) {
    case 0:
    case 1:
    case 2:
      plan.point = kTorturePoints[pick(kTorturePoints.size())];
      plan.passes = static_cast<std::uint32_t>(1 + pick(random() % 2 == 0 ? 4 : 60));
      break;
    case 3:
      plan.trouble = kTortureTroubles[pick(kTortureTroubles.size())];
      break;
    case 4:
      plan.clean = pick(2) == 0;
      break;
    case 5:
      plan.freeze = std::chrono::milliseconds(pick(4) == 0 ? 100 + pick(2000) : 0);
      break;
    default:
      break;
  }
  return plan;
}

/// A running life and its pipe.
class Child {
 public:
  Child(const TortureOptions& options, const Plan& plan, std::uint64_t seed);
  ~Child() {
    if (pipe_ >= 0) ::close(pipe_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool born() const noexcept { return pid_ > 0; }
  void signal(int number) const noexcept { ::kill(pid_, number); }
  /// Hears what it tells, until it is silent for ever or the time has come. @return whether it is silent
  bool listen(TortureLedger& ledger, SteadyClock::time_point until);
  /// @return its exit status, or 128 + the signal that ended it
  int wait() const;

 private:
  pid_t pid_ = -1;
  int pipe_ = -1;
  std::array<char, sizeof(TortureReport)> part_{};
  std::size_t part_size_ = 0;
};

Child::Child(const TortureOptions& options, const Plan& plan, std::uint64_t seed) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
  pipe_ = ends[0];
  std::vector<std::string> words = {"leat",        "torture-life", "--store",
                                    options.store, "--seed",       std::to_string(seed)};
  if (!plan.point.empty()) {
    words.insert(words.end(), {"--die-at", plan.point, "--die-after", std::to_string(plan.passes)});
  }
  if (!plan.trouble.empty()) words.insert(words.end(), {"--trouble", plan.trouble});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], kTortureReportFd);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  if (::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments.data(), environ) != 0) pid_ = -1;
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
}

bool Child::listen(TortureLedger& ledger, SteadyClock::time_point until) {
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
      ledger.hear(said);
      part_size_ = 0;
    }
  }
}

int Child::wait() const {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? kDeadly + WTERMSIG(status) : WEXITSTATUS(status);
}

/// The observer.
class Torture {
 public:
  Torture(const TortureOptions& options, std::uint64_t seed) : options_(options), random_(seed) {}

  /// @return whether nothing was found
  bool live_once();
  void summarise(std::uint64_t seed, bool sound) const;

 private:
  bool may_end_so(const Plan& plan, int status) const;
  bool found(const Plan& plan, const std::vector<std::string>& wrong) const;
  bool check(const Plan& plan);

  const TortureOptions& options_;
  std::mt19937_64 random_;
  TortureLedger ledger_;
  int lives_ = 0;
  int lives_of_store_ = 0;
  int kills_ = 0;
  std::uint64_t acknowledgements_ = 0, attempts_ = 0, repeats_ = 0, contexts_ = 0;  // on earlier stores
};

bool Torture::may_end_so(const Plan& plan, int status) const {
  if (status == kDeadly + SIGKILL) return true;
  if (plan.clean && (status == kGood || status == kDeadly + SIGTERM)) return true;  // early: not yet caught
  // Without files, space or memory the store may refuse or fail, and memory may run out anywhere; what was
  // acknowledged must be there all the same.
  if (plan.trouble == "files" || plan.trouble == "size")
    return status == kBadInput || status == kStoreFailure;
  return plan.trouble == "memory";
}

bool Torture::found(const Plan& plan, const std::vector<std::string>& wrong) const {
  const std::string way = !plan.point.empty() ? fmt::format("died at '{}', pass {}", plan.point, plan.passes)
                          : !plan.trouble.empty() ? "had trouble with: " + plan.trouble
                          : plan.clean            ? std::string("was stopped")
                                       : fmt::format("was killed after {} us", plan.kill_after.count());
  for (const std::string& line : wrong) fmt::print(stderr, "leat: life {} ({}): {}\n", lives_, way, line);
  return wrong.empty();
}

bool Torture::live_once() {
  ++lives_;
  if (++lives_of_store_ > kLivesOfAStore) {
    std::filesystem::remove_all(options_.store);
    acknowledgements_ += ledger_.acknowledgements();
    attempts_ += ledger_.attempts();
    repeats_ += ledger_.repeats();
    contexts_ += ledger_.contexts();
    ledger_ = TortureLedger();
    lives_of_store_ = 1;
  }
  const Plan plan = make_plan(random_);
  Child child(options_, plan, random_());
  if (!child.born()) return found(plan, {"no process could be made"});
  const auto birth = SteadyClock::now();
  bool silent = child.listen(ledger_, birth + (plan.point.empty() ? plan.kill_after : kLongestLife / 10));
  if (!silent && plan.freeze.count() > 0) {
    child.signal(SIGSTOP);
    std::this_thread::sleep_for(plan.freeze);
    child.signal(SIGCONT);
    silent = child.listen(ledger_, SteadyClock::now() + plan.kill_after);
  }
  if (!silent && plan.clean) {
    child.signal(SIGTERM);
    silent = child.listen(ledger_, SteadyClock::now() + kLongestLife);
    if (!silent) return found(plan, {"it did not stop"});
  }
  if (!silent) child.signal(SIGKILL);
  child.listen(ledger_, SteadyClock::now() + kLongestLife);
  const int status = child.wait();
  if (status == kDeadly + SIGKILL) ++kills_;
  if (!may_end_so(plan, status)) return found(plan, {fmt::format("it ended with status {}", status)});
  return check(plan);
}

bool Torture::check(const Plan& plan) {
  if (!found(plan, ledger_.check(options_.store))) return false;
  if (lives_ % 8 != 0) return true;
  const auto findings = verify_rocksdb_store(options_.store);
  if (!findings)
    return findings.error().code == StoreErrorCode::NotFound || found(plan, {findings.error().message});
  std::vector<std::string> wrong;
  for (const StoreError& finding : *findings) wrong.push_back(finding.message);
  return found(plan, wrong);
}

void Torture::summarise(std::uint64_t seed, bool sound) const {
  fmt::print(
      "seed {}: {} lives, {} killed, {} acknowledgements, {} attempts, {} of them again after a death, {} "
      "looks at "
      "contexts: {}\n",
      seed, lives_, kills_, acknowledgements_ + ledger_.acknowledgements(), attempts_ + ledger_.attempts(),
      repeats_ + ledger_.repeats(), contexts_ + ledger_.contexts(),
      sound ? "nothing was lost" : "something was found");
}

}  // namespace

int torture(const TortureOptions& options) {
  std::error_code error;
  if (std::filesystem::exists(options.store, error) && !std::filesystem::is_empty(options.store, error)) {
    return fail(
        {kBadInput, fmt::format("--store {}: is not empty; torture makes a store of its own, and removes it "
                                "now and then",
                                options.store)});
  }
  const std::uint64_t seed = options.seed != 0 ? options.seed : std::random_device{}();
  fmt::print(stderr, "leat: seed {}\n", seed);
  const auto end = SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(
                                            std::chrono::duration<double, std::ratio<60>>(options.minutes));
  Torture observer(options, seed);
  bool sound = true;
  do {
    sound = observer.live_once();
  } while (sound && SteadyClock::now() < end);
  observer.summarise(seed, sound);
  return sound ? kGood : kFailed;
}

}  // namespace leat::tools
