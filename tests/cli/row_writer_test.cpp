// The three output forms of rows.
#include "row_writer.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace leat::tools {
namespace {

constexpr std::array<Column, 2> kColumns = {{{"name"}, {"count", true}}};
using Row = std::array<std::string, 2>;

/// What a writer with these rows writes.
std::string written(RowFormat format, std::initializer_list<Row> rows, bool finish = true) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* file = ::open_memstream(&text, &size);
  RowWriter writer(file, format, kColumns);
  for (const Row& row : rows) writer.row(row);
  if (finish) writer.finish();
  std::fclose(file);
  std::string result(text, size);
  std::free(text);
  return result;
}

TEST(RowWriter, CsvQuotesWhatRfc4180SaysAndNothingElse) {
  EXPECT_EQ(
      written(RowFormat::Csv, {{"plain text", "1"}, {"a,b", "2"}, {"say \"so\"", "3"}, {"two\nlines", "4"}}),
      "name,count\nplain text,1\n\"a,b\",2\n\"say \"\"so\"\"\",3\n\"two\nlines\",4\n");
}

TEST(RowWriter, JsonEscapesTextsAndLeavesNumbersBare) {
  EXPECT_EQ(written(RowFormat::Json, {{"a\"\n\x01", "1"}, {"\xff", "2"}}),
            "[\n{\"name\":\"a\\\"\\n\\u0001\",\"count\":1},\n{\"name\":\"\xef\xbf\xbd\",\"count\":2}\n]\n");
}

TEST(RowWriter, TableAlignsAndKeepsARowOnOneLine) {
  EXPECT_EQ(written(RowFormat::Table, {{"a", "1"}, {"long\nname", "22"}}),
            "name       count\na              1\nlong name     22\n");
}

TEST(RowWriter, NoRowsGiveAHeaderOrAnEmptyArray) {
  EXPECT_EQ(written(RowFormat::Csv, {}), "name,count\n");
  EXPECT_EQ(written(RowFormat::Json, {}), "[]\n");
  EXPECT_EQ(written(RowFormat::Table, {}), "name  count\n");
}

TEST(RowWriter, AFailureBeforeTheFirstRowLeavesNoOutput) {
  for (const RowFormat format : {RowFormat::Csv, RowFormat::Json, RowFormat::Table}) {
    EXPECT_EQ(written(format, {}, false), "");
  }
}

}  // namespace
}  // namespace leat::tools
