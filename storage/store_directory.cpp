// The lock, the superblock and the floor of a store's directory, by POSIX calls.
#include "store_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "record_format.h"

namespace leat {
namespace {

constexpr std::string_view kSuperblockName = "LEAT";
constexpr std::string_view kTemporaryName = "LEAT.new";
constexpr std::string_view kFloorName = "FLOOR";
constexpr std::string_view kFirstWords = "leat store format ";
constexpr std::uint64_t kFormatWithHash = 3;
constexpr std::uint64_t kFormatWithRepair = 4;
constexpr std::size_t kSuperblockBytesMax = 4096;
constexpr std::size_t kSectorBytes = 512;  // what a device writes whole or not at all
constexpr std::size_t kFloorBytes = 8 * sizeof(std::uint64_t);
constexpr std::size_t kFloorBytesBefore = 6 * sizeof(std::uint64_t);  // format 4

/// Owns a file descriptor.
class File {
 public:
  explicit File(int fd) noexcept : fd_(fd) {}
  File(const std::string& path, int flags) : File(OwnFiles::system().open(path.c_str(), flags)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int give() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

std::string join(const std::string& directory, std::string_view name) {
  return directory + "/" + std::string(name);
}

StoreErrorCode code_of(int error) {
  switch (error) {
    case ENOENT:
      return StoreErrorCode::NotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return StoreErrorCode::NotWritable;
    case ENOSPC:
    case EDQUOT:
      return StoreErrorCode::DiskFull;
    default:
      return StoreErrorCode::Io;
  }
}

std::unexpected<StoreError> system_error(int error, std::string_view deed, const std::string& path) {
  return std::unexpected(StoreError{
      code_of(error), fmt::format("cannot {} {}: {}", deed, path, std::generic_category().message(error))});
}

std::unexpected<StoreError> error(StoreErrorCode code, std::string message) {
  return std::unexpected(StoreError{code, std::move(message)});
}

/// Reads at most `size_max` bytes from the start.
std::expected<std::string, StoreError> read_file(const std::string& path, std::size_t size_max) {
  const File file(path, O_RDONLY);
  if (!file.is_open()) return system_error(errno, "open", path);
  std::string bytes(size_max, '\0');
  std::size_t size = 0;
  while (size < size_max) {
    const ssize_t count = ::read(file.fd(), bytes.data() + size, size_max - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(errno, "read", path);
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  bytes.resize(size);
  return bytes;
}

/// @return  false with errno set
bool write_all(OwnFiles& files, int fd, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const std::ptrdiff_t count = files.write(fd, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return true;
}

std::expected<void, StoreError> sync_directory(OwnFiles& files, const std::string& path) {
  const File directory(files.open(path.c_str(), O_RDONLY | O_DIRECTORY));
  if (!directory.is_open() || files.sync(directory.fd()) != 0) return system_error(errno, "sync", path);
  return {};
}

std::array<std::byte, kFloorBytes> encode(const Floor& floor) {
  std::array<std::byte, kFloorBytes> bytes;
  std::byte* out = bytes.data();
  for (const std::uint64_t value : {floor.turn, floor.epoch, floor.synced, floor.written, floor.boot,
                                    floor.synced_hash, floor.written_hash}) {
    out = record_format::put_u64(out, value);
  }
  record_format::put_u64(out, XXH3_64bits(bytes.data(), kFloorBytes - sizeof(std::uint64_t)));
  return bytes;
}

/// @param bytes  kFloorBytes, or kFloorBytesBefore
std::optional<Floor> decode_floor(std::string_view file, std::size_t offset, std::size_t bytes) {
  if (file.size() < offset + bytes) return std::nullopt;
  const auto* in = reinterpret_cast<const std::byte*>(file.data()) + offset;
  const auto field = [in](std::size_t index) {
    return record_format::get_u64(in + index * sizeof(std::uint64_t));
  };
  const std::size_t checked = bytes - sizeof(std::uint64_t);
  if (XXH3_64bits(in, checked) != field(checked / sizeof(std::uint64_t))) return std::nullopt;
  Floor floor{.turn = field(0), .epoch = field(1), .synced = field(2), .written = field(3), .boot = field(4)};
  if (bytes == kFloorBytes) {
    floor.synced_hash = field(5);
    floor.written_hash = field(6);
  }
  return floor;
}

/// Takes "name value\n" off the front of `text`.
bool take_line(std::string_view& text, std::string_view name, std::uint64_t& value) {
  if (!text.starts_with(name)) return false;
  const char* const first = text.data() + name.size();
  const auto [end, failed] = std::from_chars(first, text.data() + text.size(), value);
  if (failed != std::errc() || end == text.data() + text.size() || *end != '\n') return false;
  text.remove_prefix(static_cast<std::size_t>(end + 1 - text.data()));
  return true;
}

}  // namespace

std::string Superblock::to_text() const {
  const std::string text = fmt::format(
      "{}{}\nepoch {}\ncreated {}\nclean {}\njournal_end {}\njournal_hash {}\nreserved_end {}\nmanifest {}\n"
      "repairing {}\n",
      kFirstWords, kStoreFormat, epoch, created ? 1 : 0, clean ? 1 : 0, journal_end, journal_hash,
      reserved_end, manifest, repairing);
  return fmt::format("{}checksum {:016x}\n", text, XXH3_64bits(text.data(), text.size()));
}

std::expected<Superblock, StoreError> Superblock::parse(std::string_view text) {
  constexpr std::size_t kChecksumLineBytes = std::string_view("checksum 0123456789abcdef\n").size();
  const auto damaged = [] { return error(StoreErrorCode::Damaged, "the superblock is damaged"); };
  if (text.size() < kChecksumLineBytes) return damaged();
  // The checksum first: a flipped digit is damage, not a later format. Later formats keep its place.
  std::string_view rest = text.substr(0, text.size() - kChecksumLineBytes);
  if (text.substr(rest.size()) != fmt::format("checksum {:016x}\n", XXH3_64bits(rest.data(), rest.size()))) {
    return damaged();
  }
  std::uint64_t format = 0;
  if (!rest.starts_with(kFirstWords) || !take_line(rest, kFirstWords, format)) return damaged();
  if (format > kStoreFormat) {
    return error(
        StoreErrorCode::NewerFormat,
        fmt::format("the store has format {}, this leat knows formats up to {}", format, kStoreFormat));
  }
  Superblock block;
  std::uint64_t created = 0;
  std::uint64_t clean = 0;
  const bool complete =
      take_line(rest, "epoch ", block.epoch) && take_line(rest, "created ", created) &&
      take_line(rest, "clean ", clean) && take_line(rest, "journal_end ", block.journal_end) &&
      (format < kFormatWithHash || take_line(rest, "journal_hash ", block.journal_hash)) &&
      take_line(rest, "reserved_end ", block.reserved_end) && take_line(rest, "manifest ", block.manifest) &&
      (format < kFormatWithRepair || take_line(rest, "repairing ", block.repairing));
  if (!complete || !rest.empty() || created > 1 || clean > 1 || block.journal_end > block.reserved_end) {
    return damaged();
  }
  block.created = created == 1;
  block.clean = clean == 1;
  return block;
}

StoreError repair_was_cut_short(const std::string& directory) {
  return {StoreErrorCode::Damaged,
          fmt::format("{}: a repair was cut short; run leat verify --repair once more", directory)};
}

std::uint64_t current_boot() {
  const auto id = read_file("/proc/sys/kernel/random/boot_id", 64);
  return id && !id->empty() ? XXH3_64bits(id->data(), id->size()) : 0;
}

std::expected<Superblock, StoreError> read_superblock(const std::string& directory) {
  std::error_code failed;
  const auto status = std::filesystem::status(directory, failed);
  if (status.type() == std::filesystem::file_type::not_found) {
    return error(StoreErrorCode::NotFound, fmt::format("{}: there is no store", directory));
  }
  if (status.type() != std::filesystem::file_type::directory) {
    return error(StoreErrorCode::NotAStore, fmt::format("{} is not a directory", directory));
  }
  auto text = read_file(join(directory, kSuperblockName), kSuperblockBytesMax);
  if (!text && text.error().code == StoreErrorCode::NotFound) {
    bool is_empty = true;
    for (const auto& entry : std::filesystem::directory_iterator(directory, failed)) {
      is_empty = is_empty && entry.path().filename() == kTemporaryName;
    }
    if (failed)
      return error(StoreErrorCode::Io, fmt::format("cannot list {}: {}", directory, failed.message()));
    if (is_empty) return error(StoreErrorCode::NotFound, fmt::format("{}: there is no store", directory));
    if (std::filesystem::exists(join(directory, kFloorName), failed)) {
      return error(StoreErrorCode::Damaged,
                   fmt::format("{}: the superblock {} is missing; put it back from a backup", directory,
                               kSuperblockName));
    }
    return error(
        StoreErrorCode::NotAStore,
        fmt::format("{} holds files that are not a leat store; name an empty or a new directory", directory));
  }
  if (!text) return std::unexpected(text.error());
  auto block = Superblock::parse(*text);
  if (!block) block.error().message = fmt::format("{}: {}", directory, block.error().message);
  return block;
}

std::expected<Floor, StoreError> read_floor(const std::string& directory, bool* flawed) {
  const auto bytes = read_file(join(directory, kFloorName), 2 * kSectorBytes);
  const std::string_view file = bytes ? std::string_view(*bytes) : std::string_view();
  // An opening for writing makes both sectors anew, so that they are of one length.
  const bool is_old =
      decode_floor(file, 0, kFloorBytesBefore) || decode_floor(file, kSectorBytes, kFloorBytesBefore);
  const std::size_t floor_bytes = is_old ? kFloorBytesBefore : kFloorBytes;
  const auto first = decode_floor(file, 0, floor_bytes);
  const auto second = decode_floor(file, kSectorBytes, floor_bytes);
  if (flawed != nullptr) {
    const auto filled = [](char byte) { return byte != '\0'; };
    *flawed = !first || !second || file.size() != kSectorBytes + floor_bytes ||
              std::ranges::any_of(file.substr(floor_bytes, kSectorBytes - floor_bytes), filled);
  }
  if (!first && !second) {
    return error(StoreErrorCode::Damaged,
                 fmt::format("{}: {} is missing or damaged, so it cannot be told what was acknowledged",
                             directory, kFloorName));
  }
  if (!first || (second && second->turn > first->turn)) return *second;
  return *first;
}

std::expected<DirectoryLock, StoreError> DirectoryLock::take(const std::string& path) {
  File directory(path, O_RDONLY | O_DIRECTORY);
  if (!directory.is_open() && errno == ENOTDIR) {
    return error(StoreErrorCode::NotAStore, fmt::format("{} is not a directory", path));
  }
  if (!directory.is_open()) return system_error(errno, "open", path);
  if (::flock(directory.fd(), LOCK_EX | LOCK_NB) == 0) return DirectoryLock(directory.give());
  if (errno != EWOULDBLOCK) return system_error(errno, "lock", path);
  return error(StoreErrorCode::Locked, fmt::format("the store {} is open in another process", path));
}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::close(fd_);
}

std::expected<StoreDirectory, StoreError> StoreDirectory::open(const std::string& path, OwnFiles& files) {
  const bool made = ::mkdir(path.c_str(), 0755) == 0;
  if (!made && errno != EEXIST) {
    return error(StoreErrorCode::NotWritable, fmt::format("cannot make the directory {}: {}", path,
                                                          std::generic_category().message(errno)));
  }
  auto lock = DirectoryLock::take(path);
  if (!lock) return std::unexpected(std::move(lock.error()));
  if (::access(path.c_str(), W_OK | X_OK) != 0) return system_error(errno, "write to", path);

  StoreDirectory directory(path, std::move(*lock), files);
  auto block = read_superblock(path);
  if (block) {
    directory.superblock_ = *block;
    return directory;
  }
  if (block.error().code != StoreErrorCode::NotFound) return std::unexpected(std::move(block.error()));
  if (auto done = directory.replace(Superblock{}); !done) return std::unexpected(std::move(done.error()));
  if (made) {
    const std::string parent = (std::filesystem::absolute(path) / "..").lexically_normal().string();
    if (auto done = sync_directory(files, parent); !done) return std::unexpected(std::move(done.error()));
  }
  return directory;
}

StoreDirectory::StoreDirectory(StoreDirectory&& other) noexcept
    : path_(std::move(other.path_)),
      lock_(std::move(other.lock_)),
      files_(other.files_),
      floor_fd_(std::exchange(other.floor_fd_, -1)),
      superblock_(other.superblock_),
      floor_(other.floor_) {}

StoreDirectory::~StoreDirectory() {
  if (floor_fd_ >= 0) ::close(floor_fd_);
}

std::expected<void, StoreError> StoreDirectory::replace(const Superblock& superblock) {
  const std::string name = join(path_, kSuperblockName);
  const std::string temporary = join(path_, kTemporaryName);
  {
    const File file(files_.open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC));
    if (!file.is_open()) return system_error(errno, "make", temporary);
    if (!write_all(files_, file.fd(), superblock.to_text(), 0)) return system_error(errno, "write", temporary);
    if (files_.sync(file.fd()) != 0) return system_error(errno, "sync", temporary);
  }
  if (files_.rename(temporary.c_str(), name.c_str()) != 0) return system_error(errno, "replace", name);
  if (auto done = sync_directory(files_, path_); !done) return done;
  superblock_ = superblock;
  return {};
}

std::expected<void, StoreError> StoreDirectory::begin_floor(std::uint64_t epoch, std::uint64_t end,
                                                            std::uint64_t hash, std::uint64_t boot) {
  const std::string name = join(path_, kFloorName);
  if (floor_fd_ < 0) floor_fd_ = files_.open(name.c_str(), O_RDWR | O_CREAT);
  if (floor_fd_ < 0) return system_error(errno, "open", name);
  floor_ = {.turn = floor_.turn, .epoch = epoch, .synced = end, .written = end, .boot = boot};
  for (int sector = 0; sector < 2; ++sector) {
    if (auto done = raise_floor({end, hash}, {end, hash}); !done) return done;
  }
  if (files_.sync(floor_fd_) != 0) return system_error(errno, "sync", name);
  return sync_directory(files_, path_);
}

std::expected<void, StoreError> StoreDirectory::rebuild_floor() {
  const std::string name = join(path_, kFloorName);
  if (files_.remove(name.c_str()) != 0 && errno != ENOENT) return system_error(errno, "remove", name);
  return begin_floor(superblock_.epoch, superblock_.journal_end, superblock_.journal_hash, current_boot());
}

std::expected<void, StoreError> StoreDirectory::raise_floor(const Level& synced, const Level& written) {
  floor_.synced = synced.end;
  floor_.synced_hash = synced.hash;
  floor_.written = written.end;
  floor_.written_hash = written.hash;
  ++floor_.turn;
  const std::array<std::byte, kFloorBytes> bytes = encode(floor_);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (write_all(files_, floor_fd_, text, (floor_.turn & 1) * kSectorBytes)) return {};
  return system_error(errno, "write", join(path_, kFloorName));
}

}  // namespace leat
