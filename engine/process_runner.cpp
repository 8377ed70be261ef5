#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <deque>
#include <thread>
#include <unordered_map>

#include "child_process.h"
#include "leat/process.h"
#include "leat_locks/mutex.h"

namespace leat {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

/// The end of a stream of any length.
class OutputTail {
 public:
  void append(std::string_view bytes) {
    seen_ += bytes.size();
    kept_.append(bytes);
    if (kept_.size() > 2 * ProcessRunner::kOutputBytesMax) {
      kept_.erase(0, kept_.size() - ProcessRunner::kOutputBytesMax);
    }
  }

  /// At most kOutputBytesMax bytes, the line that tells of a cut included.
  std::string take() {
    if (seen_ <= ProcessRunner::kOutputBytesMax) return std::move(kept_);
    constexpr std::size_t kNoteBytesMax = 64;
    const std::size_t keep = ProcessRunner::kOutputBytesMax - kNoteBytesMax;
    return fmt::format("[{} earlier bytes cut]\n", seen_ - keep) + kept_.substr(kept_.size() - keep);
  }

 private:
  std::string kept_;
  std::uint64_t seen_ = 0;
};

/// Which descriptor of a child an epoll event is about; shares a word with the child's number.
enum class Source : std::uint64_t { Wake = 0, Exit = 1, Output = 2, ErrorOutput = 3 };
constexpr unsigned kSourceBits = 2;

std::uint64_t event_key(ProcessId id, Source source) {
  return id << kSourceBits | static_cast<std::uint64_t>(source);
}

}  // namespace

std::string ProcessResult::describe() const {
  if (signal != 0) {
    const char* name = ::sigdescr_np(signal);
    return fmt::format("killed by signal {} ({})", signal, name != nullptr ? name : "unknown");
  }
  if (exit_status < 0) return "ended, but another part of this process took its exit status";
  return fmt::format("exit status {}", exit_status);
}

/// The thread, and what it watches.
///
/// Invariants:
/// 1. children_ changes under mutex_; a Child's streams belong to the reactor's thread alone.
/// 2. A child is in children_ exactly while its leader has not been reaped.
class ProcessRunner::Reactor {
 public:
  explicit Reactor(std::chrono::nanoseconds kill_grace);
  ~Reactor();
  std::expected<ProcessId, Error> start(const ProcessSpec& spec, OnExit on_exit, OnStarted on_started);
  void terminate(ProcessId id) noexcept;
  int pid(ProcessId id) const noexcept;

 private:
  struct Child {
    SpawnedChild process;
    OnExit on_exit;
    SteadyTime started;
    bool terminated = false;
    OutputTail output;
    OutputTail error_output;
  };
  struct Due {
    SteadyTime at;
    ProcessId id;
  };

  void run();
  bool watch(int fd, std::uint64_t key) noexcept;
  void wake() noexcept;
  int kill_overdue();
  void handle(ProcessId id, Source source);
  bool read_some(FileDescriptor& fd, OutputTail& tail);
  void reap(ProcessId id, Child& child);

  const std::chrono::nanoseconds kill_grace_;
  FileDescriptor epoll_;
  FileDescriptor wake_;
  mutable Mutex mutex_;
  std::unordered_map<ProcessId, Child> children_ LEAT_GUARDED_BY(mutex_);
  // Terminated, in the order of their deadlines (the grace is the same for all).
  std::deque<Due> dying_ LEAT_GUARDED_BY(mutex_);
  ProcessId next_id_ LEAT_GUARDED_BY(mutex_) = 1;
  bool stopping_ LEAT_GUARDED_BY(mutex_) = false;
  std::array<char, 64 << 10> buffer_;
  std::thread thread_;
};

ProcessRunner::Reactor::Reactor(std::chrono::nanoseconds kill_grace)
    : kill_grace_(kill_grace),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!epoll_ || !wake_ || !watch(wake_.get(), event_key(0, Source::Wake))) return;  // start() says so
  // The host's signal handlers are not for this thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::pthread_setname_np(thread_.native_handle(), "leat-reaper");
}

ProcessRunner::Reactor::~Reactor() {
  if (!thread_.joinable()) return;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    for (auto& [id, child] : children_) {
      child.terminated = true;
      ::kill(-child.process.pid, SIGKILL);
    }
  }
  wake();
  thread_.join();
}

bool ProcessRunner::Reactor::watch(int fd, std::uint64_t key) noexcept {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = key;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void ProcessRunner::Reactor::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);  // full: it is awake already
}

std::expected<ProcessId, Error> ProcessRunner::Reactor::start(const ProcessSpec& spec, OnExit on_exit,
                                                              OnStarted on_started) {
  if (!thread_.joinable()) {
    return std::unexpected(
        Error{ErrorCode::InvalidState, "cannot run children: no epoll or eventfd descriptor"});
  }
  const SteadyTime started = std::chrono::steady_clock::now();
  auto process = spawn_child(spec);
  if (!process) return std::unexpected(std::move(process.error()));
  if (on_started) on_started(process->pid);

  const MutexLock lock(mutex_);
  const ProcessId id = next_id_++;
  const bool watched =
      watch(process->output.get(), event_key(id, Source::Output)) &&
      (!process->error_output || watch(process->error_output.get(), event_key(id, Source::ErrorOutput))) &&
      watch(process->pidfd.get(), event_key(id, Source::Exit));
  if (!watched) {
    const int error = errno;
    ::kill(-process->pid, SIGKILL);
    ::waitpid(process->pid, nullptr, 0);
    return std::unexpected(Error{
        ErrorCode::InvalidArgument,
        fmt::format("cannot run '{}': {}", spec.command.front(), std::generic_category().message(error))});
  }
  // The thread cannot miss an event: epoll is level-triggered, and handle() takes the lock.
  children_.emplace(id, Child{.process = std::move(*process),
                              .on_exit = std::move(on_exit),
                              .started = started,
                              .output = {},
                              .error_output = {}});
  return id;
}

