// Writes rows as a table, CSV (RFC 4180) or a JSON array, one at a time: a log of any length needs no memory.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leat::tools {

enum class RowFormat { Table, Csv, Json };

/// @param text  "table", "csv" or "json"
std::optional<RowFormat> parse_row_format(std::string_view text) noexcept;

struct Column {
  std::string_view name;
  bool number = false;  ///< a bare number in JSON, null where there is none; to the right in a table
};

/// Thread-safety: one thread.
class RowWriter {
 public:
  /// @param out, columns  outlive the writer
  RowWriter(std::FILE* out, RowFormat format, std::span<const Column> columns);

  /// @param cells  one for each column
  void row(std::span<const std::string> cells);
  /// Ends the output. Nothing may follow.
  void finish();

 private:
  void begin();
  void table_row(std::span<const std::string> cells);
  void flush_table();

  std::FILE* out_;
  RowFormat format_;
  std::span<const Column> columns_;
  std::uint64_t rows_ = 0;
  bool begun_ =
      false;  ///< the first bytes wait for the first row, or the end: a failure before leaves no output
  std::vector<std::vector<std::string>> held_;  ///< a table's first rows, from which it takes its widths
  std::vector<std::size_t> widths_;             ///< empty: not yet taken
};

}  // namespace leat::tools
