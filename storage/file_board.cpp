// The in-flight board as a mapped file.
#include "file_board.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

namespace leat {
namespace {

struct Header {
  std::array<char, 8> magic;
  std::uint64_t format;
};
constexpr std::array<char, 8> kMagic = {'l', 'e', 'a', 't', 'B', 'R', 'D', '\n'};
constexpr std::uint64_t kFormat = 1;  // 0, without a header: lines from the file's first byte
constexpr std::size_t kHeaderBytes = std::size_t{64} << 10;  // whole pages, on every machine
static_assert(kHeaderBytes % sizeof(BoardLine) == 0);

std::unexpected<StoreError> system_error(int error, std::string_view deed, const std::string& path) {
  const StoreErrorCode code =
      error == ENOSPC || error == EDQUOT ? StoreErrorCode::DiskFull : StoreErrorCode::Io;
  return std::unexpected(
      StoreError{code, fmt::format("cannot {} {}: {}", deed, path, std::generic_category().message(error))});
}

std::expected<std::span<BoardLine>, int> map_lines(int fd, std::size_t offset, std::size_t size_bytes) {
  void* const address =
      ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (address == MAP_FAILED) return std::unexpected(errno);
  return std::span(static_cast<BoardLine*>(address), size_bytes / sizeof(BoardLine));
}

using Said = std::vector<std::pair<BoardLine::Task, BoardLine::Child>>;

/// What the mapped file of an earlier opening says.
std::expected<Said, StoreError> read_lines(std::span<const BoardLine> lines, const std::string& path) {
  Header header;
  std::memcpy(&header, static_cast<const void*>(lines.data()), sizeof(header));
  if (header.magic == kMagic) {
    if (header.format != kFormat) {
      return std::unexpected(
          StoreError{StoreErrorCode::NewerFormat,
                     fmt::format("{} has format {} (accepted: up to {})", path, header.format, kFormat)});
    }
    lines = lines.subspan(std::min(lines.size(), kHeaderBytes / sizeof(BoardLine)));
  }
  Said said;
  for (const BoardLine& line : lines) {
    if (!line.empty()) said.emplace_back(line.task(), line.child());
  }
  return said;
}

std::expected<Said, StoreError> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return Said();  // a store that was closed has none
  std::expected<Said, StoreError> said;
  struct stat status {};
  if (::fstat(fd, &status) == 0 && status.st_size >= static_cast<off_t>(sizeof(BoardLine))) {
    const auto size_bytes = static_cast<std::size_t>(status.st_size);
    if (const auto lines = map_lines(fd, 0, size_bytes)) {
      said = read_lines(*lines, path);
      ::munmap(lines->data(), size_bytes);
    }
  }
  ::close(fd);
  return said;
}

/// @return 0, or an errno
int write_header(OwnFiles& files, int fd) {
  const Header header{.magic = kMagic, .format = kFormat};
  if (const int error = files.extend(fd, 0, kHeaderBytes)) return error;
  return files.write(fd, &header, sizeof(header), 0) == sizeof(header) ? 0 : errno;
}

}  // namespace

std::expected<std::unique_ptr<FileBoard>, StoreError> FileBoard::open(const std::string& directory,
                                                                      OwnFiles& files) {
  const std::string path = directory + "/BOARD";
  const std::string temporary = path + ".new";
  const auto said = read_file(path);
  if (!said) return std::unexpected(said.error());
  const int fd = files.open(temporary.c_str(), O_RDWR | O_CREAT | O_TRUNC);
  if (fd < 0) return system_error(errno, "make", temporary);
  std::unique_ptr<FileBoard> board(new FileBoard(path, fd, files));
  if (const int error = write_header(files, fd)) return system_error(error, "write", temporary);
  board->size_bytes_ = kHeaderBytes;
  if (!said->empty()) {
    auto lines = board->claim(said->size());
    if (!lines) return std::unexpected(std::move(lines.error()));
    for (std::size_t i = 0; i < said->size(); ++i) {
      (*lines)[i].note_child((*said)[i].second);
      (*lines)[i].begin((*said)[i].first);
    }
    board->left_behind_ = *lines;
  }
  // Not synced: a power cut is no task's fault, and leaves no child.
  if (files.rename(temporary.c_str(), path.c_str()) != 0) return system_error(errno, "replace", path);
  return board;
}

FileBoard::~FileBoard() {
  for (const std::span<BoardLine> lines : mapped_) ::munmap(lines.data(), lines.size_bytes());
  ::close(fd_);
}

std::expected<std::span<BoardLine>, StoreError> FileBoard::claim(std::size_t count) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t bytes = (count * sizeof(BoardLine) + page - 1) / page * page;
  // Allocated now: a store into a hole of a full disk would be a SIGBUS.
  const int error = files_.extend(fd_, size_bytes_, bytes);
  if (error != 0) return system_error(error, "extend", path_);
  const auto lines = map_lines(fd_, size_bytes_, bytes);
  if (!lines) return system_error(lines.error(), "map", path_);
  size_bytes_ += bytes;
  mapped_.push_back(*lines);
  return lines->first(count);
}

void FileBoard::close() noexcept {
  const bool silent = std::ranges::all_of(
      mapped_, [](std::span<BoardLine> lines) { return std::ranges::all_of(lines, &BoardLine::empty); });
  if (silent) files_.remove(path_.c_str());
}

}  // namespace leat
