#include "row_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace leat::tools {
namespace {

constexpr std::size_t kRowsHeldMax = 1000;

void write(std::FILE* out, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), out);
}

std::string csv_cell(std::string_view cell) {
  if (cell.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(cell);
  std::string quoted = "\"";
  for (const char c : cell) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string json_string(const std::string& text) {
  using Json = nlohmann::json;
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string json_number(const std::string& text) {
  return text.empty() ? "null" : text;
}

/// A table's line stays one line.
std::string table_cell(std::string cell) {
  std::ranges::replace_if(
      cell, [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  return cell;
}

}  // namespace

std::optional<RowFormat> parse_row_format(std::string_view text) noexcept {
  if (text == "table") return RowFormat::Table;
  if (text == "csv") return RowFormat::Csv;
  if (text == "json") return RowFormat::Json;
  return std::nullopt;
}

RowWriter::RowWriter(std::FILE* out, RowFormat format, std::span<const Column> columns)
    : out_(out), format_(format), columns_(columns) {}

void RowWriter::begin() {
  if (std::exchange(begun_, true)) return;
  if (format_ == RowFormat::Json) write(out_, "[");
  if (format_ != RowFormat::Csv) return;
  std::string line;
  for (const Column& column : columns_) line += (line.empty() ? "" : ",") + csv_cell(column.name);
  write(out_, line + '\n');
}

void RowWriter::row(std::span<const std::string> cells) {
  begin();
  std::string line;
  switch (format_) {
    case RowFormat::Csv:
      for (std::size_t i = 0; i < cells.size(); ++i) line += (i == 0 ? "" : ",") + csv_cell(cells[i]);
      write(out_, line + '\n');
      break;
    case RowFormat::Json:
      for (std::size_t i = 0; i < cells.size(); ++i) {
        line += fmt::format("{}\"{}\":{}", i == 0 ? "" : ",", columns_[i].name,
                            columns_[i].number ? json_number(cells[i]) : json_string(cells[i]));
      }
      write(out_, fmt::format("{}\n{{{}}}", rows_ > 0 ? "," : "", line));
      break;
    case RowFormat::Table:
      if (!widths_.empty()) {
        table_row(cells);
      } else {
        held_.emplace_back(cells.begin(), cells.end());
        if (held_.size() == kRowsHeldMax) flush_table();
      }
      break;
  }
  ++rows_;
}

void RowWriter::finish() {
  begin();
  if (format_ == RowFormat::Json) write(out_, rows_ > 0 ? "\n]\n" : "]\n");
  if (format_ == RowFormat::Table && widths_.empty()) flush_table();
  std::fflush(out_);
}

void RowWriter::flush_table() {
  std::vector<std::string> names;
  for (const Column& column : columns_) {
    names.emplace_back(column.name);
    widths_.push_back(column.name.size());
  }
  for (const auto& cells : held_) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], cells[i].size());
  }
  table_row(names);
  for (const auto& cells : held_) table_row(cells);
  held_ = {};
}

void RowWriter::table_row(std::span<const std::string> cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string cell = table_cell(cells[i]);
    line += columns_[i].number ? fmt::format("{:>{}}", cell, widths_[i])
                               : fmt::format("{:<{}}", cell, widths_[i]);
    line += "  ";
  }
  line.erase(line.find_last_not_of(' ') + 1);
  write(out_, line + '\n');
}

}  // namespace leat::tools
