#include "command_line.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

namespace leat::tests {
namespace {

namespace fs = std::filesystem;

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

fs::path fresh_directory() {
  std::string pattern = (fs::temp_directory_path() / "leat-cli-XXXXXX").string();
  EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
  return pattern;
}

}  // namespace

std::vector<CsvRow> parse_csv(std::string_view text) {
  std::vector<std::vector<std::string>> lines(1);
  std::string cell;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        cell += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        cell += text[++i];
      } else {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',' || c == '\n') {
      lines.back().push_back(std::exchange(cell, {}));
      if (c == '\n') lines.emplace_back();
    } else {
      cell += c;
    }
  }
  if (lines.back().empty()) lines.pop_back();
  std::vector<CsvRow> rows;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i].size(), lines[0].size()) << "row " << i;
    CsvRow row;
    for (std::size_t k = 0; k < std::min(lines[i].size(), lines[0].size()); ++k)
      row[lines[0][k]] = lines[i][k];
    rows.push_back(std::move(row));
  }
  return rows;
}

CommandLineTest::CommandLineTest() : directory_(fresh_directory()), outputs_(fresh_directory()) {}

CommandLineTest::~CommandLineTest() {
  fs::remove_all(directory_);
  fs::remove_all(outputs_);
}

CommandResult CommandLineTest::Running::wait() {
  const ProcessResult ended = ended_.get();
  return {.status = ended.signal != 0 ? -ended.signal : ended.exit_status,
          .out = slurp(out_),
          .err = slurp(err_)};
}

CommandLineTest::Running CommandLineTest::start(const std::vector<std::string>& words) {
  Running command;
  command.out_ = outputs_ / (std::to_string(++commands_) + ".out");
  command.err_ = outputs_ / (std::to_string(commands_) + ".err");
  // The shell gives way to leat, so the process that is watched and killed is leat itself.
  ProcessSpec spec{.command = {"/bin/sh", "-c", R"(out=$1 err=$2; shift 2; exec "$@" >"$out" 2>"$err")", "sh",
                               command.out_.string(), command.err_.string(), LEAT_TOOL},
                   .directory = directory_.string()};
  spec.command.insert(spec.command.end(), words.begin(), words.end());
  std::promise<ProcessResult> ended;
  command.ended_ = ended.get_future();
  const auto id = processes_.start(
      spec, [ended = std::move(ended)](ProcessResult result) mutable { ended.set_value(std::move(result)); });
  if (!id) throw std::runtime_error(id.error().message);
  command.pid_ = processes_.pid(*id);
  return command;
}

std::string CommandLineTest::write_file(const std::string& name, std::string_view text) const {
  std::ofstream(directory_ / name, std::ios::binary) << text;
  return name;
}

std::string CommandLineTest::read_file(const std::string& name) const {
  return slurp(directory_ / name);
}

std::vector<std::string> CommandLineTest::files() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory_))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

std::vector<CsvRow> CommandLineTest::inspect(const std::string& what, const std::string& store) {
  const CommandResult result = leat({"inspect", what, "--store", store, "--format", "csv"});
  return result.status == 0 ? parse_csv(result.out) : std::vector<CsvRow>();
}

}  // namespace leat::tests
