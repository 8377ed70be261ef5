// The file of the in-flight board: what it said is there again, in whichever format it was written.
#include "file_board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "temporary_directory.h"

namespace leat::test {
namespace {

class FileBoardTest : public testing::Test {
 protected:
  /// The file as a process left it that was killed while pipeline 7 ran.
  std::string left_behind() {
    const auto board = FileBoard::open(directory_.path().string());
    EXPECT_TRUE(board) << board.error().message;
    (*board)->claim(1)->front().begin({.pipeline_no = 7, .attempt = 2});
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string path() const { return (directory_.path() / "BOARD").string(); }
  void replace(std::string_view bytes) const { std::ofstream(path(), std::ios::binary) << bytes; }

  TemporaryDirectory directory_ = TemporaryDirectory::without_device();
};

TEST_F(FileBoardTest, SaysWhatItSaidBefore) {
  left_behind();
  const auto board = FileBoard::open(directory_.path().string());
  ASSERT_TRUE(board) << board.error().message;
  ASSERT_EQ((*board)->left_behind().size(), 1U);
  EXPECT_EQ((*board)->left_behind().front().task().pipeline_no, 7U);
  EXPECT_EQ((*board)->left_behind().front().task().attempt, 2U);
}

TEST_F(FileBoardTest, IsNotMadeWhereThereIsNoDirectory) {
  const auto board = FileBoard::open((directory_.path() / "absent").string());
  ASSERT_FALSE(board);
  EXPECT_EQ(board.error().code, StoreErrorCode::Io);
  EXPECT_THAT(board.error().message, testing::HasSubstr("absent/BOARD"));
}

TEST_F(FileBoardTest, IsReadWithoutAHeaderAsItBegan) {
  const std::string bytes = left_behind();
  replace(std::string_view(bytes).substr(std::size_t{64} << 10));
  const auto board = FileBoard::open(directory_.path().string());
  ASSERT_TRUE(board) << board.error().message;
  ASSERT_EQ((*board)->left_behind().size(), 1U);
  EXPECT_EQ((*board)->left_behind().front().task().pipeline_no, 7U);
}

TEST_F(FileBoardTest, OfALaterFormatIsRefusedAndLeftAsItIs) {
  std::string bytes = left_behind();
  bytes[8] = 2;  // the format, little endian
  replace(bytes);
  const auto board = FileBoard::open(directory_.path().string());
  ASSERT_FALSE(board);
  EXPECT_EQ(board.error().code, StoreErrorCode::NewerFormat);
  EXPECT_THAT(board.error().message, testing::EndsWith("BOARD has format 2 (accepted: up to 1)"));
  std::ifstream file(path(), std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), bytes);
}

TEST_F(FileBoardTest, CutInsideItsHeaderSaysNothing) {
  replace(left_behind().substr(0, 100));
  const auto board = FileBoard::open(directory_.path().string());
  ASSERT_TRUE(board) << board.error().message;
  EXPECT_TRUE((*board)->left_behind().empty());
}

}  // namespace
}  // namespace leat::test
