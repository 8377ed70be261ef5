#include "child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "refusal.h"

namespace leat {
namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

/// Whether the same call may succeed a little later.
bool passes(int error) {
  return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE;
}

struct Pipe {
  FileDescriptor read;
  FileDescriptor write;
};

/// A descriptor above the standard three, which the child's file actions overwrite.
FileDescriptor above_standard(FileDescriptor fd) {
  if (fd.get() > STDERR_FILENO) return fd;
  return FileDescriptor(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

std::expected<Pipe, int> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::unexpected(errno);
  Pipe pipe{above_standard(FileDescriptor(ends[0])), above_standard(FileDescriptor(ends[1]))};
  if (!pipe.read || !pipe.write) return std::unexpected(errno);
  // Only our end: the flag belongs to the open file, and the child's writes shall block as usual.
  if (::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) return std::unexpected(errno);
  return pipe;
}

/// What the child does between clone and exec.
class FileActions {
 public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }

  /// @return 0 or an errno
  int set(int output, int error_output, const std::string& directory) {
    int error = posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0) error = posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    if (error == 0) error = posix_spawn_file_actions_adddup2(&actions_, error_output, STDERR_FILENO);
    if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    if (error == 0 && !directory.empty()) {
      error = posix_spawn_file_actions_addchdir_np(&actions_, directory.c_str());
    }
    return error;
  }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

/// A process group of its own, and no signal blocked or ignored.
class Attributes {
 public:
  Attributes() {
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes_, 0);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  ~Attributes() { posix_spawnattr_destroy(&attributes_); }
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

std::vector<std::string> merged_environment(const ProcessSpec& spec) {
  std::vector<std::string> merged;
  for (const auto& [name, value] : spec.environment) merged.push_back(name + '=' + value);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced =
        std::ranges::any_of(spec.environment, [name](const auto& own) { return own.first == name; });
    if (!replaced) merged.emplace_back(text);
  }
  return merged;
}

std::vector<char*> null_terminated(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

/// @return what in the spec no process can be given; empty: nothing
std::string objection(const ProcessSpec& spec) {
  const auto has_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
  if (spec.command.empty() || spec.command.front().empty()) return "cannot run an empty command";
  if (std::ranges::any_of(spec.command, has_nul)) {
    return fmt::format("cannot run '{}': an argument holds a NUL byte", spec.command.front().c_str());
  }
  for (const auto& [name, value] : spec.environment) {
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name) || has_nul(value)) {
      return fmt::format("cannot run '{}': '{}' is no name, or holds no value, of an environment variable",
                         spec.command.front(), name.c_str());
    }
  }
  return {};
}

std::unexpected<Error> failure(const ProcessSpec& spec, int error) {
  const std::string& program = spec.command.front();
  if (passes(error)) {
    return std::unexpected(
        Error{ErrorCode::InvalidState, fmt::format("cannot run '{}' now: {}", program, reason(error))});
  }
  // The errno of exec does not tell a missing directory from a missing program, so look.
  struct stat status{};
  if (!spec.directory.empty()) {
    const int missing = ::stat(spec.directory.c_str(), &status) != 0 ? errno : 0;
    if (missing != 0 || !S_ISDIR(status.st_mode)) {
      return refuse(fmt::format("cannot run '{}' in '{}': {}", program, spec.directory,
                                reason(missing != 0 ? missing : ENOTDIR)));
    }
  }
  return refuse(fmt::format("cannot run '{}': {}", program, reason(error)));
}

}  // namespace

std::expected<SpawnedChild, Error> spawn_child(const ProcessSpec& spec) {
  if (std::string message = objection(spec); !message.empty()) return refuse(std::move(message));
  auto output = make_pipe();
  if (!output) return failure(spec, output.error());
  Pipe errors;
  if (!spec.merge_output) {
    auto made = make_pipe();
    if (!made) return failure(spec, made.error());
    errors = std::move(*made);
  }

  FileActions actions;
  const int error_target = spec.merge_output ? output->write.get() : errors.write.get();
  if (const int error = actions.set(output->write.get(), error_target, spec.directory)) {
    return failure(spec, error);
  }
  const Attributes attributes;
  const std::vector<std::string> environment = merged_environment(spec);
  const std::vector<char*> arguments = null_terminated(spec.command);
  const std::vector<char*> variables = null_terminated(environment);
  SpawnedChild child;
  if (const int error = ::posix_spawnp(&child.pid, spec.command.front().c_str(), actions.get(),
                                       attributes.get(), arguments.data(), variables.data())) {
    return failure(spec, error);
  }
  // glibc 2.36 declares pidfd_open() without C linkage, hence the bare system call.
  child.pidfd = FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0)));
  if (!child.pidfd) {
    const int error = errno;
    ::kill(-child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
    return failure(spec, error);
  }
  child.output = std::move(output->read);
  child.error_output = std::move(errors.read);
  return child;
}

std::uint64_t process_identity(pid_t pid) {
  const auto read = [](const std::string& path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  // Behind the name, which may hold anything: state, and as the 20th word the time of the start in ticks.
  const std::string status = read(fmt::format("/proc/{}/stat", pid));
  std::size_t at = status.rfind(')');
  for (int word = 0; word < 20 && at != std::string::npos; ++word) at = status.find(' ', at + 1);
  if (at == std::string::npos) return 0;
  const std::string when =
      read("/proc/sys/kernel/random/boot_id") + status.substr(at, status.find(' ', at + 1) - at);
  return XXH3_64bits(when.data(), when.size());
}

std::optional<OrphanProcess> OrphanProcess::find(pid_t pid, std::uint64_t identity) {
  // First the descriptor: what is told of the number afterwards is told of this process, or it has ended.
  FileDescriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd || identity == 0 || process_identity(pid) != identity) return std::nullopt;
  return OrphanProcess(pid, std::move(pidfd));
}

void OrphanProcess::kill() noexcept {
  // By the descriptor, since the number may be another's by now. Stopped first: while the leader is there,
  // its group is the one that has its number.
  if (!send(SIGSTOP) || wait(std::chrono::milliseconds(0))) return;
  if (::getpgid(pid_) == pid_) ::kill(-pid_, SIGKILL);
  send(SIGKILL);
}

bool OrphanProcess::wait(std::chrono::milliseconds patience) noexcept {
  pollfd ended{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&ended, 1, static_cast<int>(patience.count())) > 0;
}

/// @return false: it is gone
bool OrphanProcess::send(int signal) noexcept {
  return ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) == 0;
}

}  // namespace leat
