// The in-flight board of a store's directory: the file BOARD, mapped. A header (magic, format; 64 KiB),
// then BoardLines as this machine keeps them. Absent after an orderly close.
#pragma once

#include <expected>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "leat/in_flight_board.h"
#include "own_files.h"

namespace leat {

class FileBoard final : public InFlightBoard {
 public:
  /// Replaces what is there by a file that begins with all that it said; NewerFormat where it cannot be read.
  /// @param files  outlives it
  static std::expected<std::unique_ptr<FileBoard>, StoreError> open(const std::string& directory,
                                                                    OwnFiles& files = OwnFiles::system());
  ~FileBoard() override;

  std::span<BoardLine> left_behind() noexcept override { return left_behind_; }
  std::expected<std::span<BoardLine>, StoreError> claim(std::size_t count) override;

  /// Takes the file away, unless a line still says something.
  void close() noexcept;

 private:
  FileBoard(std::string path, int fd, OwnFiles& files) noexcept
      : path_(std::move(path)), files_(files), fd_(fd) {}

  const std::string path_;
  OwnFiles& files_;
  const int fd_;
  std::size_t size_bytes_ = 0;  // of the file
  std::vector<std::span<BoardLine>> mapped_;  // whole pages, without the header
  std::span<BoardLine> left_behind_;
};

}  // namespace leat