void ProcessRunner::Reactor::terminate(ProcessId id) noexcept {
  {
    const MutexLock lock(mutex_);
    const auto found = children_.find(id);
    if (found == children_.end() || found->second.terminated) return;
    found->second.terminated = true;
    ::kill(-found->second.process.pid, SIGTERM);
    dying_.push_back({std::chrono::steady_clock::now() + kill_grace_, id});
  }
  wake();
}

int ProcessRunner::Reactor::pid(ProcessId id) const noexcept {
  const MutexLock lock(mutex_);
  const auto found = children_.find(id);
  return found == children_.end() ? 0 : found->second.process.pid;
}

/// Sends the SIGKILLs that are due. @return milliseconds until the next one, rounded up; -1: none
int ProcessRunner::Reactor::kill_overdue() {
  const MutexLock lock(mutex_);
  const SteadyTime now = std::chrono::steady_clock::now();
  for (; !dying_.empty(); dying_.pop_front()) {
    const auto found = children_.find(dying_.front().id);
    if (found == children_.end()) continue;
    if (dying_.front().at > now) {
      return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(dying_.front().at - now).count());
    }
    ::kill(-found->second.process.pid, SIGKILL);
  }
  return -1;
}

void ProcessRunner::Reactor::run() {
  std::array<epoll_event, 64> events;
  for (;;) {
    {
      const MutexLock lock(mutex_);
      if (stopping_ && children_.empty()) return;
    }
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), kill_overdue());
    for (int i = 0; i < count; ++i) {
      const std::uint64_t key = events[static_cast<std::size_t>(i)].data.u64;
      handle(key >> kSourceBits, static_cast<Source>(key & ((1U << kSourceBits) - 1)));
    }
  }
}

void ProcessRunner::Reactor::handle(ProcessId id, Source source) {
  if (source == Source::Wake) {
    std::uint64_t wakes;
    [[maybe_unused]] const auto bytes = ::read(wake_.get(), &wakes, sizeof wakes);
    return;
  }
  Child* child = nullptr;
  {
    const MutexLock lock(mutex_);
    const auto found = children_.find(id);
    if (found == children_.end()) return;  // reaped by an earlier event of this batch
    child = &found->second;                // stays: only this thread erases, and the map's nodes do not move
  }
  if (source == Source::Output) read_some(child->process.output, child->output);
  if (source == Source::ErrorOutput) read_some(child->process.error_output, child->error_output);
  if (source == Source::Exit) reap(id, *child);
}

/// @return whether there may be more to read now
bool ProcessRunner::Reactor::read_some(FileDescriptor& fd, OutputTail& tail) {
  if (!fd) return false;
  const ssize_t bytes = ::read(fd.get(), buffer_.data(), buffer_.size());
  if (bytes > 0) {
    tail.append({buffer_.data(), static_cast<std::size_t>(bytes)});
    return true;
  }
  if (bytes < 0 && errno == EINTR) return true;
  if (bytes == 0 || errno != EAGAIN) fd.reset();  // closing takes it out of the epoll set
  return false;
}

void ProcessRunner::Reactor::reap(ProcessId id, Child& child) {
  // The leader is a zombie still, so the group's number is ours: end what is left of it.
  ::kill(-child.process.pid, SIGKILL);
  siginfo_t info{};
  decltype(children_)::node_type ended;
  bool known = false;
  {
    const MutexLock lock(mutex_);  // no terminate() between the reaping and the removal
    known = ::waitid(P_PIDFD, static_cast<id_t>(child.process.pidfd.get()), &info, WEXITED) == 0;
    ended = children_.extract(id);
  }
  ProcessResult result;
  result.duration = std::chrono::steady_clock::now() - child.started;
  result.terminated = child.terminated;
  result.exit_status = known && info.si_code == CLD_EXITED ? info.si_status : -1;
  result.signal = known && info.si_code != CLD_EXITED ? info.si_status : 0;
  // A process that left the group may go on writing for ever: take what a full pipe holds, no more.
  constexpr int kReadsMax = 16;
  for (int i = 0; i < kReadsMax && read_some(child.process.output, child.output); ++i) {
  }
  for (int i = 0; i < kReadsMax && read_some(child.process.error_output, child.error_output); ++i) {
  }
  result.output = child.output.take();
  result.error_output = child.error_output.take();
  OnExit on_exit = std::move(child.on_exit);
  ended = {};  // closes the descriptors before anybody hears of the end
  on_exit(std::move(result));
}

ProcessRunner::ProcessRunner(std::chrono::nanoseconds kill_grace)
    : reactor_(std::make_unique<Reactor>(kill_grace)) {}

ProcessRunner::~ProcessRunner() = default;

std::expected<ProcessId, Error> ProcessRunner::start(const ProcessSpec& spec, OnExit on_exit,
                                                     OnStarted on_started) {
  return reactor_->start(spec, std::move(on_exit), std::move(on_started));
}

void ProcessRunner::terminate(ProcessId id) noexcept {
  reactor_->terminate(id);
}

int ProcessRunner::pid(ProcessId id) const noexcept {
  return reactor_->pid(id);
}

}  // namespace leat
