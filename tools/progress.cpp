#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace leat::tools {

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1), started_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (terminal_) fmt::print(stderr, "\r\x1b[K");
}

std::chrono::nanoseconds Progress::interval() const noexcept {
  return terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(5);
}

void Progress::show(const ProgressFigures& figures) {
  constexpr std::uint64_t kCells = 30;
  const std::uint64_t ended = std::min(figures.tasks_ended, figures.tasks);
  const std::uint64_t full = figures.tasks == 0 ? kCells : ended * kCells / figures.tasks;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - started_;
  const std::string text =
      fmt::format("{}/{} tasks, {} failed, {}/{} pipelines, {:.1f} s", ended, figures.tasks,
                  figures.tasks_failed, figures.pipelines_ended, figures.pipelines, elapsed.count());
  if (terminal_) {
    fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {}\x1b[K", "", full, "", kCells - full, text);
  } else {
    fmt::print(stderr, "leat: {}\n", text);
  }
}

}  // namespace leat::tools
